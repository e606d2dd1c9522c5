"""Operators' commands on runs: begin one by hand, begin those of many days, replay what a function could not handle.

They ask the deployed functions to do what an event would have asked, so every rule about runs is kept in one place: there is one run for
each version of a file, and one that has ended begins again only where somebody says so.
"""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Final, Self

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from cli import service
from cli.errors import CliError, ExitCode
from cli.paths import ROOT
from workloads import contract, names
from workloads.contract import concerns_uploads
from workloads.functions.dead_letters import DeadLetters, redeliver
from workloads.runtime.quoting import escaped

_CONFIG: Final = Config(retries={"total_max_attempts": 1}, read_timeout=900)
"""A call of a function is made once: a repeated one could begin a run again twice."""
_MOST_DAYS: Final = 366
_HIDDEN_SECONDS: Final = 900
"""How long a dead letter that is being replayed is kept from others: as long as a function may take. What fails is put back at the end."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """A deployed stack: its outputs, and the AWS that it stands in."""

    outputs: Mapping[str, Any]
    endpoint_url: str | None = None
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    """For boto3; empty for the caller's own."""

    @classmethod
    def find(cls, stack: str) -> Self:
        """The rehearsal of `up` where no stack is named, else the stack that the Pulumi CLI knows by the name. Raises CliError."""
        if not stack:
            endpoint = service.running()
            if endpoint is None:
                raise CliError(
                    "nothing is up; start it with `up`, or name a deployed stack with --stack",
                    ExitCode.NOT_RUNNING,
                )
            return cls(
                outputs=endpoint.outputs,
                endpoint_url=endpoint.url,
                credentials=endpoint.credentials,
            )
        command = ["pulumi", "stack", "output", "--json", "--stack", stack]
        try:
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
            return cls(outputs=json.loads(done.stdout))
        except FileNotFoundError:
            raise CliError(
                "there is no pulumi CLI on the PATH, which knows where the stack's functions are",
                ExitCode.USAGE,
            ) from None
        except (subprocess.CalledProcessError, ValueError) as error:
            said = str(getattr(error, "stderr", "") or error).strip()
            raise CliError(
                f"pulumi does not give the outputs of stack {stack}: {said}", ExitCode.USAGE
            ) from error

    def client(self, name: str) -> Any:
        """A boto3 client: with the caller's own credentials on AWS, with the deployer's on the rehearsal."""
        return boto3.client(  # type: ignore[call-overload]
            name,
            endpoint_url=self.endpoint_url,
            region_name=self.outputs["region"],
            config=_CONFIG,
            **self.credentials,
        )

    def invoke(self, function: str, event: Mapping[str, Any]) -> dict[str, Any]:
        """Calls a function and waits for its answer. Raises CliError with what the function raised."""
        reply = self.client("lambda").invoke(
            FunctionName=function, Payload=json.dumps(event).encode()
        )
        answer: dict[str, Any] = json.loads(reply["Payload"].read())
        if "FunctionError" in reply:
            raise CliError(
                f"function {function} failed: {answer.get('errorMessage', answer)}; its log says more",
                ExitCode.RUN_FAILED,
            )
        return answer


def run(console: Console, target: Target, key: str, *, again: bool, first: str = "") -> int:
    """Begins the run of one uploaded object, or an ended one again from a stage on; prints what became of that."""
    if first and (first not in contract.STAGES or not again):
        allowed = ", ".join(contract.STAGES)
        raise CliError(
            f"--from {first}: give one of {allowed}, and --again: what comes before has to be there",
            ExitCode.USAGE,
        )
    with _said():
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
        answer = _begin(
            target, key, found["ETag"], found.get("VersionId"), again=again, first=first
        )
    console.print_json(data=answer)
    return ExitCode.OK if answer["outcome"] in {"submitted", "exists"} else ExitCode.RUN_FAILED


def backfill(console: Console, target: Target, first: str, last: str, *, again: bool) -> int:
    """Begins the runs of all uploads whose folder lies between two dates, both included.

    Prints a line for each object of the folders, also for one that is no upload, and the sums.
    """
    counts: Counter[str] = Counter()
    with _said():
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
    with _said():
        for attempt in redeliver(
            target.client("sqs"), target.client("lambda"), letters, hidden_seconds=_HIDDEN_SECONDS
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


@contextmanager
def _said() -> Iterator[None]:
    """What AWS refuses, as a sentence."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise CliError(f"AWS did not do it: {error}", ExitCode.RUN_FAILED) from error
