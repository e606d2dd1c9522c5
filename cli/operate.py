"""`run`, `backfill` and `replay`: begin a run by hand, begin those of many days, replay what a
function could not handle.

They ask the deployed functions to do what an event would have asked, so every rule about runs is
kept in one place: there is one run for each version of a file, and one that has ended begins again
only where somebody says so.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from rich.console import Console

from cli import runs_index, submitting
from cli.documents import Backfilled, Begun, Planned, Replayed
from cli.errors import CliError, ExitCode
from cli.frame import print_json, say
from cli.runs_index import ENDED, Entry
from cli.target import Target
from workloads import formats, names
from workloads.contract import Upload, concerns_uploads
from workloads.functions.dead_letters import DeadLetters, redeliver
from workloads.runtime.quoting import escaped

_MOST_DAYS: Final = 366
_HIDDEN_SECONDS: Final = 900
"""How long a dead letter that is being replayed is kept from others: as long as a function may
take.

What fails is put back at the end.
"""
_SAMPLE: Final = 200
"""Of so many of the newest successful runs the price of one to come is the median."""


def run(target: Target, key: str, *, as_json: bool) -> int:
    """Begins the run of one uploaded object; prints what became of that."""
    key = key.removeprefix(f"s3://{target.output('ingest_bucket')}/")
    found = submitting.uploaded(target, key)
    answer = submitting.begin(target, key, found["ETag"], version_id=found.get("VersionId"))
    begun = _begun(key, answer)
    if as_json:
        print_json(begun)
    elif begun["outcome"] == "exists":
        again = target.command(f"retry {begun['run_id']}")
        say(f"exists     {begun['run_id']} is {answer.get('state')}; `{again}` begins it again")
    else:
        say(_line(begun))
    return ExitCode.OK if begun["outcome"] in submitting.DONE else ExitCode.RUN_FAILED


def backfill(
    console: Console,
    target: Target,
    first: str,
    last: str,
    *,
    again: bool,
    yes: bool,
    as_json: bool,
) -> int:
    """Says what would begin and what it would cost, then begins it where that is wanted.

    Args:
        console: standard output.
        target: the stack.
        first: first day, as a person writes it.
        last: last day, included.
        again: whether runs that have ended begin again.
        yes: begin without a question; a program, and whoever has no terminal, is not asked.
        as_json: print one document in the end.
    """
    plan = list(_plan(target, day("--from", first), day("--to", last), again=again))
    wanted = [each for each in plan if each.begins]
    price = _price(target, wanted)
    if not as_json:
        _show_plan(plan, wanted, price)
    begun: list[Begun] = []
    if wanted and (yes or (not as_json and _agreed(console, len(wanted)))):
        for each in wanted:
            answer = submitting.begin(target, each.key, each.etag, again=each.state in ENDED)
            begun.append(_begun(each.key, answer))
            if not as_json:
                say(_line(begun[-1]))
        counts = Counter(each["outcome"] for each in begun)
        if not as_json:
            say(", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items())))
    if as_json:
        document: Backfilled = {
            "plan": [each.document() for each in plan],
            "usd": price,
            "begun": begun,
        }
        print_json(document)
    failed = any(each["outcome"] not in submitting.DONE for each in begun)
    return ExitCode.RUN_FAILED if failed else ExitCode.OK


def replay(target: Target, function: str, *, as_json: bool) -> int:
    """Gives a function its dead letters again, each once; what fails stays in the queue, and is an
    exit code.
    """
    queues = target.output("dead_letter_queues")
    if function not in queues:
        raise CliError(
            f"there is no function {function}; the stack has {', '.join(sorted(queues))}",
            ExitCode.NOT_FOUND,
        )
    letters = DeadLetters(queue_url=queues[function]["url"], function=queues[function]["function"])
    document: Replayed = {"function": function, "handled": [], "failed": []}
    functions = target.client("lambda", once=True)
    for attempt in redeliver(
        target.client("sqs"), functions, letters, hidden_seconds=_HIDDEN_SECONDS
    ):
        document["handled" if attempt.handled else "failed"].append(attempt.said)
        if not as_json:
            failed = f"failed again: {attempt.said}; the log of {letters.function} says more"
            say(escaped(attempt.said if attempt.handled else failed))
    handled, failures = len(document["handled"]), len(document["failed"])
    if as_json:
        print_json(document)
    elif handled + failures:
        say(f"{handled} handled, {failures} failed again")
    else:
        say("no dead letters")
    return ExitCode.RUN_FAILED if failures else ExitCode.OK


def day(option: str, text: str) -> date:
    """A date that a person wrote. Raises CliError."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise CliError(
            f"{option} is {text!r}; write a date, for example 2026-01-31", ExitCode.USAGE
        ) from None


@dataclass(frozen=True, kw_only=True)
class _Planned:
    """An object in one of the folders, and what becomes of it."""

    key: str
    etag: str
    run_id: str
    """Empty where the object is no upload."""
    state: str
    """Of its run; empty where it has none."""
    begins: bool
    why: str
    """Why it does not begin; empty where it does."""

    def document(self) -> Planned:
        """As a program gets it."""
        return {
            "key": self.key,
            "run_id": self.run_id or None,
            "state": self.state or None,
            "begins": self.begins,
            "why": self.why or None,
        }


def _plan(target: Target, first: date, last: date, *, again: bool) -> Iterator[_Planned]:
    found = list(_uploads(target, first, last))
    known = {
        entry.run_id: entry
        for entry in runs_index.newest(target, first=f"{first:%Y%m%d}", last=f"{last:%Y%m%d}")
    }
    for key, etag in found:
        fault = names.fault_of(key)
        if fault:
            yield _Planned(key=key, etag=etag, run_id="", state="", begins=False, why=fault)
            continue
        upload = Upload(bucket=target.output("ingest_bucket"), key=key, etag=etag)
        entry = known.get(upload.run_id)
        state = entry.state if entry is not None else ""
        begins = entry is None or (again and state in ENDED)
        more = "; --again begins it again" if state in ENDED else ""
        yield _Planned(
            key=key,
            etag=etag,
            run_id=upload.run_id,
            state=state,
            begins=begins,
            why="" if begins else f"its run is {state}{more}",
        )


def _uploads(target: Target, first: date, last: date) -> Iterator[tuple[str, str]]:
    """Key and ETag of every object in the folders of some days, oldest day first; folder markers
    are none.
    """
    days = (last - first).days + 1
    if not 1 <= days <= _MOST_DAYS:
        raise CliError(
            f"--from {first} and --to {last} are {days} days; give 1 to {_MOST_DAYS}, the earlier"
            " one first",
            ExitCode.USAGE,
        )
    pages = target.client("s3").get_paginator("list_objects_v2")
    for offset in range(days):
        prefix = f"{names.UPLOAD_PREFIX}{first + timedelta(days=offset):%Y%m%d}/"
        for page in pages.paginate(Bucket=target.output("ingest_bucket"), Prefix=prefix):
            for found in page.get("Contents", []):
                if concerns_uploads(found["Key"]):
                    yield found["Key"], found["ETag"]


def _price(target: Target, wanted: list[_Planned]) -> float | None:
    """Sum over the runs of what one of the data set cost so far, the median; of any data set where
    it has none. None: not known.
    """
    if not wanted:
        return 0.0
    done = [
        entry
        for entry in runs_index.newest(target, states=["SUCCEEDED"], most=_SAMPLE)
        if entry.usd is not None
    ]
    if not done:
        return None
    of_all = statistics.median(_usd(entry) for entry in done)
    by_dataset: dict[str, list[float]] = {}
    for entry in done:
        by_dataset.setdefault(entry.run.dataset, []).append(_usd(entry))
    datasets = (names.dataset_of(names.title(each.key)) for each in wanted)
    return sum(
        statistics.median(by_dataset[dataset]) if dataset in by_dataset else of_all
        for dataset in datasets
    )


def _usd(entry: Entry) -> float:
    return entry.usd or 0.0


def _show_plan(plan: list[_Planned], wanted: list[_Planned], price: float | None) -> None:
    for each in plan:
        what = "begins" if each.begins else "stays"
        say(escaped(f"{what:<7} {each.key} {each.run_id or ''} {each.why}".rstrip()))
    if not plan:
        say("no uploads in these days")
    elif not wanted:
        say("nothing begins")
    else:
        cost = (
            "not known, for no run has succeeded yet"
            if price is None
            else f"about {formats.dollars(price)}, by the median of past runs"
        )
        say(f"{len(wanted)} of {len(plan)} begin; cost: {cost}")


def _agreed(console: Console, count: int) -> bool:
    if not console.is_terminal:
        raise CliError(f"nothing was begun: say --yes to begin these {count} runs", ExitCode.USAGE)
    return console.input(f"begin {count} runs? [y/N] ").strip().lower() in {"y", "yes"}


def _begun(key: str, answer: Mapping[str, Any]) -> Begun:
    return {
        "key": key,
        "outcome": str(answer["outcome"]),
        "run_id": answer.get("run_id"),
        "reason": answer.get("reason"),
    }


def _line(begun: Begun) -> str:
    more = begun["run_id"] or begun["reason"] or ""
    return escaped(f"{begun['outcome']:<10} {begun['key']} {more}".rstrip())
