"""Operators' commands against a stack in memory: each outcome of the documentation, and exit codes."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from rich.console import Console

from cli import operate, service
from cli.errors import CliError, ExitCode, of_aws
from cli.target import Target
from localcloud.cloud import LocalCloud

FUNCTION = """
def handler(event, context):
    detail = event["detail"]
    if detail["object"]["key"].endswith("broken.csv"):
        raise RuntimeError("planted")
    return {"outcome": "submitted" if detail.get("again") else "exists", "run_id": detail["object"]["key"]}
"""


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A bucket, a queue, and a function that answers as the submit function does."""
    directory = tmp_path_factory.mktemp("cloud")
    image = directory / "image"
    image.mkdir()
    (image / "submit.py").write_text(FUNCTION)
    with LocalCloud(directory / "cloud", images={"*submit*": image}) as cloud:
        trust = {
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "lambda.amazonaws.com"},
                    "Action": "sts:AssumeRole",
                }
            ]
        }
        role = cloud.client("iam").create_role(
            RoleName="r", AssumeRolePolicyDocument=json.dumps(trust)
        )["Role"]["Arn"]
        cloud.client("lambda").create_function(
            FunctionName="submit",
            Role=role,
            PackageType="Image",
            Code={"ImageUri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/submit:1"},
            ImageConfig={"Command": ["submit.handler"]},
        )
        cloud.client("s3").create_bucket(Bucket="ingest")
        for key in (
            "data/20260101/a.csv",
            "data/20260102/b.csv",
            "data/20260102/notes.txt",
            "data/20260105/c.csv",
        ):
            cloud.client("s3").put_object(Bucket="ingest", Key=key, Body=b"x")
        url = cloud.client("sqs").create_queue(QueueName="dead")["QueueUrl"]
        outputs = {
            "region": cloud.region,
            "ingest_bucket": "ingest",
            "submit_function": "submit",
            "dead_letter_queues": {"submit": {"url": url, "function": "submit"}},
        }
        yield Target(
            outputs=outputs, endpoint_url=cloud.endpoint_url, credentials=cloud.deployer.credentials
        )


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=200)


def _text(console: Console) -> str:
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def test_a_run_is_begun_by_hand(target: Target, console: Console) -> None:
    assert operate.run(console, target, "data/20260101/a.csv", again=True) == ExitCode.OK
    assert json.loads(_text(console)) == {"outcome": "submitted", "run_id": "data/20260101/a.csv"}
    with pytest.raises(CliError, match="there is no object s3://ingest/data/20260101/none"):
        operate.run(console, target, "data/20260101/none.csv", again=False)


def test_a_backfill_begins_the_uploads_of_its_days_and_no_others(
    target: Target, console: Console
) -> None:
    assert operate.backfill(console, target, "2026-01-01", "2026-01-04", again=False) == ExitCode.OK
    lines = _text(console).splitlines()
    assert [line.split()[:2] for line in lines[:-1]] == [
        ["exists", "data/20260101/a.csv"],
        ["exists", "data/20260102/b.csv"],
        ["ignored", "data/20260102/notes.txt"],
    ]
    assert "does not end with .csv" in lines[2]
    assert lines[-1] == "2 exists, 1 ignored"


@pytest.mark.parametrize(
    ("first", "last", "says"),
    [
        ("2026-01-05", "2026-01-04", "0 days"),
        ("2024-01-01", "2026-01-01", "732 days"),
        ("yesterday", "2026-01-01", "--from is 'yesterday'"),
    ],
)
def test_days_that_make_no_range_are_refused(
    target: Target, console: Console, first: str, last: str, says: str
) -> None:
    with pytest.raises(CliError, match=says) as raised:
        operate.backfill(console, target, first, last, again=False)
    assert raised.value.code == ExitCode.USAGE


def test_dead_letters_that_are_handled_go_and_others_stay(target: Target, console: Console) -> None:
    sqs: Any = target.client("sqs")
    url = target.outputs["dead_letter_queues"]["submit"]["url"]
    for key in ("data/20260101/a.csv", "data/20260101/broken.csv", "data/20260102/b.csv"):
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"detail": {"object": {"key": key}}}))

    assert operate.replay(console, target, "submit") == ExitCode.RUN_FAILED

    text = _text(console)
    assert "2 handled, 1 failed again" in text
    assert "planted" in text
    left = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
    assert left["Attributes"] == {"ApproximateNumberOfMessages": "1"}, "whoever looks finds it"
    assert operate.replay(console, target, "submit") == ExitCode.RUN_FAILED
    sqs.purge_queue(QueueUrl=url)
    assert operate.replay(console, target, "submit") == ExitCode.OK


def test_what_is_not_there_is_said(
    target: Target, console: Console, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(CliError, match="the stack has submit"):
        operate.replay(console, target, "guard")
    monkeypatch.setattr(service, "running", lambda: None)
    with pytest.raises(CliError) as raised:
        Target.find("")
    assert raised.value.code == ExitCode.NOT_RUNNING
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CliError, match="no pulumi CLI"):
        Target.find("prod")
    gone = replace(target, outputs={**target.outputs, "submit_function": "gone"})
    with pytest.raises(ClientError) as refused:
        operate.run(console, gone, "data/20260101/a.csv", again=False)
    said = of_aws(refused.value)
    assert said is not None
    assert str(said).startswith("AWS refused Invoke (ResourceNotFoundException): ")
    assert said.code == ExitCode.AWS_REFUSED
