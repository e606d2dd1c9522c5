"""Lambda functions as processes: result, error, timeout, log, role, retries and destinations, warm
workers.
"""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError

from localcloud.services.function_process import FunctionProcess
from tests.localcloud.conftest import ACCOUNT, Stage, until

LAMBDA = "lambda.amazonaws.com"
LOGS = {
    "Action": ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
    "Resource": f"arn:aws:logs:us-east-1:{ACCOUNT}:*",
}


def package(code: str, **more: str) -> bytes:
    """`app.main`, and more modules by name."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("app/main.py", code)
        for name, text in more.items():
            archive.writestr(f"{name}.py", text)
    return buffer.getvalue()


def make(stage: Stage, code: str, *statements: dict[str, Any], **more: Any) -> str:
    name = stage.name("function")
    role = stage.role(LAMBDA, LOGS, *statements)
    stage.client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.12",
        Role=role,
        **{
            "Timeout": 10,
            "Handler": "app.main.handle",
            "Code": {"ZipFile": package(code)},
            **more,
        },
    )
    return name


def invoke(
    stage: Stage, name: str, event: object = None, **more: Any
) -> tuple[Any, dict[str, Any]]:
    answer = stage.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event), **more)
    text = answer["Payload"].read()
    return (json.loads(text) if text else None), answer


def messages(stage: Stage, group: str) -> list[str]:
    logs = stage.client("logs")
    streams = logs.describe_log_streams(logGroupName=group)["logStreams"]
    return [message for each in streams for message in stage.log(each["logStreamName"], group)]


def test_result_environment_log_and_warm_worker(stage: Stage) -> None:
    code = (
        "import os\nprint('cold')\ncount = 0\ndef handle(event, context):\n    global count; count"
        " += 1\n    print('event', event['n'])\n    return {'n': event['n'] + 1, 'count': count,"
        " 'pid': os.getpid(), 'name': context.function_name,\n            'left':"
        " context.get_remaining_time_in_millis(), 'env': dict(os.environ)}\n"
    )
    name = make(stage, code, Environment={"Variables": {"SETTING": "1"}})
    first, answer = invoke(stage, name, {"n": 1}, LogType="Tail")
    second, _ = invoke(stage, name, {"n": 2})
    assert (first["n"], first["count"], second["count"], second["name"]) == (2, 1, 2, name)
    assert first["pid"] == second["pid"] != os.getpid()
    assert 0 < first["left"] <= 10_000
    environment = first["env"]
    assert environment["SETTING"] == "1"
    assert environment["AWS_LAMBDA_FUNCTION_NAME"] == name
    assert environment["AWS_ENDPOINT_URL"] == stage.cloud.endpoint_url
    assert environment["AWS_ACCESS_KEY_ID"].startswith("ASIA")
    tail = base64.b64decode(answer["LogResult"]).decode().splitlines()
    assert tail[0].startswith("START RequestId: ")
    assert "event 1" in tail
    assert tail[-1].startswith("REPORT RequestId: ")
    logged = until(
        lambda: (found := messages(stage, f"/aws/lambda/{name}")) and "event 2" in found and found
    )
    assert logged.count("cold") == 1
    assert "FunctionError" not in answer
    stage.client("lambda").update_function_configuration(
        FunctionName=name, Environment={"Variables": {"SETTING": "2"}}
    )
    third, _ = invoke(stage, name, {"n": 1})
    assert (third["env"]["SETTING"], third["count"]) == ("2", 1)


def test_errors_timeouts_and_exits(stage: Stage) -> None:
    code = (
        "import os, time\n"
        "def handle(event, context):\n"
        "    if event == 'raise': raise ValueError('bad thing')\n"
        "    if event == 'sleep': time.sleep(30)\n"
        "    if event == 'exit': os._exit(3)\n"
        "    return event\n"
    )
    name = make(stage, code, Timeout=1)
    result, answer = invoke(stage, name, "raise")
    assert answer["FunctionError"] == "Unhandled"
    assert (result["errorType"], result["errorMessage"]) == ("ValueError", "bad thing")
    assert "app/main.py" in result["stackTrace"][-1]
    result, answer = invoke(stage, name, "sleep")
    assert "Task timed out after 1.00 seconds" in result["errorMessage"]
    result, answer = invoke(stage, name, "exit")
    assert result["errorType"] == "Runtime.ExitError"
    assert result["errorMessage"].endswith("exit status 3")
    assert invoke(stage, name, "still works")[0] == "still works"
    with pytest.raises(ClientError, match="Function not found"):
        invoke(stage, "nothing")


def test_import_errors_are_answers(stage: Stage) -> None:
    result, answer = invoke(stage, make(stage, "import not_there\n"))
    assert (answer["FunctionError"], result["errorType"]) == ("Unhandled", "ModuleNotFoundError")


def test_runs_under_its_role(stage: Stage) -> None:
    stage.client("s3").create_bucket(Bucket="of-functions")
    stage.client("s3").put_object(Bucket="of-functions", Key="a", Body=b"1")
    code = (
        "import boto3\ndef handle(event, context):\n    return"
        " boto3.client('s3').get_object(Bucket='of-functions', Key=event)['Body'].read().decode()\n"
    )
    name = make(stage, code, {"Action": "s3:GetObject", "Resource": "arn:aws:s3:::of-functions/a"})
    assert invoke(stage, name, "a")[0] == "1"
    result, _ = invoke(stage, name, "b")
    assert "s3:GetObject on resource: arn:aws:s3:::of-functions/b" in result["errorMessage"]
    assert stage.cloud.denials[-1].action == "s3:GetObject"


def test_asynchronous_invocations_are_retried_then_go_to_queue_and_destination(
    stage: Stage,
) -> None:
    sqs = stage.client("sqs")
    urls = {
        kind: sqs.create_queue(QueueName=stage.name(kind))["QueueUrl"]
        for kind in ("dead", "failure")
    }
    arns = {
        kind: sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"][
            "QueueArn"
        ]
        for kind, url in urls.items()
    }
    send = {"Action": "sqs:SendMessage", "Resource": list(arns.values())}
    name = make(
        stage,
        "def handle(event, context):\n    print('try')\n    raise RuntimeError('no')\n",
        send,
        DeadLetterConfig={"TargetArn": arns["dead"]},
    )
    client = stage.client("lambda")
    client.put_function_event_invoke_config(
        FunctionName=name, DestinationConfig={"OnFailure": {"Destination": arns["failure"]}}
    )
    assert client.get_function_configuration(FunctionName=name)["DeadLetterConfig"] == {
        "TargetArn": arns["dead"]
    }
    _, answer = invoke(stage, name, {"a": 1}, InvocationType="Event")
    assert answer["StatusCode"] == 202
    record = json.loads(
        until(lambda: sqs.receive_message(QueueUrl=urls["failure"]).get("Messages"))[0]["Body"]
    )
    assert record["requestContext"]["approximateInvokeCount"] == 3
    assert record["responsePayload"]["errorMessage"] == "no"
    dead = until(lambda: sqs.receive_message(QueueUrl=urls["dead"]).get("Messages"))
    assert json.loads(dead[0]["Body"]) == {"a": 1}
    assert messages(stage, f"/aws/lambda/{name}").count("try") == 3


def test_log_group_of_choice_and_silence_without_permission(stage: Stage) -> None:
    stage.client("logs").create_log_group(logGroupName="/chosen")
    name = make(
        stage, "def handle(event, context): print('here')\n", LoggingConfig={"LogGroup": "/chosen"}
    )
    invoke(stage, name)
    until(lambda: "here" in messages(stage, "/chosen"))


def test_concurrent_invocations_do_not_wait_for_each_other(stage: Stage) -> None:
    name = make(
        stage,
        "import os, time\ndef handle(event, context):\n    time.sleep(0.4)\n    return"
        " os.getpid()\n",
    )
    with ThreadPoolExecutor(4) as pool:
        pids = list(pool.map(lambda _: invoke(stage, name)[0], range(4)))
    assert len(set(pids)) > 1
    assert all(psutil.pid_exists(pid) for pid in pids)


def test_what_is_under_way_is_counted_until_its_last_try_has_ended(stage: Stage) -> None:
    name = make(stage, "def handle(event, context):\n    print('tried')\n    raise ValueError\n")
    stage.client("lambda").invoke(FunctionName=name, InvocationType="Event", Payload=b"{}")
    assert not stage.cloud.pending.settle(0.0)
    assert stage.cloud.pending.settle(60)
    assert messages(stage, f"/aws/lambda/{name}").count("tried") == 3


SEEN = """
import os, sys, time
def handle(event, context):
    import boto3
    kept = {name: value for name, value in os.environ.items() if name.startswith("SETTING")}
    return {"env": kept, "optimize": sys.flags.optimize, "boto3": boto3.__file__, "cwd": os.getcwd(),
            "path": [folder for folder in sys.path if "localcloud" in folder],
            "encoding": sys.stdout.encoding, "hour": time.strftime("%H", time.gmtime(0)),
            "zone": time.localtime(0).tm_hour}
"""


def test_a_function_finds_python_as_if_it_had_been_started_for_it(stage: Stage) -> None:
    one = make(stage, SEEN, Environment={"Variables": {"SETTING_A": "1", "TZ": "Asia/Tokyo"}})
    other = make(
        stage,
        SEEN,
        Environment={"Variables": {"SETTING_B": "2", "PYTHONOPTIMIZE": "1", "LANG": "C"}},
    )
    first, second = invoke(stage, one)[0], invoke(stage, other)[0]
    assert (first["env"], second["env"]) == ({"SETTING_A": "1"}, {"SETTING_B": "2"})
    assert (first["optimize"], second["optimize"]) == (0, 1), "what Python reads at its start"
    assert (first["zone"], second["zone"]) == (9, 0)
    assert first["path"] == second["path"] == [], "modules of this AWS can be imported"
    assert first["boto3"] == second["boto3"]


@pytest.mark.parametrize("name", ["six", "json", "scheduler", "functions"])
def test_a_package_may_have_modules_of_any_name(stage: Stage, name: str) -> None:
    """Of libraries that are loaded, of the standard library, of the AWS in memory."""
    module = "mine = 'of the package'\ndef dumps(it): return '1'\ndef loads(it): return it\n"
    code = f"import {name}\ndef handle(event, context): return getattr({name}, 'mine', 'other')\n"
    function = make(stage, "", Code={"ZipFile": package(code, **{name: module})})
    # the runtime itself has loaded json, on Lambda too
    assert invoke(stage, function)[0] == ("other" if name == "json" else "of the package")


def test_modules_of_one_function_are_not_those_of_another(stage: Stage) -> None:
    code = "count = 0\ndef handle(event, context):\n    global count; count += 1\n    return '{} %d' % count\n"
    names = [make(stage, code.format(letter)) for letter in "ab"]
    assert [invoke(stage, name)[0] for name in (*names, *names)] == ["a 1", "b 1", "a 2", "b 2"]


def test_several_may_wait_for_the_end_of_one_process(tmp_path: Path) -> None:
    """Who invokes a function, and who ends the cloud meanwhile."""
    (tmp_path / "main.py").write_text("def handle(event, context): pass\n")
    process = FunctionProcess(
        handler="main.handle", code=tmp_path, environment={"PYTHONPATH": str(tmp_path)}
    )
    assert process.exit_code is None
    with ThreadPoolExecutor(4) as pool:
        waits = [pool.submit(wait) for wait in (process.wait, process.wait, process.kill)]
        for each in waits:
            each.result(30)
    assert process.exit_code == -signal.SIGKILL


def test_functions_go_on_where_the_process_that_forks_them_was_killed(stage: Stage) -> None:
    name = make(stage, "import os\ndef handle(event, context): return os.getpid()\n")
    before = invoke(stage, name)[0]
    server = psutil.Process(before).parent()
    assert server is not None
    assert server.ppid() == os.getpid()
    server.kill()
    server.wait()
    after = invoke(stage, name)[0]
    assert psutil.Process(after).ppid() not in {server.pid, os.getpid()}
    until(lambda: not psutil.pid_exists(before))
