"""`retry`: begins an ended run again, at the first stage whose result is not there or not valid any
more.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from cli import runs_index, submitting
from cli.documents import Retried
from cli.errors import CliError, ExitCode
from cli.frame import print_json, say
from cli.runs_index import ENDED
from cli.target import Target
from workloads.contract import STAGES, Run

_WHOLE: Final = "nothing of the former attempt is used again"


@dataclass(frozen=True, kw_only=True)
class Found:
    """What earlier attempts of a run left."""

    manifest_at: str | None
    """When the cleaned table was written, ISO 8601; None where there is none."""
    analysed_at: str | None
    """When the analysis of that very table was completed; None where it was not."""

    @property
    def first(self) -> str:
        """The first stage whose result is missing."""
        if self.manifest_at is None:
            return "preprocess"
        return "analysis" if self.analysed_at is None else "postprocess"

    def used(self, first: str) -> str:
        """What is used again by a run that begins at a stage, as a clause."""
        if first == "preprocess":
            return _WHOLE
        table = f"the cleaned table of {self.manifest_at}"
        if first == "analysis":
            return f"{table} and finished parts of the analysis are used again"
        return f"{table} and the analysis of {self.analysed_at} are used again"


def retry(target: Target, name: str, *, first: str, as_json: bool) -> int:
    """Begins the run again and says what it uses again.

    Raises CliError where it cannot begin there.
    """
    if first and first not in STAGES:
        raise CliError(f"--from {first}: give one of {', '.join(STAGES)}", ExitCode.USAGE)
    entry = runs_index.find(target, name)
    item = runs_index.state_item(target, entry.run)
    if item.get("state") not in ENDED:
        raise CliError(
            f"run {entry.run_id} is {item.get('state')}; it can begin again when it has ended "
            f"(`{target.command(f'cancel {entry.run_id}')}` ends it)",
            ExitCode.RUN_FAILED,
        )
    upload = item.get("upload") or {}
    if not upload.get("key"):
        raise CliError(
            f"run {entry.run_id} has no upload: its jobs were submitted by hand, and only that"
            " begins them again",
            ExitCode.RUN_FAILED,
        )
    found = look(target, entry.run)
    begin_at = first or _choose(item, found)
    _check(target, entry.run, upload, found, begin_at)
    answer = submitting.begin(
        target,
        str(upload["key"]),
        str(upload["etag"]),
        version_id=upload.get("version_id") or None,
        again=True,
        first=begin_at,
    )
    attempt = int(item.get("attempt") or 1) + 1
    document: Retried = {
        "run_id": entry.run_id,
        "outcome": str(answer["outcome"]),
        "attempt": attempt,
        "first": begin_at,
        "uses": found.used(begin_at),
    }
    if as_json:
        print_json(document)
    elif answer["outcome"] == "submitted":
        say(
            f"run {entry.run_id} begins again at {begin_at} (attempt {attempt}):"
            f" {found.used(begin_at)}"
        )
        say(f"see it: batchref show {entry.run_id} --watch")
    elif answer["outcome"] == "paused":
        say(f"the pipeline is paused: `{target.command('resume')}` first; nothing was begun")
    else:
        say(f"run {entry.run_id}: {answer['outcome']}; somebody else has begun it meanwhile")
    return ExitCode.OK if answer["outcome"] == "submitted" else ExitCode.RUN_FAILED


def look(target: Target, run: Run) -> Found:
    """What is there of the run's results."""
    client = target.client("s3")
    intermediate, results = target.output("intermediate_bucket"), target.output("results_bucket")
    manifest = submitting.head(target, intermediate, run.manifest_key)
    success = submitting.head(target, results, run.success_key)
    analysed = None
    if manifest is not None and success is not None:
        body = client.get_object(Bucket=intermediate, Key=run.manifest_key)["Body"].read()
        done = json.loads(client.get_object(Bucket=results, Key=run.success_key)["Body"].read())
        # an analysis counts for the table that it read, and for no other
        if done.get("manifest_sha256") == hashlib.sha256(body).hexdigest():
            analysed = _moment(success)
    return Found(manifest_at=None if manifest is None else _moment(manifest), analysed_at=analysed)


def _moment(head: Mapping[str, Any]) -> str:
    return str(head["LastModified"].isoformat(timespec="seconds"))


def _choose(item: Mapping[str, Any], found: Found) -> str:
    """A run that succeeded is wanted anew as a whole; of others nothing is done twice, but for the
    stage that failed.
    """
    if item.get("state") == "SUCCEEDED":
        return "preprocess"
    failed = str((item.get("failure") or {}).get("stage") or "")
    stages = [found.first, *([failed] if failed in STAGES else [])]
    return min(stages, key=STAGES.index)


def _check(
    target: Target, run: Run, upload: Mapping[str, Any], found: Found, begin_at: str
) -> None:
    """Raises CliError where what the first stage reads is not there."""
    if begin_at == "preprocess":
        version = {"VersionId": upload["version_id"]} if upload.get("version_id") else {}
        if submitting.head(target, str(upload["bucket"]), str(upload["key"]), **version) is None:
            raise CliError(
                f"the file of run {run.run_id}, s3://{upload['bucket']}/{upload['key']}, is not"
                " there any more; upload it again",
                ExitCode.NOT_FOUND,
            )
    elif STAGES.index(begin_at) > STAGES.index(found.first):
        raise CliError(
            f"--from {begin_at}: what {found.first} makes is not there or is of another table;"
            f" begin at {found.first}",
            ExitCode.RUN_FAILED,
        )
