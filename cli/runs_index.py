"""Runs in the metrics table: the newest ones by its indexes, and one by whatever a person calls
it.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, Final

from cli.errors import CliError, ExitCode
from cli.target import Target
from workloads import names
from workloads.contract import Run
from workloads.run_index import ENDED, STATES, Entry, RunIndex, age, plain
from workloads.runtime.quoting import escaped

__all__ = ["ENDED", "STATES", "Entry", "find", "newest", "plain", "state_item"]

_NEAR: Final = 300
"""Among how many of the newest runs a near match is looked for."""


def newest(
    target: Target,
    *,
    states: Sequence[str] = STATES,
    prefix: str = "",
    first: str = "",
    last: str = "",
    wanted: Callable[[Entry], bool] = lambda _: True,
    most: int | None = None,
) -> list[Entry]:
    """Runs, those begun last first.

    Args:
        target: the stack.
        states: of the runs.
        prefix: beginning of the run id.
        first: first date of the runs' folders, YYYYMMDD; empty for any.
        last: last date, included.
        wanted: which of them to take.
        most: how many to return.
    """
    index = _index(target)
    if prefix or first or last:
        found = index.by_id(states, prefix=prefix, first=first, last=last)
        return sorted(filter(wanted, found), key=age)[:most]
    return list(islice(filter(wanted, index.by_claim(states)), most))


def find(target: Target, name: str) -> Entry:
    """The run that a person means.

    Args:
        target: the stack.
        name: a run id or the beginning of one, `last`, the key of an upload or its s3:// address.

    Raises:
        CliError: no run or more than one is meant so; the sentence names near ones.
    """
    if name == "last":
        found = newest(target, most=1)
        if not found:
            raise CliError("there is no run yet; an upload begins one", ExitCode.NOT_FOUND)
        return found[0]
    if "/" in name:
        return _by_key(target, name)
    if not name:
        raise CliError("say which run: an id, the beginning of one, or `last`", ExitCode.USAGE)
    found = newest(target, prefix=name)
    if len(found) > 1 and all(entry.run_id != name for entry in found):
        some = ", ".join(entry.run_id for entry in found[:4])
        more = f" and {len(found) - 4} more" if len(found) > 4 else ""
        raise CliError(f"{name} is the beginning of {some}{more}; write more of it", ExitCode.USAGE)
    if not found:
        raise CliError(f"there is no run {escaped(name)}{_near(target, name)}", ExitCode.NOT_FOUND)
    return next((entry for entry in found if entry.run_id == name), found[0])


def state_item(target: Target, run: Run) -> dict[str, Any]:
    """The state item of a run, plain; empty where there is none."""
    key = {name: {"S": value} for name, value in run.state_key.items()}
    found = target.client("dynamodb").get_item(
        TableName=target.output("table"), Key=key, ConsistentRead=True
    )
    return {name: plain(value) for name, value in found.get("Item", {}).items()}


def _by_key(target: Target, name: str) -> Entry:
    bucket = target.output("ingest_bucket")
    key = name.removeprefix(f"s3://{bucket}/")
    fault = names.fault_of(key)
    if fault:
        raise CliError(f"{name} is not the key of an upload: {fault}", ExitCode.USAGE)
    prefix = f"{key.split('/')[1]}-{names.dataset_of(names.title(key))}-"
    found = newest(target, prefix=prefix, wanted=lambda entry: entry.key == key, most=1)
    if not found:
        raise CliError(
            f"no run of {key}{_near(target, prefix)}; `{target.command(f'run {key}')}` begins one",
            ExitCode.NOT_FOUND,
        )
    return found[0]


def _near(target: Target, name: str) -> str:
    ids = [entry.run_id for entry in newest(target, most=_NEAR)]
    # half an id is near to the ids that look like it so far
    near = difflib.get_close_matches(name, ids, n=3, cutoff=0.6) or [
        run_id for run_id in ids if name and name in run_id
    ]
    if near:
        return f"; near to it: {', '.join(near[:3])}"
    return f"; the newest is {ids[0]}" if ids else "; there is none yet"


def _index(target: Target) -> RunIndex:
    return RunIndex(client=target.client("dynamodb"), table=target.output("table"))
