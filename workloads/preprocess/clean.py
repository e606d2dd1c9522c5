"""The core of the stage: from a byte stream to cleaned table and rejected rows, in flat memory.

What the columns are is decided from the sample, and one pass over the file is enough where the
sample told the truth. Where it did not (text at row 900,000, numbers that begin late, columns full
of gaps), it is decided again with what the pass has shown, and the file is read again.
"""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol, cast

import numpy as np
from pyarrow import csv as arrow_csv

from workloads.preprocess import plan as plans
from workloads.preprocess.body import Body
from workloads.preprocess.columns import IncompleteRows
from workloads.preprocess.detect import detect
from workloads.preprocess.dialect import Dialect
from workloads.preprocess.lines import LineRuns, LineWriter
from workloads.preprocess.parse import BlockParser, Parsed
from workloads.preprocess.plan import Plan, Wishes
from workloads.preprocess.records import MAX_RECORD_BYTES, Block, Reject
from workloads.preprocess.rejects import RejectList
from workloads.preprocess.source import PIECE_BYTES, ByteStream, Text, open_text
from workloads.preprocess.survey import Seen, Survey
from workloads.preprocess.units import HashingSink, Sink, UnitWriter
from workloads.records import Column, Remark, Unit
from workloads.runtime.errors import StageError

log = logging.getLogger(__name__)

_LOG_EVERY_SECONDS: Final = 15.0
_MAX_THREADS: Final = 4
_MAX_PASSES: Final = 3
"""With one grammar. The second has all that the first has shown; a third helps where columns became
numbers in the second, and have gaps. A first pass that shows an escape comes before them: its cells
were misread, and nothing is decided from them.
"""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a file is cleaned.

    Args:
        unit_rows: Rows of a unit.
        incomplete_rows: What becomes of rows without a value in a compared or required column.
        max_rejected_percent: Share of rejected rows above which the file is refused as a whole.
        wishes: What is to be known and done about columns.
        piece_bytes: How much is read at once; changes memory and speed, never the result.
        max_record_bytes: Longest row.
    """

    unit_rows: int = 65_536
    incomplete_rows: IncompleteRows = "reject"
    max_rejected_percent: float = 20
    wishes: Wishes = field(default_factory=Wishes)
    piece_bytes: int = PIECE_BYTES
    max_record_bytes: int = MAX_RECORD_BYTES


class RefusedError(StageError):
    """Too many rows were rejected: the list of them shows why."""


class Outputs(Protocol):
    """Where the results of one pass go. They count only once the pass is known to be the last."""

    @property
    def table(self) -> Sink:
        """Parquet file of the rows that are kept."""

    @property
    def lines(self) -> Sink:
        """Their lines: see `Run.lines_key`."""

    @property
    def rejected(self) -> Sink:
        """CSV of the others: line, reason, detail, row."""

    @property
    def cleaned_csv(self) -> Sink | None:
        """The table as CSV, where asked for."""


@dataclass(frozen=True, kw_only=True)
class Cleaned:
    """What became of a file."""

    dialect: Dialect
    plan: Plan
    encoding: str
    compression: str
    rows_read: int
    rows: int
    rejected: dict[str, int]
    """Reason -> rows, the commonest first."""
    examples: dict[str, str]
    """Reason -> the first row of it, as a sentence."""
    columns: tuple[Column, ...]
    remarks: tuple[Remark, ...]
    units: tuple[Unit, ...]
    table_bytes: int
    footer_offset: int
    seconds: dict[str, float]
    """Where the time of the main thread went: reading and splitting, waiting for the parser,
    writing.
    """
    passes: int
    """How often the file was read."""

    def check(self, max_rejected_percent: float) -> None:
        """Raises RefusedError where more rows were rejected than is allowed, or none is left."""
        count = sum(self.rejected.values())
        percent = 100 * count / max(1, self.rows_read)
        if percent > max_rejected_percent or not self.rows:
            commonest = next(iter(self.rejected), "")
            example = (
                f"; mostly '{commonest}' ({self.rejected[commonest]:,} rows), first"
                f" {self.examples[commonest]}"
                if commonest
                else ""
            )
            raise RefusedError(
                f"{count:,} of {self.rows_read:,} rows ({percent:.1f} %) were rejected, allowed are"
                f" {max_rejected_percent:g} %{example}",
                hint=(
                    "all of them are in rejected.csv; mend the file, or raise"
                    " jobs.preprocess.max_rejected_percent in the stack file"
                ),
            )


Progress = Callable[[int, int], None]
"""Is told the rows kept and rejected so far, after each block."""


def clean(
    source: Callable[[], AbstractContextManager[ByteStream]],
    outputs: Callable[[], AbstractContextManager[Outputs]],
    settings: Settings,
    *,
    progress: Progress = lambda _kept, _rejected: None,
) -> Cleaned:
    """Cleans a CSV stream, which is opened again where a second pass is needed; each pass has
    outputs of its own.

    An `outputs` that is left while an exception passes through is void, all but its list of
    rejected rows where that is a RefusedError. Parsing runs in as many threads as the machine has
    processors, up to four. Raises StageError where there is no table.
    """
    decided = _Decided()
    for number in range(1, _MAX_PASSES + 2):
        try:
            with source() as stream, outputs() as targets:
                return _Pass(stream, targets, settings, decided, progress).run(number)
        except _AgainError as again:
            log.info(
                "the file is read again: it holds what its beginning did not show",
                extra={"fields": {"passes": number}},
            )
            decided = again.decided
    raise AssertionError  # the last pass returns or raises


@dataclass(frozen=True, kw_only=True)
class _Decided:
    """What earlier passes have shown."""

    escaped: bool = False
    """Whether a backslash escapes."""
    plan: Plan | None = None
    """None in the first pass with a grammar: the plan comes from the sample."""


class _AgainError(Exception):
    """The outputs of a pass are void; another follows with what was decided."""

    def __init__(self, decided: _Decided) -> None:
        super().__init__()
        self.decided = decided


class _Pass:
    """One reading of the file."""

    def __init__(
        self,
        stream: ByteStream,
        outputs: Outputs,
        settings: Settings,
        decided: _Decided,
        progress: Progress,
    ) -> None:
        self._settings, self._outputs, self._progress = settings, outputs, progress
        self._seconds = dict.fromkeys(("read", "wait for parser", "write"), 0.0)
        self._text: Text = open_text(stream, piece_bytes=settings.piece_bytes)
        wishes = settings.wishes
        dialect = self._dialect = detect(
            self._text, show_values=wishes.show_values, escaped=decided.escaped
        )
        self._body = Body(dialect, max_record_bytes=settings.max_record_bytes)
        self._plan = decided.plan or plans.from_sample(
            dialect.source_names, dialect.cells, wishes, delimiter=dialect.delimiter
        )
        self._survey = Survey(self._plan.columns)
        self._decided = decided

    def run(self, number: int) -> Cleaned:
        """Cleans the file. Raises _AgainError where another plan does better, and RefusedError."""
        found = self._cleaned(number)
        before = self._decided
        if self._body.escape.likely:
            raise _AgainError(_Decided(escaped=True))
        known = before.plan is None and self._text.whole  # the sample was all there is
        if number < _MAX_PASSES + before.escaped and not known:
            revised = plans.from_survey(self._plan, self._survey, self._settings.wishes)
            if revised.reading != self._plan.reading:
                raise _AgainError(replace(before, plan=revised))
        found.check(self._settings.max_rejected_percent)
        return found

    def _cleaned(self, number: int) -> Cleaned:
        """Reads, parses and writes everything."""
        settings, dialect, plan = self._settings, self._dialect, self._plan
        body = self._body
        started = logged = time.monotonic()
        parser = BlockParser(
            plan=plan,
            delimiter=dialect.separator,
            incomplete_rows=settings.incomplete_rows,
            show_values=settings.wishes.show_values,
            mend=body.mend,
        )
        rejects = RejectList(self._outputs.rejected)
        lines = LineWriter(self._outputs.lines)
        kept = 0
        with UnitWriter(self._outputs.table, parser.schema, unit_rows=settings.unit_rows) as units:
            target = self._outputs.cleaned_csv
            as_csv = (
                None
                if target is None
                else arrow_csv.CSVWriter(cast("Any", HashingSink(target)), parser.schema)
            )
            for parsed in _in_order(body.parts(self._text.pieces), parser, self._seconds):
                with _timed(self._seconds, "write"):
                    self._survey.add(parsed.seen)
                    rejects.add(parsed.rejects)
                    lines.add(parsed.lines, parsed.table.num_rows)
                    kept += parsed.table.num_rows
                    for unit in units.add(parsed.table):
                        if as_csv is not None:
                            as_csv.write_table(unit)
                self._progress(kept, rejects.count)
                if time.monotonic() - logged > _LOG_EVERY_SECONDS:
                    logged = time.monotonic()
                    log.info(
                        "cleaning",
                        extra={
                            "fields": {
                                "rows": kept,
                                "rejected": rejects.count,
                                "seconds": round(logged - started, 1),
                            }
                        },
                    )
            with _timed(self._seconds, "write"):
                rejects.flush()
                lines.close()
                for unit in units.finish():
                    if as_csv is not None:
                        as_csv.write_table(unit)
                if as_csv is not None:
                    as_csv.close()
        return Cleaned(
            dialect=dialect,
            plan=plan,
            encoding=self._text.encoding,
            compression=self._text.compression,
            rows_read=kept + rejects.count,
            rows=kept,
            rejected=dict(rejects.reasons.most_common()),
            examples=rejects.examples,
            columns=tuple(
                Column(
                    name=column.name,
                    source_name=column.source_name,
                    kind=column.kind.name,
                    type=str(column.kind.arrow),
                    missing=units.missing[column.name],
                    use=column.use,
                    reason=column.reason,
                )
                for column in plan.columns
            ),
            remarks=(
                *dialect.remarks,
                *body.remarks(),
                *plan.remarks,
                *self._survey.remarks(settings.incomplete_rows, values=settings.wishes.show_values),
            ),
            units=tuple(units.units),
            table_bytes=units.size,
            footer_offset=units.footer_offset,
            seconds={name: round(value, 3) for name, value in self._seconds.items()},
            passes=number,
        )


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    started = time.monotonic()
    try:
        yield
    finally:
        seconds[name] += time.monotonic() - started


def _in_order(
    parts: Iterator[Block | Reject], parser: BlockParser, seconds: dict[str, float]
) -> Iterator[Parsed]:
    """Parses blocks in parallel and hands the results on in file order; at most one block more than
    there are threads is held.
    """
    nothing = parser.schema.empty_table()
    no_lines = LineRuns.of(np.empty(0, np.int64))
    threads = min(_MAX_THREADS, len(os.sched_getaffinity(0)))
    waiting: deque[Future[Parsed]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="parse") as pool:
        try:
            more = True
            while more or waiting:
                with _timed(seconds, "read"):
                    part = next(parts, None) if more else None
                if part is None:
                    more = False
                elif isinstance(part, Block):
                    waiting.append(pool.submit(parser.parse, part))
                else:
                    waiting.append(Future())
                    waiting[-1].set_result(Parsed(nothing, [part], no_lines, Seen.nothing()))
                if waiting and (not more or len(waiting) > threads):
                    with _timed(seconds, "wait for parser"):
                        parsed = waiting.popleft().result()
                    yield parsed
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
