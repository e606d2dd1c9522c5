"""The tutorial of docs/operating.md: its commands, run as they stand, against the AWS API of a
deployed stack.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from cli.paths import ROOT, SAMPLE
from cli.serving import endpoint_of
from tests.end_to_end.conftest import SHARES_THE_STACK, Stack
from tests.support.operator import Operator, at_terminal

pytestmark = [pytest.mark.timeout(900), SHARES_THE_STACK, pytest.mark.slow]

PATIENCE_SECONDS = 180
ROWS = 3000
LOOKS = {"runs", "show", "why", "logs"}
"""Commands that may be given again until they show what is waited for."""


def lines() -> Iterator[tuple[list[str], str]]:
    """Words of each command, and what it has to show."""
    section = (ROOT / "docs" / "operating.md").read_text().split("## A night")[1].split("\n## ")[0]
    for block in re.findall(r"```shell\n(.*?)```", section, re.DOTALL):
        for line in block.splitlines():
            command, _, expected = line.partition("# ->")
            yield shlex.split(command), expected.strip()


def test_the_commands_of_the_tutorial_do_what_it_says(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batchref = at_terminal(stack.ready, tmp_path, monkeypatch)
    monkeypatch.chdir(tmp_path)
    with next(SAMPLE.glob("*.csv")).open() as sample:
        (tmp_path / "sales.csv").write_text("".join(islice(sample, ROWS)))
    endpoint, outputs = endpoint_of(stack.ready), stack.ready.outputs
    known = {
        "INGEST": str(outputs["ingest_bucket"]),
        "NODES": str(outputs["environments"]["nodes"]),
    }
    credentials = {
        "AWS_ENDPOINT_URL": endpoint.url,
        "AWS_DEFAULT_REGION": str(outputs["region"]),
        "AWS_ACCESS_KEY_ID": endpoint.access_key,
        "AWS_SECRET_ACCESS_KEY": endpoint.secret,
    }
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **credentials}
    for name, value in known.items():
        monkeypatch.setenv(name, value)

    given = 0
    for words, expected in lines():
        program, *arguments = [os.path.expandvars(word) for word in words]
        if program == "aws":
            subprocess.run([program, *arguments], env=environment, check=True, timeout=60)
        else:
            _shows(batchref, arguments, expected)
        given += 1
    assert given >= 20
    assert "<html" in (tmp_path / "report.html").read_text()[:200].lower()
    assert (tmp_path / "remote.csv").read_text().startswith('"run_id","rank","line"')
    assert stack.ready.cloud.denials == []


def _shows(batchref: Operator, arguments: list[str], expected: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        said = batchref(*arguments)
        text = " ".join(said.text.split())
        if expected in text and said.code == 0:
            return
        # `why` ends with 5 where somebody has to do something, which is what it is asked for
        if expected in text and arguments[0] == "why":
            return
        assert arguments[0] in LOOKS, f"{arguments}: {said}"
        assert time.monotonic() < deadline, f"{arguments} does not show {expected!r}: {said}"
        time.sleep(1)
