"""Runs as the indexes of the metrics table hold them, read a page at a time.

What the operator's commands and the page of runs (workloads.page) begin with. An index follows the
table by moments (DynamoDB developer guide, "Using global secondary indexes": eventual consistency),
and a run whose state changes leaves one partition of it before it is seen in the other: who has to
know reads the state item itself.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, get_args

from workloads import operating
from workloads.contract import ContractError, Run, RunState

STATES: Final[tuple[str, ...]] = get_args(RunState)
ENDED: Final = frozenset({"SUCCEEDED", "FAILED", "CANCELLED"})
_PAGE: Final = 100


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


def entry_of(raw: Mapping[str, Any]) -> Entry | None:
    """The run of a state item or of what an index holds of it, typed as DynamoDB has it; None for
    an id that is none: this program did not write it, and nothing here could work on it.
    """
    item = {name: plain(value) for name, value in raw.items()}
    try:
        Run(str(item["run_id"]))
    except (ContractError, KeyError):
        return None
    return Entry(
        run_id=str(item["run_id"]),
        state=str(item["state"]),
        claimed_ms=int(item.get("first_claimed_ms") or 0),
        item=item,
    )


@dataclass(frozen=True, kw_only=True)
class RunIndex:
    """The indexes of one metrics table."""

    client: Any
    """Of DynamoDB, as botocore makes it."""
    table: str

    def by_claim(self, states: Sequence[str] = STATES, *, at_first: int = _PAGE) -> Iterator[Entry]:
        """Runs in these states, those begun last first; reads little more than is taken.

        Args:
            states: of the runs.
            at_first: how many are read of each state before anybody asks for more.
        """
        return heapq.merge(
            *(
                self._query(
                    operating.RUNS_BY_CLAIM,
                    at_first,
                    KeyConditionExpression="#state = :state",
                    ExpressionAttributeNames={"#state": "state"},
                    ExpressionAttributeValues={":state": {"S": state}},
                )
                for state in states
            ),
            key=age,
        )

    def by_id(
        self,
        states: Sequence[str] = STATES,
        *,
        prefix: str = "",
        first: str = "",
        last: str = "",
        at_first: int = _PAGE,
    ) -> Iterator[Entry]:
        """Runs in these states, the last id first; reads little more than is taken.

        Args:
            states: of the runs.
            prefix: beginning of the run id; dates count only without one.
            first: first date of the runs' folders, YYYYMMDD; empty for any.
            last: last date, included.
            at_first: how many are read of each state before anybody asks for more.
        """
        condition = "begins_with(run_id, :from)"
        bounds = {":from": {"S": prefix}}
        if not prefix:
            condition = "run_id BETWEEN :from AND :to"
            # behind the last id of that date, whatever its name
            bounds = {":from": {"S": first or "0"}, ":to": {"S": f"{last or '9'}~"}}
        return heapq.merge(
            *(
                self._query(
                    operating.RUNS_BY_ID,
                    at_first,
                    KeyConditionExpression=f"#state = :state AND {condition}",
                    ExpressionAttributeNames={"#state": "state"},
                    ExpressionAttributeValues={":state": {"S": state}, **bounds},
                )
                for state in states
            ),
            key=lambda entry: entry.run_id,
            reverse=True,
        )

    def _query(self, index: str, at_first: int, **asked: Any) -> Iterator[Entry]:
        # who wants more than at first gets as much as DynamoDB gives at once
        more: dict[str, Any] = {"Limit": at_first}
        while True:
            page = self.client.query(
                TableName=self.table, IndexName=index, ScanIndexForward=False, **asked, **more
            )
            for raw in page["Items"]:
                entry = entry_of(raw)
                if entry is not None:
                    yield entry
            if "LastEvaluatedKey" not in page:
                return
            more = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


def age(entry: Entry) -> tuple[int, str]:
    """Sorts runs, those begun last first."""
    return -entry.claimed_ms, entry.run_id
