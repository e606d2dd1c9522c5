"""Who hears of failures."""

from __future__ import annotations

import json

import pytest

from tests.components.program import STACKS, config_of, deploy, deployed
from workloads.functions.states import TELL_LEASE_MS

FUNCTION = "aws:lambda/function:Function"
ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
SUBSCRIPTION = "aws:sns/topicSubscription:TopicSubscription"


@pytest.mark.parametrize("stack", STACKS)
def test_failed_jobs_of_all_queues_call_the_notify_function(stack: str) -> None:
    made = deployed(stack)
    pattern = json.loads(made.one("aws:cloudwatch/eventRule:EventRule", "monitoring-failures-rule").inputs["eventPattern"])
    queues = [queue.outputs["arn"] for queue in made.all("aws:batch/jobQueue:JobQueue", count=len(config_of(stack).queues))]
    assert pattern["source"] == ["aws.batch"]
    assert pattern["detail-type"] == ["Batch Job State Change"]
    assert (pattern["detail"]["status"], sorted(pattern["detail"]["jobQueue"])) == (["FAILED"], sorted(queues))
    function = made.one(FUNCTION, "monitoring-notify-function")
    assert function.inputs["handler"] == "workloads.functions.notify.handler"
    assert function.inputs["timeout"] * 1000 < TELL_LEASE_MS, "two invocations never tell Slack at once"
    assert function.inputs["environment"]["variables"] == {
        "PIPELINE_STACK": stack,
        "PIPELINE_TABLE": made.one("aws:dynamodb/table:Table").outputs["name"],
        "PIPELINE_RESULTS_BUCKET": made.one("aws:s3/bucket:Bucket", "storage-results").outputs["bucket"],
        "PIPELINE_SLACK_WEBHOOK_SECRET_ARN": made.one("aws:secretsmanager/secret:Secret", "secrets-slack-webhook").outputs["arn"],
    }


def test_notify_may_read_error_records_and_end_runs() -> None:
    made = deployed("prod")
    statements = {
        s["Sid"]: (s["Action"], s["Resource"]) for s in made.policy(made.one("aws:iam/rolePolicy:RolePolicy", "monitoring-notify-role"))
    }
    results = made.one("aws:s3/bucket:Bucket", "storage-results").outputs["arn"]
    assert statements["ReadErrorRecords"] == (["s3:GetObject"], [f"{results}/runs/*/errors/*"])
    assert statements["RunStates"] == (["dynamodb:UpdateItem"], [made.one("aws:dynamodb/table:Table").outputs["arn"]])
    assert statements.keys() == {"ReadErrorRecords", "RunStates", "ReadWebhook", "WriteLogs", "KeepDeadLetters"}


@pytest.mark.parametrize("stack", STACKS)
def test_every_dead_letter_queue_has_an_alarm(stack: str) -> None:
    made = deployed(stack)
    topic = made.one("aws:sns/topic:Topic")
    queues = {queue.outputs["name"] for queue in made.all("aws:sqs/queue:Queue", count=2)}
    alarms = made.all(ALARM, count=2)
    assert {alarm.inputs["dimensions"]["QueueName"] for alarm in alarms} == queues
    for alarm in alarms:
        assert (alarm.inputs["namespace"], alarm.inputs["metricName"]) == ("AWS/SQS", "ApproximateNumberOfMessagesVisible")
        assert (alarm.inputs["comparisonOperator"], alarm.inputs["threshold"]) == ("GreaterThanThreshold", 0)
        assert (alarm.inputs["treatMissingData"], alarm.inputs["alarmActions"]) == ("notBreaching", [topic.outputs["arn"]])


def test_alarms_can_publish_to_the_encrypted_topic() -> None:
    made = deployed("prod")
    topic, key = made.one("aws:sns/topic:Topic"), made.one("aws:kms/key:Key")
    assert topic.inputs["kmsMasterKeyId"] == key.outputs["arn"]
    assert key.inputs["enableKeyRotation"] is True
    own = {"StringEquals": {"aws:SourceAccount": "123456789012"}}
    alarms = {"Service": "cloudwatch.amazonaws.com"}
    publish = made.policy(made.one("aws:sns/topicPolicy:TopicPolicy"))
    assert [(s["Principal"], s["Action"], s["Condition"]) for s in publish] == [(alarms, ["sns:Publish"], own)]
    encrypt = next(s for s in made.policy(key) if s["Sid"] == "Alarms")
    assert (encrypt["Principal"], encrypt["Action"], encrypt["Condition"]) == (alarms, ["kms:Decrypt", "kms:GenerateDataKey*"], own)


def test_one_subscription_for_each_address() -> None:
    addresses = ["a@example.com", "b@example.com"]
    made = deploy("dev", changes={"monitoring": {"emails": addresses}})
    found = made.all(SUBSCRIPTION, count=2)
    assert [(s.inputs["protocol"], s.inputs["endpoint"]) for s in found] == [("email", a) for a in addresses]
    deployed("dev").none(SUBSCRIPTION)
