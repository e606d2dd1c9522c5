"""Operators' commands on runs: begin one by hand, begin those of many days, replay what a function could not handle.

They ask the deployed functions to do what an event would have asked, so every rule about runs is kept in one place: there is one run for
each version of a file, and one that has ended begins again only where somebody says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any, Final

from botocore.exceptions import ClientError
from rich.console import Console

from cli.errors import CliError, ExitCode
from cli.target import Target
from workloads import contract, names
from workloads.contract import concerns_uploads
from workloads.functions.dead_letters import DeadLetters, redeliver
from workloads.runtime.quoting import escaped

_MOST_DAYS: Final = 366
_HIDDEN_SECONDS: Final = 900
"""How long a dead letter that is being replayed is kept from others: as long as a function may take. What fails is put back at the end."""


def run(console: Console, target: Target, key: str, *, again: bool, first: str = "") -> int:
    """Begins the run of one uploaded object, or an ended one again from a stage on; prints what became of that."""
    if first and (first not in contract.STAGES or not again):
        allowed = ", ".join(contract.STAGES)
        raise CliError(
            f"--from {first}: give one of {allowed}, and --again: what comes before has to be there",
            ExitCode.USAGE,
        )
    client, bucket = target.client("s3"), target.outputs["ingest_bucket"]
    try:
        found = client.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"404", "NoSuchKey"}:
            raise
        raise CliError(
            f"there is no object s3://{bucket}/{key}; upload it, which begins the run by itself",
            ExitCode.USAGE,
        ) from error
    answer = _begin(target, key, found["ETag"], found.get("VersionId"), again=again, first=first)
    console.print_json(data=answer)
    return ExitCode.OK if answer["outcome"] in {"submitted", "exists"} else ExitCode.RUN_FAILED


def backfill(console: Console, target: Target, first: str, last: str, *, again: bool) -> int:
    """Begins the runs of all uploads whose folder lies between two dates, both included.

    Prints a line for each object of the folders, also for one that is no upload, and the sums.
    """
    counts: Counter[str] = Counter()
    for key, etag in _uploads(target, _day("--from", first), _day("--to", last)):
        fault = names.fault_of(key)
        answer = (
            {"outcome": "ignored", "reason": fault}
            if fault
            else _begin(target, key, etag, None, again=again)
        )
        counts[answer["outcome"]] += 1
        line = f"{answer['outcome']:<10} {key} {answer.get('run_id', answer.get('reason', ''))}"
        console.print(escaped(line), highlight=False, markup=False, emoji=False, soft_wrap=True)
    sums = (
        ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
        or "no uploads in these days"
    )
    console.print(escaped(sums), markup=False, emoji=False)
    return (
        ExitCode.OK
        if not counts.keys() - {"submitted", "exists", "ignored"}
        else ExitCode.RUN_FAILED
    )


def replay(console: Console, target: Target, function: str) -> int:
    """Gives a function its dead letters again, each once; what fails stays in the queue, and is an exit code."""
    queues = target.outputs["dead_letter_queues"]
    if function not in queues:
        raise CliError(
            f"there is no function {function}; the stack has {', '.join(sorted(queues))}",
            ExitCode.USAGE,
        )
    letters = DeadLetters(queue_url=queues[function]["url"], function=queues[function]["function"])
    done = failed = 0
    for attempt in redeliver(
        target.client("sqs"),
        target.client("lambda", once=True),
        letters,
        hidden_seconds=_HIDDEN_SECONDS,
    ):
        done, failed = done + attempt.handled, failed + (not attempt.handled)
        said = (
            attempt.said
            if attempt.handled
            else f"failed again: {attempt.said}; the log of {letters.function} says more"
        )
        console.print(said, highlight=False, markup=False, emoji=False, soft_wrap=True)
    console.print(
        f"{done} handled, {failed} failed again" if done + failed else "no dead letters",
        markup=False,
        emoji=False,
    )
    return ExitCode.RUN_FAILED if failed else ExitCode.OK


def _begin(
    target: Target, key: str, etag: str, version_id: str | None, *, again: bool, first: str = ""
) -> dict[str, Any]:
    found = {
        "key": key,
        "etag": etag.strip('"'),
        **({"version-id": version_id} if version_id else {}),
    }
    detail = {
        "bucket": {"name": target.outputs["ingest_bucket"]},
        "object": found,
        "again": again,
        **({"from": first} if first else {}),
    }
    return target.invoke(target.outputs["submit_function"], {"detail": detail})


def _uploads(target: Target, first: date, last: date) -> Iterator[tuple[str, str]]:
    """Key and ETag of every object in the folders of some days, oldest day first; folder markers are none."""
    days = (last - first).days + 1
    if not 1 <= days <= _MOST_DAYS:
        raise CliError(
            f"--from {first} and --to {last} are {days} days; give 1 to {_MOST_DAYS}, the earlier one first",
            ExitCode.USAGE,
        )
    pages = target.client("s3").get_paginator("list_objects_v2")
    for day in range(days):
        prefix = f"{names.UPLOAD_PREFIX}{first + timedelta(days=day):%Y%m%d}/"
        for page in pages.paginate(Bucket=target.outputs["ingest_bucket"], Prefix=prefix):
            for found in page.get("Contents", []):
                if concerns_uploads(found["Key"]):
                    yield found["Key"], found["ETag"]


def _day(option: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise CliError(
            f"{option} is {text!r}; write a date, for example 2026-01-31", ExitCode.USAGE
        ) from None
