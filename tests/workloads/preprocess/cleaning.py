"""What the tests of the preprocess stage share: cleaning bytes in memory and reading what came
out.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from workloads.preprocess.clean import Cleaned, Progress, Settings, clean
from workloads.preprocess.plan import Wishes


@dataclass(frozen=True)
class Outcome:
    cleaned: Cleaned
    parquet: bytes
    lines_parquet: bytes
    rejected_csv: bytes
    cleaned_csv: bytes

    @property
    def table(self) -> pa.Table:
        return parquet.read_table(io.BytesIO(self.parquet))

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        return [tuple(row.values()) for row in self.table.to_pylist()]

    @property
    def lines(self) -> list[int]:
        """Line of the file of each row."""
        entries = parquet.read_table(io.BytesIO(self.lines_parquet)).to_pylist()
        ends = [*(entry["row"] for entry in entries[1:]), self.cleaned.rows]
        return [
            entry["line"] + row
            for entry, end in zip(entries, ends, strict=True)
            for row in range(end - entry["row"])
        ]

    @property
    def rejects(self) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(self.rejected_csv.decode(), newline="")))

    @property
    def reasons(self) -> dict[int, str]:
        return {int(reject["line"]): reject["reason"] for reject in self.rejects}


class Memory:
    """Outputs in memory, void when a pass ends with an exception."""

    def __init__(self) -> None:
        self.open()

    def open(self) -> None:
        self.table, self.lines, self.rejected, self.cleaned_csv = (
            io.BytesIO(),
            io.BytesIO(),
            io.BytesIO(),
            io.BytesIO(),
        )

    @contextmanager
    def __call__(self) -> Iterator[Memory]:
        self.open()
        yield self


def run(
    data: bytes,
    *,
    wishes: Wishes | None = None,
    progress: Progress = lambda _kept, _rejected: None,
    **settings: Any,
) -> Outcome:
    memory = Memory()
    all_settings = Settings(
        **{"max_rejected_percent": 100, "wishes": wishes or Wishes(), **settings}
    )
    cleaned = clean(lambda: io.BytesIO(data), memory, all_settings, progress=progress)
    return Outcome(
        cleaned,
        memory.table.getvalue(),
        memory.lines.getvalue(),
        memory.rejected.getvalue(),
        memory.cleaned_csv.getvalue(),
    )
