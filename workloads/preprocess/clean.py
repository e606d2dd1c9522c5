"""The core of the stage: one pass from a byte stream to cleaned table and rejected rows, in flat memory."""

from __future__ import annotations

import csv
import io
import logging
import os
import time
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np
from pyarrow import csv as arrow_csv

from workloads.preprocess import kinds
from workloads.preprocess.body import Body
from workloads.preprocess.detect import detect
from workloads.preprocess.dialect import Dialect
from workloads.preprocess.infer import Plan, plan
from workloads.preprocess.lines import LineRuns, LineWriter
from workloads.preprocess.parse import BlockParser, IncompleteRows, Parsed
from workloads.preprocess.records import MAX_RECORD_BYTES, Block, Reject
from workloads.preprocess.source import PIECE_BYTES, ByteStream, open_text
from workloads.preprocess.units import HashingSink, Sink, UnitWriter
from workloads.records import Column, Remark, Unit
from workloads.runtime.errors import StageError

log = logging.getLogger(__name__)

_LOG_EVERY_SECONDS: Final = 15.0
_MAX_THREADS: Final = 4
_REJECT_BUFFER: Final = 1 << 20  # characters


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a file is cleaned.

    Args:
        unit_rows: rows of a unit.
        incomplete_rows: what becomes of rows without a value in a number column.
        piece_bytes: how much is read at once; changes memory and speed, never the result.
        max_record_bytes: longest row.
    """

    unit_rows: int = 65_536
    incomplete_rows: IncompleteRows = "reject"
    piece_bytes: int = PIECE_BYTES
    max_record_bytes: int = MAX_RECORD_BYTES


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
    units: tuple[Unit, ...]
    table_bytes: int
    footer_offset: int
    seconds: dict[str, float]
    """Where the time of the main thread went: reading and splitting, waiting for the parser, writing."""
    remarks: tuple[Remark, ...]
    """What was decided about the file and its rows."""

    def check(self, max_rejected_percent: float) -> None:
        """Raises StageError where more rows were rejected than is allowed, or none is left."""
        count = sum(self.rejected.values())
        percent = 100 * count / max(1, self.rows_read)
        if percent > max_rejected_percent or not self.rows:
            commonest = next(iter(self.rejected), "")
            example = f"; mostly '{commonest}' ({self.rejected[commonest]:,} rows), first {self.examples[commonest]}" if commonest else ""
            raise StageError(
                f"{count:,} of {self.rows_read:,} rows ({percent:.1f} %) were rejected, allowed are {max_rejected_percent:g} %{example}",
                hint="rejected.csv lists them all; mend the file, or raise PIPELINE_MAX_REJECTED_PERCENT",
            )


def clean(source: ByteStream, *, table: Sink, lines: Sink, rejected: Sink, settings: Settings, cleaned_csv: Sink | None = None) -> Cleaned:
    """Cleans a CSV stream.

    The sinks get the Parquet file, the lines of its rows, the list of rejected rows (line, reason, detail, row) and, where asked for, the
    table as CSV. Parsing runs in as many threads as the machine has processors, up to four. Raises StageError where the stream holds no
    table.
    """
    seconds = dict.fromkeys(("read", "wait for parser", "write"), 0.0)
    started = logged = time.monotonic()
    text = open_text(source, piece_bytes=settings.piece_bytes)
    dialect = detect(text)
    decided = plan(dialect)
    log.info(
        "dialect found",
        extra={"fields": {"delimiter": dialect.delimiter, "decimal": decided.decimal, "header": dialect.header, "encoding": text.encoding}},
    )
    body = Body(dialect, max_record_bytes=settings.max_record_bytes)
    parser = BlockParser(
        columns=decided.columns,
        delimiter=dialect.separator,
        decimal=decided.decimal,
        incomplete_rows=settings.incomplete_rows,
        mend=body.mend,
    )
    parts = body.parts(text.pieces)
    rejects = _RejectList(rejected)
    row_lines = LineWriter(lines)
    with UnitWriter(table, parser.schema, unit_rows=settings.unit_rows) as units:
        as_csv = None if cleaned_csv is None else arrow_csv.CSVWriter(cast("Any", HashingSink(cleaned_csv)), parser.schema)

        kept = 0
        for parsed in _in_order(parts, parser, seconds):
            with _timed(seconds, "write"):
                rejects.add(parsed.rejects)
                row_lines.add(parsed.lines, parsed.table.num_rows)
                kept += parsed.table.num_rows
                for unit in units.add(parsed.table):
                    if as_csv is not None:
                        as_csv.write_table(unit)
            if time.monotonic() - logged > _LOG_EVERY_SECONDS:
                logged = time.monotonic()
                log.info("cleaning", extra={"fields": {"rows": kept, "rejected": rejects.count, "seconds": round(logged - started, 1)}})
        with _timed(seconds, "write"):
            rejects.flush()
            row_lines.close()
            for unit in units.finish():
                if as_csv is not None:
                    as_csv.write_table(unit)
            if as_csv is not None:
                as_csv.close()

    return Cleaned(
        dialect=dialect,
        plan=decided,
        encoding=text.encoding,
        compression=text.compression,
        rows_read=kept + rejects.count,
        rows=kept,
        rejected=dict(rejects.reasons.most_common()),
        examples=rejects.examples,
        columns=tuple(
            Column(
                name=c.name,
                source_name=c.source_name,
                kind=c.kind.name,
                type=str(c.kind.arrow),
                missing=units.missing[c.name],
                use="compare" if c.kind is kinds.NUMBER else "keep",
                reason="numbers" if c.kind is kinds.NUMBER else f"{c.kind.name} is not compared",
            )
            for c in decided.columns
        ),
        units=tuple(units.units),
        table_bytes=units.size,
        footer_offset=units.footer_offset,
        seconds={name: round(value, 3) for name, value in seconds.items()},
        remarks=(*dialect.remarks, *body.remarks()),
    )


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    started = time.monotonic()
    try:
        yield
    finally:
        seconds[name] += time.monotonic() - started


def _in_order(parts: Iterator[Block | Reject], parser: BlockParser, seconds: dict[str, float]) -> Iterator[Parsed]:
    """Parses blocks in parallel and hands the results on in file order; at most one block more than there are threads is held."""
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
                    waiting[-1].set_result(Parsed(nothing, [part], no_lines))
                if waiting and (not more or len(waiting) > threads):
                    with _timed(seconds, "wait for parser"):
                        parsed = waiting.popleft().result()
                    yield parsed
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


class _RejectList:
    """Writes the list of rejected rows as CSV, and counts them by reason."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._buffer = io.StringIO(newline="")
        self._writer = csv.writer(self._buffer, lineterminator="\n")
        self._writer.writerow(("line", "reason", "detail", "row"))
        self.reasons: Counter[str] = Counter()
        self.examples: dict[str, str] = {}

    @property
    def count(self) -> int:
        """Rows rejected so far."""
        return self.reasons.total()

    def add(self, rejects: list[Reject]) -> None:
        """Takes the next rejected rows, in file order."""
        for reject in rejects:
            self.reasons[reject.reason] += 1
            self.examples.setdefault(reject.reason, f"in line {reject.line}: {reject.detail}")
            self._writer.writerow((reject.line, reject.reason, reject.detail, reject.raw))
        if self._buffer.tell() > _REJECT_BUFFER:
            self.flush()

    def flush(self) -> None:
        """Hands what was collected to the sink."""
        self._sink.write(self._buffer.getvalue().encode())
        self._buffer.seek(0)
        self._buffer.truncate()
