"""The commands that messages and docs tell: those of our own CLI wherever one does it, and such as
it takes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import typer

from cli.app import app

ROOT: Final = Path(__file__).parents[2]
TELLING: Final = [
    *(ROOT / "docs").glob("*.md"),
    ROOT / "README.md",
    *(ROOT / "workloads" / "functions").glob("*.py"),
    *(ROOT / "components").rglob("*.py"),
    *(ROOT / "cli").rglob("*.py"),
]
OURS: Final = {
    "batch cancel-job": "cancel",
    "batch describe-compute-environments": "doctor",
    "batch describe-jobs": "show",
    "batch list-jobs": "runs",
    "batch submit-job": "retry",
    "batch terminate-job": "cancel",
    "batch update-job-queue": "resume --queue",
    "dynamodb get-item": "show",
    "dynamodb query": "runs",
    "dynamodb scan": "runs",
    "logs filter-log-events": "logs",
    "logs get-log-events": "logs",
    "stepfunctions start-execution": "retry",
    "stepfunctions stop-execution": "cancel",
}
"""What AWS's CLI does that ours does for a run, a job or a queue of the stack."""
NOT_OF_A_RUN: Final = {
    ("notify.py", "logs get-log-events"): "of a job that somebody submitted by hand",
    ("failed.py", "logs get-log-events"): "the same",
    ("jobs.py", "batch terminate-job"): "the same",
    ("queue.py", "batch update-job-queue"): "a queue of another stack",
    ("kinds.py", "batch update-job-queue"): "a step before its deletion",
    ("kinds.py", "batch terminate-job"): "of a stack that is gone, and its outputs too",
    ("hints.py", ""): "`make up` shows that every AWS client works",
    ("bring-your-own.md", ""): "about work of your own beside the pipeline",
    ("pulumi-cli.md", ""): "about the aws and pulumi CLIs",
}


def told(path: Path) -> str:
    """The text with its line breaks undone, those between parts of a Python string too."""
    text = re.sub(r"[\"']\s*\n\s*f?r?[\"']", "", path.read_text(encoding="utf-8"))
    return re.sub(r"\s+", " ", text)


@pytest.mark.parametrize("path", TELLING, ids=lambda path: path.name)
def test_what_ours_does_is_not_left_to_the_aws_cli(path: Path) -> None:
    raw = {" ".join(found) for found in re.findall(r"\baws ([a-z0-9-]+) ([a-z0-9-]+)", told(path))}
    excused = {what for name, what in NOT_OF_A_RUN if name == path.name}
    if "" not in excused:
        assert {what: OURS[what] for what in raw & OURS.keys() - excused} == {}


def _commands(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Name and options of each command of ours that a text tells."""
    placeholder = r"[A-Z<{][\w<>{}/.'-]*"
    for name, rest in re.findall(
        rf"\bbatchref ([a-z][a-z-]+)((?: (?:--[a-z-]+|{placeholder}))*)", told(path)
    ):
        yield name, re.findall(r"--[a-z-]+", rest)


@cache
def _known() -> Any:
    """Our commands by name."""
    command: Any = typer.main.get_command(app)
    return command.commands


PROSE: Final = {"is", "finds"}
"""Words after the name of our command that speak of it."""


@pytest.mark.parametrize("path", TELLING, ids=lambda path: path.name)
def test_what_is_told_of_ours_is_taken(path: Path) -> None:
    for name, options in _commands(path):
        assert name in {*_known(), *PROSE}, f"{path.name} tells `batchref {name}`"
        if name in PROSE:
            continue
        takes = {each for parameter in _known()[name].params for each in parameter.opts}
        assert set(options) <= takes, f"{path.name} tells `batchref {name} {' '.join(options)}`"
