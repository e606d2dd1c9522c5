"""Pulumi's names and botocore's are the same request in another dress; botocore's validator is the
judge.
"""

from __future__ import annotations

import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from localcloud.deployment.provider.archive import archive_zip
from localcloud.deployment.provider.calls import ProviderError
from localcloud.deployment.provider.mapping import MappingError, to_request
from localcloud.deployment.provider.values import ARCHIVE, ASSET, SIGNATURE_KEY
from localcloud.protocol.model_check import violations

SESSION = botocore.session.get_session()
OPERATIONS = (
    ("batch", "CreateComputeEnvironment"),
    ("batch", "RegisterJobDefinition"),
    ("batch", "CreateJobQueue"),
    ("ec2", "CreateLaunchTemplate"),
    ("s3", "PutBucketLifecycleConfiguration"),
    ("lambda", "CreateFunction"),
    ("events", "PutTargets"),
    ("scheduler", "CreateSchedule"),
)


def shape_of(service: str, operation: str) -> Any:
    return SESSION.get_service_model(service).operation_model(operation).input_shape


def requests(shape: Any, depth: int = 0) -> st.SearchStrategy[Any]:
    """Requests that the service model allows."""
    kind = shape.type_name
    if kind == "structure":
        members = {
            n: m for n, m in shape.members.items() if depth < 5 or n in shape.required_members
        }
        wanted = {
            n: requests(m, depth + 1)
            for n, m in members.items()
            if m.type_name not in ("blob", "timestamp")
        }
        required = {n: s for n, s in wanted.items() if n in shape.required_members}
        return st.fixed_dictionaries(
            required, optional={n: s for n, s in wanted.items() if n not in required}
        )
    if kind == "list":
        return st.lists(requests(shape.member, depth + 1), min_size=1, max_size=2)
    if kind == "map":
        return st.dictionaries(
            st.text("abcXYZ", min_size=1, max_size=4), requests(shape.value, depth + 1), max_size=2
        )
    if kind in ("integer", "long"):
        least = max(60, shape.metadata.get("min", 0))
        return st.integers(least, least + 40)
    if kind in ("float", "double"):
        return st.floats(2, 4)
    if kind == "boolean":
        return st.booleans()
    return (
        st.sampled_from(shape.enum)
        if shape.enum
        else st.just("x" * max(4, shape.metadata.get("min", 0)))
    )


def as_pulumi(value: Any, shape: Any) -> Any:
    """The request as the wire would bring it: first letters small, whole numbers perhaps as
    floats.
    """
    if shape.type_name == "structure":
        return {n[0].lower() + n[1:]: as_pulumi(v, shape.members[n]) for n, v in value.items()}
    if shape.type_name == "list":
        return [as_pulumi(v, shape.member) for v in value]
    if shape.type_name == "map":
        return {n: as_pulumi(v, shape.value) for n, v in value.items()}
    return float(value) if shape.type_name in ("integer", "long") else value


@pytest.mark.parametrize(("service", "operation"), OPERATIONS)
def test_a_request_comes_back_from_its_pulumi_form(service: str, operation: str) -> None:
    shape = shape_of(service, operation)

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(requests(shape))
    def check(request: dict[str, Any]) -> None:
        mapped = to_request(as_pulumi(request, shape), shape)
        assert mapped == request
        assert not ParamValidator().validate(mapped, shape).has_errors()
        assert [v for v in violations(shape, mapped) if "allowed are" in v] == []

    check()


def test_names_differ_by_plural_case_and_list_of_one() -> None:
    shape = shape_of("batch", "CreateComputeEnvironment")
    given_inputs = {
        "computeResources": {
            "maxVcpus": 4.0,
            "subnet": ["a"],
            "type": "EC2",
            "ec2Configurations": {"imageType": "ECS_AL2023"},
        }
    }
    assert to_request(given_inputs, shape) == {
        "computeResources": {
            "maxvCpus": 4,
            "subnets": ["a"],
            "type": "EC2",
            "ec2Configuration": [{"imageType": "ECS_AL2023"}],
        }
    }
    with pytest.raises(
        MappingError,
        match=r"computeResources\.maxCpus has no counterpart .* ComputeResource; close is maxvcpus",
    ):
        to_request({"computeResources": {"maxCpus": 4}}, shape)


def test_maps_become_the_lists_that_services_want() -> None:
    shape = shape_of("cloudwatch", "PutMetricAlarm")
    mapped = to_request({"dimensions": {"b": "2", "a": "1"}, "tags": {"k": "v"}}, shape)
    assert mapped == {
        "Dimensions": [{"Name": "a", "Value": "1"}, {"Name": "b", "Value": "2"}],
        "Tags": [{"Key": "k", "Value": "v"}],
    }


def test_every_wrong_enum_value_of_a_job_definition_is_found() -> None:
    shape = shape_of("batch", "RegisterJobDefinition")
    container = {
        "image": "x",
        "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "WRONG", "value": "1"}],
        "logConfiguration": {"logDriver": "wrong"},
        "linuxParameters": {"devices": [{"hostPath": "/dev/a", "permissions": ["READ", "wrong"]}]},
    }
    request = {
        "jobDefinitionName": "j",
        "type": "multinode",
        "platformCapabilities": ["EC3"],
        "retryStrategy": {"evaluateOnExit": [{"action": "AGAIN"}]},
        "nodeProperties": {
            "numNodes": 1,
            "mainNode": 0,
            "nodeRangeProperties": [{"targetNodes": "0:", "container": container}],
        },
    }
    inside = "nodeProperties.nodeRangeProperties[0].container"
    assert sorted(v.partition(" is ")[0] for v in violations(shape, request)) == sorted(
        [
            "platformCapabilities[0]",
            "retryStrategy.evaluateOnExit[0].action",
            f"{inside}.resourceRequirements[1].type",
            f"{inside}.logConfiguration.logDriver",
            f"{inside}.linuxParameters.devices[0].permissions[1]",
        ]
    )


def test_an_archive_is_the_same_bytes_from_any_source_and_in_any_order(tmp_path: Path) -> None:
    (tmp_path / "package" / "__pycache__").mkdir(parents=True)
    (tmp_path / "package" / "__pycache__" / "a.pyc").write_bytes(b"x")
    (tmp_path / "package" / "a.py").write_text("A = 1\n")
    (tmp_path / "main.py").write_text("import package.a\n")
    folder = {SIGNATURE_KEY: ARCHIVE, "path": str(tmp_path / "package")}
    file = {SIGNATURE_KEY: ASSET, "path": str(tmp_path / "main.py")}
    text = {SIGNATURE_KEY: ASSET, "text": "import package.a\n"}
    one = archive_zip({SIGNATURE_KEY: ARCHIVE, "assets": {"package": folder, "main.py": file}})
    other = archive_zip({SIGNATURE_KEY: ARCHIVE, "assets": {"main.py": text, "package": folder}})
    assert one == other
    with zipfile.ZipFile(BytesIO(one)) as opened:
        assert opened.namelist() == ["main.py", "package/a.py"]
    with pytest.raises(ProviderError, match="does not exist"):
        archive_zip({SIGNATURE_KEY: ARCHIVE, "path": str(tmp_path / "nowhere")})
