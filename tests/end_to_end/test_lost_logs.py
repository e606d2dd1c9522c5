"""Logs that cannot be written: Lambda and Step Functions say nothing, so `preflight` has to; a job
does not even start. Nor does EventBridge Scheduler say what it could not call: `doctor` does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.backends import get_backend

from cli import log_checks
from cli.doctor.function_checks import schedules
from cli.doctor.patient import Patient
from cli.questions import Questions
from cli.why.account import Account
from localcloud.moto.state import ACCOUNT_ID
from tests.config.stacks import load, sections
from tests.end_to_end.failing import Planted, planted_stack
from tests.end_to_end.test_step_functions import PIPELINE
from tests.localcloud.conftest import until

pytestmark = pytest.mark.timeout(600)

DAILY = {"file_by": "06:00", "finished_by": "07:00", "time_zone": "UTC"}
FUNCTIONS = [
    "budget-guard-watch",
    "monitoring-alarm",
    "monitoring-measure-look",
    "monitoring-notify",
    "monitoring-redrive-pass",
    "pipeline-day-look",
    "pipeline-submit",
]
SECONDS = 90


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planted]:
    with planted_stack(
        tmp_path_factory.mktemp("logs"),
        pipeline={**PIPELINE, "daily": DAILY},
        budget={"guard": {"limit_usd": 1000}},
    ) as planted:
        yield planted


def _logs(stack: Planted) -> dict[str, tuple[str, str]]:
    """What preflight says and how to mend it, by the name of the function or machine without its
    random end.

    The rehearsal's logs are there with the call, and the minute of the last call has to be a part
    of the day.
    """
    config, _ = load({**sections("local"), "slack-webhook-url": {"secure": "AAAB"}}, "local")
    asked, now = Questions(config, "us-east-1", stack.ready.client), -timedelta(minutes=1)
    found = (*log_checks.of_functions(asked, lag=now), *log_checks.of_machines(asked, lag=now))
    return {
        what.rpartition("-")[0].split(" ")[-1].removeprefix("batch-reference-local-"): (said, fix)
        for what, said, fix in found
    } | {what: (said, fix) for what, said, fix in log_checks.of_stages(asked, lag=now)}


def _well(found: tuple[str, str]) -> bool:
    return found[1] == ""


def _function(stack: Planted, name: str) -> dict[str, Any]:
    """Name, role and log group of a function."""
    found = stack.ready.client("lambda").list_functions(MaxItems=50)["Functions"]
    (each,) = (each for each in found if f"-{name}-" in each["FunctionName"])
    return {
        "name": each["FunctionName"],
        "role": each["Role"].rsplit("/", 1)[-1],
        "group": each["LoggingConfig"]["LogGroup"],
    }


@contextmanager
def _denied(stack: Planted, role: str, action: str) -> Iterator[None]:
    """The role without the action."""
    iam = stack.ready.client("iam")
    (policy,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
    document = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
    without = json.loads(json.dumps(document))
    for statement in without["Statement"]:
        statement["Action"] = [each for each in statement["Action"] if each != action]
    without["Statement"] = [each for each in without["Statement"] if each["Action"]]
    assert without != document, f"{role} has no {action}"
    put = partial(iam.put_role_policy, RoleName=role, PolicyName=policy)
    put(PolicyDocument=json.dumps(without))
    try:
        yield
    finally:
        put(PolicyDocument=json.dumps(document))


@contextmanager
def _gone(stack: Planted, group: str) -> Iterator[None]:
    """The log group deleted."""
    stack.ready.client("logs").delete_log_group(logGroupName=group)
    try:
        yield
    finally:
        stack.ready.client("logs").create_log_group(logGroupName=group)


def _call(stack: Planted, function: dict[str, Any]) -> None:
    """A call in a new worker, whose log begins with nothing."""
    client, name = stack.ready.client("lambda"), function["name"]
    client.update_function_configuration(
        FunctionName=name,
        Timeout=client.get_function_configuration(FunctionName=name)["Timeout"] + 1,
    )
    client.invoke(FunctionName=name, Payload=b"{}")


def _empty(stack: Planted, group: str) -> None:
    with _gone(stack, group):
        pass


LOSSES: dict[str, Callable[[Planted, dict[str, Any]], AbstractContextManager[None]]] = {
    "no stream": lambda stack, of: _denied(stack, of["role"], "logs:CreateLogStream"),
    "no lines": lambda stack, of: _denied(stack, of["role"], "logs:PutLogEvents"),
    "no group": lambda stack, of: _gone(stack, of["group"]),
}


def test_the_functions_are_all_there_are(stack: Planted) -> None:
    found = stack.ready.client("lambda").list_functions(MaxItems=50)["Functions"]
    names = [each["FunctionName"].removeprefix("batch-reference-local-") for each in found]
    assert sorted(name.rpartition("-")[0] for name in names) == FUNCTIONS


@contextmanager
def _quick(stack: Planted, functions: Iterable[dict[str, Any]]) -> Iterator[None]:
    """The functions only print: what is lost of a log is Lambda's doing, whatever the code."""
    client, before = stack.ready.client("lambda"), dict[str, str]()
    for function in functions:
        name = function["name"]
        found = client.get_function(FunctionName=name)
        before[name] = found["Configuration"]["Handler"]
        client.update_function_configuration(FunctionName=name, Handler="builtins.print")
    try:
        yield
    finally:
        for name, handler in before.items():
            client.update_function_configuration(FunctionName=name, Handler=handler)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_function_whose_log_is_lost_is_named(stack: Planted, loss: str) -> None:
    functions = {name: _function(stack, name) for name in FUNCTIONS}
    with _quick(stack, functions.values()):
        for function in functions.values():
            _empty(stack, function["group"])
            _call(stack, function)
        found = _logs(stack)
        assert [name for name in FUNCTIONS if not _well(found[name])] == [], found

        with ExitStack() as lost:
            for function in functions.values():
                lost.enter_context(LOSSES[loss](stack, function))
                if loss != "no group":
                    _empty(stack, function["group"])
                _call(stack, function)
            found = _logs(stack)
            for name, function in functions.items():
                said, fix = found[name]
                assert fix, (name, said)
                assert function["group"] in said
                assert ("is gone" if loss == "no group" else "logs:PutLogEvents") in said + fix

        for function in functions.values():
            _call(stack, function)
        found = _logs(stack)
        assert [name for name in FUNCTIONS if not _well(found[name])] == [], found


def _let(service: str) -> str:
    everything = {"Effect": "Allow", "Action": "kms:*", "Resource": "*"}
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {**everything, "Principal": {"AWS": "arn:aws:iam::123456789012:root"}},
                {**everything, "Principal": {"Service": service}},
            ],
        }
    )


def _deny(kms: Any, key: str) -> None:
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=_let("logs.eu-west-1.amazonaws.com"))


def _delete(kms: Any, key: str) -> None:
    """What KMS does when the waiting time is over."""
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    del get_backend("kms")[ACCOUNT_ID]["us-east-1"].keys[key.rpartition("/")[2]]


KEY_LOSSES: dict[str, tuple[Callable[[Any, str], object], str, str]] = {
    "disabled": (
        lambda kms, key: kms.disable_key(KeyId=key),
        "which is Disabled",
        "aws kms enable-key --key-id",
    ),
    "about to be deleted": (
        lambda kms, key: kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7),
        "which is PendingDeletion",
        "aws kms cancel-key-deletion --key-id",
    ),
    "deleted": (_delete, "which is gone", "aws logs disassociate-kms-key --log-group-name"),
    "not let in": (
        _deny,
        "it has written nothing",
        "the policy of its KMS key has to let logs.us-east-1.amazonaws.com use it",
    ),
}


@contextmanager
def _with_key(stack: Planted, group: str) -> Iterator[str]:
    """A customer key on the log group, which somebody gave it by hand."""
    kms, logs = stack.ready.client("kms"), stack.ready.client("logs")
    policy = _let("logs.us-east-1.amazonaws.com")
    key = str(kms.create_key(Policy=policy)["KeyMetadata"]["Arn"])
    logs.associate_kms_key(logGroupName=group, kmsKeyId=key)
    try:
        yield key
    finally:
        logs.disassociate_kms_key(logGroupName=group)


@pytest.mark.parametrize("loss", KEY_LOSSES)
def test_a_function_whose_logs_key_is_lost_is_named(stack: Planted, loss: str) -> None:
    lose, says, mends = KEY_LOSSES[loss]
    function, label = _function(stack, "monitoring-redrive-pass"), "monitoring-redrive-pass"
    with _quick(stack, [function]), _with_key(stack, function["group"]) as key:
        _empty(stack, function["group"])
        stack.ready.client("logs").associate_kms_key(logGroupName=function["group"], kmsKeyId=key)
        _call(stack, function)
        assert _well(_logs(stack)[label]), "a key that may be used changes nothing"
        lose(stack.ready.client("kms"), key)
        _call(stack, function)
        said, fix = _logs(stack)[label]
        assert says in said
        assert mends in fix
        assert function["group"] in said
        logs = stack.ready.client("logs")
        logs.disassociate_kms_key(logGroupName=function["group"])
        _call(stack, function)
        assert _well(_logs(stack)[label]), "and without the key"


def test_a_machine_whose_logs_key_is_lost_is_named(stack: Planted) -> None:
    group = "/aws/vendedlogs/states/batch-reference/local/pipeline-run"
    with _with_key(stack, group) as key:
        stack.ready.client("kms").disable_key(KeyId=key)
        said, fix = _logs(stack)["pipeline-run-machine"]
        assert f"{key}, which is Disabled; what it says of failed executions is lost" in said
        assert key in fix


def test_what_the_jobs_of_a_stage_write_is_looked_for(stack: Planted) -> None:
    logs, group = stack.ready.client("logs"), stack.ready.outputs["log_groups"]["preprocess"]
    run = stack.upload()
    until(lambda: stack.state(run) == "SUCCEEDED", what=lambda: str(stack.state_item(run)))
    said, fix = _logs(stack)["stage preprocess"]
    assert "wrote nothing" in said
    assert "container agent" in fix
    stream = stack.job(run, "preprocess", "SUCCEEDED")["container"]["logStreamName"]
    line = {"timestamp": int(stack.ready.cloud.now() * 1000), "message": "a line"}
    with _with_key(stack, group) as key:
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=[line])
        assert _well(_logs(stack)["stage preprocess"])
        _deny(stack.ready.client("kms"), key)
        with pytest.raises(ClientError, match="not allowed to be used"):
            logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=[line])
        said, fix = _logs(stack)["stage preprocess"]
        assert "the policy of its KMS key" in fix
    with _gone(stack, group):
        said, fix = _logs(stack)["stage preprocess"]
        assert ("is gone" in said, bool(fix)) == (True, True)


def test_a_key_that_may_not_be_used_is_not_taken(stack: Planted) -> None:
    logs, kms = stack.ready.client("logs"), stack.ready.client("kms")
    key = kms.create_key(Policy=_let("logs.eu-west-1.amazonaws.com"))["KeyMetadata"]["Arn"]
    with pytest.raises(ClientError, match="not allowed to be used with Arn"):
        logs.create_log_group(logGroupName="/with/key", kmsKeyId=key)
    group = stack.ready.outputs["log_groups"]["preprocess"]
    with pytest.raises(ClientError, match="not allowed to be used with Arn"):
        logs.associate_kms_key(logGroupName=group, kmsKeyId=key)


def test_a_warm_function_that_may_write_no_more_is_silent(stack: Planted) -> None:
    function = _function(stack, "monitoring-redrive-pass")
    with _quick(stack, [function]):
        _call(stack, function)
        with _denied(stack, function["role"], "logs:PutLogEvents"):
            _empty(stack, function["group"])
            stack.ready.client("lambda").invoke(FunctionName=function["name"], Payload=b"{}")
            assert not _well(_logs(stack)["monitoring-redrive-pass"])


def test_what_the_measure_function_cannot_publish_rings(stack: Planted) -> None:
    with _denied(stack, _function(stack, "monitoring-measure-look")["role"], "logs:PutLogEvents"):
        for _ in range(4):
            stack.ready.cloud.tick()
            stack.ready.cloud.batch.advance(60)
        until(
            lambda: "not-measured" in stack.ringing(),
            what=lambda: str(stack.ringing()),
            seconds=SECONDS,
        )


def test_a_state_machine_whose_log_is_lost_is_named(stack: Planted) -> None:
    group = "/aws/vendedlogs/states/batch-reference/local/pipeline-run"
    run = stack.upload(preprocess="fail")
    until(lambda: stack.state(run) == "FAILED", what=lambda: str(stack.state_item(run)))
    label = "pipeline-run-machine"
    stands = f"its last failed execution stands in {group}"
    until(lambda: _logs(stack)[label] == (stands, ""), what=lambda: _logs(stack)[label])
    _empty(stack, group)
    said, fix = _logs(stack)[label]
    assert ("nothing stands in" in said, "components/state_machines/machine.py" in fix) == (
        True,
        True,
    )
    with _gone(stack, group):
        said, fix = _logs(stack)[label]
        assert ("is gone" in said, bool(fix)) == (True, True)
    assert _well(_logs(stack)["pipeline-day-runs-machine"])


@pytest.mark.parametrize("action", ["logs:CreateLogStream", "logs:PutLogEvents"])
def test_a_job_that_may_write_no_log_says_so(stack: Planted, action: str) -> None:
    roles = stack.ready.client("iam").list_roles()["Roles"]
    (role,) = (each["RoleName"] for each in roles if "-roles-execution-" in each["RoleName"])
    with _denied(stack, role, action):
        run = stack.upload()
        until(lambda: stack.messages(run.run_id, action), what="nobody is told", seconds=SECONDS)
    assert stack.state(run) == "FAILED"


def test_a_job_whose_log_group_is_gone_says_so(stack: Planted) -> None:
    group = stack.ready.outputs["log_groups"]["preprocess"]
    with _gone(stack, group):
        run = stack.upload()
        said = "the log group of its job does not exist"
        until(lambda: stack.messages(run.run_id, said), what="nobody is told", seconds=SECONDS)
    assert stack.state(run) == "FAILED"


def _schedules(stack: Planted) -> list[str]:
    """What doctor finds wrong with the schedules of the day."""
    ready = stack.ready
    account = Account(client=ready.client, outputs=ready.outputs, now=ready.cloud.now)
    found = list(schedules(Patient(account)))
    assert len(found) == 2
    return [finding.what for finding in found if finding.fix]


@pytest.mark.parametrize(
    ("action", "names"),
    [("lambda:InvokeFunction", 1), ("states:StartExecution", 1), ("sqs:SendMessage", 2)],
)
def test_what_a_schedule_may_not_do_is_told_by_doctor(
    stack: Planted, action: str, names: int
) -> None:
    roles = stack.ready.client("iam").list_roles()["Roles"]
    (role,) = (each["RoleName"] for each in roles if "-day-schedules-" in each["RoleName"])
    assert _schedules(stack) == []
    with _denied(stack, role, action):
        found = _schedules(stack)
    assert [action in what for what in found] == [True] * names
    assert _schedules(stack) == []
