"""What is there already, and what is not sent: creations as the real provider makes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.cloud import LocalCloud
from localcloud.deployment.deploy import destroy
from tests.localcloud.deploying import failure, run
from tests.localcloud.test_functions import package

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"Service": ["states.amazonaws.com", "lambda.amazonaws.com"]},
        }
    ],
}
TOPIC = 'aws.sns.Topic("topic", name="{name}", display_name="{shown}", tags={tags})'


def machine(state: str) -> dict[str, Any]:
    return {"StartAt": state, "States": {state: {"Type": "Pass", "End": True}}}


def test_a_topic_that_is_there_is_taken_over_with_the_same_tags_alone(
    cloud: LocalCloud, tmp_path: Path
) -> None:
    """Internal/service/sns/topic.go: CreateTopic, then SetTopicAttributes."""
    sns = cloud.client("sns")
    arn = sns.create_topic(Name="there", Tags=[{"Key": "by", "Value": "hand"}])["TopicArn"]
    error = failure(
        tmp_path, TOPIC.format(name="there", shown="x", tags={"by": "us"}), client=cloud.client
    )
    assert "InvalidParameter" in str(error)
    assert "Topic already exists with different tags" in str(error)

    taken = run(
        tmp_path, TOPIC.format(name="there", shown="News", tags={"by": "hand"}), client=cloud.client
    )
    assert [r.id for r in taken.resources if r.name == "topic"] == [arn]
    assert sns.get_topic_attributes(TopicArn=arn)["Attributes"]["DisplayName"] == "News"
    destroy(tmp_path, "dev", cloud.client, previous=taken.state)


def test_the_creation_of_a_topic_that_is_there_answers_its_arn(cloud: LocalCloud) -> None:
    sns = cloud.client("sns")
    tags = [{"Key": "a", "Value": "1"}]
    arn = sns.create_topic(Name="again", Tags=tags)["TopicArn"]
    assert sns.create_topic(Name="again", Tags=tags)["TopicArn"] == arn
    assert sns.create_topic(Name="again")["TopicArn"] == arn
    sns.delete_topic(TopicArn=arn)


def test_what_has_a_name_that_is_taken_is_refused(cloud: LocalCloud) -> None:
    """As the API references say it; moto puts the second in place of the first."""
    scheduler = cloud.client("scheduler")
    scheduler.create_schedule_group(Name="taken")
    with pytest.raises(ClientError, match=r"ConflictException.*Schedule group taken already"):
        scheduler.create_schedule_group(Name="taken")
    scheduler.delete_schedule_group(Name="taken")
    with pytest.raises(ClientError, match=r"ResourceNotFoundException.*Schedule group taken does"):
        scheduler.delete_schedule_group(Name="taken")

    role = cloud.client("iam").create_role(
        RoleName="taken", AssumeRolePolicyDocument=json.dumps(TRUST)
    )["Role"]["Arn"]
    machines = cloud.client("stepfunctions")
    given = {"name": "taken", "roleArn": role}
    arn = machines.create_state_machine(definition=json.dumps(machine("a")), **given)[
        "stateMachineArn"
    ]
    again = machines.create_state_machine(definition=json.dumps(machine("a")), **given)
    assert again["stateMachineArn"] == arn
    for changed in ({"definition": json.dumps(machine("b"))}, {"type": "EXPRESS"}):
        with pytest.raises(ClientError, match=r"StateMachineAlreadyExists.*stateMachine:taken"):
            machines.create_state_machine(
                **{"definition": json.dumps(machine("a")), **given, **changed}
            )

    functions = cloud.client("lambda")
    functions.create_function(
        FunctionName="taken",
        Runtime="python3.11",
        Role=role,
        Handler="a.b",
        Code={"ZipFile": package("")},
    )
    permission = {
        "FunctionName": "taken",
        "StatementId": "one",
        "Action": "lambda:InvokeFunction",
        "Principal": "events.amazonaws.com",
    }
    functions.add_permission(**permission)
    with pytest.raises(ClientError, match=r"ResourceConflictException.*\(one\) provided already"):
        functions.add_permission(**permission)
    functions.add_permission(**{**permission, "StatementId": "two"})
    functions.remove_permission(FunctionName="taken", StatementId="one")
    functions.add_permission(**permission)


def test_a_bucket_that_is_there_is_not_taken_over(cloud: LocalCloud, tmp_path: Path) -> None:
    """Internal/service/s3/bucket.go: us-east-1 would answer that it is made."""
    cloud.client("s3").create_bucket(Bucket="made-by-hand-before")
    error = failure(
        tmp_path, 'aws.s3.Bucket("b", bucket="made-by-hand-before")', client=cloud.client
    )
    assert "creating S3 Bucket (made-by-hand-before): BucketAlreadyExists" in str(error)


@pytest.mark.parametrize(("given", "kept"), [(0, None), (1, 1), (9999, 9999)])
def test_a_priority_of_zero_is_not_sent(
    cloud: LocalCloud, tmp_path: Path, given: int, kept: int | None
) -> None:
    """Internal/service/batch/job_definition.go sends what GetOk finds, which a 0 is not."""
    asked = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "512"}]
    container = json.dumps({"image": "a", "resourceRequirements": asked})
    body = f"""
        aws.batch.JobDefinition(
            "job", type="container", container_properties='{container}', scheduling_priority={given}
        )
    """
    made = run(tmp_path, body, client=cloud.client)
    (arn,) = (r.id for r in made.resources if r.name == "job")
    batch = cloud.client("batch")
    (found,) = batch.describe_job_definitions(jobDefinitions=[arn])["jobDefinitions"]
    assert found.get("schedulingPriority") == kept
    destroy(tmp_path, "dev", cloud.client, previous=made.state)
