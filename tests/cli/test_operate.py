"""Operators' commands against a stack in memory: each outcome of the documentation, and exit
codes.
"""

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
from tests.support.metrics_table import put_run, table
from workloads.contract import Upload

TABLE = table("runs")
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
        cloud.client("dynamodb").create_table(**TABLE)
        url = cloud.client("sqs").create_queue(QueueName="dead")["QueueUrl"]
        outputs = {
            "region": cloud.region,
            "ingest_bucket": "ingest",
            "table": TABLE["TableName"],
            "submit_function": "submit",
            "dead_letter_queues": {"submit": {"url": url, "function": "submit"}},
        }
        yield Target(
            outputs=outputs, endpoint_url=cloud.endpoint_url, credentials=cloud.deployer.credentials
        )


def test_a_run_is_begun_by_hand(target: Target, capsys: pytest.CaptureFixture[str]) -> None:
    assert operate.run(target, "data/20260101/a.csv", as_json=True) == ExitCode.OK
    assert json.loads(capsys.readouterr().out) == {
        "key": "data/20260101/a.csv",
        "outcome": "exists",
        "run_id": "data/20260101/a.csv",
        "reason": None,
    }
    assert operate.run(target, "s3://ingest/data/20260101/a.csv", as_json=False) == ExitCode.OK
    assert "`batchref retry data/20260101/a.csv` begins it again" in capsys.readouterr().out
    with pytest.raises(
        CliError, match=r"no object s3://ingest/data/20260101/none.*holds .*a.csv"
    ) as e:
        operate.run(target, "data/20260101/none.csv", as_json=False)
    assert e.value.code == ExitCode.NOT_FOUND


def test_a_backfill_says_its_plan_and_its_price_before_it_begins_anything(
    target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    console = Console(file=io.StringIO(), width=200)
    days = "2026-01-01", "2026-01-04"
    _put_runs(target)
    with pytest.raises(CliError, match="say --yes to begin these 1 runs"):
        operate.backfill(console, target, *days, again=False, yes=False, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[:-1]] == [
        ["stays", "data/20260101/a.csv"],
        ["begins", "data/20260102/b.csv"],
        ["stays", "data/20260102/notes.txt"],
    ]
    assert "its run is SUCCEEDED; --again begins it again" in lines[0]
    assert "does not end with .csv" in lines[2]
    assert lines[-1] == "1 of 3 begin; cost: about $3.00, by the median of past runs"

    arguments: dict[str, Any] = {"yes": True, "as_json": True}
    assert operate.backfill(console, target, *days, again=True, **arguments) == ExitCode.OK
    found = json.loads(capsys.readouterr().out)
    assert [each["outcome"] for each in found["begun"]] == ["submitted", "exists"]
    assert found["usd"] == 6.0
    assert operate.backfill(console, target, *days, again=True, yes=False, as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["begun"] == [], "a program gets the plan alone"


def _put_runs(target: Target) -> None:
    """A run of a.csv that cost three dollars."""
    etag = target.client("s3").head_object(Bucket="ingest", Key="data/20260101/a.csv")["ETag"]
    upload = Upload(bucket="ingest", key="data/20260101/a.csv", etag=etag)
    put_run(target, upload.run_id, "SUCCEEDED", first_claimed_ms={"N": "1"}, usd={"N": "3"})


@pytest.mark.parametrize(
    ("first", "last", "says"),
    [
        ("2026-01-05", "2026-01-04", "0 days"),
        ("2024-01-01", "2026-01-01", "732 days"),
        ("yesterday", "2026-01-01", "--from is 'yesterday'"),
    ],
)
def test_days_that_make_no_range_are_refused(
    target: Target, first: str, last: str, says: str
) -> None:
    with pytest.raises(CliError, match=says) as raised:
        operate.backfill(Console(), target, first, last, again=False, yes=True, as_json=False)
    assert raised.value.code == ExitCode.USAGE


def test_dead_letters_that_are_handled_go_and_others_stay(
    target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    sqs: Any = target.client("sqs")
    url = target.outputs["dead_letter_queues"]["submit"]["url"]
    for key in ("data/20260101/a.csv", "data/20260101/broken.csv", "data/20260102/b.csv"):
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"detail": {"object": {"key": key}}}))

    assert operate.replay(target, "submit", as_json=False) == ExitCode.RUN_FAILED

    text = capsys.readouterr().out
    assert "2 handled, 1 failed again" in text
    assert "planted" in text
    left = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
    assert left["Attributes"] == {"ApproximateNumberOfMessages": "1"}, "whoever looks finds it"
    assert operate.replay(target, "submit", as_json=False) == ExitCode.RUN_FAILED
    sqs.purge_queue(QueueUrl=url)
    assert operate.replay(target, "submit", as_json=False) == ExitCode.OK


def test_what_is_not_there_is_said(
    target: Target, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(CliError, match="the stack has submit"):
        operate.replay(target, "guard", as_json=False)
    monkeypatch.setattr(service, "running", lambda: None)
    with pytest.raises(CliError) as raised:
        Target.find("")
    assert raised.value.code == ExitCode.NOT_RUNNING
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CliError, match="no pulumi CLI"):
        Target.find("prod")
    gone = replace(target, outputs={**target.outputs, "submit_function": "gone"})
    with pytest.raises(ClientError) as refused:
        operate.run(gone, "data/20260101/a.csv", as_json=False)
    said = of_aws(refused.value)
    assert said is not None
    assert str(said).startswith("AWS refused Invoke (ResourceNotFoundException): ")
    assert said.code == ExitCode.AWS_REFUSED
