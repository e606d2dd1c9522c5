"""`demo`: one CSV through the whole system, start to finish."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.text import Text

from cli import show
from cli.errors import CliError, ExitCode
from cli.follow import RunNotStartedError, follow
from cli.live import watch
from cli.paths import SAMPLE, STATE
from cli.rehearsal import Rehearsal, rehearsal
from cli.upload import check_csv, upload
from workloads.contract import Run
from workloads.runtime.quoting import escaped

DIRECTORY = STATE / "demo"
_SLACK_SECONDS = 5.0


def demo(
    console: Console, csv: Path | None, stack: str, engine: Literal["own", "pulumi"]
) -> ExitCode:
    """Deploys the stack, uploads the file, follows the run, shows what it found.

    Returns OK or RUN_FAILED; raises CliError where it cannot get that far.
    """
    path = check_csv(csv) if csv else next(SAMPLE.glob("*.csv"))
    began = time.monotonic()
    step = _Steps(console)
    with rehearsal(stack, DIRECTORY / "files", engine=engine, say=step.next) as ready:
        step.done(f"{ready.resources} resources")
        sent = upload(ready.client("s3"), str(ready.outputs["ingest_bucket"]), path)
        run = Run(sent.run_id)
        uploaded = f"✔ uploaded {path.name} as s3://{sent.bucket}/{sent.key}"
        console.print(escaped(uploaded), highlight=False, markup=False, emoji=False)
        console.print(f"  run {run.run_id}", highlight=False, markup=False, emoji=False)
        try:
            statuses = follow(
                ready.client("dynamodb"), ready.client("batch"), str(ready.outputs["table"]), run
            )
            last = watch(console, statuses)
        except RunNotStartedError as error:
            raise CliError(str(error), ExitCode.RUN_FAILED) from error
        _wait_for_slack(ready)
        if last.state == "SUCCEEDED":
            _show_findings(console, ready, run)
        else:
            show.failure(console, last)
        show.slack(console, ready.cloud.slack.messages)
        show.denials(console, ready.cloud.denials)
    console.print(f"\nall of it in {time.monotonic() - began:.1f} s", highlight=False)
    console.print(
        "This AWS has ended. `make up` keeps one: there the commands of a message work, as"
        " .venv/bin/batchref.",
        style="dim",
        highlight=False,
        markup=False,
    )
    return ExitCode.OK if last.state == "SUCCEEDED" else ExitCode.RUN_FAILED


def _show_findings(console: Console, ready: Rehearsal, run: Run) -> None:
    bucket, s3 = str(ready.outputs["results_bucket"]), ready.client("s3")

    def fetch(key: str) -> Any:
        return s3.get_object(Bucket=bucket, Key=key)["Body"].read()

    report = DIRECTORY / "report.html"
    report.write_bytes(fetch(run.report_key))
    summary = DIRECTORY / "summary.json"
    summary.write_bytes(fetch(run.summary_key))
    show.findings(console, summary.read_bytes())
    console.print(
        f"\nreport   {report}\nsummary  {summary}",
        highlight=False,
        soft_wrap=True,
        markup=False,
        emoji=False,
    )


def _wait_for_slack(ready: Rehearsal) -> None:
    """The message about a failed run is sent by a function after the state has changed."""
    deadline = time.monotonic() + _SLACK_SECONDS
    while not ready.cloud.slack.messages and time.monotonic() < deadline:
        time.sleep(0.1)


class _Steps:
    """Lines for the steps before the run, each ticked off with its seconds when the next begins."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._step = ""
        self._began = 0.0

    def next(self, step: str) -> None:
        self.done()
        self._step, self._began = step, time.monotonic()

    def done(self, note: str = "") -> None:
        if self._step:
            seconds = time.monotonic() - self._began
            took = f"{seconds:.1f} s{f', {note}' if note else ''}"
            self._console.print(Text.assemble(f"✔ {self._step}  ", (took, "dim")))
        self._step = ""
