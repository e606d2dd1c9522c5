"""What the tests of the preprocess stage share: cleaning bytes in memory and reading what came out."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from workloads.preprocess.clean import Cleaned, Settings, clean


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
        return [entry["line"] + row for entry, end in zip(entries, ends, strict=True) for row in range(end - entry["row"])]

    @property
    def rejects(self) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(self.rejected_csv.decode(), newline="")))

    @property
    def reasons(self) -> dict[int, str]:
        return {int(reject["line"]): reject["reason"] for reject in self.rejects}


def run(data: bytes, **settings: Any) -> Outcome:
    table, lines, rejected, as_csv = io.BytesIO(), io.BytesIO(), io.BytesIO(), io.BytesIO()
    cleaned = clean(io.BytesIO(data), table=table, lines=lines, rejected=rejected, cleaned_csv=as_csv, settings=Settings(**settings))
    return Outcome(cleaned, table.getvalue(), lines.getvalue(), rejected.getvalue(), as_csv.getvalue())
