"""What ended a job, planted one by one: the cause in a sentence, the lines of the log that show it,
what to do.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from cli.why.model import Diagnosis
from tests.cli.why.conftest import FOREVER, Asking


def ended(asking: Asking, definition: str, **more: Any) -> Diagnosis:
    stage = asking.stage
    job = stage.submit(stage.queue(stage.environment()), definition, **more)
    stage.wait(job, "FAILED")
    return asking.why(job)


def test_a_traceback_of_ones_own_code(asking: Asking) -> None:
    found = ended(asking, asking.stage.python("print('fine'); int('x')"))
    (cause,) = found.causes
    assert (cause.code, cause.found) == ("EXIT", "exit code 1")
    assert any("ValueError: invalid literal" in line for line in found.log)
    assert "fine" not in found.log
    assert found.log_command.startswith("aws logs get-log-events --log-group-name /test/batch")


@pytest.mark.parametrize(
    ("exit_code", "code", "words"),
    [
        (137, "MEMORY", "killed from outside (SIGKILL)"),
        (72, "MEMORY", "no more memory"),
        (74, "DISK", "disk full"),
        (127, "EXIT", "does not exist in the image"),
        (90, "EXIT", "not all nodes of the job came together"),
    ],
)
def test_exit_codes(asking: Asking, exit_code: int, code: str, words: str) -> None:
    found = ended(asking, asking.stage.python(f"import os; os._exit({exit_code})", memory="700"))
    assert found.causes[0].code == code
    assert words in found.verdict
    if code == "MEMORY":
        assert found.causes[0].found == "700 MiB"
        assert "memory_mib" in found.causes[0].fix


def test_an_image_that_is_not_there(asking: Asking) -> None:
    found = ended(asking, asking.stage.python("1", image="elsewhere/none:1"))
    assert found.causes[0].code == "PULL"
    assert "make push" in found.causes[0].fix


def test_a_secret_that_the_role_may_not_read(asking: Asking) -> None:
    stage = asking.stage
    secret = stage.client("secretsmanager").create_secret(Name=stage.name("s"), SecretString="x")
    role = stage.role("ecs-tasks.amazonaws.com", {"Action": "logs:*", "Resource": "*"})
    secrets = [{"name": "KEY", "valueFrom": secret["ARN"]}]
    found = ended(asking, stage.python("1", executionRoleArn=role, secrets=secrets))
    assert "may not secretsmanager:GetSecretValue" in found.verdict
    assert secret["ARN"] in found.verdict


def test_a_log_group_that_is_not_there(asking: Asking) -> None:
    logs = {"logDriver": "awslogs", "options": {"awslogs-group": "/none"}}
    found = ended(asking, asking.stage.python("1", logConfiguration=logs))
    assert found.causes[0].code == "LOG-GROUP"
    assert found.log == ()


def test_a_timeout(asking: Asking) -> None:
    stage = asking.stage
    job = stage.submit(
        stage.queue(stage.environment()),
        stage.python(FOREVER),
        timeout={"attemptDurationSeconds": 60},
    )
    stage.wait(job, "RUNNING")
    stage.cloud.batch.advance(61)
    stage.wait(job, "FAILED")
    (cause,) = asking.why(job).causes
    assert (cause.code, cause.found) == ("TIMEOUT", "1 minutes")
    assert "timeout_minutes" in cause.setting


def test_hosts_lost_until_no_attempt_is_left(asking: Asking) -> None:
    stage = asking.stage
    job = stage.submit(
        stage.queue(stage.environment("SPOT")),
        stage.python(FOREVER),
        retryStrategy={"attempts": 2},
    )
    for attempt in (1, 2):
        stage.wait(job, "RUNNING")
        stage.cloud.batch.lose_host(job)
        if attempt == 1:
            assert "attempt 1 of 2 failed" in _after_the_first(asking, job)
    stage.wait(job, "FAILED")
    (cause,) = asking.why(job).causes
    assert (cause.code, cause.found) == ("HOST-LOST", "2 attempts")
    assert "in the last of 2 attempts" in cause.what


def _after_the_first(asking: Asking, job: str) -> str:
    asking.stage.wait(job, "RUNNING", "RUNNABLE", "STARTING")
    while not asking.stage.job(job)["attempts"]:
        pass
    return " ".join(asking.why(job).seen)


def test_somebody_ended_it(asking: Asking) -> None:
    stage = asking.stage
    job = stage.submit(stage.queue(stage.environment()), stage.python(FOREVER))
    stage.wait(job, "RUNNING")
    stage.batch.terminate_job(jobId=job, reason="the wrong file")
    stage.wait(job, "FAILED")
    found = asking.why(job)
    assert found.causes[0].code == "ENDED-BY-HAND"
    assert "the wrong file" in found.verdict
    assert found.causes[0].fix == "if that was not meant, submit the job again"


def test_a_time_limit_of_the_queue(asking: Asking) -> None:
    stage = asking.stage
    limit = {
        "reason": "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT",
        "state": "RUNNABLE",
        "maxTimeSeconds": 600,
        "action": "CANCEL",
    }
    queue = stage.queue(stage.environment(), jobStateTimeLimitActions=[limit])
    job = stage.submit(queue, stage.python(FOREVER, memory="900000"))
    stage.wait(job, "RUNNABLE")
    stage.cloud.batch.advance(601)
    stage.wait(job, "FAILED")
    (cause,) = asking.why(job).causes
    assert cause.code == "TIME-LIMIT"
    assert "more vCPUs, memory or GPUs than any machine" in cause.what


def test_a_cascade_is_followed_to_the_job_that_failed(asking: Asking) -> None:
    stage = asking.stage
    queue = stage.queue(stage.environment())
    first = stage.submit(queue, stage.python("raise SystemExit(70)"))
    second = stage.submit(queue, stage.python("1"), dependsOn=[{"jobId": first}])
    stage.wait(second, "FAILED")
    found = asking.why(second)
    assert found.verdict.startswith(f"it failed because job {first}")
    assert "internal error" in found.verdict


def test_a_child_of_an_array_speaks_for_it(asking: Asking) -> None:
    code = "import os, sys; sys.exit(74 if os.environ['AWS_BATCH_JOB_ARRAY_INDEX'] == '1' else 0)"
    found = ended(asking, asking.stage.python(code), arrayProperties={"size": 3})
    assert found.verdict.startswith("child 1 failed: ")
    assert found.causes[0].code == "DISK"


def test_the_main_node_speaks_for_a_multi_node_job(asking: Asking) -> None:
    stage = asking.stage
    name = stage.name("nodes")
    properties = stage.container(["python", "-c", "print('ERROR: of node'); raise SystemExit(91)"])
    stage.batch.register_job_definition(
        jobDefinitionName=name,
        type="multinode",
        nodeProperties={
            "numNodes": 2,
            "mainNode": 0,
            "nodeRangeProperties": [{"targetNodes": "0:", "container": properties}],
        },
    )
    found = ended(asking, name)
    assert "a node of the job was lost" in found.verdict
    assert found.log == ("ERROR: of node",)


@pytest.mark.parametrize(("minutes", "believed"), [(1, True), (-60, False)])
def test_the_words_of_the_stage_itself_come_first(
    asking: Asking, minutes: int, *, believed: bool
) -> None:
    """Those of an earlier attempt are of another failure."""
    stage, bucket = asking.stage, f"results{minutes}"
    run = "20260131-sales-0123456789ab"
    stage.client("s3").create_bucket(Bucket=bucket)
    at = datetime.fromtimestamp(stage.cloud.now() + 60 * minutes, UTC)
    record = {"error": "the file has no rows", "hint": "send another", "at": at.isoformat()}
    stage.client("s3").put_object(
        Bucket=bucket,
        Key=f"runs/{run}/errors/preprocess.json",
        Body=json.dumps(record).encode(),
    )
    environment = [
        {"name": "PIPELINE_RUN_ID", "value": run},
        {"name": "PIPELINE_RESULTS_BUCKET", "value": bucket},
    ]
    definition = stage.python("raise SystemExit(1)", environment=environment)
    found = ended(asking, definition, tags={"pipeline-stage": "preprocess"})
    assert found.verdict.startswith("the file has no rows (") == believed
    assert (found.causes[0].fix == "send another") == believed
