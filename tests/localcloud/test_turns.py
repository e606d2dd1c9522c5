"""Calls at the same time do not meet half-way: of conditional writes one wins, to S3 (user guide,
"How to prevent object overwrites with conditional writes") as to DynamoDB (developer guide,
"Condition expressions"), and lists are made of what there is at one moment.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.conftest import Stage

WRITERS, ROUNDS = 12, 15


@pytest.fixture(scope="module")
def bucket(stage: Stage) -> str:
    stage.client("s3").create_bucket(Bucket="conditions")
    return "conditions"


def answer(stage: Stage, bucket: str, key: str, body: bytes, **condition: str) -> int:
    """The status of a PutObject."""
    try:
        reply = stage.client("s3").put_object(Bucket=bucket, Key=key, Body=body, **condition)
    except ClientError as error:
        return int(error.response["ResponseMetadata"]["HTTPStatusCode"])
    return int(reply["ResponseMetadata"]["HTTPStatusCode"])


@pytest.mark.parametrize("size", [3, 300_000], ids=["small", "larger"])
def test_of_many_writers_one_is_the_first_and_one_replaces_what_it_has_read(
    stage: Stage, bucket: str, size: int
) -> None:
    s3 = stage.client("s3")
    with ThreadPoolExecutor(WRITERS) as pool:
        for number in range(ROUNDS):
            key = f"{size}/{number}"
            bodies = [bytes([65 + writer]) * size for writer in range(WRITERS)]
            found = list(pool.map(partial(answer, stage, bucket, key, IfNoneMatch="*"), bodies))
            assert sorted(found) == [200] + [412] * (WRITERS - 1)
            stored = s3.get_object(Bucket=bucket, Key=key)
            assert stored["Body"].read() == bodies[found.index(200)]
            etag, others = stored["ETag"], [body.lower() for body in bodies]
            found = list(pool.map(partial(answer, stage, bucket, key, IfMatch=etag), others))
            assert sorted(found) == [200] + [412] * (WRITERS - 1)
            assert (
                s3.get_object(Bucket=bucket, Key=key)["Body"].read() == (others[found.index(200)])
            )


def test_what_is_gone_is_not_replaced(stage: Stage, bucket: str) -> None:
    s3 = stage.client("s3")
    etag = s3.put_object(Bucket=bucket, Key="gone", Body=b"1")["ETag"]
    assert answer(stage, bucket, "gone", b"2", IfMatch='"0123"') == 412
    s3.delete_object(Bucket=bucket, Key="gone")
    assert answer(stage, bucket, "gone", b"2", IfMatch=etag) == 404
    assert answer(stage, bucket, "gone", b"2", IfNoneMatch="*") == 200


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads take turns a thousand times as often."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("restless")
def test_of_many_claims_of_an_item_one_wins(stage: Stage) -> None:
    dynamodb = stage.client("dynamodb")
    dynamodb.create_table(
        TableName="claims",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
    )

    def claim(key: str, _: int) -> bool:
        try:
            dynamodb.put_item(
                TableName="claims",
                Item={"pk": {"S": key}},
                ConditionExpression="attribute_not_exists(pk)",
            )
        except dynamodb.exceptions.ConditionalCheckFailedException:
            return False
        return True

    with ThreadPoolExecutor(WRITERS) as pool:
        for number in range(2 * ROUNDS):
            assert sum(pool.map(partial(claim, f"run-{number}"), range(WRITERS))) == 1


@pytest.mark.usefixtures("restless")
def test_what_goes_through_all_there_is_takes_no_harm_from_what_is_made_meanwhile(
    stage: Stage,
) -> None:
    iam, logs, ec2 = (stage.client(service) for service in ("iam", "logs", "ec2"))
    role = stage.role("ec2.amazonaws.com").rpartition("/")[2]
    statement = {"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    logs.create_log_group(logGroupName="/meanwhile")

    def make(number: int) -> None:
        name = f"meanwhile-{number}"
        arn = iam.create_policy(PolicyName=name, PolicyDocument=document)["Policy"]["Arn"]
        iam.attach_role_policy(RoleName=role, PolicyArn=arn)
        iam.detach_role_policy(RoleName=role, PolicyArn=arn)
        iam.delete_policy(PolicyArn=arn)
        logs.create_log_stream(logGroupName="/meanwhile", logStreamName=name)
        logs.filter_log_events(logGroupName="/meanwhile")
        group = ec2.create_security_group(GroupName=name, Description=name, VpcId=stage.vpc)
        ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [stage.vpc]}])
        ec2.delete_security_group(GroupId=group["GroupId"])

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(make, range(4 * WRITERS)))
