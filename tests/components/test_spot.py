"""An analysis that leaves Spot after some attempts: definitions, both orchestrators, rights, and
the watch of the machines.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from components.user_data import user_data
from tests.components import mocks
from tests.components.program import deploy, deployed
from tests.components.test_launch_template import LT, scripts_of
from workloads import contract
from workloads.variables import (
    ENV_COUNT_RECLAIMS,
    ENV_DISK_HINT,
    ENV_JOB_DEFINITIONS,
    ENV_JOB_QUEUES,
    ENV_RECLAIM_SIGNAL,
    ENV_SUBMIT_FUNCTION,
)

DEFINITION, POLICY = "aws:batch/jobDefinition:JobDefinition", "aws:iam/rolePolicy:RolePolicy"
FUNCTION = "aws:lambda/function:Function"
ORCHESTRATORS = ("batch", "step-functions")


@cache
def leaving(orchestrator: str, shards: int = 3) -> mocks.Recording:
    changes = {
        "pipeline": {"orchestrator": orchestrator},
        "queues": {"other": {"environments": ["on-demand-cpu"], "priority": 2}},
        "jobs": {
            "analysis": {
                "queue": "main",
                "nodes": 1,
                "shards": shards,
                "vcpus": 4,
                "memory_mib": 4096,
                "attempts": 5,
                "spot_attempts": 2,
                "on_demand_queue": "other",
            }
        },
    }
    return deploy("local", changes=changes)


def _variables(made: mocks.Recording, name: str) -> dict[str, str]:
    text = made.one(DEFINITION, name).inputs["containerProperties"]
    return {each["name"]: each["value"] for each in json.loads(text)["environment"]}


@pytest.mark.parametrize("orchestrator", ORCHESTRATORS)
def test_the_attempts_are_shared_out_and_only_the_first_job_listens(orchestrator: str) -> None:
    made = leaving(orchestrator)
    attempts = {
        name: made.one(DEFINITION, f"jobs-{name}").inputs["retryStrategy"]["attempts"]
        for name in ("analysis", "fallback")
    }
    assert attempts == {"analysis": 2, "fallback": 3}
    first, second = (_variables(made, f"jobs-{name}") for name in ("analysis", "fallback"))
    assert first.pop(ENV_RECLAIM_SIGNAL) == "SIGWINCH"
    # which disks a person may enlarge: those of both queues' environments, and of the second's
    assert first.pop(ENV_DISK_HINT) != second.pop(ENV_DISK_HINT)
    assert first == second, "the same analysis, or the digest could be another"
    assert _variables(made, "jobs-postprocess")[ENV_COUNT_RECLAIMS] == "true"
    may = {s["Sid"] for s in made.policy(made.one(POLICY, "roles-postprocess"))}
    assert may >= {"WhichJobs", "WhatAttemptsBecame"}


def test_who_is_not_on_spot_asks_nothing() -> None:
    made = deployed("local")
    assert ENV_COUNT_RECLAIMS not in _variables(made, "jobs-postprocess")
    may = {s["Sid"] for s in made.policy(made.one(POLICY, "roles-postprocess"))}
    assert not may & {"WhichJobs", "WhatAttemptsBecame"}
    may = {s["Sid"] for s in made.policy(made.one(POLICY, "monitoring-notify-role"))}
    assert "BeginAgain" not in may


def test_in_a_chain_notify_asks_submit_which_knows_the_second_queue() -> None:
    made = leaving("batch")
    variables = made.one(FUNCTION, "pipeline-submit").inputs["environment"]["variables"]
    queues = json.loads(variables[ENV_JOB_QUEUES])
    other = made.one("aws:batch/jobQueue:JobQueue", "queues-other").outputs["arn"]
    assert queues["fallback"] == other
    assert json.loads(variables[ENV_JOB_DEFINITIONS])["fallback"]["shards"] == 3
    submit = made.one(FUNCTION, "pipeline-submit").outputs["arn"]
    notify = made.one(FUNCTION, "monitoring-notify").inputs["environment"]["variables"]
    assert notify[ENV_SUBMIT_FUNCTION] == submit
    statements = {s["Sid"]: s for s in made.policy(made.one(POLICY, "monitoring-notify-role"))}
    assert statements["BeginAgain"]["Resource"] == [submit]
    submits = {s["Sid"]: s for s in made.policy(made.one(POLICY, "pipeline-submit-role"))}
    assert other in submits["SubmitJobs"]["Resource"]


def test_the_state_machine_goes_on_after_a_loss_alone() -> None:
    machine = leaving("step-functions", 1).one("aws:sfn/stateMachine:StateMachine").inputs
    states = json.loads(machine["definition"])["States"]
    tags = states["AnalysisSubmit"]["Parameters"]["Tags"]
    assert tags[contract.FALLBACK_TAG] == contract.FALLBACK_AFTER_LOSS
    following = [
        (choice["And"][-1].get("StringMatches"), choice["Next"])
        for choice in states["AnalysisEnded"]["Choices"]
        if "And" in choice
    ]
    assert ("Host EC2*", "FallbackSubmit") in following
    assert ("*exceeded timeout*", "JobFailed") in following
    assert (None, "JobFailed") in following  # an exit code of its own
    made = leaving("step-functions")
    assert (
        ENV_SUBMIT_FUNCTION
        not in (made.one(FUNCTION, "monitoring-notify").inputs["environment"]["variables"])
    )


def test_only_spot_machines_watch() -> None:
    made = deployed("local")
    watching = {
        name: any(
            "spot/instance-action" in script
            for script in scripts_of(
                made.one(LT, f"environments-{name}-template").inputs["userData"]
            )
        )
        for name in ("spot-cpu", "on-demand-cpu", "nodes")
    }
    assert watching == {"spot-cpu": True, "on-demand-cpu": False, "nodes": False}


@pytest.mark.parametrize("answers", ["notice", "none", "no service"])
def test_the_watch_tells_those_that_want_to_know(answers: str, tmp_path: Path) -> None:
    log, binaries = tmp_path / "log", tmp_path / "bin"
    binaries.mkdir()
    bash = shutil.which("bash")

    def stub(name: str, body: str) -> None:
        (binaries / name).write_text(f"#!{bash}\n{body}\n")
        (binaries / name).chmod(0o755)

    # the third look is the last, or the watch would look for ever
    stub("sleep", f'echo look >> {log}; [ "$(grep -c look {log})" -le 3 ] || exit 1')
    token = "exit 7" if answers == "no service" else "echo secret-token; exit 0"
    notice = "echo found; exit 0" if answers == "notice" else "exit 22"
    stub(
        "curl",
        f'case "$*" in *api/token*) {token};; *secret-token*instance-action) {notice};; esac',
    )
    stub(
        "docker",
        f"""case "$1" in
ps) echo listens; echo deaf;;
inspect) [ "$4" = listens ] && echo {ENV_RECLAIM_SIGNAL}=SIGWINCH; echo OTHER=1;;
kill) echo "$*" >> {log};;
esac""",
    )
    stub("systemd-run", "exit 0")
    script = scripts_of(user_data(scratch=None, efa=False, spot=True))[1]
    watch = tmp_path / "spot-watch"
    script = script.replace("/usr/local/bin/spot-watch", str(watch))
    config = tmp_path / "ecs.config"
    env = {**os.environ, "PATH": f"{binaries}:{os.environ['PATH']}"}
    for text in (script.replace("/etc/ecs/ecs.config", str(config)), watch):
        found = subprocess.run(
            [bash or "bash", *([str(text)] if text is watch else [])],
            input=None if text is watch else str(text),
            text=True,
            check=True,
            env=env,
            capture_output=True,
        )
        assert not found.stderr
    assert config.read_text() == "ECS_ENABLE_SPOT_INSTANCE_DRAINING=true\n"
    said = [line for line in log.read_text().splitlines() if line != "look"]
    assert said == (["kill --signal SIGWINCH listens"] if answers == "notice" else [])
