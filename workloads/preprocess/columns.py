"""What a column is to be: its kind, how its cells are spelled, and what the analysis does with
it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import pyarrow as pa

from workloads.preprocess.spelling import PLAIN, Spelling
from workloads.records import ColumnKind, ColumnUse, Remark
from workloads.runtime.quoting import quoted

# no useful static type: the stubs know neither results of kernels nor types chosen at run time
Array: TypeAlias = "pa.Array[Any]"

IncompleteRows: TypeAlias = Literal["reject", "keep"]


@dataclass(frozen=True, slots=True)
class Kind:
    """What the cells of a column are, and as what they are stored."""

    name: ColumnKind
    arrow: pa.DataType


INTEGER: Final = Kind("number", pa.int64())
NUMBER: Final = Kind("number", pa.float64())
BOOLEAN: Final = Kind("boolean", pa.bool_())
DATE: Final = Kind("date", pa.date32())
LOCAL_TIME: Final = Kind("timestamp", pa.timestamp("us"))
UTC_TIME: Final = Kind("timestamp", pa.timestamp("us", "UTC"))
TEXT: Final = Kind("text", pa.string())


CELLS: Final = "{cells}"


@dataclass(frozen=True, kw_only=True)
class Told:
    """A remark on a column, before the column has its name in the table."""

    code: str
    says: str
    """The rest of a sentence that begins with the column's name; CELLS stands for the cells."""
    cells: tuple[str, ...] = ()
    sure: bool = True

    def about(self, column: str, *, values: bool) -> Remark:
        """The remark on a column of the table. `values`: whether it may show what cells hold."""
        says = self.says.replace(
            CELLS, ", ".join(quoted(cell, values=values) for cell in self.cells)
        )
        return Remark(code=self.code, column=column, sentence=says, sure=self.sure)


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What the cells of a column say that it is."""

    kind: Kind
    reason: str
    """Reason of the decision, as the rest of a sentence that begins with the column."""
    use: ColumnUse = "keep"
    spelling: Spelling = PLAIN
    pattern: str = ""
    """Pattern of dates that are not ISO 8601: see `dates.choose`."""
    leading_zeros: bool = False
    """Whether, of whole numbers, `007` is 7; else it is no number but an identifier."""
    only_empty_missing: bool = False
    """Whether, in a text column, `NA` and its like are values."""
    told: tuple[Told, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ColumnPlan:
    """A column of the table to be."""

    name: str
    source_name: str
    decision: Decision
    required: bool = False
    """Whether a row without a value here is incomplete, whatever the column's use."""
    declared_use: bool = False
    """Whether the owner of the data set has said what the analysis does with the column."""
    unknown: bool = False
    """Whether the sample held no value, so that the column is read as text for now."""
    gaps: float | None = None
    """Percent of the rows without a value, where for these the column is left out of the
    comparison.
    """

    @property
    def kind(self) -> Kind:
        """Of the decision."""
        return self.decision.kind

    @property
    def label(self) -> str:
        """The name by which its owner knows the column."""
        return self.source_name or self.name

    @property
    def needed(self) -> bool:
        """Whether a row without a value here is incomplete."""
        return self.required or self.use == "compare"

    @property
    def use(self) -> ColumnUse:
        """What the analysis does with the column."""
        return "describe" if self.gaps is not None else self.decision.use

    @property
    def reason(self) -> str:
        """Why the column has its kind and its use, as a sentence."""
        reason = self.decision.reason
        if self.gaps is not None:
            reason += f", and is not compared because {self.gaps:.1f} % of its cells have no value"
        return f"{reason[:1].upper()}{reason[1:]}."

    @property
    def reading(self) -> tuple[object, ...]:
        """What has to be the same for cells to become the same values and rows to be kept alike."""
        decided = self.decision
        return (
            self.kind,
            decided.spelling,
            decided.pattern,
            decided.leading_zeros,
            decided.only_empty_missing,
            self.needed,
            self.use,
        )
