"""Calls in Smithy's RPC v2 CBOR protocol, as SDKs for Go, Java and Rust make them to CloudWatch."""

from __future__ import annotations

import gzip
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from botocore.loaders import Loader

from tests.localcloud.conftest import Stage

NOW = datetime.now(UTC).replace(second=0, microsecond=0)
SERVICE = "/service/GraniteServiceVersion20100801/operation/"


class _OnlyCbor(Loader):
    """Models whose only protocol is the one in CBOR."""

    def load_service_model(self, *arguments: Any, **named: Any) -> Any:
        model = super().load_service_model(*arguments, **named)
        metadata = model.get("metadata", {})
        if "smithy-rpc-v2-cbor" in metadata.get("protocols", ()):
            only = {"protocol": "smithy-rpc-v2-cbor", "protocols": ["smithy-rpc-v2-cbor"]}
            return {**model, "metadata": {**metadata, **only}}
        return model


def client(stage: Stage, service: str, **keys: str) -> Any:
    session = botocore.session.Session()
    session.register_component(
        "data_loader", _OnlyCbor(extra_search_paths=[Loader.BUILTIN_DATA_PATH])
    )
    make: Any = boto3.Session(botocore_session=session, region_name="us-east-1").client
    given = keys or stage.cloud.deployer.credentials
    return make(service, endpoint_url=stage.cloud.endpoint_url, **given)


@pytest.fixture(scope="module")
def cloudwatch(stage: Stage) -> Any:
    return client(stage, "cloudwatch")


def post(stage: Stage, operation: str, body: bytes, **headers: str) -> tuple[int, bytes]:
    """A signed call by hand."""
    keys = stage.cloud.deployer
    url = f"{stage.cloud.endpoint_url}{SERVICE}{operation}"
    named = {"smithy-protocol": "rpc-v2-cbor", "content-type": "application/cbor", **headers}
    request = AWSRequest("POST", url, data=body, headers=named)
    SigV4Auth(Credentials(keys.access_key, keys.secret), "monitoring", "us-east-1").add_auth(
        request
    )
    sent = urllib.request.Request(url, body, dict(request.headers))  # noqa: S310
    try:
        with urllib.request.urlopen(sent, timeout=10) as answer:  # noqa: S310
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_metrics_there_and_back(cloudwatch: Any) -> None:
    assert cloudwatch.meta.service_model.protocol == "smithy-rpc-v2-cbor"
    data = [
        {"MetricName": "m", "Timestamp": NOW, "Value": 1.5, "Unit": "Count"},
        {"MetricName": "ü", "Values": [1.0, 2.0], "Counts": [3.0, 1.0]},
    ]
    cloudwatch.put_metric_data(Namespace="cbor", MetricData=data)
    query = {
        "Id": "q",
        "MetricStat": {
            "Metric": {"Namespace": "cbor", "MetricName": "m"},
            "Period": 60,
            "Stat": "Sum",
        },
    }
    (found,) = cloudwatch.get_metric_data(
        MetricDataQueries=[query], StartTime=NOW - timedelta(hours=1), EndTime=NOW + timedelta(1)
    )["MetricDataResults"]
    assert (found["Values"], found["Timestamps"]) == ([1.5], [NOW])
    listed = cloudwatch.list_metrics(Namespace="cbor")["Metrics"]
    assert sorted(each["MetricName"] for each in listed) == ["m", "ü"]


def test_what_moto_answers(cloudwatch: Any) -> None:
    cloudwatch.put_metric_alarm(
        AlarmName="in cbor",
        Namespace="cbor",
        MetricName="m",
        Period=60,
        EvaluationPeriods=1,
        Threshold=2.5,
        ComparisonOperator="GreaterThanThreshold",
        Statistic="Sum",
        ActionsEnabled=False,
    )
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=["in cbor"])["MetricAlarms"]
    assert (alarm["Threshold"], alarm["ActionsEnabled"]) == (2.5, False)
    assert abs(alarm["StateUpdatedTimestamp"] - datetime.now(UTC)) < timedelta(hours=1)
    assert cloudwatch.describe_alarms(AlarmNames=["none"])["MetricAlarms"] == []


def test_other_services_with_both_protocols(stage: Stage) -> None:
    queue = stage.queue(stage.environment(), tags={"of": "cbor"})
    found = client(stage, "resourcegroupstaggingapi").get_resources(
        TagFilters=[{"Key": "of", "Values": ["cbor"]}]
    )
    assert [each["ResourceARN"] for each in found["ResourceTagMappingList"]] == [queue]


def test_errors_keep_their_codes(stage: Stage, cloudwatch: Any) -> None:
    with pytest.raises(ClientError) as unknown:
        client(
            stage, "cloudwatch", aws_access_key_id="AKIANOBODY", aws_secret_access_key="x"
        ).list_metrics()
    assert unknown.value.response["Error"]["Code"] == "InvalidClientTokenId"
    with pytest.raises(ClientError, match="NextToken is invalid"):
        cloudwatch.list_metrics(NextToken="nothing")
    with pytest.raises(ClientError) as missing:
        cloudwatch.list_metric_streams()
    assert missing.value.response["Error"]["Code"] == "NotImplemented"
    assert missing.value.response["ResponseMetadata"]["RetryAttempts"] == 0


def test_a_role_has_its_permissions(stage: Stage) -> None:
    role = stage.role(
        "ecs-tasks.amazonaws.com", {"Action": "cloudwatch:ListMetrics", "Resource": "*"}
    )
    found = stage.cloud.role_client("sts", role)._request_signer._credentials
    allowed = client(
        stage,
        "cloudwatch",
        aws_access_key_id=found.access_key,
        aws_secret_access_key=found.secret_key,
        aws_session_token=found.token,
    )
    assert "Metrics" in allowed.list_metrics()
    with pytest.raises(ClientError, match="not authorized to perform: cloudwatch:PutMetricData"):
        allowed.put_metric_data(Namespace="x", MetricData=[{"MetricName": "m", "Value": 1}])


@pytest.mark.parametrize(
    "body", [b"\xff", b"\xbf", b"\xbb", b"\xa1\x61", b"{}", b"\xd8\x63\x01", b"\x80", b"\x1b"]
)
def test_what_is_no_cbor(stage: Stage, body: bytes) -> None:
    status, answer = post(stage, "PutMetricData", body)
    assert status == 400, answer
    assert b"fails at" not in answer


def test_bodies_that_are_compressed(stage: Stage) -> None:
    empty = b"\xa0"
    assert (
        post(stage, "ListMetrics", gzip.compress(empty), **{"content-encoding": "gzip"})[0] == 200
    )
    for body in (empty, gzip.compress(empty)[:-6]):
        status, answer = post(stage, "ListMetrics", body, **{"content-encoding": "gzip"})
        assert (status, b"SerializationException" in answer) == (400, True)
    assert post(stage, "NoSuchOperation", empty)[0] == 404


def test_compressed_json_under_a_role(stage: Stage) -> None:
    """boto3 compresses what is longer than ten kilobytes; policies are evaluated all the same."""
    role = stage.role(
        "ecs-tasks.amazonaws.com",
        {
            "Action": "cloudwatch:PutMetricData",
            "Resource": "*",
            "Condition": {"StringEquals": {"cloudwatch:namespace": "allowed"}},
        },
    )
    named = [{"MetricName": f"m{n:03}", "Value": n, "Timestamp": NOW} for n in range(500)]
    cloudwatch = stage.cloud.role_client("cloudwatch", role)
    cloudwatch.put_metric_data(Namespace="allowed", MetricData=named)
    with pytest.raises(ClientError, match="not authorized"):
        cloudwatch.put_metric_data(Namespace="other", MetricData=named)
