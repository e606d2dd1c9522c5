"""What the columns of a file are to be: decided from the sample, and decided again where the whole
file says otherwise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import pyarrow.compute as pc

from workloads.preprocess import declared, infer
from workloads.preprocess.columns import Array, ColumnPlan, Decision
from workloads.preprocess.convert import convert
from workloads.preprocess.declared import Declaration
from workloads.preprocess.gaps import Gaps, pack
from workloads.preprocess.names import unique_names
from workloads.preprocess.survey import Survey
from workloads.preprocess.tally import Texts, mask
from workloads.records import Remark
from workloads.runtime.quoting import quoted

compute: Any = pc
_LISTED: Final = 8
_SEVERAL: Final = 3
"""Columns with the same doubt from which on it is told once."""


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What the job's settings say about columns.

    Args:
        columns: Column of the file -> what its owner declares.
        incomplete_percent: Of the rows, that may lack a value in a compared column before columns
            are left out.
        show_values: Whether sentences may show what cells hold.
    """

    columns: Mapping[str, Declaration] = field(default_factory=dict)
    incomplete_percent: float = 20
    show_values: bool = True


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What the columns of a file are to be, and the cells from which it was decided."""

    columns: tuple[ColumnPlan, ...]
    remarks: tuple[Remark, ...]
    texts: tuple[Texts, ...] = field(repr=False, compare=False)
    """Texts of the sample's cells that are not empty."""
    delimiter: str = ","
    """Delimiter of the file."""

    @property
    def decimal(self) -> str:
        """The decimal sign of most columns of numbers."""
        signs = [
            column.decision.spelling.decimal
            for column in self.columns
            if column.kind.name == "number"
        ]
        return "," if signs.count(",") > signs.count(".") else "."

    @property
    def reading(self) -> tuple[object, ...]:
        """What has to be the same for the file to become the same table."""
        return tuple(column.reading for column in self.columns)


def from_sample(
    source_names: Sequence[str], cells: Sequence[Array], wishes: Wishes, *, delimiter: str
) -> Plan:
    """Decides from the sample's cells, column by column (empty: no value).

    Raises StageError where a declaration cannot be kept.
    """
    texts = tuple(Texts.of(column) for column in cells)
    columns = _columns(
        source_names, infer.decide(texts, source_names, delimiter=delimiter), texts, wishes
    )
    eligible = _eligible(columns)
    gaps = Gaps(len(eligible))
    valid = [
        mask(compute.is_valid(convert(cells[place], columns[place].decision).values))
        for place in eligible
    ]
    if valid:
        gaps.add(len(valid[0]), *pack(valid))
    return _plan(columns, gaps, eligible, texts, wishes, delimiter)


def from_survey(before: Plan, survey: Survey, wishes: Wishes) -> Plan:
    """Decides again with what the whole file showed that the sample had not."""
    texts = tuple(
        (
            seen
            if not odd.total
            else _scaled(seen.without(odd.counts), survey.rows - odd.total).joined(odd.counts)
        )
        for seen, odd in zip(before.texts, survey.odd, strict=True)
    )
    names = [column.source_name for column in before.columns]
    odd_any = any(odd.total for odd in survey.odd)
    fresh = (
        infer.decide(texts, names, delimiter=before.delimiter)
        if odd_any
        else [plan.decision for plan in before.columns]
    )
    decisions = [
        new if odd.total else plan.decision
        for new, odd, plan in zip(fresh, survey.odd, before.columns, strict=True)
    ]
    columns = _columns(names, decisions, texts, wishes)
    return _plan(columns, survey.gaps, _eligible(before.columns), texts, wishes, before.delimiter)


def _eligible(columns: Sequence[ColumnPlan]) -> list[int]:
    """Places of the columns that are compared unless they have too many gaps."""
    return [place for place, column in enumerate(columns) if column.decision.use == "compare"]


def _scaled(seen: Texts, cells: int) -> Texts:
    """The sample's cells as if they were as many as the file's."""
    return Texts(seen.values, seen.counts * max(1, cells // max(1, seen.total)))


def _columns(
    source_names: Sequence[str],
    decisions: Sequence[Decision],
    texts: Sequence[Texts],
    wishes: Wishes,
) -> list[ColumnPlan]:
    columns = [
        ColumnPlan(name=name, source_name=source, decision=decision, unknown=not seen.total)
        for name, source, decision, seen in zip(
            unique_names(source_names), source_names, decisions, texts, strict=True
        )
    ]
    return declared.apply(columns, texts, wishes.columns)


def _plan(
    columns: list[ColumnPlan],
    gaps: Gaps,
    seen: Sequence[int],
    texts: tuple[Texts, ...],
    wishes: Wishes,
    delimiter: str,
) -> Plan:
    """The plan. `seen`: the columns whose gaps are known."""
    among = [which for which, place in enumerate(seen) if columns[place].decision.use == "compare"]
    fixed = [columns[seen[which]].required or columns[seen[which]].declared_use for which in among]
    remarks: list[Remark] = []
    for which, percent in gaps.left_out(
        wishes.incomplete_percent, among=among, fixed=fixed
    ).items():
        place = seen[which]
        columns[place] = replace(columns[place], gaps=percent)
        remarks.append(_many_gaps(columns[place], percent, wishes.incomplete_percent))
    remarks += _told(columns, values=wishes.show_values)
    if not any(column.use == "compare" for column in columns):
        remarks.append(_nothing_to_compare(columns))
    return Plan(columns=tuple(columns), remarks=tuple(remarks), texts=texts, delimiter=delimiter)


def _told(columns: Sequence[ColumnPlan], *, values: bool) -> list[Remark]:
    """What the decisions tell; where several columns tell the same doubt, once."""
    same = Counter(
        (told.code, told.says)
        for column in columns
        for told in column.decision.told
        if not told.sure
    )
    remarks, said = [], set()
    for column in columns:
        for told in column.decision.told:
            key = told.code, told.says
            if same[key] < _SEVERAL:
                remarks.append(told.about(column.name, values=values))
            elif key not in said:
                said.add(key)
                names = [
                    one.name
                    for one in columns
                    if any((other.code, other.says) == key for other in one.decision.told)
                ]
                more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
                remark = told.about("", values=values)
                remarks.append(
                    replace(
                        remark,
                        sentence=f"each of {', '.join(names[:_LISTED])}{more} {remark.sentence}",
                    )
                )
    return remarks


def _many_gaps(column: ColumnPlan, percent: float, allowed: float) -> Remark:
    sentence = (
        f"has no value in {percent:.1f} % of the rows; it is described and left out of the"
        f" comparison, so that at most {allowed:g} % of the rows are lost to gaps"
    )
    return Remark(code="many-gaps", column=column.name, sentence=sentence, sure=True)


def _nothing_to_compare(columns: Sequence[ColumnPlan]) -> Remark:
    listed = ", ".join(
        f"{quoted(column.label)} ({column.kind.name})" for column in columns[:_LISTED]
    )
    more = f" and {len(columns) - _LISTED} more" if len(columns) > _LISTED else ""
    sentence = f"no column holds numbers that rows could be compared by: found {listed}{more}"
    return Remark(code="nothing-to-compare", column="", sentence=sentence, sure=False)
