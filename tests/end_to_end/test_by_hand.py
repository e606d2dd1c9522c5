"""The commands that `make up` prints work as they stand, with the ordinary aws CLI, in a shell."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from cli.hints import text
from cli.paths import ROOT
from cli.serving import endpoint_of
from tests.end_to_end.conftest import SHARES_THE_STACK, Stack

pytestmark = [pytest.mark.timeout(600), SHARES_THE_STACK, pytest.mark.slow]


def test_the_printed_commands_run_the_pipeline_by_hand(stack: Stack, tmp_path: Path) -> None:
    endpoint = endpoint_of(stack.ready)
    # those for the Pulumi CLI stand last; tests/conformance/test_tutorial.py runs them where it is
    lines = text(endpoint).partition("# your own Pulumi CLI")[0].splitlines()
    wait = (
        "for i in $(seq 300); do s=$(aws batch describe-jobs --jobs $POSTPROCESS --query"
        " 'jobs[0].status' --output text); case $s in SUCCEEDED|FAILED) break;; esac; sleep 1; done"
    )
    position = next(index for index, line in enumerate(lines) if "describe-jobs" in line)
    script = "\n".join([f"cd {ROOT}", *lines[:position], wait, *lines[position:]]).replace(
        " report.html", f" {tmp_path}/report.html"
    )
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}

    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("SUCCEEDED") >= 3
    assert '"nodeIndex": 1' in done.stdout or "#1" in done.stdout, (
        "the nodes of the multi-node job are listed"
    )
    assert done.stdout.count("wind_speed") >= 2, "pandas and polars read the findings"
    assert re.search(r"│ 20260102 │ +100 │", done.stdout), "DuckDB counts them"
    assert re.search(r"│ 23006 ┆ .* ┆ 26116 │", done.stdout), "every row has its line of the file"
    assert "<html" in (tmp_path / "report.html").read_text()[:200].lower()
    assert stack.ready.cloud.denials == []
