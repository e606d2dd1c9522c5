"""`drift` of a stack that the Pulumi CLI deployed, with a CLI that answers as it is told; of the
rehearsal see test_deployed.py.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]
import pytest
from rich.console import Console

from cli import service
from cli.doctor import drift
from cli.errors import CliError, ExitCode
from cli.schema import document_schema

PREVIEW = {
    "steps": [
        {"op": "same", "urn": "urn:pulumi:p::b::aws:s3/bucketV2:BucketV2::ingest"},
        {
            "op": "update",
            "urn": "urn:pulumi:p::b::x:Y$aws:batch/jobQueue:JobQueue::main",
            "detailedDiff": {"priority": {"kind": "update"}},
            "diffReasons": ["priority", "state"],
        },
        {"op": "create-replacement", "urn": "urn:pulumi:p::b::aws:sns/topic:Topic::alarms"},
        {"op": "replace", "urn": "urn:pulumi:p::b::aws:sns/topic:Topic::alarms"},
        {"op": "create", "urn": "urn:pulumi:p::b::aws:sqs/queue:Queue::letters"},
    ]
}


@pytest.fixture
def pulumi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], None]:
    """A pulumi CLI that prints and ends as it is told."""

    def answers(text: str, code: int) -> None:
        (tmp_path / "answer").write_text(text)
        program = tmp_path / "pulumi"
        program.write_text(f"#!/bin/sh\ncat {tmp_path / 'answer'}\nexit {code}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    return answers


def test_drift_names_what_differs(
    pulumi: Callable[[str, int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    pulumi(json.dumps(PREVIEW), 0)
    console = Console(file=io.StringIO(), width=200)
    assert drift.show(console, "prod", as_json=False) == ExitCode.NOT_READY
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "main (aws:batch/jobQueue:JobQueue) differs: priority, state" in text
    assert "3 differences" in text
    drift.show(console, "prod", as_json=True)
    document = json.loads(capsys.readouterr().out)
    jsonschema.validate(document, document_schema("drift"))
    found = document["differences"]
    assert [each["operation"] for each in found] == ["update", "replace", "create"]


def test_no_drift_is_said(pulumi: Callable[[str, int], None]) -> None:
    pulumi(json.dumps({"steps": PREVIEW["steps"][:1]}), 0)
    assert drift.show(Console(file=io.StringIO()), "prod", as_json=False) == ExitCode.OK


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("error: no stack named 'prod' found", 255),
        (json.dumps({"diagnostics": [{"severity": "error", "message": "expired token"}]}), 255),
    ],
)
def test_what_pulumi_refuses_is_one_sentence(
    pulumi: Callable[[str, int], None], answer: str, code: int
) -> None:
    pulumi(answer, code)
    with pytest.raises(CliError, match=r"no stack named|expired token"):
        drift.show(Console(file=io.StringIO()), "prod", as_json=False)


def test_drift_without_a_stack_needs_the_rehearsal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "ENDPOINT", tmp_path / "none.json")
    with pytest.raises(CliError, match="nothing is up; start it with `up`"):
        drift.show(Console(file=io.StringIO()), "", as_json=False)
