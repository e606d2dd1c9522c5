"""From the cells of the sample to what each column is: decimal sign, kinds and names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from workloads.preprocess import kinds
from workloads.preprocess.dialect import Dialect
from workloads.preprocess.kinds import ColumnPlan, Kind
from workloads.runtime.errors import StageError

_NAME_LENGTH: Final = 100


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What the columns of a file are."""

    decimal: str
    """`.` or, in files with another delimiter than the comma, `,`."""
    columns: tuple[ColumnPlan, ...]


def plan(dialect: Dialect) -> Plan:
    """Decides decimal sign and kinds from the sample's cells. Raises StageError where no column holds numbers."""
    decimal, found = _kinds(dialect.cells, dialect.delimiter)
    names = unique_names(dialect.source_names)
    columns = tuple(
        ColumnPlan(name=name, source_name=source, kind=kind) for name, source, kind in zip(names, dialect.source_names, found, strict=True)
    )
    if not any(column.kind is kinds.NUMBER for column in columns):
        listed = ", ".join(f"{column.name} ({column.kind.name})" for column in columns[:8]) + (", …" if len(columns) > 8 else "")
        raise StageError(
            f"no column holds numbers: found {listed} with the {dialect.delimiter_name} as delimiter",
            hint="the analysis needs at least one column in which at least three of four values are numbers",
        )
    return Plan(decimal=decimal, columns=columns)


def _kinds(cells: Sequence[kinds.Array], delimiter: str) -> tuple[str, list[Kind]]:
    """Decimal sign and kinds; a decimal comma needs another delimiter, and has to make more columns numbers than the point does."""
    found = [kinds.infer(column, ".") for column in cells]
    if delimiter == "," or kinds.TEXT not in found:
        return ".", found
    with_comma = [kinds.infer(column, ",") if kind is kinds.TEXT else kind for column, kind in zip(cells, found, strict=True)]
    if with_comma.count(kinds.NUMBER) > found.count(kinds.NUMBER):
        return ",", [kinds.infer(column, ",") for column in cells]
    return ".", found


def unique_names(source_names: Sequence[str]) -> list[str]:
    """snake_case ASCII names, each once: an empty name becomes `column_<number>`, a repeated one gets a number at its end."""
    plain = [_snake_case(name) or f"column_{number}" for number, name in enumerate(source_names, start=1)]
    taken: set[str] = set()
    free = set(plain)
    names: list[str] = []
    for name in plain:
        unique, number = name, 1
        while unique in taken or (number > 1 and unique in free):
            number += 1
            unique = f"{name}_{number}"
        taken.add(unique)
        names.append(unique)
    return names


def _snake_case(name: str) -> str:
    ascii_only = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", ascii_only)
    snake = re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")[:_NAME_LENGTH].strip("_")
    return f"c_{snake}" if snake[:1].isdigit() else snake
