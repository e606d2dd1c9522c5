"""What the search has found for some query units: the answers of all of them together are the
answer for the table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from workloads.analysis.knn.top import Top
from workloads.analysis.outliers.record import Stored


@dataclass(frozen=True, kw_only=True, eq=False)
class Found:
    """Of a run of query units."""

    first: Top
    """The farthest of these rows, as many as are wanted of the whole table."""
    rows: int
    """Rows of them that were compared."""
    undirected_rows: int
    """Rows of them that have no direction (metric `cosine`)."""
    fallback_rows: int
    evaluations: int
    rows_left: int
    scores: tuple[Stored, ...] = ()
    """Mode `full`: one for each unit, in order."""
    digests: tuple[str, ...] = ()
    """Digests of those scores."""

    @classmethod
    def joined(cls, parts: Sequence[Found], count: int) -> Self:
        """Of consecutive runs of units, in order."""
        return cls(
            first=Top.joined([part.first for part in parts], count),
            rows=sum(part.rows for part in parts),
            undirected_rows=sum(part.undirected_rows for part in parts),
            fallback_rows=sum(part.fallback_rows for part in parts),
            evaluations=sum(part.evaluations for part in parts),
            rows_left=sum(part.rows_left for part in parts),
            scores=tuple(stored for part in parts for stored in part.scores),
            digests=tuple(one for part in parts for one in part.digests),
        )

    def answers(self) -> dict[str, Any]:
        """What any machine finds, besides the first rows, as JSON values: all but the work that it
        took, and how files are packed.
        """
        return {
            "rows": self.rows,
            "undirected_rows": self.undirected_rows,
            "digests": list(self.digests),
        }

    def to_json(self) -> dict[str, Any]:
        """All but the first rows, as JSON values."""
        return {**vars(self), "scores": [vars(stored) for stored in self.scores], "first": None}

    @classmethod
    def from_json(cls, found: Mapping[str, Any], first: Top) -> Self:
        """What to_json gave. Raises TypeError or KeyError where it is something else."""
        scores = tuple(Stored(**one) for one in found["scores"])
        return cls(
            **{**found, "first": first, "scores": scores, "digests": tuple(found["digests"])}
        )
