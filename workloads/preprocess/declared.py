"""What the owner of a data set declares about its columns, which goes before what their cells
say.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Final, Literal

from workloads.names import dataset_of
from workloads.preprocess import dates, infer
from workloads.preprocess.columns import (
    BOOLEAN,
    DATE,
    INTEGER,
    LOCAL_TIME,
    NUMBER,
    TEXT,
    UTC_TIME,
    ColumnPlan,
    Decision,
)
from workloads.preprocess.numbers import Candidate
from workloads.preprocess.tally import Texts
from workloads.records import ColumnUse
from workloads.runtime.errors import EXIT_ENVIRONMENT, StageError
from workloads.runtime.quoting import quoted
from workloads.variables import ENV_COLUMNS

DeclaredType = Literal["number", "date", "timestamp", "boolean", "text"]
_FIELD: Final = "jobs.preprocess.columns"


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """What is declared of one column; None: as its cells say."""

    type: DeclaredType | None = None
    use: ColumnUse | None = None
    required: bool = False
    """A row without a value here is incomplete; a file without the column is refused."""


def apply(
    columns: list[ColumnPlan], texts: Sequence[Texts], wishes: Mapping[str, Declaration]
) -> list[ColumnPlan]:
    """The columns as declared, by their name in the file or in the table.

    Raises StageError where one cannot be so.
    """
    places = {column.name: place for place, column in enumerate(columns)} | {
        column.source_name: place for place, column in enumerate(columns) if column.source_name
    }
    result = list(columns)
    for name, wish in wishes.items():
        place = places.get(name)
        if place is not None:
            result[place] = _declared(result[place], texts[place], wish)
        elif wish.required:
            near = get_close_matches(name, places, 1)
            raise StageError(
                f"the file has no column {quoted(name)}, which is declared as required"
                + (f"; it has {quoted(near[0])}" if near else ""),
                hint=f"mend the header, or {_FIELD} in the stack file",
            )
    return result


def _declared(column: ColumnPlan, texts: Texts, wish: Declaration) -> ColumnPlan:
    decision = column.decision
    if wish.type is not None and (wish.type != decision.kind.name or wish.type == "number"):
        decision = _as_type(column.source_name, texts, wish.type)
    use = wish.use or decision.use
    if use != "keep" and decision.kind.name != "number":
        raise StageError(
            f"column {quoted(column.label)} {decision.reason}, and is declared with use '{use}',"
            " which needs numbers",
            hint=(
                f"declare its type as number too, or its use as keep, in {_FIELD} of the stack file"
            ),
        )
    return replace(
        column,
        decision=replace(decision, use=use),
        required=wish.required,
        declared_use=wish.use is not None,
        unknown=column.unknown and wish.type is None,
    )


def _as_type(name: str, texts: Texts, kind: DeclaredType) -> Decision:
    reason = f"is declared as {kind}"
    present = infer.present(texts)
    if kind == "text":
        return Decision(kind=TEXT, reason=reason, only_empty_missing=True)
    if kind == "boolean":
        return Decision(kind=BOOLEAN, reason=reason)
    if kind == "number":
        found = Candidate.of(present)
        whole = found.good and found.whole and not found.beyond
        return Decision(
            kind=INTEGER if whole else NUMBER,
            use="compare",
            spelling=found.choice.spelling,
            leading_zeros=True,
            reason=reason,
        )
    iso = infer.iso_time(present)
    order = dates.choose(present)
    if iso is not None and iso.kind.name == kind:
        return replace(iso, reason=reason)
    if order.good and not order.pattern:
        raise StageError(
            f"column {quoted(name)} is declared as {kind}, but {order.doubt}",
            hint="write the dates as 2026-01-31, or declare text",
        )
    if kind == "date":
        return Decision(kind=DATE, reason=reason, pattern=order.pattern)
    zoned = iso is not None and iso.kind is UTC_TIME
    return Decision(kind=UTC_TIME if zoned else LOCAL_TIME, reason=reason, pattern=order.pattern)


def from_json(text: str, dataset: str) -> dict[str, Declaration]:
    """Column -> declaration of the data set of an id, from the variable that the job definition
    gives. Raises StageError.
    """
    if not text.strip():
        return {}
    try:
        wishes = [
            columns for name, columns in json.loads(text).items() if dataset_of(name) == dataset
        ]
        return {name: Declaration(**wish) for columns in wishes for name, wish in columns.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise StageError(
            f"environment variable {ENV_COLUMNS} is no JSON object of data sets, columns and"
            f" declarations ({error})",
            exit_code=EXIT_ENVIRONMENT,
        ) from error
