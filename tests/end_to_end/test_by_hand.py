"""The commands that `make up` prints work as they stand, with the ordinary aws CLI, in a shell."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from pathlib import Path

import pytest

from cli.hints import text
from cli.paths import ROOT
from cli.serving import endpoint_of
from tests.end_to_end.conftest import SHARES_THE_STACK, Stack
from tests.localcloud.conftest import until

pytestmark = [pytest.mark.timeout(600), SHARES_THE_STACK, pytest.mark.slow]


def _answer(stack: Stack, asks: Path, told: Path) -> None:
    """Tells the end of the job that the script asks for."""
    batch, job = stack.ready.client("batch"), asks.read_text().strip()

    def end() -> str | None:
        status = str(batch.describe_jobs(jobs=[job])["jobs"][0]["status"])
        return status if status in {"SUCCEEDED", "FAILED"} else None

    try:
        until(end, seconds=300)
    finally:
        told.write_text("ended\n")


def test_the_printed_commands_run_the_pipeline_by_hand(stack: Stack, tmp_path: Path) -> None:
    endpoint = endpoint_of(stack.ready)
    # those for the Pulumi CLI stand last; tests/conformance/test_tutorial.py runs them where it is
    lines = text(endpoint).partition("# your own Pulumi CLI")[0].splitlines()
    # every look of the aws CLI takes most of a second of a processor: the test waits by itself
    asks, told = tmp_path / "asks", tmp_path / "told"
    os.mkfifo(asks)
    os.mkfifo(told)
    wait = f"echo $POSTPROCESS >{asks}; cat {told} >/dev/null"
    position = next(index for index, line in enumerate(lines) if "describe-jobs" in line)
    script = "\n".join([f"cd {ROOT}", *lines[:position], wait, *lines[position:]]).replace(
        " report.html", f" {tmp_path}/report.html"
    )
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}

    threading.Thread(target=_answer, args=(stack, asks, told), daemon=True).start()
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
