"""Reading the structure of a file alone: every cell of its table as text."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from pyarrow import csv as arrow_csv

from workloads.preprocess.body import Body
from workloads.preprocess.detect import detect
from workloads.preprocess.dialect import Dialect
from workloads.preprocess.records import Block, Reject
from workloads.preprocess.source import PIECE_BYTES, open_text
from workloads.records import Remark


@dataclass(frozen=True)
class Reading:
    dialect: Dialect
    rows: list[list[str]]
    lines: list[int]
    rejects: list[Reject]
    remarks: list[Remark]

    @property
    def names(self) -> list[str]:
        return list(self.dialect.source_names)

    @property
    def codes(self) -> set[str]:
        return {remark.code for remark in self.remarks}

    @property
    def reasons(self) -> dict[int, str]:
        return {reject.line: reject.reason for reject in self.rejects}


def read(data: bytes | str, *, encoding: str = "utf-8", piece_bytes: int = PIECE_BYTES) -> Reading:
    """The table of a file as the stage reads it, before types."""
    text = open_text(
        io.BytesIO(data.encode(encoding) if isinstance(data, str) else data),
        piece_bytes=piece_bytes,
    )
    dialect = detect(text)
    body = Body(dialect)
    rows: list[list[str]] = []
    lines: list[int] = []
    rejects: list[Reject] = []
    for part in body.parts(text.pieces):
        if isinstance(part, Reject):
            rejects.append(part)
            continue
        block, ragged = part, dict[int, int]()
        table = _cells(block, dialect, ragged)
        places = block.spans(ord(dialect.separator))[2]
        if ragged:
            mended, lost = body.mend(block, list(ragged))
            rejects += lost
            places = np.delete(places, list(ragged))
            if mended is not None:
                ragged.clear()
                table = _cells(mended, dialect, ragged)
                places = mended.spans(ord(dialect.separator))[2]
                assert not ragged, "a mended block has rows of the table's width only"
        found = list(zip(*(column.to_pylist() for column in table.columns), strict=True))
        rows += [list(row) for row in found]
        lines += places.tolist()
    assert len(lines) == len(rows), "every row knows its line"
    return Reading(dialect, rows, lines, rejects, [*dialect.remarks, *body.remarks()])


def _cells(block: Block, dialect: Dialect, ragged: dict[int, int]) -> pa.Table:
    def skip(row: Any) -> Literal["skip"]:
        ragged[row.number - 1] = row.actual_columns
        return "skip"

    names = [str(number) for number in range(dialect.structure.width)]
    if not block.data.strip(b"\r\n"):
        return pa.table({name: pa.array([], pa.string()) for name in names})
    source: Any = pa.BufferReader(block.data)
    return arrow_csv.read_csv(
        source,
        arrow_csv.ReadOptions(
            use_threads=False, column_names=names, block_size=len(block.data) + 1
        ),
        arrow_csv.ParseOptions(
            delimiter=dialect.separator, newlines_in_values=True, invalid_row_handler=skip
        ),
        arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
        ),
    )


def lines(row: Callable[[int], str], count: int = 40, end: str = "\n") -> str:
    """So many made-up lines."""
    return "".join(row(number) + end for number in range(count))
