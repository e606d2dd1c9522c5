"""From the metrics table to the rows of a page, reading little: what a page holds already of a run
that has not changed is taken over.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from workloads.contract import Run
from workloads.page.rows import Row, row_of
from workloads.run_index import Entry, RunIndex, entry_of, plain

NEWEST: Final = 300
"""Runs of the first page: most of a year of one daily file, and 400 KB of HTML."""
OF_MONTH: Final = 1000
"""Runs of the page of a month."""
_KEYS_AT_ONCE: Final = 100
"""BatchGetItem takes no more (API reference)."""
_ATTEMPTS: Final = 6


class BusyTableError(Exception):
    """DynamoDB gave less than what was asked for, again and again."""


@dataclass(frozen=True, kw_only=True)
class Pages:
    """The runs of one metrics table, by page."""

    index: RunIndex

    def look(self) -> Look:
        """The runs that the index shows now, the NEWEST at most."""
        return Look(pages=self, entries=list(islice(self.index.by_claim(at_first=NEWEST), NEWEST)))

    def months(self) -> list[str]:
        """The months that have runs, YYYYMM, the last first; asks once for each of them."""
        found: list[str] = []
        last = ""
        while True:
            entry = next(self.index.by_id(last=last, at_first=1), None)
            if entry is None:
                return found
            month = entry.run_id[:6]
            if found and month >= found[-1]:  # an index that does not hold its order
                return found
            found.append(month)
            last = f"{month}00"

    def rows(
        self,
        entries: Sequence[Entry],
        known: Mapping[str, Row],
        own: Run | None,
        belongs: Callable[[Row], bool],
    ) -> list[Row]:
        """The rows of some runs in no order.

        Args:
            entries: what the index shows of them.
            known: rows that an earlier writer of the page knew.
            own: a run whose state is read from the table itself, because it has just changed.
            belongs: whether a row that the index does not show is of the page.
        """
        listed = {entry.run_id for entry in entries}
        # what a page holds and the index does not show is between two states at this moment, or was
        # deleted: the table itself knows
        unsure = {run_id for run_id, row in known.items() if run_id not in listed and belongs(row)}
        asked = sorted(unsure | ({own.run_id} if own is not None else set()))
        sure = {entry.run_id: entry for entry in self._states(asked)}
        found = {row.run_id: row for row in map(row_of, entries) if row is not None}
        for run_id, row in found.items():
            if run_id in known and run_id not in sure:
                found[run_id] = _later(row, known[run_id])
        found |= {row.run_id: row for row in map(row_of, sure.values()) if row is not None}
        return list(self._with_figures(found.values(), known))

    def _with_figures(self, rows: Iterable[Row], known: Mapping[str, Row]) -> Iterator[Row]:
        rows = list(rows)
        fresh: list[Row] = []
        for row in rows:
            before = known.get(row.run_id)
            if before is not None and before.version == row.version:
                yield row.figures_of(before)
            elif row.succeeded:
                fresh.append(row)
            else:
                yield row
        keys = [row.run.summary_item_key for row in fresh]
        names = {"#table": "table", "#drift": "drift", "#pk": "pk", "#sk": "sk"}
        summaries = {
            item["sk"]: item
            for raw in self._items(
                keys, ProjectionExpression=", ".join(names), ExpressionAttributeNames=names
            )
            for item in ({name: plain(value) for name, value in raw.items()},)
        }
        for row in fresh:
            yield row.described(summaries.get(row.run.summary_item_key["sk"]))

    def _states(self, run_ids: Sequence[str]) -> Iterator[Entry]:
        """The state items themselves, of the runs that have one."""
        keys = [Run(run_id).state_key for run_id in run_ids]
        for raw in self._items(keys, ConsistentRead=True):
            entry = entry_of(raw)
            if entry is not None:
                yield entry

    def _items(self, keys: Sequence[Mapping[str, str]], **more: Any) -> Iterator[Mapping[str, Any]]:
        """Items by their keys, typed as DynamoDB has them. Raises BusyTableError."""
        for start in range(0, len(keys), _KEYS_AT_ONCE):
            some = keys[start : start + _KEYS_AT_ONCE]
            typed = [{name: {"S": value} for name, value in key.items()} for key in some]
            asked: Any = {self.index.table: {"Keys": typed, **more}}
            for attempt in range(_ATTEMPTS):
                reply = self.index.client.batch_get_item(RequestItems=asked)
                yield from reply["Responses"].get(self.index.table, [])
                asked = reply.get("UnprocessedKeys")
                if not asked:
                    break
                time.sleep(random.uniform(0.5, 1.0) * 0.05 * 2**attempt)  # noqa: S311 - no secret
            else:
                raise BusyTableError(f"table {self.index.table} is throttled")


@dataclass(frozen=True, kw_only=True)
class Look:
    """One look at the index, from which all pages of a moment are made."""

    pages: Pages
    entries: Sequence[Entry]

    def newest(self, known: Mapping[str, Row], own: Run | None = None) -> list[Row]:
        """The NEWEST runs that were begun last, the last first; arguments as in Pages.rows."""
        oldest = self.entries[-1].claimed_ms if self._full else 0
        rows = self.pages.rows(self.entries, known, own, lambda row: row.begun_ms > oldest)
        return sorted(rows, key=lambda row: (-row.begun_ms, row.run_id))[:NEWEST]

    def month(self, month: str, known: Mapping[str, Row], own: Run | None = None) -> list[Row]:
        """The runs of a month's folders, the last id first, OF_MONTH at most.

        Args:
            month: as run ids have it, YYYYMM.
            known: rows that an earlier writer of the page knew.
            own: a run whose state is read from the table itself, because it has just changed.
        """
        here = (entry for entry in self.entries if entry.run_id.startswith(month))
        entries = sorted(here, key=lambda entry: entry.run_id, reverse=True)[:OF_MONTH]
        if self._full:  # there may be more
            index = self.pages.index
            of_month = index.by_id(first=f"{month}00", last=f"{month}99", at_first=OF_MONTH)
            entries = list(islice(of_month, OF_MONTH))
        last = entries[-1].run_id if len(entries) == OF_MONTH else ""
        rows = self.pages.rows(entries, known, own, lambda row: row.run_id > last)
        rows = [row for row in rows if row.run_id.startswith(month)]
        return sorted(rows, key=lambda row: row.run_id, reverse=True)[:OF_MONTH]

    @property
    def _full(self) -> bool:
        return len(self.entries) >= NEWEST


def _later(row: Row, known: Row) -> Row:
    """Of two tellings of one run the later; of the same moment the one that knows the cost."""
    if known.version > row.version or (known.version == row.version and row.usd is None):
        return known
    return row
