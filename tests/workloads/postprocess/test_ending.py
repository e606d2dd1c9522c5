"""How a run ends: its message is delivered or handed on, and its record stands before its state."""

from __future__ import annotations

import json
from types import SimpleNamespace

import boto3
import pytest

from tests.workloads.postprocess import finished_analysis as fa
from tests.workloads.postprocess.conftest import RUN, result_keys, stored, table
from workloads.functions import notify, slack
from workloads.functions.states import RunStates
from workloads.postprocess import stage
from workloads.runtime import s3
from workloads.runtime.stage import run_stage
from workloads.variables import ENV_SLACK_WEBHOOK_SECRET_ARN, ENV_STACK


def _run_as_job() -> int:
    made = stage.Postprocess()
    return run_stage("postprocess", made.prepare, then=made.finish)


def _states() -> RunStates:
    return RunStates(boto3.resource("dynamodb").Table(fa.TABLE))


@pytest.fixture
def bus(monkeypatch):
    """Events that the stage sends; EventBridge refuses them where `refuses` says so."""
    found = SimpleNamespace(entries=[], refuses=False)

    def put_events(*, Entries):  # noqa: N803 - boto3's name
        found.entries += Entries
        failed = {"FailedEntryCount": 1, "Entries": [{"ErrorMessage": "no room"}]}
        return failed if found.refuses else {"FailedEntryCount": 0, "Entries": [{}]}

    real = boto3.client
    client = SimpleNamespace(put_events=put_events)
    monkeypatch.setattr(
        boto3, "client", lambda name, **more: client if name == "events" else real(name, **more)
    )
    monkeypatch.setenv(ENV_STACK, "dev")
    return found


def test_what_slack_does_not_take_is_handed_on_whole_and_does_not_fail_the_run(world, bus, capsys):
    world.planned = [(503, {})] * 5
    fa.store(s3.put_bytes, RUN, table())
    assert _run_as_job() == 0
    state = _states().get(RUN)
    assert state["state"] == "SUCCEEDED"
    assert "told_at" not in state
    assert "Slack message handed on" in capsys.readouterr().out
    (entry,) = bus.entries
    assert (entry["Source"], entry["DetailType"]) == ("batch-reference.dev", "Run Succeeded")
    event = {"detail-type": entry["DetailType"], "detail": json.loads(entry["Detail"])}
    arn = boto3.client("secretsmanager").create_secret(Name="webhook", SecretString=world.url)[
        "ARN"
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(ENV_SLACK_WEBHOOK_SECRET_ARN, arn)
        world.planned = [(503, {})] * 5
        with pytest.raises(
            slack.SlackError
        ):  # still down: Lambda delivers again, then to the dead-letter queue
            notify.handler(event, None)
        assert [notify.handler(event, None)["outcome"] for _ in range(3)] == [
            "told",
            "told already",
            "told already",
        ]
    assert len(world.messages) == 1
    assert "300 rows analysed" in json.dumps(world.messages[0])
    assert _run_as_job() == 0, "a repeated stage"
    assert len(world.messages) == 1


def test_a_message_that_nobody_takes_fails_the_stage(world, bus, capsys):
    world.planned = [(503, {})] * 5
    bus.refuses = True
    fa.store(s3.put_bytes, RUN, table())
    assert _run_as_job() == 69
    assert _states().get(RUN)["state"] == "SUCCEEDED", "the findings are there"
    said = capsys.readouterr().err
    assert "EventBridge did not take the message on the findings: no room" in said
    assert json.loads(stored(RUN.error_key("postprocess")))["error"].startswith(
        "Slack did not take the message"
    )


def test_the_run_ends_only_when_the_record_of_the_stage_stands(world, monkeypatch):
    fa.store(s3.put_bytes, RUN, table())

    class Killed(BaseException):
        pass

    def die(*_, **__):
        raise Killed

    monkeypatch.setattr(RunStates, "succeed", die)
    with pytest.raises(Killed):
        _run_as_job()
    assert RUN.stage_record_key("postprocess") in result_keys()
    assert _states().get(RUN) == {}
    assert world.attempts == 0
