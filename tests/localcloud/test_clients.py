"""What third-party clients do that the program does not: answered as AWS answers, or refused at
once in the service's own words.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.conftest import Stage, until

PASS = {"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}


def machine(stage: Stage, definition: dict[str, Any], *statements: dict[str, Any]) -> str:
    role = stage.role("states.amazonaws.com", *statements)
    made = stage.client("stepfunctions").create_state_machine(
        name=stage.name("m"), definition=json.dumps(definition), roleArn=role
    )
    return str(made["stateMachineArn"])


def test_executions_without_a_name_get_one_each(stage: Stage) -> None:
    states, arn = stage.client("stepfunctions"), machine(stage, PASS)
    begun = [states.start_execution(stateMachineArn=arn)["executionArn"] for _ in range(3)]
    names = {each.rsplit(":", 1)[1] for each in begun}
    assert len(names) == 3
    assert all(len(name) == 36 for name in names)
    until(
        lambda: all(
            states.describe_execution(executionArn=each)["status"] == "SUCCEEDED" for each in begun
        )
    )
    assert states.start_execution(stateMachineArn=arn, name="mine")["executionArn"].endswith(
        ":mine"
    )


@pytest.mark.parametrize("end", ["stopped", "timed out"])
def test_the_job_that_an_execution_waits_for_ends_with_it(stage: Stage, end: str) -> None:
    queue, definition = stage.queue(stage.environment()), stage.definition(["sleep", "60"])
    task = {"JobName": "waits", "JobQueue": queue, "JobDefinition": definition}
    state = {
        "Type": "Task",
        "Resource": "arn:aws:states:::batch:submitJob.sync",
        "Parameters": task,
        "End": True,
    }
    actions = ["batch:SubmitJob", "batch:DescribeJobs", "batch:TerminateJob"]
    events = ["events:PutTargets", "events:PutRule", "events:DescribeRule"]
    seconds = {"TimeoutSeconds": 3} if end == "timed out" else {}
    arn = machine(
        stage,
        {"StartAt": "Job", "States": {"Job": state}, **seconds},
        {"Action": actions + events, "Resource": "*"},
    )
    states = stage.client("stepfunctions")
    execution = states.start_execution(stateMachineArn=arn)["executionArn"]
    job = until(lambda: stage.batch.list_jobs(jobQueue=queue)["jobSummaryList"])[0]["jobId"]
    if end == "stopped":
        states.stop_execution(executionArn=execution, error="Mine", cause="changed my mind")
        found = states.describe_execution(executionArn=execution)
        assert (found["status"], found["error"], found["cause"]) == (
            "ABORTED",
            "Mine",
            "changed my mind",
        )
    ended = stage.wait(job, seconds=30)
    assert (ended["status"], ended["isTerminated"]) == ("FAILED", True)
    assert execution in ended["statusReason"]


def _task(queue: str, definition: str, **more: Any) -> dict[str, Any]:
    """A state that waits for a job."""
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::batch:submitJob.sync",
        "Parameters": {"JobName": "waited", "JobQueue": queue, "JobDefinition": definition},
        "End": True,
        **more,
    }


def _waiting_machine(stage: Stage, definition: dict[str, Any]) -> str:
    actions = ["batch:SubmitJob", "batch:DescribeJobs", "batch:TerminateJob"]
    events = ["events:PutTargets", "events:PutRule", "events:DescribeRule"]
    return machine(stage, definition, {"Action": actions + events, "Resource": "*"})


def _end_of(stage: Stage, execution: str) -> dict[str, Any]:
    states = stage.client("stepfunctions")
    return dict(
        until(
            lambda: (
                (found := states.describe_execution(executionArn=execution))["status"] != "RUNNING"
                and found
            )
        )
    )


def test_a_state_that_is_over_time_stops_its_job(stage: Stage) -> None:
    queue = stage.queue(stage.environment())
    caught = {"Catch": [{"ErrorEquals": ["States.Timeout"], "Next": "After"}], "TimeoutSeconds": 1}
    task = _task(queue, stage.python("import time; time.sleep(600)"), **caught)
    states = {"Job": task, "After": {"Type": "Succeed"}}
    arn = _waiting_machine(stage, {"StartAt": "Job", "States": states})
    execution = stage.client("stepfunctions").start_execution(stateMachineArn=arn)["executionArn"]
    assert _end_of(stage, execution)["status"] == "SUCCEEDED"  # the machine has gone on
    (listed,) = stage.batch.list_jobs(
        jobQueue=queue, filters=[{"name": "JOB_NAME", "values": ["waited"]}]
    )["jobSummaryList"]
    job = stage.wait(listed["jobId"], seconds=30)
    assert (job["status"], job["isTerminated"]) == ("FAILED", True)
    assert execution in job["statusReason"]


def test_a_job_in_time_is_left_alone(stage: Stage) -> None:
    queue = stage.queue(stage.environment())
    arn = _waiting_machine(
        stage,
        {
            "StartAt": "Job",
            "States": {"Job": _task(queue, stage.python("print(1)"), TimeoutSeconds=60)},
        },
    )
    execution = stage.client("stepfunctions").start_execution(stateMachineArn=arn)["executionArn"]
    assert _end_of(stage, execution)["status"] == "SUCCEEDED"
    (job,) = stage.batch.list_jobs(jobQueue=queue, jobStatus="SUCCEEDED")["jobSummaryList"]
    assert not stage.job(job["jobId"])["isTerminated"]


def test_a_branch_that_fails_stops_the_jobs_of_the_others(stage: Stage) -> None:
    queue = stage.queue(stage.environment())
    sleeps = _task(queue, stage.python("import time; time.sleep(600)"))
    fails = {"Type": "Fail", "Error": "Mine"}
    waits = {"Type": "Wait", "Seconds": 10, "Next": "Fail"}
    branches = [
        {"StartAt": "Job", "States": {"Job": sleeps}},
        {"StartAt": "Wait", "States": {"Wait": waits, "Fail": fails}},
    ]
    parallel = {
        "Type": "Parallel",
        "Branches": branches,
        "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "After"}],
        "End": True,
    }
    arn = _waiting_machine(
        stage,
        {
            "StartAt": "Both",
            "States": {"Both": parallel, "After": {"Type": "Wait", "Seconds": 60, "End": True}},
        },
    )
    stage.client("stepfunctions").start_execution(stateMachineArn=arn)
    listed = until(lambda: stage.batch.list_jobs(jobQueue=queue)["jobSummaryList"])
    job = stage.wait(listed[0]["jobId"], seconds=30)
    assert (job["status"], job["isTerminated"]) == ("FAILED", True)


def test_a_stream_that_is_not_there(stage: Stage) -> None:
    with pytest.raises(ClientError, match="The specified log stream does not exist"):
        stage.client("logs").get_log_events(logGroupName="/test/batch", logStreamName="nothing")


CSV: dict[str, Any] = {"InputSerialization": {"CSV": {}}, "OutputSerialization": {"CSV": {}}}
UNKNOWN: list[tuple[str, str, dict[str, Any]]] = [
    ("batch", "list_consumable_resources", {}),
    ("dynamodb", "execute_statement", {"Statement": "SELECT * FROM x"}),
    ("ec2", "describe_fleet_history", {"FleetId": "fleet-12345678-1234-1234-1234-123456789012", "StartTime": datetime.now(UTC)}),
    ("sns", "get_data_protection_policy", {"ResourceArn": "arn:aws:sns:us-east-1:123456789012:x"}),
    ("stepfunctions", "redrive_execution", {"executionArn": "arn:aws:states:us-east-1:123456789012:execution:m:e"}),
    ("lambda", "get_account_settings", {}),
    ("sts", "get_session_token", {}),
    ("s3", "select_object_content", {"Bucket": "b", "Key": "k", "Expression": "x", "ExpressionType": "SQL", **CSV}),
    ("apigateway", "get_sdk_types", {}),
    ("outposts", "list_outposts", {}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("service", "operation", "params"), UNKNOWN, ids=[f"{each[0]}-{each[1]}" for each in UNKNOWN]
)
def test_what_is_not_there_is_said_at_once(
    stage: Stage, service: str, operation: str, params: dict[str, Any]
) -> None:
    with pytest.raises(ClientError) as refused:
        getattr(stage.client(service), operation)(**params)
    response = refused.value.response
    assert response["Error"]["Code"] == "NotImplemented"
    assert "Traceback" not in response["Error"]["Message"]
    assert (
        response["ResponseMetadata"]["HTTPStatusCode"],
        response["ResponseMetadata"]["RetryAttempts"],
    ) == (501, 0)


def test_metrics_that_are_not_computed_are_refused(stage: Stage) -> None:
    cloudwatch, now = stage.client("cloudwatch"), datetime.now(UTC)
    times: dict[str, Any] = {"StartTime": now - timedelta(hours=1), "EndTime": now}
    metric = {"Namespace": "X", "MetricName": "y"}
    for query in (
        {"Id": "a", "Expression": "SUM(METRICS())"},
        {"Id": "a", "Expression": "SEARCH('x', 'Sum', 300)"},
        {"Id": "a", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "p90"}},
    ):
        with pytest.raises(ClientError, match=r"are not run here|is not computed here"):
            cloudwatch.get_metric_data(MetricDataQueries=[query], **times)
    with pytest.raises(ClientError, match="percentiles are not computed here"):
        cloudwatch.get_metric_statistics(**metric, Period=60, ExtendedStatistics=["p90"], **times)


def test_a_fault_inside_is_no_traceback_and_is_not_repeated(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    from moto.dynamodb.models import DynamoDBBackend

    def broken(*_: Any, **__: Any) -> None:
        raise KeyError("secret detail")

    monkeypatch.setattr(DynamoDBBackend, "list_tables", broken)
    with pytest.raises(ClientError) as refused:
        stage.client("dynamodb").list_tables()
    assert refused.value.response["ResponseMetadata"]["RetryAttempts"] == 0
    assert "fails at ListTables of dynamodb where AWS would not (KeyError: 'secret detail')" in str(
        refused.value
    )
