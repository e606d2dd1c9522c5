"""What the page says of a run, and how it is kept in the page for the next writer."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, fields, replace
from typing import Any, Final, Self

from workloads.contract import ContractError, Run
from workloads.run_index import ENDED, STATES, Entry

FORMAT: Final = 1
"""Of the rows in a page; a writer takes over none of another format."""
_FAILURE_CHARACTERS: Final = 300
"""Of a reason: enough to know it by; the whole sentence is in the table and in Slack."""
_LAST_MS: Final = 253_402_300_800_000
"""The end of the year 9999, milliseconds since 1970."""
_SUCCEEDED: Final = "SUCCEEDED"


@dataclass(frozen=True, kw_only=True)
class Row:
    """A run on the page. Its order of fields is that of the rows in the page."""

    run_id: str
    state: str
    attempt: int
    begun_ms: int
    """Milliseconds since 1970; 0 where nobody noted it."""
    ended_ms: int
    """0 for a run that has not ended in this attempt."""
    usd: float | None
    key: str
    """Of the upload; empty where somebody submitted the jobs by hand."""
    failure: str
    """Why it failed or was cancelled, cut; empty for other runs."""
    rows: int | None = None
    """Rows kept; this and what follows is known of a run that succeeded."""
    rejected: int | None = None
    psi: float | None = None
    """Of the column that drifted most; None where there was nothing to compare with."""
    column: str = ""
    """That column."""

    @property
    def run(self) -> Run:
        """The names that follow from the id."""
        return Run(self.run_id)

    @property
    def ended(self) -> bool:
        """Whether nothing more comes in this attempt."""
        return self.state in ENDED

    @property
    def succeeded(self) -> bool:
        """Whether there are findings, and a report."""
        return self.state == _SUCCEEDED

    @property
    def seconds(self) -> float | None:
        """From its beginning to its end; None before, and where either is not known."""
        if not self.ended or not self.begun_ms or self.ended_ms < self.begun_ms:
            return None
        return (self.ended_ms - self.begun_ms) / 1000

    @property
    def rejected_share(self) -> float | None:
        """Rejected rows among those of the file."""
        if self.rows is None or self.rejected is None or self.rows + self.rejected == 0:
            return None
        return self.rejected / (self.rows + self.rejected)

    @property
    def version(self) -> tuple[int, int, int]:
        """Grows with each step of a run, whoever tells of it, so that the later of two tellings is
        known. A run ends at most once more in an attempt: findings may come after a failure.
        """
        return self.attempt, self.ended_ms, STATES.index(self.state)

    def described(self, summary: Mapping[str, Any] | None) -> Self:
        """The row with the figures of the run's summary item; without them where there is none, or
        one that this program did not write.
        """
        try:
            table = (summary or {}).get("table") or {}
            drifts = ((summary or {}).get("drift") or {}).get("strongest") or ()
            first: Mapping[str, Any] = next(iter(drifts), {})
            psi = _number(first.get("psi"))
            return replace(
                self,
                rows=_whole(table.get("rows")),
                rejected=_whole(table.get("rejected_rows")),
                psi=psi,
                column="" if psi is None else str(first.get("column") or ""),
            )
        except (AttributeError, TypeError):
            return self

    def figures_of(self, known: Self) -> Self:
        """The row with the figures that an earlier look at the same end of the run found."""
        return replace(
            self, rows=known.rows, rejected=known.rejected, psi=known.psi, column=known.column
        )


def row_of(entry: Entry) -> Row | None:
    """The row of a run, without figures; None where this program did not write its item: one that
    is odd must not keep all others from the page.
    """
    try:
        return _row_of(entry)
    except (AttributeError, OverflowError, TypeError, ValueError):
        return None


def _row_of(entry: Entry) -> Row | None:
    item = entry.item
    # a run that is begun again keeps the time of its last end until it ends anew
    ended_ms = int(item.get("ended_ms") or 0)
    if entry.state not in STATES or not all(
        0 <= each < _LAST_MS for each in (entry.claimed_ms, ended_ms)
    ):
        return None
    unhappy = entry.state in ENDED and entry.state != _SUCCEEDED
    why = str((item.get("failure") or {}).get("error") or "") if unhappy else ""
    return Row(
        run_id=entry.run_id,
        state=entry.state,
        attempt=int(item.get("attempt") or 1),
        begun_ms=entry.claimed_ms,
        ended_ms=ended_ms,
        usd=_number(item.get("usd")) if entry.state in ENDED else None,
        key=entry.key,
        failure=why if len(why) <= _FAILURE_CHARACTERS else why[: _FAILURE_CHARACTERS - 1] + "…",
    )


def to_json(rows: Iterable[Row]) -> str:
    """The rows as a page keeps them."""
    return json.dumps(
        {"format": FORMAT, "rows": [astuple(row) for row in rows]}, separators=(",", ":")
    )


def from_json(text: str) -> dict[str, Row]:
    """Run id -> row, of what to_json wrote; empty for anything else, for the table has it all."""
    try:
        document = json.loads(text)
        if document["format"] != FORMAT:
            return {}
        return {row.run_id: row for row in (_row(values) for values in document["rows"])}
    except (ValueError, KeyError, TypeError, RecursionError, ContractError):
        return {}


def _row(values: Any) -> Row:
    """Raises ValueError, TypeError or ContractError where these are not a row's."""
    row = Row(**dict(zip(_NAMES, values, strict=True)))
    Run(row.run_id)
    numbers = (row.attempt, row.begun_ms, row.ended_ms)
    perhaps = (row.usd, row.rows, row.rejected, row.psi)
    texts = (row.key, row.failure, row.column)
    if (
        row.state not in STATES
        or not all(type(each) is int and 0 <= each < _LAST_MS for each in numbers)
        or not all(each is None or type(each) in {int, float} for each in perhaps)
        or not all(isinstance(each, str) for each in texts)
    ):
        raise ValueError
    return row


_NAMES: Final = [each.name for each in fields(Row)]


def _whole(value: Any) -> int | None:
    return None if _number(value) is None else int(value)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None
