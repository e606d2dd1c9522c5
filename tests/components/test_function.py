"""Lambda functions: whole in their archive, heard of when they fail, allowed no more than they
need.
"""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pulumi
import pulumi_aws as aws
import pytest

from components.context import StackContext
from components.function import (
    EventTrigger,
    EventTriggerArgs,
    LambdaFunction,
    LambdaFunctionArgs,
    _code,
    in_rules,
    job_state_changes,
)
from components.policies import statement
from tests.components import mocks
from tests.components.program import STACKS, deployed

FUNCTION = "aws:lambda/function:Function"


@pytest.fixture
def made(context: StackContext) -> mocks.Recording:
    def program() -> None:
        function = LambdaFunction(
            "echo",
            LambdaFunctionArgs(
                context=context,
                description="Says it again",
                handler="workloads.functions.submit.handler",
                environment={"PIPELINE_TABLE": "metrics"},
                statements=[
                    statement("Speak", actions=["polly:SynthesizeSpeech"], resources=["*"])
                ],
                timeout_seconds=60,
                event_max_age_hours=2,
                log_retention_days=7,
            ),
        )
        EventTrigger(
            "shouts",
            EventTriggerArgs(
                context=context,
                description="Somebody shouted",
                pattern={"source": ["valley"], "detail": {"who": [function.name]}},
                enabled=False,
                function=function,
            ),
        )

    return mocks.deploy(program)


def test_function_logs_to_its_own_group_and_leaves_no_event_behind(made: mocks.Recording) -> None:
    function, queue, logs = (
        made.one(FUNCTION),
        made.one("aws:sqs/queue:Queue"),
        made.one("aws:cloudwatch/logGroup:LogGroup"),
    )
    assert (logs.inputs["name"], logs.inputs["retentionInDays"]) == (
        "/batch-reference/test/echo",
        7,
    )
    assert function.inputs["loggingConfig"] == {
        "logFormat": "Text",
        "logGroup": "/batch-reference/test/echo",
    }
    assert function.inputs["deadLetterConfig"] == {"targetArn": queue.outputs["arn"]}
    assert (
        function.inputs["timeout"],
        function.inputs["runtime"],
        function.inputs["architectures"],
    ) == (60, "python3.13", ["arm64"])
    assert function.inputs["environment"] == {
        "variables": {"PIPELINE_STACK": "test", "PIPELINE_TABLE": "metrics"}
    }
    assert (queue.inputs["sqsManagedSseEnabled"], queue.inputs["messageRetentionSeconds"]) == (
        True,
        14 * 86_400,
    )
    delivery = made.one("aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig").inputs
    assert (delivery["maximumEventAgeInSeconds"], delivery["maximumRetryAttempts"]) == (7200, 2)
    # Lambda refuses a dead-letter queue that the role may not write to yet
    assert made.depends_on(function, made.one("aws:iam/rolePolicy:RolePolicy"))


def test_role_may_log_keep_dead_letters_and_what_the_caller_said(made: mocks.Recording) -> None:
    statements = {s["Sid"]: s for s in made.policy(made.one("aws:iam/rolePolicy:RolePolicy"))}
    assert statements.keys() == {"WriteLogs", "KeepDeadLetters", "Speak"}
    assert statements["WriteLogs"]["Resource"] == [
        "arn:aws:logs:us-east-1:123456789012:log-group:/batch-reference/test/echo:log-stream:*"
    ]
    assert statements["KeepDeadLetters"]["Resource"] == [
        made.one("aws:sqs/queue:Queue").outputs["arn"]
    ]
    trust = made.policy(made.one("aws:iam/role:Role"), "assumeRolePolicy")
    assert [s["Principal"] for s in trust] == [{"Service": "lambda.amazonaws.com"}]


def test_trigger_may_call_this_function_and_this_rule_alone_may(made: mocks.Recording) -> None:
    function, queue, rule = (
        made.one(FUNCTION),
        made.one("aws:sqs/queue:Queue"),
        made.one("aws:cloudwatch/eventRule:EventRule"),
    )
    assert rule.inputs["state"] == "DISABLED"
    assert json.loads(rule.inputs["eventPattern"]) == {
        "source": ["valley"],
        "detail": {"who": [function.outputs["name"]]},
    }
    permission = made.one("aws:lambda/permission:Permission")
    assert (permission.inputs["principal"], permission.inputs["sourceArn"]) == (
        "events.amazonaws.com",
        rule.outputs["arn"],
    )
    target = made.one("aws:cloudwatch/eventTarget:EventTarget")
    assert (target.inputs["arn"], target.inputs["rule"]) == (
        function.outputs["arn"],
        rule.outputs["name"],
    )
    assert target.inputs["deadLetterConfig"] == {"arn": queue.outputs["arn"]}
    assert target.inputs["retryPolicy"] == {
        "maximumEventAgeInSeconds": 7200,
        "maximumRetryAttempts": 185,
    }
    policy = made.one("aws:sqs/queuePolicy:QueuePolicy")
    allowed = made.policy(policy)
    assert [(s["Effect"], s["Condition"], s["Principal"]) for s in allowed] == [
        (
            "Allow",
            {"ArnEquals": {"aws:SourceArn": [rule.outputs["arn"]]}},
            {"Service": "events.amazonaws.com"},
        ),
        ("Deny", {"Bool": {"aws:SecureTransport": "false"}}, "*"),
    ]
    # an event that came before them would be lost
    assert made.depends_on(target, permission)
    assert made.depends_on(target, policy)


def test_archive_holds_all_that_the_functions_import_and_no_caches(tmp_path: Path) -> None:
    archive = _code()
    files = {
        name: asset for name, asset in archive.assets.items() if isinstance(asset, pulumi.FileAsset)
    }
    assert {
        "workloads/__init__.py",
        "workloads/contract.py",
        "workloads/metrics.py",
        "workloads/functions/submit.py",
        "workloads/functions/notify.py",
    } <= files.keys()
    assert len(files) == len(archive.assets)
    assert {Path(name).suffix for name in files} == {".py", ".css", ".js"}
    assert not [name for name in files if "__pycache__" in name]
    package = tmp_path / "function.zip"
    with zipfile.ZipFile(package, "w") as written:
        for name, asset in files.items():
            written.write(str(asset.path), name)
    # isolated mode: neither the working directory nor PYTHONPATH help; boto3 is what Lambda's
    # runtime has too
    probe = f"""
import sys
sys.path.insert(0, {str(package)!r})
from workloads import contract
from workloads.functions import notify, submit
assert contract.__file__.startswith({str(package)!r}), contract.__file__
assert callable(submit.handler) and callable(notify.handler)
foreign = {{"pulumi", "numpy", "pyarrow", "jinja2"}} & set(sys.modules)
assert not foreign, foreign
"""
    done = subprocess.run(
        [sys.executable, "-I", "-c", probe],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("stack", STACKS)
def test_no_dead_letter_goes_over_plain_http(stack: str) -> None:
    made = deployed(stack)
    policies = {
        policy.inputs["queueUrl"]: made.policy(policy)
        for policy in made.all("aws:sqs/queuePolicy:QueuePolicy")
    }
    queues = made.all("aws:sqs/queue:Queue")
    assert policies.keys() == {queue.outputs["url"] for queue in queues}
    for statements in policies.values():
        (deny,) = [each for each in statements if each["Effect"] == "Deny"]
        assert (deny["Action"], deny["Principal"], deny["Condition"]) == (
            ["sqs:*"],
            "*",
            {"Bool": {"aws:SecureTransport": "false"}},
        )


@pytest.mark.parametrize("length", [300, 2048, 2049, 20_000])
def test_a_long_setting_travels_with_the_code(context: StackContext, length: int) -> None:
    # of an output counts the longest ARN, whatever it is in the end: a preview does not know it
    def program() -> None:
        value = {"a": "x" * (length - 218), "b": pulumi.Output.from_input("arn:x")}
        _with_setting(context, value)

    text = json.dumps({"a": "x" * (length - 218), "b": "arn:x"})

    function = mocks.deploy(program).one(FUNCTION)
    variable = function.inputs["environment"]["variables"]["PIPELINE_MEASURED"]
    files = function.inputs["code"]["assets"]
    if length <= 2048:
        assert (variable, "workloads/functions/pipeline_measured.json" in files) == (text, False)
    else:
        assert variable == "@pipeline_measured.json"
        assert files["workloads/functions/pipeline_measured.json"]["text"] == text


@pytest.mark.parametrize(("length", "known"), [(300, True), (20_000, False)])
def test_a_preview_knows_the_code_beside_which_no_setting_lies(
    context: StackContext, length: int, known: bool
) -> None:
    def program() -> None:
        queue = aws.sqs.Queue("q")
        _with_setting(context, {"a": "x" * length, "b": queue.arn})

    function = mocks.deploy(program, preview=True).one(FUNCTION)
    assert isinstance(function.inputs["code"], dict) is known


def _with_setting(context: StackContext, value: object) -> None:
    LambdaFunction(
        "f",
        LambdaFunctionArgs(
            context=context,
            description="",
            handler="workloads.functions.measure.handler",
            environment={},
            settings={"PIPELINE_MEASURED": value},
            statements=[],
            timeout_seconds=60,
            event_max_age_hours=2,
            log_retention_days=7,
        ),
    )


def test_patterns_fit_with_the_longest_names() -> None:
    arns = [
        f"arn:aws-us-gov:batch:us-gov-west-1:123456789012:job-queue/{number:0128}"
        for number in range(50)
    ]
    for kind in (
        lambda part: job_state_changes(["SUCCEEDED", "FAILED"], part),
        lambda part: {"resources": list(part)},
    ):
        rules = in_rules("ends", arns, kind)
        assert list(rules) == ["ends", "ends-1", "ends-2", "ends-3", "ends-4"]
        assert max(len(json.dumps(rule, sort_keys=True)) for rule in rules.values()) <= 2048
