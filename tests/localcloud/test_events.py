"""Uploads and events reach what the rules name: rule patterns, targets, permissions, transformers,
dead letters, S3's own notifications.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.services.event_targets import target_input
from tests.localcloud.conftest import ACCOUNT, Stage, until
from tests.localcloud.test_functions import make

EVENTS = "events.amazonaws.com"


def rule(stage: Stage, pattern: dict[str, Any], **target: Any) -> str:
    name = stage.name("rule")
    events = stage.client("events")
    arn = events.put_rule(Name=name, EventPattern=json.dumps(pattern))["RuleArn"]
    if target:
        events.put_targets(Rule=name, Targets=[{"Id": "1", **target}])
    return str(arn)


def queue(stage: Stage, *, open_to: str | None = EVENTS) -> tuple[str, str]:
    sqs = stage.client("sqs")
    url = sqs.create_queue(QueueName=stage.name("events"))["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    if open_to:
        grant = {
            "Effect": "Allow",
            "Principal": {"Service": open_to},
            "Action": "sqs:SendMessage",
            "Resource": arn,
        }
        sqs.set_queue_attributes(
            QueueUrl=url,
            Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": [grant]})},
        )
    return url, arn


def received(stage: Stage, url: str, count: int = 1) -> list[Any]:
    found: list[dict[str, Any]] = []

    def take() -> bool:
        found.extend(
            stage.client("sqs")
            .receive_message(QueueUrl=url, MaxNumberOfMessages=10)
            .get("Messages", [])
        )
        return len(found) >= count

    until(
        take, what=lambda: f"{count} messages, got {found}, undelivered {stage.cloud.undelivered}"
    )
    return [json.loads(each["Body"]) for each in found]


def put(stage: Stage, detail: object, source: str = "test.app", kind: str = "Thing") -> None:
    answer = stage.client("events").put_events(
        Entries=[{"Source": source, "DetailType": kind, "Detail": json.dumps(detail)}]
    )
    assert answer["FailedEntryCount"] == 0


def bucket(stage: Stage, *, versioned: bool = True) -> str:
    name, s3 = stage.name("bucket"), stage.client("s3")
    s3.create_bucket(Bucket=name)
    if versioned:
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_notification_configuration(
        Bucket=name, NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    return name


def test_object_created_is_told_once_for_put_copy_and_multipart(stage: Stage) -> None:
    name, (url, arn) = bucket(stage), queue(stage)
    pattern = {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {"bucket": {"name": [name]}, "object": {"key": [{"wildcard": "data/*.csv"}]}},
    }
    rule(stage, pattern, Arn=arn)
    s3 = stage.client("s3")
    put_answer = s3.put_object(Bucket=name, Key="data/20260101/a b.csv", Body=b"12345")
    s3.put_object(Bucket=name, Key="other/x.csv", Body=b"1")
    s3.copy_object(
        Bucket=name, Key="data/copy.csv", CopySource={"Bucket": name, "Key": "other/x.csv"}
    )
    upload = s3.create_multipart_upload(Bucket=name, Key="data/big.csv")["UploadId"]
    part = s3.upload_part(
        Bucket=name, Key="data/big.csv", UploadId=upload, PartNumber=1, Body=b"z" * 100
    )["ETag"]
    s3.complete_multipart_upload(
        Bucket=name,
        Key="data/big.csv",
        UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part}]},
    )
    events = {each["detail"]["reason"]: each for each in received(stage, url, 3)}
    assert set(events) == {"PutObject", "CopyObject", "CompleteMultipartUpload"}
    event = events["PutObject"]
    assert event["detail"]["object"] == {
        "key": "data/20260101/a b.csv",
        "size": 5,
        "etag": put_answer["ETag"].strip('"'),
        "version-id": put_answer["VersionId"],
        "sequencer": event["detail"]["object"]["sequencer"],
    }
    assert (event["account"], event["resources"]) == (ACCOUNT, [f"arn:aws:s3:::{name}"])
    assert events["CompleteMultipartUpload"]["detail"]["object"]["size"] == 100
    order = [
        events[reason]["detail"]["object"]["sequencer"]
        for reason in ("PutObject", "CopyObject", "CompleteMultipartUpload")
    ]
    assert order == sorted(order)
    assert "Messages" not in stage.client("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=1)


def test_upload_runs_a_function_and_its_job(stage: Stage) -> None:
    """The whole way: upload, rule, function under its role, SubmitJob, state-change event,
    message.
    """
    name, jobs = bucket(stage), stage.queue(stage.environment())
    definition = stage.definition(
        ["python", "-c", "import sys; sys.exit(int(sys.argv[1]))", "Ref::code"]
    )
    code = (
        "import boto3\ndef handle(event, context):\n    request = dict(jobName='from-event',"
        f" jobQueue='{jobs}', jobDefinition='{definition}')\n    return"
        " boto3.client('batch').submit_job(parameters={'code':"
        " event['detail']['object']['key'][-1]}, **request)['jobId']\n"
    )
    function = make(stage, code, {"Action": "batch:SubmitJob", "Resource": [jobs, definition]})
    arn = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{function}"
    source = rule(stage, {"source": ["aws.s3"], "detail": {"bucket": {"name": [name]}}}, Arn=arn)
    topic = stage.client("sns").create_topic(Name=stage.name("failed"))["TopicArn"]
    grant = {
        "Effect": "Allow",
        "Principal": {"Service": EVENTS},
        "Action": "sns:Publish",
        "Resource": topic,
    }
    stage.client("sns").set_topic_attributes(
        TopicArn=topic, AttributeName="Policy", AttributeValue=json.dumps({"Statement": [grant]})
    )
    url, inbox = queue(stage, open_to="sns.amazonaws.com")
    stage.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=inbox)
    pattern = {
        "source": ["aws.batch"],
        "detail-type": ["Batch Job State Change"],
        "detail": {"status": ["FAILED"], "jobQueue": [jobs]},
    }
    rule(stage, pattern, Arn=topic)

    stage.client("s3").put_object(Bucket=name, Key="refused-4", Body=b"")
    until(
        lambda: any(each.rule == source for each in stage.cloud.undelivered)
    )  # no permission for EventBridge yet
    stage.client("lambda").add_permission(
        FunctionName=function,
        StatementId="rule",
        Action="lambda:InvokeFunction",
        Principal=EVENTS,
        SourceArn=source,
    )
    stage.client("s3").put_object(Bucket=name, Key="upload-7", Body=b"")
    message = json.loads(received(stage, url)[0]["Message"])
    assert message["detail"]["jobName"] == "from-event"
    assert message["detail"]["attempts"][0]["container"]["exitCode"] == 7
    assert message["resources"] == [message["detail"]["jobArn"]]
    assert len(stage.batch.list_jobs(jobQueue=jobs, jobStatus="FAILED")["jobSummaryList"]) == 1


def test_batch_states_in_order(stage: Stage) -> None:
    jobs, (url, arn) = stage.queue(stage.environment()), queue(stage)
    rule(
        stage,
        {"source": ["aws.batch"], "detail": {"jobQueue": [jobs]}},
        Arn=arn,
        InputPath="$.detail.status",
    )
    job = stage.submit(jobs, stage.definition(["true"]))
    stage.wait(job)
    assert sorted(received(stage, url, 4)) == ["RUNNABLE", "RUNNING", "STARTING", "SUCCEEDED"]
    blocked_url, blocked_arn = queue(stage)
    rule(
        stage,
        {"detail-type": ["Batch Job Queue Blocked"], "detail": {"jobQueue": [jobs]}},
        Arn=blocked_arn,
    )
    stuck = stage.submit(jobs, stage.definition(["true"], vcpus="64"))
    event = received(stage, blocked_url)[0]
    assert event["resources"] == [event["detail"]["jobArn"], jobs]
    assert event["detail"]["statusReason"].startswith(
        "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE"
    )
    stage.batch.terminate_job(jobId=stuck, reason="done")


def test_batch_log_group_and_bus_targets(stage: Stage) -> None:
    jobs = stage.queue(stage.environment())
    definition = stage.definition(["python", "-c", "import sys; print(sys.argv[1])", "Ref::S3Key"])
    role = stage.role(EVENTS, {"Action": "batch:SubmitJob", "Resource": [jobs, definition]})
    template = '{"Parameters": {"S3Key": "<key>"}}'
    events = stage.client("events")
    rule_arn = rule(stage, {"source": ["test.batch"]})
    events.put_targets(
        Rule=rule_arn.rsplit("/", 1)[-1],
        Targets=[
            {
                "Id": "job",
                "Arn": jobs,
                "RoleArn": role,
                "BatchParameters": {"JobDefinition": definition, "JobName": "by-rule"},
                "InputTransformer": {
                    "InputPathsMap": {"key": "$.detail.key"},
                    "InputTemplate": template,
                },
            },
            {"Id": "log", "Arn": f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:/test/events"},
        ],
    )
    stage.client("logs").create_log_group(logGroupName="/test/events")
    put(stage, {"key": "data/x.csv"}, source="test.batch")
    listed = until(
        lambda: stage.batch.list_jobs(jobQueue=jobs, jobStatus="SUCCEEDED")["jobSummaryList"]
    )
    job = stage.job(listed[0]["jobId"])
    assert (job["jobName"], stage.log(job["container"]["logStreamName"])) == (
        "by-rule",
        ["data/x.csv"],
    )
    stream = until(
        lambda: stage.client("logs").describe_log_streams(logGroupName="/test/events")["logStreams"]
    )[0]["logStreamName"]
    assert json.loads(stage.log(stream, "/test/events")[0])["detail"] == {"key": "data/x.csv"}


def test_refused_deliveries_go_to_the_dead_letter_queue(stage: Stage) -> None:
    _, closed = queue(stage, open_to=None)
    dead_url, dead = queue(stage)
    rule(stage, {"source": ["test.dead"]}, Arn=closed, DeadLetterConfig={"Arn": dead})
    put(stage, {"a": 1}, source="test.dead")
    assert received(stage, dead_url)[0]["detail"] == {"a": 1}
    assert stage.cloud.undelivered[-1].target == closed
    assert stage.cloud.denials[-1].principal == EVENTS


def test_direct_notifications(stage: Stage) -> None:
    s3, name = stage.client("s3"), stage.name("direct")
    url, arn = queue(stage, open_to="s3.amazonaws.com")
    s3.create_bucket(Bucket=name)
    selection = {"Key": {"FilterRules": [{"Name": "prefix", "Value": "data/"}]}}
    configuration = {
        "QueueConfigurations": [
            {"QueueArn": arn, "Events": ["s3:ObjectCreated:*"], "Filter": selection}
        ]
    }
    s3.put_bucket_notification_configuration(Bucket=name, NotificationConfiguration=configuration)
    s3.put_object(Bucket=name, Key="data/a b+c.csv", Body=b"123")
    s3.put_object(Bucket=name, Key="skipped", Body=b"123")
    bodies = [
        each for each in received(stage, url, 2) if "Records" in each
    ]  # S3 sends a test event first
    record = bodies[0]["Records"][0]
    assert (len(bodies), record["eventName"], record["s3"]["object"]["key"]) == (
        1,
        "ObjectCreated:Put",
        "data/a+b%2Bc.csv",
    )
    assert record["s3"]["object"]["size"] == 3


def test_topics_invoke_functions(stage: Stage) -> None:
    function = make(
        stage, "def handle(event, context): print('got', event['Records'][0]['Sns']['Message'])\n"
    )
    topic = stage.client("sns").create_topic(Name=stage.name("topic"))["TopicArn"]
    stage.client("sns").subscribe(
        TopicArn=topic,
        Protocol="lambda",
        Endpoint=f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{function}",
    )
    stage.client("sns").publish(TopicArn=topic, Message="hello")
    group = f"/aws/lambda/{function}"

    def lines() -> list[str]:
        streams = stage.client("logs").describe_log_streams(logGroupName=group)["logStreams"]
        return [line for each in streams for line in stage.log(each["logStreamName"], group)]

    until(lambda: stage.client("logs").describe_log_groups(logGroupNamePrefix=group)["logGroups"])
    until(lambda: "got hello" in lines())


EVENT = {
    "source": "s",
    "time": "t",
    "detail": {"text": 'say "hi"', "number": 3, "list": [{"a": 1}]},
}
INPUTS = [
    ({}, EVENT),
    ({"Input": '{"fixed": 1}'}, {"fixed": 1}),
    ({"InputPath": "$.detail.list[0].a"}, 1),
    (
        {
            "InputTransformer": {
                "InputPathsMap": {"n": "$.detail.number"},
                "InputTemplate": '{"v": <n>, "s": "is <n>"}',
            }
        },
        {"v": 3, "s": "is 3"},
    ),
    (
        {
            "InputTransformer": {
                "InputPathsMap": {"x": "$.detail.list"},
                "InputTemplate": '{"v": <x>}',
            }
        },
        {"v": [{"a": 1}]},
    ),
    ({"InputTransformer": {"InputTemplate": '{"r": <aws.events.rule-arn>}'}}, {"r": "arn:rule/x"}),
    (
        {"InputTransformer": {"InputPathsMap": {"x": "$.source"}, "InputTemplate": '"from <x>"'}},
        "from s",
    ),
]


@pytest.mark.parametrize(("target", "expected"), INPUTS)
def test_target_input(target: dict[str, Any], expected: object) -> None:
    assert json.loads(target_input(target, EVENT, "arn:rule/x")) == expected


@given(st.text())
def test_transformed_values_stay_valid_json(text: str) -> None:
    target = {
        "InputTransformer": {"InputPathsMap": {"x": "$.detail.x"}, "InputTemplate": '{"v": <x>}'}
    }
    assert json.loads(target_input(target, {"time": "t", "detail": {"x": text}}, "arn:r")) == {
        "v": text
    }
