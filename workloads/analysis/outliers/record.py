"""What `_SUCCESS.json` says of the search for remote rows. Loads no library for arrays."""

from __future__ import annotations

from dataclasses import dataclass

from workloads.parameters import AnalysisParameters


@dataclass(frozen=True, kw_only=True)
class Stored:
    """An object of the result."""

    name: str
    """Key below `Run.partials_prefix` for the top rows, below `Run.scores_prefix` for scores."""
    sha256: str


@dataclass(frozen=True, kw_only=True)
class AnomalyRecord:
    """What `_SUCCESS.json` says of the search."""

    asked: AnalysisParameters
    """What the run was asked for; the number k of neighbours may be `auto` there."""
    neighbours_used: int
    """The number k that scores go by: as asked for, or all other rows where no more than k were
    compared.
    """
    columns: tuple[str, ...]
    """Columns by which rows were compared."""
    excluded: dict[str, str]
    """Number column by which they were not -> why."""
    complete_rows: int
    """Rows that were compared: those with a value in all those columns, and with a direction where
    the metric is `cosine`.
    """
    incomplete_rows: int
    undirected_rows: int
    """Metric `cosine`: rows with all values that stand at the centre of the table, have no
    direction and were not compared.
    """
    certified_fraction: float
    """Share of the compared rows for which bounds proved that the filter left out no neighbour."""
    fallback_rows: int
    """The others: compared in float64 throughout, and exact too."""
    evaluations: int
    """Pairs of rows compared by this attempt."""
    rows_left: int
    """Mode `top`: rows that had to be compared with the whole table, besides the pilots."""
    precision: str
    top: Stored
    scores: tuple[Stored, ...]
    """Mode `full`: one for each unit, in order."""
    digest: str
    nothing: str
    """Why no rows were compared; empty where some were."""
