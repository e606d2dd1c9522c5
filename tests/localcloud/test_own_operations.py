"""What this program answers itself besides AWS Batch: in the model's shape, or refused in words."""

from __future__ import annotations

import json
import time
from typing import Any, Final

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from localcloud.cloud import LocalCloud
from tests.localcloud.conftest import Stage
from tests.localcloud.shapes import differences

SERVICES: Final = ("budgets", "cloudwatch", "ecs", "events", "fsx", "logs")
"""Those whose protocol is JSON."""
TEXTS: Final = st.one_of(
    st.sampled_from(["", "a", "own", "m", "fields @message", "stats count(*) by x", "{}", "[]"]),
    st.sampled_from(["123456789012", "arn:aws:sns:us-east-1:123456789012:t", "/test/batch", "12"]),
    st.text(max_size=6),
)
ODD: Final = st.sampled_from([None, 3, -1, "x", [], {}, [None], {"a": 1}, True, 1e30])


def of_shape(shape: Any, depth: int = 0) -> st.SearchStrategy[Any]:
    """Values of a shape, now and then of another."""
    kind = shape.type_name
    found: st.SearchStrategy[Any]
    if kind == "structure":
        wanted = shape.required_members if depth > 3 else shape.members  # some contain themselves
        named = {name: of_shape(shape.members[name], depth + 1) for name in wanted}
        required = {name: named.pop(name) for name in shape.required_members}
        found = st.fixed_dictionaries(required, optional=named)
    elif kind == "list":
        found = st.lists(of_shape(shape.member, depth + 1), max_size=2)
    elif kind == "map":
        found = st.dictionaries(TEXTS, of_shape(shape.value, depth + 1), max_size=2)
    elif kind == "timestamp":
        found = st.one_of(st.just(time.time()), st.integers(0, 2_000_000_000))
    elif kind in ("integer", "long"):
        found = st.sampled_from([0, 1, 59, 60, 300, 3600, 10**6, -1])
    elif kind in ("double", "float"):
        found = st.sampled_from([0.0, 1.5, -1.0])
    elif kind == "boolean":
        found = st.booleans()
    else:
        found = st.sampled_from(shape.enum) if getattr(shape, "enum", None) else TEXTS
    return st.integers(0, 19).flatmap(lambda chance: ODD if chance == 0 and depth else found)


class Asked:
    """Sends whatever it is given, signed."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.cloud = cloud
        make: Any = boto3.client
        self.clients = {
            service: make(
                service,
                endpoint_url=cloud.endpoint_url,
                region_name="us-east-1",
                **cloud.deployer.credentials,
            )
            for service in SERVICES
        }
        self.operations = [
            (service, name) for service in SERVICES for name in cloud.own_operations[service]
        ]

    def model(self, service: str, name: str) -> Any:
        return self.clients[service].meta.service_model.operation_model(name)

    def send(self, service: str, name: str, params: Any) -> tuple[int, Any]:
        client = self.clients[service]
        metadata = client.meta.service_model.metadata
        headers = {
            "Content-Type": f"application/x-amz-json-{metadata['jsonVersion']}",
            "X-Amz-Target": f"{metadata['targetPrefix']}.{name}",
        }
        request = AWSRequest(
            "POST", self.cloud.endpoint_url, data=json.dumps(params), headers=headers
        )
        signing = client.meta.service_model.signing_name
        SigV4Auth(client._request_signer._credentials, signing, "us-east-1").add_auth(request)
        answer = client._endpoint.http_session.send(request.prepare())
        return answer.status_code, json.loads(answer.content or b"{}")


@pytest.fixture(scope="module")
def asked(stage: Stage) -> Asked:
    stage.client("cloudwatch").put_metric_data(
        Namespace="own", MetricData=[{"MetricName": "m", "Value": 1}]
    )
    return Asked(stage.cloud)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
    max_examples=200,
)
@given(st.data())
def test_whatever_is_asked_is_answered_in_the_models_shape_or_refused(
    asked: Asked, data: st.DataObject
) -> None:
    service, name = data.draw(st.sampled_from(asked.operations))
    model = asked.model(service, name)
    params = data.draw(of_shape(model.input_shape))
    status, body = asked.send(service, name, params)
    if status == 200:
        shape = model.output_shape
        assert (differences(shape, body, name) if shape is not None else []) == []
    else:
        assert status == 400, (name, params, body)
        assert body["__type"]
        assert "Traceback" not in body["message"]


def test_there_is_something_to_ask(asked: Asked) -> None:
    assert {"GetMetricData", "PutEvents", "StartQuery", "DescribeClusters"} <= {
        name for _, name in asked.operations
    }
