"""What cleaning has made of a file, on a terminal.

Nothing that the file holds steers the terminal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pyarrow import parquet
from rich.console import Console
from rich.table import Table
from rich.text import Text

from workloads.preprocess.clean import Cleaned
from workloads.runtime.quoting import SHOWN, escaped

_ROWS: Final = 5
_COLUMNS: Final = 8
_CELL: Final = 40


def first_rows(table: Path) -> list[dict[str, Any]]:
    """The first rows of a Parquet file; read without threads, which would outlive the command."""
    file = parquet.ParquetFile(table, pre_buffer=False)
    if not file.metadata.num_row_groups:
        return []
    batch = next(file.iter_batches(_ROWS, row_groups=[0], use_threads=False))
    return list(batch.to_pylist())


def show(
    console: Console,
    path: Path,
    found: Cleaned,
    rows: Sequence[Mapping[str, Any]],
    written: Mapping[str, str],
) -> None:
    """The whole report: how the file was read, its columns, remarks, rejected rows and first
    rows.
    """

    def line(text: str) -> None:
        console.print(Text(escaped(text)), soft_wrap=True)

    rejected = sum(found.rejected.values())
    line(f"{path}: {found.rows:,} rows kept of {found.rows_read:,}, {rejected:,} rejected")
    line(f"  {_how_read(found)}")
    console.print(_columns(found))
    for remark in found.remarks:
        mark = "  " if remark.sure else "! "
        line(mark + f"{remark.column} {remark.sentence}".strip())
    for reason, count in found.rejected.items():
        line(f"  rejected {count:,}: {reason}, first {found.examples[reason]}")
    if rows:
        console.print(_first(found, rows))
    for file in written.values():
        line(f"  {file}")


def _how_read(found: Cleaned) -> str:
    dialect = found.dialect
    packed = "" if found.compression == "none" else f", {found.compression}"
    decimal = "comma" if found.plan.decimal == "," else "point"
    lines = [str(row.line) for row in dialect.structure.header]
    header = f"header in line {' and '.join(lines)}" if lines else "no header"
    return (
        f"{found.encoding}{packed}, delimiter {dialect.delimiter_name}, decimal {decimal}, {header}"
    )


def _columns(found: Cleaned) -> Table:
    table = Table(title="columns", title_justify="left", title_style="bold")
    for name in ("column", "in the file", "type", "use", "missing", "why"):
        table.add_column(name, justify="right" if name == "missing" else "left", overflow="fold")
    for column in found.columns:
        source = column.source_name if column.source_name != column.name else ""
        kind = f"{column.kind} ({column.type})" if column.kind == "number" else column.kind
        cells = (column.name, source, kind, column.use, f"{column.missing:,}", column.reason)
        table.add_row(*(Text(_short(cell)) for cell in cells))
    return table


def _first(found: Cleaned, rows: Sequence[Mapping[str, Any]]) -> Table:
    names = [column.name for column in found.columns][:_COLUMNS]
    more = len(found.columns) - len(names)
    title = "first rows" + (f" ({more} more columns are not shown)" if more else "")
    table = Table(title=title, title_justify="left", title_style="bold")
    numbers = {column.name for column in found.columns if column.kind == "number"}
    for name in names:
        table.add_column(
            Text(_short(name)), justify="right" if name in numbers else "left", overflow="fold"
        )
    for row in rows:
        table.add_row(
            *(Text("" if row[name] is None else _short(str(row[name]), _CELL)) for name in names)
        )
    return table


def _short(text: str, most: int = SHOWN * 2) -> str:
    return escaped(text if len(text) <= most else f"{text[:most]}…")
