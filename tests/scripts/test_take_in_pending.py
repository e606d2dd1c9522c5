"""What a killed `pulumi up` was making goes into the state, where its id is known."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from scripts.take_in_pending import take_in
from tests.conformance.cli import ROOT

_ROOT = "urn:pulumi:dev::p::"


def _creating(kind: str, name: str, inputs: dict[str, Any], **state: Any) -> dict[str, Any]:
    made = {"urn": f"{_ROOT}{kind}::{name}", "type": kind, "custom": True, "inputs": inputs}
    return {"type": "creating", "resource": {**made, **state}}


def _export(*pending: dict[str, Any], resources: tuple[dict[str, Any], ...] = ()) -> Any:
    return {
        "version": 3,
        "deployment": {"resources": list(resources), "pending_operations": list(pending)},
    }


@pytest.mark.parametrize(
    ("kind", "inputs", "identity"),
    [
        ("aws:cloudwatch/logGroup:LogGroup", {"name": "/a"}, "/a"),
        ("aws:cloudwatch/dashboard:Dashboard", {"dashboardName": "d"}, "d"),
        ("aws:cloudwatch/eventRule:EventRule", {"name": "r"}, "r"),
        ("aws:cloudwatch/eventRule:EventRule", {"name": "r", "eventBusName": "b"}, "b/r"),
        ("aws:cloudwatch/eventTarget:EventTarget", {"rule": "r", "targetId": "t"}, "default-r-t"),
        (
            "aws:ec2/route:Route",
            {"routeTableId": "rtb-552210458d10e7ec2", "destinationCidrBlock": "0.0.0.0/0"},
            "r-rtb-552210458d10e7ec21080289494",
        ),
        ("aws:iam/role:Role", {"name": "n"}, "n"),
        (
            "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
            {"role": "r", "policyArn": "arn:aws:iam::aws:policy/P"},
            "r/arn:aws:iam::aws:policy/P",
        ),
        ("aws:ecr/repository:Repository", {"name": "p-dev/cpu"}, "p-dev/cpu"),
        (
            "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig",
            {"functionName": "f", "qualifier": "live"},
            "f:live",
        ),
        ("aws:lambda/permission:Permission", {"function": "f", "statementId": "s"}, "s"),
        ("aws:s3/bucketVersioning:BucketVersioning", {"bucket": "b"}, "b"),
        (
            "aws:s3/bucketVersioning:BucketVersioning",
            {"bucket": "b", "expectedBucketOwner": "123456789012"},
            "b,123456789012",
        ),
        ("aws:scheduler/schedule:Schedule", {"name": "s"}, "default/s"),
        ("aws:scheduler/schedule:Schedule", {"name": "s", "groupName": "g"}, "g/s"),
        ("aws:ssm/parameter:Parameter", {"name": "/a/b"}, "/a/b"),
        ("aws:s3/bucket:Bucket", {"bucket": "b"}, "b"),
    ],
)
def test_a_name_that_is_an_id_is_taken_in(kind: str, inputs: dict[str, Any], identity: str) -> None:
    export = _export(_creating(kind, "it", {"__defaults": ["name"], **inputs}))
    assert take_in(export) == []
    (taken,) = export["deployment"]["resources"]
    assert taken["id"] == identity
    assert taken["inputs"]["__defaults"] == ["name"], "or the next `up` would give another name"
    assert taken["outputs"] == {**inputs, "id": identity}
    assert export["deployment"]["pending_operations"] == []


def test_what_aws_has_answered_is_kept() -> None:
    kind = "aws:ec2/subnet:Subnet"
    answered = _creating(kind, "it", {"vpcId": "v"}, id="subnet-1", outputs={"arn": "a"})
    export = _export(answered)
    assert take_in(export) == []
    (taken,) = export["deployment"]["resources"]
    assert (taken["id"], taken["outputs"]["arn"]) == ("subnet-1", "a")


def test_what_has_no_id_stays_pending_and_is_told() -> None:
    kind = "aws:sns/topic:Topic"
    pending = [
        _creating(kind, "it", {"name": "n-1"}),
        _creating("aws:cloudwatch/logGroup:LogGroup", "prefixed", {"namePrefix": "n"}),
        {"type": "deleting", "resource": {"urn": "u", "type": kind, "custom": True, "id": "x"}},
    ]
    export = _export(*pending)
    told = take_in(export)
    assert [line.partition("::p::")[2] for line in told] == [
        f"{kind}::it n-1",
        "aws:cloudwatch/logGroup:LogGroup::prefixed",
    ]
    assert export["deployment"]["resources"] == []
    assert export["deployment"]["pending_operations"] == pending


def test_what_is_made_again_without_harm_is_not_told() -> None:
    kind = "aws:sns/topicSubscription:TopicSubscription"
    export = _export(_creating(kind, "it", {"topic": "arn", "endpoint": "e"}))
    assert take_in(export) == []
    assert export["deployment"]["resources"] == []


def test_one_that_was_made_again_is_not_taken_in_twice() -> None:
    kind = "aws:ec2/subnet:Subnet"
    first = _creating(kind, "it", {}, id="subnet-1")
    standing = {"urn": first["resource"]["urn"], "id": "subnet-2"}
    export = _export(first, resources=(standing,))
    assert take_in(export) == [f"{_ROOT}{kind}::it subnet-1"]
    assert export["deployment"] == {"resources": [standing], "pending_operations": []}
    same = _export(first, resources=({**standing, "id": "subnet-1"},))
    assert take_in(same) == []


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"deployment": 1}', "no json"])
def test_what_is_no_export_is_refused(text: str) -> None:
    script = [sys.executable, str(ROOT / "scripts" / "take_in_pending.py")]
    done = subprocess.run(script, input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("stdin is no export of a stack")
    assert "Traceback" not in done.stderr


def test_an_empty_stack_passes() -> None:
    export = {"version": 3, "deployment": {"manifest": {}}}
    script = [sys.executable, str(ROOT / "scripts" / "take_in_pending.py")]
    done = subprocess.run(
        script, input=json.dumps(export), capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert json.loads(done.stdout)["deployment"]["resources"] == []
