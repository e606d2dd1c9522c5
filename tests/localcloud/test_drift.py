"""What is changed by hand is seen, resource by resource, and nothing else is; a deployment brings
it back.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from localcloud.cloud import LocalCloud
from localcloud.deployment.deploy import Deployment, DeploymentError, deploy
from localcloud.deployment.engine.refresh import refresh
from localcloud.deployment.provider import HANDLERS, Provider
from localcloud.deployment.provider.lifecycle import LIFECYCLES
from localcloud.deployment.provider.reading import READERS
from tests.localcloud.deploying import run
from tests.localcloud.drifts import DRIFTS

ROOT = Path(__file__).parents[2]
SECRETS = {"batch-reference:slack-webhook-url": "https://hooks.slack.com/services/T0/B0/x"}


@pytest.fixture
def provider(cloud: LocalCloud) -> Provider:
    return Provider(client=cloud.client, config={"aws:region": cloud.region}, preview=False)


@pytest.mark.timeout(300)
def test_twenty_changes_by_hand_are_seen_and_brought_back(
    cloud: LocalCloud, provider: Provider
) -> None:
    deployed = deploy(ROOT, "local", cloud.client, secrets=SECRETS)
    untouched = refresh(deployed.state, provider)
    assert untouched.failures == ()
    assert [(each.resource.name, each.paths) for each in untouched.drift] == []
    learnt = {
        name
        for before, now in zip(deployed.state.resources, untouched.state.resources, strict=True)
        for name in now.outputs
        if before.outputs.get(name) != now.outputs[name]
    }
    assert learnt == {"associationId"}, "an address knows its gateway, which was made after it"

    expected = {}
    for plant in DRIFTS:
        resource, path = plant(deployed.resource, cloud.client)
        expected[resource.urn] = path
    assert len(expected) >= 20
    found = refresh(deployed.state, provider)
    assert found.failures == ()
    seen = {each.resource.urn: "gone" if each.gone else min(each.paths) for each in found.drift}
    assert seen == expected
    assert all(len(each.paths) == 1 for each in found.drift if not each.gone)

    back = deploy(ROOT, "local", cloud.client, secrets=SECRETS, previous=found.state)
    touched = {step.urn for step in back.steps if step.operation != "same"}
    assert touched >= set(expected)
    again = refresh(back.state, provider)
    assert [(each.resource.name, each.paths) for each in again.drift] == []


def test_every_type_that_can_change_can_be_read() -> None:
    assert set(LIFECYCLES) - set(READERS) == set()
    assert set(READERS) <= set(HANDLERS)


def test_what_was_half_made_is_finished_by_the_next_deployment(
    cloud: LocalCloud, tmp_path: Path
) -> None:
    """The engine keeps what exists, as it is, and the next deployment sees what it lacks."""

    def key(days: int) -> str:
        return f'aws.kms.Key("half", enable_key_rotation=True, rotation_period_in_days={days})'

    with pytest.raises(DeploymentError) as caught:
        run(tmp_path, key(1), client=cloud.client)
    assert caught.value.state is not None
    (half,) = (r for r in caught.value.state.resources if r.name == "half")
    done: Deployment = run(tmp_path, key(90), client=cloud.client, previous=caught.value.state)
    assert [s.operation for s in done.steps if s.name == "half"] == ["update"]
    status = cloud.client("kms").get_key_rotation_status(KeyId=half.id)
    assert status["KeyRotationEnabled"]


def test_what_lies_under_a_delete_marker_goes_too(cloud: LocalCloud) -> None:
    """A bucket with content is destroyed after its versioning was suspended; moto broke at its
    markers.
    """
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="marked")
    enabled, suspended = {"Status": "Enabled"}, {"Status": "Suspended"}
    s3.put_bucket_versioning(Bucket="marked", VersioningConfiguration=enabled)
    s3.put_object(Bucket="marked", Key="a", Body=b"x")
    s3.delete_object(Bucket="marked", Key="a")
    s3.put_bucket_versioning(Bucket="marked", VersioningConfiguration=suspended)
    done = s3.delete_objects(Bucket="marked", Delete={"Objects": [{"Key": "a"}]})
    assert "Errors" not in done


def test_a_launch_template_has_the_tags_of_now(cloud: LocalCloud) -> None:
    ec2 = cloud.client("ec2")
    specification = {"ResourceType": "launch-template", "Tags": [{"Key": "a", "Value": "1"}]}
    made = ec2.create_launch_template(
        LaunchTemplateName="tagged",
        LaunchTemplateData={"InstanceType": "c6i.large"},
        TagSpecifications=[specification],
    )["LaunchTemplate"]["LaunchTemplateId"]
    ec2.delete_tags(Resources=[made], Tags=[{"Key": "a"}])
    ec2.create_tags(Resources=[made], Tags=[{"Key": "b", "Value": "2"}])
    (found,) = ec2.describe_launch_templates(LaunchTemplateIds=[made])["LaunchTemplates"]
    assert found["Tags"] == [{"Key": "b", "Value": "2"}]


DEFINITION = """
    properties = {{"image": "x", "command": ["true"], "resourceRequirements": [
        {{"type": "VCPU", "value": "1"}}, {{"type": "MEMORY", "value": "{}"}}
    ]}}
    aws.batch.JobDefinition(
        "job",
        type="container",
        container_properties=json.dumps(properties),
        scheduling_priority={},
        deregister_on_new_revision={},
    )
"""


@pytest.mark.parametrize("drop", [True, False])
def test_revisions_of_a_job_definition_are_no_drift(
    cloud: LocalCloud, provider: Provider, tmp_path: Path, drop: bool
) -> None:
    """The id is that of the first revision for ever, as in the real engine."""
    token = "aws:batch/jobDefinition:JobDefinition"
    made = run(tmp_path, DEFINITION.format(1024, 1, drop), client=cloud.client)
    name, first = made.resource(token, "job").outputs["name"], made.resource(token, "job").id
    for memory, priority in ((2048, 2), (4096, 3)):
        body = DEFINITION.format(memory, priority, drop)
        made = run(tmp_path, body, client=cloud.client, previous=made.state)
        assert made.resource(token, "job").id == first
        found = refresh(made.state, provider)
        assert [(each.resource.name, each.paths) for each in found.drift] == []
    batch = cloud.client("batch")
    there = batch.describe_job_definitions(jobDefinitionName=name, status="ACTIVE")
    revisions = sorted(each["revision"] for each in there["jobDefinitions"])
    assert revisions == ([3] if drop else [1, 2, 3])
    # and the last one is what somebody may take away by hand
    batch.deregister_job_definition(jobDefinition=made.resource(token, "job").outputs["arn"])
    assert [each.gone for each in refresh(made.state, provider).drift] == [True]
