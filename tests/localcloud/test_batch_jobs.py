"""Jobs as processes: exit codes, retries, dependencies, secrets, logs, isolation, Fargate, and the
order of queues and shares.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.conftest import BATCH_LOGS, Stage, until


def test_chain_logs_and_exit_codes(stage: Stage, queue: str) -> None:
    first = stage.submit(queue, stage.python("print('one'); import in_image; print(in_image.WORD)"))
    second = stage.submit(queue, stage.python("print('two')"), dependsOn=[{"jobId": first}])
    third = stage.submit(queue, stage.python("raise SystemExit(7)"), dependsOn=[{"jobId": second}])
    after_failure = stage.submit(
        queue, stage.python("print('never')"), dependsOn=[{"jobId": third}]
    )
    last = stage.wait(after_failure)
    jobs = [stage.job(job) for job in (first, second, third)]
    assert [(job["status"], job["container"]["exitCode"]) for job in jobs] == [
        ("SUCCEEDED", 0),
        ("SUCCEEDED", 0),
        ("FAILED", 7),
    ]
    assert jobs[0]["stoppedAt"] <= jobs[1]["startedAt"]
    assert jobs[1]["stoppedAt"] <= jobs[2]["startedAt"]
    assert stage.log(jobs[0]["container"]["logStreamName"]) == ["one", "from the image"]
    assert (last["status"], last["statusReason"], last["attempts"]) == (
        "FAILED",
        "Dependent Job failed",
        [],
    )
    assert jobs[2]["statusReason"] == "Essential container in task exited"


def test_environment_precedence_and_isolation(
    stage: Stage, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_USER", "leak")
    role = stage.role("ecs-tasks.amazonaws.com")
    environment = [{"name": "A", "value": "definition"}, {"name": "B", "value": "definition"}]
    definition = stage.python(
        "import os, json; print(json.dumps(dict(os.environ, CWD=os.getcwd())))",
        environment=environment,
        jobRoleArn=role,
    )
    job = stage.wait(
        stage.submit(
            queue,
            definition,
            containerOverrides={"environment": [{"name": "B", "value": "override"}]},
        )
    )
    seen = json.loads(stage.log(job["container"]["logStreamName"])[0])
    assert (seen["A"], seen["B"]) == ("definition", "override")
    assert "SECRET_OF_THE_USER" not in seen
    assert seen["AWS_BATCH_JOB_ID"] == job["jobId"]
    assert seen["AWS_BATCH_JQ_NAME"] == queue.rsplit("/", 1)[-1]
    assert seen["AWS_ENDPOINT_URL"] == stage.cloud.endpoint_url
    assert seen["AWS_ACCESS_KEY_ID"].startswith("ASIA")
    assert seen["HOME"] == seen["CWD"] != str(Path.home())
    assert not Path(seen["CWD"]).exists()  # a container's disk goes with it
    assert {"AWS_BATCH_JOB_MAIN_NODE_INDEX", "AWS_BATCH_JOB_ARRAY_INDEX"}.isdisjoint(seen)


def test_parameters_replace_references(stage: Stage, queue: str) -> None:
    definition = stage.definition(
        ["python", "-c", "import sys; print(sys.argv[1:])", "Ref::key", "Ref::kept", "Ref::absent"],
        definition={"parameters": {"key": "default", "kept": "default"}},
    )
    job = stage.wait(stage.submit(queue, definition, parameters={"key": "data/a b.csv"}))
    assert stage.log(job["container"]["logStreamName"]) == [
        "['data/a b.csv', 'default', 'Ref::absent']"
    ]


def test_old_fields_override_old_fields(stage: Stage, queue: str) -> None:
    old = {"image": "repo/test:1", "command": ["true"], "vcpus": 1, "memory": 512}
    definition = stage.batch.register_job_definition(
        jobDefinitionName=stage.name("old"), type="container", containerProperties=old
    )
    job = stage.job(
        stage.submit(
            queue, definition["jobDefinitionArn"], containerOverrides={"vcpus": 2, "memory": 700}
        )
    )
    assert (job["container"]["vcpus"], job["container"]["memory"]) == (2, 700)
    new = stage.job(
        stage.submit(queue, stage.definition(["true"]), containerOverrides={"vcpus": 2})
    )
    assert {"type": "VCPU", "value": "1"} in new["container"]["resourceRequirements"]


def test_secrets_come_under_the_execution_role(stage: Stage, queue: str) -> None:
    secret = stage.client("secretsmanager").create_secret(
        Name=stage.name("secret"), SecretString=json.dumps({"token": "s3cr3t"})
    )["ARN"]
    allowed = stage.role(
        "ecs-tasks.amazonaws.com",
        {"Action": "secretsmanager:GetSecretValue", "Resource": secret},
        {"Action": ["logs:CreateLogStream", "logs:PutLogEvents"], "Resource": "*"},
    )
    refused = stage.role("ecs-tasks.amazonaws.com")
    secrets = [{"name": "TOKEN", "valueFrom": f"{secret}:token::"}]
    code = "import os; print(os.environ['TOKEN'])"
    good = stage.submit(queue, stage.python(code, secrets=secrets, executionRoleArn=allowed))
    bad = stage.submit(queue, stage.python(code, secrets=secrets, executionRoleArn=refused))
    assert stage.log(stage.wait(good)["container"]["logStreamName"]) == ["s3cr3t"]
    job = stage.wait(bad)
    assert job["status"] == "FAILED"
    assert job["container"]["reason"].startswith(
        "ResourceInitializationError: unable to pull secrets"
    )
    assert "secretsmanager:GetSecretValue" in job["container"]["reason"]
    assert "exitCode" not in job["container"]
    assert stage.cloud.denials[-1].resource == secret


def test_what_cannot_start_says_why(stage: Stage, queue: str) -> None:
    no_log_group = {"logDriver": "awslogs", "options": {"awslogs-group": "/not/there"}}
    untrusted = stage.role("lambda.amazonaws.com")
    cases = {
        "CannotPullContainerError": stage.definition(["true"], image="elsewhere/x:1"),
        "CannotStartContainerError: Error response from daemon: failed to initialize logging driver": stage.definition(
            ["true"], logConfiguration=no_log_group
        ),
        "CannotStartContainerError: Error response from daemon: failed to create task": (
            stage.definition(["no-such-program"])
        ),
        "ResourceInitializationError: ecs-tasks.amazonaws.com is unable to assume": (
            stage.definition(["true"], jobRoleArn=untrusted)
        ),
    }
    jobs = {reason: stage.submit(queue, definition) for reason, definition in cases.items()}
    for reason, job_id in jobs.items():
        job = stage.wait(job_id)
        assert (job["status"], job["statusReason"]) == ("FAILED", "Task failed to start"), reason
        assert job["container"]["reason"].startswith(reason)


def test_retries_and_conditions(stage: Stage, queue: str) -> None:
    flaky = "import os, sys; sys.exit(0 if os.environ['AWS_BATCH_JOB_ATTEMPT'] == '2' else 3)"
    rules = [
        {"onStatusReason": "Host EC2*", "action": "RETRY"},
        {"onReason": "*", "action": "EXIT"},
    ]
    plain = stage.submit(queue, stage.python(flaky), retryStrategy={"attempts": 3})
    guarded = stage.submit(
        queue, stage.python(flaky), retryStrategy={"attempts": 3, "evaluateOnExit": rules}
    )
    by_code = stage.submit(
        queue,
        stage.python(flaky),
        retryStrategy={"attempts": 2, "evaluateOnExit": [{"onExitCode": "3", "action": "retry"}]},
    )
    job = stage.wait(plain)
    assert (job["status"], [each["container"]["exitCode"] for each in job["attempts"]]) == (
        "SUCCEEDED",
        [3, 0],
    )
    assert len({each["container"]["logStreamName"] for each in job["attempts"]}) == 2
    assert len(stage.wait(guarded)["attempts"]) == 1
    assert stage.wait(by_code)["status"] == "SUCCEEDED"


def test_logs_are_live_and_group_must_exist(stage: Stage, queue: str) -> None:
    go_on = stage.directory / "go-on"
    wait = f"import os, time\nwhile not os.path.exists({str(go_on)!r}): time.sleep(0.01)"
    code = f"print('line', 0, flush=True)\n{wait}\nfor n in (1, 2): print('line', n)"
    job_id = stage.submit(queue, stage.python(code))
    stream = stage.wait(job_id, "RUNNING")["container"]["logStreamName"]
    until(lambda: stage.log(stream) == ["line 0"], what="first line while the job runs")
    assert stage.job(job_id)["status"] == "RUNNING"
    go_on.touch()
    stage.wait(job_id)
    assert stage.log(stream) == ["line 0", "line 1", "line 2"]
    assert stream.startswith("test/default/")
    assert stage.client("logs").describe_log_streams(
        logGroupName=BATCH_LOGS, logStreamNamePrefix=stream
    )["logStreams"]


def test_list_jobs_filters(stage: Stage) -> None:
    queue = stage.queue(stage.environment())
    ids = [stage.submit(queue, stage.definition(["true"])) for _ in range(2)]
    for each in ids:
        stage.wait(each)
    names = [stage.job(each)["jobName"] for each in ids]
    by_status = stage.batch.list_jobs(jobQueue=queue, jobStatus="SUCCEEDED")["jobSummaryList"]
    assert {each["jobId"] for each in by_status} == set(ids)
    assert stage.batch.list_jobs(jobQueue=queue)["jobSummaryList"] == []  # RUNNING is the default
    found = stage.batch.list_jobs(
        jobQueue=queue, filters=[{"name": "JOB_NAME", "values": [names[0]]}]
    )["jobSummaryList"]
    assert [each["jobId"] for each in found] == ids[:1]
    with pytest.raises(ClientError, match="Exactly one of"):
        stage.batch.list_jobs()


def test_fargate(stage: Stage) -> None:
    logs = {"Action": ["logs:CreateLogStream", "logs:PutLogEvents"], "Resource": "*"}
    role = stage.role("ecs-tasks.amazonaws.com", logs)
    platform = {"platformCapabilities": ["FARGATE"]}
    sizes: dict[str, Any] = {
        "vcpus": "0.25",
        "memory": "512",
        "executionRoleArn": role,
        "definition": platform,
    }
    queue = stage.queue(stage.environment("FARGATE_SPOT", max_vcpus=1))
    job = stage.wait(
        stage.submit(
            queue, stage.python("import os; print(os.environ['AWS_EXECUTION_ENV'])", **sizes)
        )
    )
    assert stage.log(job["container"]["logStreamName"]) == ["AWS_ECS_FARGATE"]
    assert "containerInstanceArn" not in job["container"]
    sleepers = [
        stage.submit(queue, stage.python("import time; time.sleep(60)", **sizes)) for _ in range(5)
    ]
    for each in sleepers[:4]:
        stage.wait(each, "RUNNING")
    assert (
        stage.job(sleepers[4])["status"] == "RUNNABLE"
    )  # four quarters of a vCPU fill the environment
    stage.cloud.batch.lose_host(sleepers[0])
    assert stage.wait(sleepers[0])["statusReason"] == "Your Spot Task was interrupted."
    stage.wait(sleepers[4], "RUNNING")
    for each in sleepers[1:]:
        stage.batch.terminate_job(jobId=each, reason="done")
    mute = stage.role("ecs-tasks.amazonaws.com")
    job = stage.wait(
        stage.submit(queue, stage.python("print(1)", **{**sizes, "executionRoleArn": mute}))
    )
    # on Fargate the task does not come about, so that the container says nothing
    assert job["statusReason"].startswith("ResourceInitializationError: failed to validate logger")
    assert "AccessDeniedException" in job["statusReason"]


def test_ecs_properties_with_one_container(stage: Stage, queue: str) -> None:
    container = {
        **stage.container(["python", "-c", "print('as a task')"]),
        "essential": True,
        "name": "main",
    }
    answer = stage.batch.register_job_definition(
        jobDefinitionName=stage.name("ecs"),
        type="container",
        ecsProperties={"taskProperties": [{"containers": [container]}]},
    )
    job = stage.wait(stage.submit(queue, answer["jobDefinitionArn"]))
    (container,) = job["ecsProperties"]["taskProperties"][0]["containers"]
    assert stage.log(container["logStreamName"]) == ["as a task"]


def test_queue_of_higher_priority_goes_first_on_a_shared_environment(stage: Stage) -> None:
    environment = stage.environment(max_vcpus=4)
    low, high = stage.queue(environment, priority=1), stage.queue(environment, priority=10)
    whole: dict[str, Any] = {"vcpus": "4"}
    first = stage.submit(low, stage.python("import time; time.sleep(60)", **whole))
    stage.wait(first, "RUNNING")
    behind, urgent = (
        stage.submit(low, stage.definition(["true"], **whole)),
        stage.submit(high, stage.definition(["true"], **whole)),
    )
    stage.wait(behind, "RUNNABLE")
    stage.wait(urgent, "RUNNABLE")
    stage.batch.terminate_job(jobId=first, reason="make room")
    ends = [stage.wait(job)["stoppedAt"] for job in (urgent, behind)]
    assert ends == sorted(ends)


def test_fair_share_queue_serves_the_shares_in_turn(stage: Stage) -> None:
    policy = stage.batch.create_scheduling_policy(
        name=stage.name("policy"), fairsharePolicy={"shareDecaySeconds": 3600}
    )["arn"]
    queue = stage.queue(stage.environment(max_vcpus=4), schedulingPolicyArn=policy)
    definition = stage.definition(["sleep", "0.2"], vcpus="4", definition={"schedulingPriority": 1})
    shares = ["a", "a", "a", "b", "b"]
    jobs = {stage.submit(queue, definition, shareIdentifier=share): share for share in shares}
    started = sorted((stage.wait(job)["startedAt"], share) for job, share in jobs.items())
    assert "".join(share for _, share in started)[:2] == "ab"
    assert [share for _, share in started].index("b") == 1
