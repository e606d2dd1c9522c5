"""What the search has found for some query units: the answers of all of them together are the answer for the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from workloads.analysis.anomaly_result import Stored
from workloads.analysis.profile.moments import Integers


@dataclass(frozen=True, kw_only=True, eq=False)
class First:
    """The most remote rows: by score, larger first, equal ones by row number."""

    ids: Integers
    scores: npt.NDArray[np.float64]
    kth_ids: Integers

    @classmethod
    def of(cls, ids: Integers, scores: npt.NDArray[np.float64], kth_ids: Integers, count: int) -> Self:
        """The first `count` of some rows in any order."""
        order = np.lexsort((ids, -scores))[:count]
        return cls(ids=ids[order], scores=scores[order], kth_ids=kth_ids[order])

    @classmethod
    def joined(cls, parts: Sequence[First], count: int) -> Self:
        """The first `count` of several such lists of different rows."""
        nothing = cls(ids=np.zeros(0, np.int64), scores=np.zeros(0), kth_ids=np.zeros(0, np.int64))
        ids, scores, kth_ids = (
            np.concatenate([getattr(part, name) for part in (nothing, *parts)]) for name in ("ids", "scores", "kth_ids")
        )
        return cls.of(ids, scores, kth_ids, count)


@dataclass(frozen=True, kw_only=True, eq=False)
class Found:
    """Of a run of query units."""

    first: First
    """Of their rows, as many as are wanted of the whole table."""
    rows: int
    """Of them, that were compared."""
    undirected_rows: int
    """Of them, that have no direction (metric `cosine`)."""
    fallback_rows: int
    evaluations: int
    rows_left: int
    scores: tuple[Stored, ...] = ()
    """Mode `full`: one for each unit, in order."""
    digests: tuple[str, ...] = ()
    """Of those scores."""

    @classmethod
    def joined(cls, parts: Sequence[Found], count: int) -> Self:
        """Of consecutive runs of units, in order."""
        return cls(
            first=First.joined([part.first for part in parts], count),
            rows=sum(part.rows for part in parts),
            undirected_rows=sum(part.undirected_rows for part in parts),
            fallback_rows=sum(part.fallback_rows for part in parts),
            evaluations=sum(part.evaluations for part in parts),
            rows_left=sum(part.rows_left for part in parts),
            scores=tuple(stored for part in parts for stored in part.scores),
            digests=tuple(one for part in parts for one in part.digests),
        )

    def to_json(self) -> dict[str, Any]:
        """All but the first rows, as JSON values."""
        return {**vars(self), "scores": [vars(stored) for stored in self.scores], "first": None}

    @classmethod
    def from_json(cls, found: Mapping[str, Any], first: First) -> Self:
        """What to_json gave. Raises TypeError or KeyError where it is something else."""
        scores = tuple(Stored(**one) for one in found["scores"])
        return cls(**{**found, "first": first, "scores": scores, "digests": tuple(found["digests"])})
