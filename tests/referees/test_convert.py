"""What linters of others get to see is what the stacks make."""

from __future__ import annotations

import dataclasses
import json

import pytest

from referees import shapes
from referees.convert import UnknownTypeError, logical_id, template
from referees.folded import FOLDED
from tests.components.program import deployed


def test_every_resource_is_in_the_template_or_left_out_by_name() -> None:
    made = [each for each in deployed("prod").resources if each.type.startswith("aws:")]
    written = template(made)["Resources"]
    own = [each for each in made if each.type in shapes.TYPES]
    assert {logical_id(each) for each in own} <= written.keys()
    assert {
        each.type for each in made
    } <= shapes.TYPES.keys() | FOLDED.keys() | shapes.LEFT_OUT.keys()
    assert len(written) == len(own) + len(
        [each for each in own if each.type.endswith(":InternetGateway")]
    )


def test_what_is_a_resource_of_its_own_in_pulumi_is_a_property_here() -> None:
    recording = deployed("prod")
    written = template(recording.resources)["Resources"]
    bucket = written["StorageIngestBucket"]["Properties"]
    assert bucket["PublicAccessBlockConfiguration"]["BlockPublicAcls"] is True
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert bucket["NotificationConfiguration"]["EventBridgeConfiguration"] == {
        "EventBridgeEnabled": True
    }
    policies = [
        policy["PolicyDocument"]
        for entry in written.values()
        if entry["Type"] == "AWS::IAM::Role"
        for policy in entry["Properties"].get("Policies", ())
    ]
    expected = [
        json.loads(each.inputs["policy"]) for each in recording.all("aws:iam/rolePolicy:RolePolicy")
    ]
    assert sorted(map(json.dumps, policies)) == sorted(map(json.dumps, expected))


def test_what_belongs_together_is_linked_and_nothing_names_itself() -> None:
    written = template(deployed("dev").resources)["Resources"]
    policy = written["StorageIngestBucketPolicy"]["Properties"]
    assert policy["Bucket"] == {"Ref": "StorageIngestBucket"}
    assert policy["PolicyDocument"]["Statement"][0]["Sid"] == "TlsOnly"
    assert written["NetworkNat0NatGateway"]["Properties"]["AllocationId"] == {
        "Fn::GetAtt": ["NetworkNat0Eip", "AllocationId"]
    }
    for name, entry in written.items():
        assert f'"Ref": "{name}"' not in json.dumps(entry), name
        assert f'"Fn::GetAtt": ["{name}"' not in json.dumps(entry), name


def test_a_job_is_written_with_its_variables_and_options_as_they_are() -> None:
    written = template(deployed("prod").resources)["Resources"]
    job = written["JobsPreprocessJobDefinition"]["Properties"]["ContainerProperties"]
    assert {"Name": "AWS_REGION", "Value": "us-east-1"} in job["Environment"]
    assert "awslogs-group" in job["LogConfiguration"]["Options"]


def test_a_type_that_no_table_knows_is_refused() -> None:
    bucket = deployed("dev").one("aws:s3/bucket:Bucket", "storage-ingest")
    stranger = dataclasses.replace(bucket, type="aws:rds/instance:Instance", name="stranger")
    with pytest.raises(
        UnknownTypeError, match="stranger is a aws:rds/instance:Instance; say in referees"
    ):
        template([stranger])
