"""The command `why`: finds what is meant, asks AWS, says it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Final

from botocore.exceptions import ClientError
from rich.console import Console
from rich.text import Text

from cli import runs_index
from cli.check import hanging
from cli.errors import CliError, ExitCode
from cli.frame import print_json
from cli.target import Target
from cli.why.account import Account
from cli.why.jobs import job_diagnosis, queue_diagnosis
from cli.why.model import Diagnosis
from cli.why.runs import run_diagnosis
from workloads.contract import ContractError, Run, Upload
from workloads.runtime.quoting import escaped

_JOB: Final = re.compile(
    r"(?:arn:aws[\w-]*:batch:[^"
    r" ]*:job/)?(?P<id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?:[:#]\d+)?)"
)
_MARKS: Final = {
    "blocks": ("✘", "bold red"),
    "suspect": ("?", "yellow"),
    "waits": ("…", "yellow"),
    "later": ("!", "yellow"),
}


def run(console: Console, target: Target, word: str, *, as_json: bool) -> ExitCode:
    """Finds what a word names, and prints why it is where it is.

    Raises CliError where there is nothing of that name.
    """
    account = Account(
        client=target.client, outputs=target.outputs, now=time.time, stack=target.stack
    )
    return show(
        console, diagnose(account, word, lambda name: run_of(target, name)), as_json=as_json
    )


def diagnose(account: Account, word: str, run_named: Callable[[str], Run]) -> Diagnosis:
    """The diagnosis of what a word names: a job by its id or ARN, a queue by its name, a run.

    Raises CliError where there is nothing of that name.
    """
    job = _JOB.fullmatch(word)
    if job is not None:
        found = account.listed("batch", "describe_jobs", "jobs", jobs=[job["id"]])
        if not found:
            seen = f" ({'; '.join(account.unseen)})" if account.unseen else ""
            raise CliError(
                f"AWS Batch knows no job {job['id']}{seen}; it forgets jobs some days "
                "after their end",
                ExitCode.NOT_FOUND,
            )
        return job_diagnosis(account, found[0])
    name = (account.outputs.get("queues") or {}).get(word, word)
    queues = account.listed("batch", "describe_job_queues", "jobQueues")
    for queue in queues:
        if name in {queue["jobQueueName"], queue["jobQueueArn"]}:
            return queue_diagnosis(account, queue)
    return run_diagnosis(account, run_named(word))


def run_of(target: Target, word: str) -> Run:
    """The run that a word names, also one that has not begun: by its id, or by its upload.

    Raises CliError where it names none.
    """
    try:
        return runs_index.find(target, word).run
    except CliError as error:
        if error.code != ExitCode.NOT_FOUND:
            raise
        try:
            return Run(word)
        except ContractError:
            uploaded = _uploaded(target, word)
            if uploaded is None:
                raise error from None
            return uploaded


def _uploaded(target: Target, key: str) -> Run | None:
    """The run that an object of the ingest bucket would be; None where there is none, or it is no
    upload.
    """
    bucket = str(target.output("ingest_bucket"))
    try:
        found = target.client("s3").head_object(Bucket=bucket, Key=key)
        return Run(Upload(bucket=bucket, key=key, etag=found["ETag"]).run_id)
    except (ClientError, ContractError):
        return None


def show(console: Console, diagnosis: Diagnosis, *, as_json: bool) -> ExitCode:
    """Prints a diagnosis; NOT_READY where somebody has to do something."""
    if as_json:
        print_json({**asdict(diagnosis), "stuck": diagnosis.is_stuck})
    else:
        _print(console, diagnosis)
    return ExitCode.NOT_READY if diagnosis.is_stuck else ExitCode.OK


def _print(console: Console, diagnosis: Diagnosis) -> None:
    console.print(
        Text.assemble((escaped(diagnosis.subject), "bold"), f"  {diagnosis.state}"), soft_wrap=True
    )
    hanging(console, "verdict", escaped(diagnosis.verdict))
    for cause in diagnosis.causes:
        mark, style = _MARKS[cause.weight]
        console.print()
        hanging(
            console, cause.weight, f"{escaped(cause.what)} [{cause.code}]", mark=Text(mark, style)
        )
        if cause.setting:
            numbers = f": has {escaped(cause.found)}" if cause.found else ""
            numbers += f", needs {escaped(cause.needed)}" if cause.needed else ""
            hanging(console, "setting", f"{cause.setting}{numbers}")
        hanging(console, "fix", escaped(cause.fix))
    if diagnosis.log:
        console.print()
        for line in diagnosis.log:
            hanging(console, "log", escaped(line))
        hanging(console, "more", diagnosis.log_command)
    if diagnosis.seen or diagnosis.unseen:
        console.print()
    for sentence in diagnosis.seen:
        hanging(console, "seen", escaped(sentence), mark=Text("✔", "green"))
    for sentence in diagnosis.unseen:
        hanging(console, "not seen", escaped(sentence), mark=Text("!", "yellow"))
