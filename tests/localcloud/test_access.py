"""Enforcement of policies in the words of each service, least privilege, and trust policies."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.iam.access import AssumeRoleError
from tests.localcloud.conftest import ACCOUNT, Stage
from tests.localcloud.policies import statement

JOBS = "ecs-tasks.amazonaws.com"


def test_each_service_refuses_in_its_own_words(stage: Stage) -> None:
    s3, table = stage.client("s3"), stage.name("table")
    s3.create_bucket(Bucket="kept")
    s3.put_object(Bucket="kept", Key="data/x", Body=b"1")
    stage.client("dynamodb").create_table(
        TableName=table,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    topic = stage.client("sns").create_topic(Name=stage.name("topic"))["TopicArn"]
    queue = stage.client("sqs").create_queue(QueueName=stage.name("queue"))["QueueUrl"]
    nobody = stage.role(JOBS)
    calls: list[tuple[str, str, dict[str, Any], str, str]] = [
        (
            "s3",
            "get_object",
            {"Bucket": "kept", "Key": "data/x"},
            "AccessDenied",
            "s3:GetObject on resource: arn:aws:s3:::kept/data/x",
        ),
        (
            "dynamodb",
            "put_item",
            {"TableName": table, "Item": {"pk": {"S": "a"}}},
            "AccessDeniedException",
            f"table/{table}",
        ),
        ("batch", "list_jobs", {"jobQueue": "x"}, "AccessDeniedException", "batch:ListJobs"),
        ("sns", "publish", {"TopicArn": topic, "Message": "x"}, "AuthorizationError", topic),
        (
            "sqs",
            "send_message",
            {"QueueUrl": queue, "MessageBody": "x"},
            "AccessDeniedException",
            "sqs:SendMessage",
        ),
        (
            "secretsmanager",
            "get_secret_value",
            {"SecretId": "x"},
            "AccessDeniedException",
            "secret:x",
        ),
        ("ec2", "describe_instances", {}, "UnauthorizedOperation", "ec2:DescribeInstances"),
        (
            "events",
            "put_events",
            {"Entries": [{"Source": "a", "DetailType": "b", "Detail": "{}"}]},
            "AccessDeniedException",
            "event-bus/default",
        ),
        (
            "lambda",
            "invoke",
            {"FunctionName": "f"},
            "AccessDeniedException",
            "lambda:InvokeFunction",
        ),
        (
            "stepfunctions",
            "start_execution",
            {"stateMachineArn": "arn:aws:states:us-east-1:123456789012:stateMachine:x"},
            "AccessDeniedException",
            "states:StartExecution",
        ),
        (
            "cloudwatch",
            "put_metric_data",
            {"Namespace": "N", "MetricData": [{"MetricName": "m", "Value": 1}]},
            "AccessDeniedException",
            "cloudwatch:PutMetricData",
        ),
        (
            "logs",
            "put_log_events",
            {
                "logGroupName": "g",
                "logStreamName": "s",
                "logEvents": [{"timestamp": 1, "message": "m"}],
            },
            "AccessDeniedException",
            "log-group:g:log-stream:s",
        ),
    ]
    before = len(stage.cloud.denials)
    for service, operation, arguments, code, words in calls:
        with pytest.raises(ClientError) as error:
            getattr(stage.cloud.role_client(service, nobody), operation)(**arguments)
        assert error.value.response["Error"]["Code"] == code, service
        assert words in error.value.response["Error"]["Message"], service
        assert "is not authorized to perform" in error.value.response["Error"]["Message"]
    assert len(stage.cloud.denials) == before + len(calls)
    with pytest.raises(ClientError) as head:
        stage.cloud.role_client("s3", nobody).head_object(Bucket="kept", Key="data/x")
    assert head.value.response["Error"]["Code"] == "403"
    identity = stage.cloud.role_client("sts", nobody).get_caller_identity()
    assert identity["Arn"].startswith(
        f"arn:aws:sts::{ACCOUNT}:assumed-role/{nobody.rsplit('/', 1)[-1]}/"
    )


def test_least_privilege_passes_and_changes_count_at_once(stage: Stage) -> None:
    s3 = stage.client("s3")
    s3.create_bucket(Bucket="narrow")
    role = stage.role(
        JOBS,
        {"Action": ["s3:GetObject", "s3:PutObject"], "Resource": "arn:aws:s3:::narrow/in/*"},
        {
            "Action": "s3:ListBucket",
            "Resource": "arn:aws:s3:::narrow",
            "Condition": {"StringLike": {"s3:prefix": "in/*"}},
        },
    )
    mine = stage.cloud.role_client("s3", role)
    mine.put_object(Bucket="narrow", Key="in/a b", Body=b"x" * 10)
    assert mine.get_object(Bucket="narrow", Key="in/a b")["Body"].read() == b"x" * 10
    assert [
        each["Key"] for each in mine.list_objects_v2(Bucket="narrow", Prefix="in/")["Contents"]
    ] == ["in/a b"]
    calls: list[Callable[[], object]] = [
        lambda: mine.list_objects_v2(Bucket="narrow"),
        lambda: mine.put_object(Bucket="narrow", Key="out", Body=b""),
        lambda: mine.copy_object(
            Bucket="narrow", Key="in/b", CopySource={"Bucket": "narrow", "Key": "out"}
        ),
        lambda: mine.delete_object(Bucket="narrow", Key="in/a b"),
    ]
    for call in calls:
        with pytest.raises(ClientError, match="AccessDenied"):
            call()
    read = {"Action": "s3:GetObject", "Resource": "*"}
    lists = {"Action": "s3:ListBucket", "Resource": "arn:aws:s3:::narrow"}
    blind, seeing = (
        stage.cloud.role_client("s3", stage.role(JOBS, *statements))
        for statements in ([read], [read, lists])
    )
    with pytest.raises(ClientError, match="NoSuchKey"):
        seeing.get_object(Bucket="narrow", Key="in/absent")
    for client in (blind, mine):  # who may not list the whole does not learn that a key is absent
        before = len(stage.cloud.denials)
        with pytest.raises(ClientError, match="not authorized to perform: s3:ListBucket"):
            client.get_object(Bucket="narrow", Key="in/absent")
        assert [each.action for each in stage.cloud.denials[before:]] == ["s3:ListBucket"]
        with pytest.raises(ClientError, match="403"):  # the answer to HEAD has no body
            client.head_object(Bucket="narrow", Key="in/absent")
    name = role.rsplit("/", 1)[-1]
    deny = {
        "Version": "2012-10-17",
        "Statement": [statement("Deny", Action="s3:GetObject", Resource="*")],
    }
    stage.client("iam").put_role_policy(
        RoleName=name, PolicyName="deny", PolicyDocument=json.dumps(deny)
    )
    with pytest.raises(ClientError, match="explicit deny in an identity-based policy"):
        mine.get_object(Bucket="narrow", Key="in/a b")


def test_items_are_allowed_by_their_partition_key_whatever_the_operation(stage: Stage) -> None:
    name = stage.name("table")
    keys = [{"AttributeName": "sk", "KeyType": "RANGE"}, {"AttributeName": "pk", "KeyType": "HASH"}]
    attributes = [{"AttributeName": each, "AttributeType": "S"} for each in ("sk", "pk")]
    stage.client("dynamodb").create_table(
        TableName=name,
        KeySchema=keys,
        AttributeDefinitions=attributes,
        BillingMode="PAY_PER_REQUEST",
    )
    own = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["DS#*"]}}
    role = stage.role(
        "ecs-tasks.amazonaws.com", statement(Action="dynamodb:*", Resource="*", Condition=own)
    )
    client = stage.cloud.role_client("dynamodb", role)

    def call(pk: str) -> list[Callable[[], Any]]:
        key = {"sk": {"S": "s"}, "pk": {"S": pk}}
        value = {":p": {"S": pk}}
        return [
            lambda: client.put_item(TableName=name, Item=key),
            lambda: client.get_item(TableName=name, Key=key),
            lambda: client.query(
                TableName=name, KeyConditionExpression="pk = :p", ExpressionAttributeValues=value
            ),
            lambda: client.query(
                TableName=name,
                KeyConditionExpression="#k = :p AND begins_with(sk, :s)",
                ExpressionAttributeNames={"#k": "pk"},
                ExpressionAttributeValues={**value, ":s": {"S": "s"}},
            ),
            lambda: client.batch_write_item(RequestItems={name: [{"PutRequest": {"Item": key}}]}),
            lambda: client.batch_write_item(RequestItems={name: [{"DeleteRequest": {"Key": key}}]}),
            lambda: client.batch_get_item(RequestItems={name: {"Keys": [key]}}),
            lambda: client.transact_write_items(
                TransactItems=[{"Put": {"TableName": name, "Item": key}}]
            ),
        ]

    for allowed in call("DS#sales"):
        allowed()
    for refused in call("GUARD#queue"):
        with pytest.raises(ClientError, match="is not authorized to perform: dynamodb:"):
            refused()


def test_submitting_needs_queue_and_definition(stage: Stage) -> None:
    queue, definition = stage.queue(stage.environment()), stage.definition(["true"])
    prefix = definition.rsplit(":", 1)[0]
    exact = stage.role(
        "lambda.amazonaws.com", {"Action": "batch:SubmitJob", "Resource": [queue, definition]}
    )
    both = stage.role(
        "lambda.amazonaws.com",
        {"Action": "batch:SubmitJob", "Resource": [queue, prefix, f"{prefix}:*"]},
    )
    request = {"jobName": "a", "jobQueue": queue}
    client = stage.cloud.role_client("batch", exact, "lambda.amazonaws.com")
    client.submit_job(**request, jobDefinition=definition)
    with pytest.raises(ClientError, match=f"on resource: {prefix} "):
        client.submit_job(**request, jobDefinition=prefix)
    client = stage.cloud.role_client("batch", both, "lambda.amazonaws.com")
    client.submit_job(**request, jobDefinition=prefix)
    with pytest.raises(ClientError, match="batch:TagResource"):
        client.submit_job(**request, jobDefinition=prefix, tags={"a": "b"})


def test_trust_policies(stage: Stage) -> None:
    iam, name = stage.client("iam"), stage.name("trusted")
    grant = statement(Principal={"Service": JOBS}, Action="sts:AssumeRole")
    policy = {"Version": "2012-10-17", "Statement": [grant]}
    grant["Condition"] = {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(policy))["Role"][
        "Arn"
    ]
    stage.cloud.role_client("sts", role)
    with pytest.raises(AssumeRoleError, match=r"lambda.amazonaws.com is unable to assume"):
        stage.cloud.role_client("sts", role, "lambda.amazonaws.com")
    grant["Condition"] = {"StringEquals": {"aws:SourceAccount": "210987654321"}}
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(policy))
    with pytest.raises(AssumeRoleError):
        stage.cloud.role_client("batch", role)
    caller = stage.role(JOBS, {"Action": "sts:AssumeRole", "Resource": "*"})
    with pytest.raises(ClientError, match="no resource-based policy allows"):
        stage.cloud.role_client("sts", caller).assume_role(RoleArn=role, RoleSessionName="session")
