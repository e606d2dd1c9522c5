"""Runs in the metrics table: the newest ones by its indexes, and one by whatever a person calls
it.
"""

from __future__ import annotations

import difflib
import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, get_args

from cli.errors import CliError, ExitCode
from cli.target import Target
from workloads import names, operating
from workloads.contract import ContractError, Run, RunState
from workloads.runtime.quoting import escaped

STATES: Final[tuple[str, ...]] = get_args(RunState)
ENDED: Final = frozenset({"SUCCEEDED", "FAILED", "CANCELLED"})
_PAGE: Final = 100
_NEAR: Final = 300
"""Among how many of the newest runs a near match is looked for."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A run as an index holds it."""

    run_id: str
    state: str
    claimed_ms: int
    """When it was begun the last time, milliseconds since 1970; 0 where nobody noted it."""
    item: Mapping[str, Any]
    """All attributes of the index, plain."""

    @property
    def run(self) -> Run:
        """The names that follow from the id."""
        return Run(self.run_id)

    @property
    def key(self) -> str:
        """Of the upload; empty for a run whose jobs somebody submitted by hand."""
        return str((self.item.get("upload") or {}).get("key") or "")

    @property
    def usd(self) -> float | None:
        """What the run cost; None before its end, and where it is not known."""
        value = self.item.get("usd")
        return None if value is None else float(value)


def plain(value: Any) -> Any:
    """DynamoDB's typed value as JSON has it."""
    kind, content = next(iter(value.items()))
    if kind == "M":
        return {name: plain(inner) for name, inner in content.items()}
    if kind in {"L", "SS"}:
        return [plain(inner) if kind == "L" else inner for inner in content]
    if kind == "N":
        return int(content) if content.lstrip("-").isdigit() else float(content)
    return None if kind == "NULL" else content


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
    if prefix or first or last:
        found = [
            entry
            for state in states
            for entry in _by_id(target, state, prefix, first, last)
            if wanted(entry)
        ]
        return sorted(found, key=_age)[:most]
    merged = heapq.merge(*(_by_claim(target, state) for state in states), key=_age)
    return list(islice((entry for entry in merged if wanted(entry)), most))


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


def _age(entry: Entry) -> tuple[int, str]:
    return -entry.claimed_ms, entry.run_id


def _by_claim(target: Target, state: str) -> Iterator[Entry]:
    yield from _query(
        target,
        operating.RUNS_BY_CLAIM,
        KeyConditionExpression="#state = :state",
        ExpressionAttributeNames={"#state": "state"},
        ExpressionAttributeValues={":state": {"S": state}},
    )


def _by_id(target: Target, state: str, prefix: str, first: str, last: str) -> Iterator[Entry]:
    condition = "begins_with(run_id, :from)"
    values = {":state": {"S": state}, ":from": {"S": prefix}}
    if not prefix:
        condition = "run_id BETWEEN :from AND :to"
        # behind the last id of that date, whatever its name
        values |= {":from": {"S": first or "0"}, ":to": {"S": f"{last or '9'}~"}}
    yield from _query(
        target,
        operating.RUNS_BY_ID,
        KeyConditionExpression=f"#state = :state AND {condition}",
        ExpressionAttributeNames={"#state": "state"},
        ExpressionAttributeValues=values,
    )


def _query(target: Target, index: str, **asked: Any) -> Iterator[Entry]:
    client, table = target.client("dynamodb"), target.output("table")
    # a short page first, for a list shows few runs; who wants more gets as much as DynamoDB gives
    # at once
    more: dict[str, Any] = {"Limit": _PAGE}
    while True:
        page = client.query(
            TableName=table, IndexName=index, ScanIndexForward=False, **asked, **more
        )
        for raw in page["Items"]:
            item = {name: plain(value) for name, value in raw.items()}
            # an id that is none was not written by this program, and nothing here could work on it
            try:
                Run(str(item["run_id"]))
            except ContractError:
                continue
            yield Entry(
                run_id=str(item["run_id"]),
                state=str(item["state"]),
                claimed_ms=int(item.get("first_claimed_ms") or 0),
                item=item,
            )
        if "LastEvaluatedKey" not in page:
            return
        more = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
