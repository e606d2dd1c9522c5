"""What was put into CloudWatch, as points, and the statistics of some of them.

A point is one value, or a set of statistics (PutMetricData: Value, Values, StatisticValues).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Self

Dimensions = tuple[tuple[str, str], ...]
"""(name, value), sorted: each combination is a metric of its own."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """One of a metric's points."""

    namespace: str
    name: str
    dimensions: Dimensions
    at: datetime
    unit: str
    count: float
    total: float
    minimum: float
    maximum: float

    @classmethod
    def of(cls, datum: Any) -> Self:
        """From moto's datum: `value`, or `min`, `max`, `sum` and `sample_count`."""
        single = getattr(datum, "value", None)
        return cls(
            namespace=datum.namespace,
            name=datum.name,
            dimensions=sorted_dimensions((each.name, each.value) for each in datum.dimensions),
            at=in_utc(datum.timestamp),
            unit=datum.unit or "None",
            count=datum.sample_count if single is None else 1.0,
            total=datum.sum if single is None else single,
            minimum=datum.min if single is None else single,
            maximum=datum.max if single is None else single,
        )

    @property
    def metric(self) -> tuple[str, str, Dimensions]:
        """What tells the metric from all others."""
        return self.namespace, self.name, self.dimensions


def of_metric(
    data: Iterable[Any], namespace: str, name: str, dimensions: Dimensions
) -> list[Point]:
    """The points of one metric, from all of moto's data."""
    named = (each for each in data if each.namespace == namespace and each.name == name)
    return [point for point in map(Point.of, named) if point.dimensions == dimensions]


def by_metric(data: Iterable[Any]) -> dict[tuple[str, str, Dimensions], list[Point]]:
    """All points by their metric, for who looks at many."""
    found: dict[tuple[str, str, Dimensions], list[Point]] = {}
    for point in map(Point.of, data):
        found.setdefault(point.metric, []).append(point)
    return found


def sorted_dimensions(named: Iterable[tuple[str, str]]) -> Dimensions:
    """Dimensions in the order in which they are compared."""
    return tuple(sorted(named))


def in_utc(moment: datetime) -> datetime:
    """With its zone; moto leaves that out of some."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _total(points: Sequence[Point]) -> float:
    return float(sum(each.total for each in points))


def _count(points: Sequence[Point]) -> float:
    return float(sum(each.count for each in points))


STATISTICS: Final[dict[str, Callable[[Sequence[Point]], float]]] = {
    "Average": lambda points: _total(points) / max(_count(points), 1.0),
    "Maximum": lambda points: max(each.maximum for each in points),
    "Minimum": lambda points: min(each.minimum for each in points),
    "SampleCount": _count,
    "Sum": _total,
}
"""The statistics that are computed here, of at least one point."""
