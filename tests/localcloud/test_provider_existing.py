"""What is there already, and what is not sent: creations as the real provider makes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from localcloud.cloud import LocalCloud
from localcloud.deployment.deploy import destroy
from tests.localcloud.deploying import failure, run

TOPIC = 'aws.sns.Topic("topic", name="{name}", display_name="{shown}", tags={tags})'


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
    container = '{"image": "a", "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "512"}]}'
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
