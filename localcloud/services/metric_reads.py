"""CloudWatch's operations that read metrics: GetMetricData, GetMetricStatistics, ListMetrics.

Periods begin at the request's StartTime, which is rounded down as the API reference says of
both operations that take one; points are stamped with the beginning of their period
(boto/boto3#3457 has CloudWatch's own words). Percentiles and expressions are refused.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from localcloud.moto.state import AwsState
from localcloud.protocol.wire import WireError
from localcloud.services.metric_points import (
    STATISTICS,
    Point,
    in_utc,
    of_metric,
    sorted_dimensions,
)

Params = dict[str, Any]
_MOST_LISTED: Final = 500
_MOST_STATISTICS_POINTS: Final = 1440
_MOST_DATA_POINTS: Final = 100_800
_MOST_QUERIES: Final = 500
_SHORT_PERIODS: Final = (1, 5, 10, 20, 30)
_RECENT: Final = timedelta(hours=3)
_LISTED_FOR: Final = timedelta(days=14)
_ROUNDING: Final = (
    (timedelta(days=63), 3600),
    (timedelta(days=15), 300),
    (timedelta(0), 60),
)
"""(age of StartTime above which, seconds to which) it is rounded down."""


class MetricReads:
    """The three operations over the metrics of one account.

    Args:
        state: The in-memory AWS.
        now: The cloud's clock, seconds since 1970.

    Attributes:
        operations: The API's operations, by name.
    """

    def __init__(self, state: AwsState, now: Callable[[], float]) -> None:
        self._state, self._now = state, now
        self.operations: dict[str, Callable[[Params], Params]] = {
            "GetMetricData": self._data,
            "GetMetricStatistics": self._statistics,
            "ListMetrics": self._list,
        }

    # ---- GetMetricStatistics ------------------------------------------------------------------

    def _statistics(self, params: Params) -> Params:
        if params.get("ExtendedStatistics"):
            raise WireError(
                "InvalidParameterValue",
                f"percentiles are not computed here; {', '.join(STATISTICS)} are",
            )
        wanted = params.get("Statistics") or []
        if not wanted:
            raise WireError(
                "InvalidParameterCombination",
                "Must specify either Statistics or ExtendedStatistics",
            )
        period = _period(params.get("Period"))
        start, end = self._range(params, period, "InvalidParameterValue")
        asked_for = -(-(end - start) // timedelta(seconds=period))
        if asked_for > _MOST_STATISTICS_POINTS:
            raise WireError(
                "InvalidParameterCombination",
                f"You have requested up to {asked_for} datapoints, which exceeds the limit of "
                f"{_MOST_STATISTICS_POINTS}. You may reduce the datapoints requested by "
                "increasing Period, or decreasing the time range.",
            )
        points = self._points(params, params.get("Unit"), start, end)
        found = [
            {
                "Timestamp": stamp,
                "Unit": unit,
                **{statistic: STATISTICS[statistic](inside) for statistic in wanted},
            }
            for (stamp, unit), inside in _by_period(points, start, period).items()
        ]
        return {"Label": params["MetricName"], "Datapoints": found}

    # ---- GetMetricData ------------------------------------------------------------------------

    def _data(self, params: Params) -> Params:
        queries = params.get("MetricDataQueries") or []
        _check_queries(queries)
        series = [self._series(query, params) for query in queries if query.get("ReturnData", True)]
        most = int(params.get("MaxDatapoints") or _MOST_DATA_POINTS)
        if not 1 <= most <= _MOST_DATA_POINTS:
            raise WireError(
                "ValidationError",
                f"MaxDatapoints is {most}; 1 to {_MOST_DATA_POINTS} are allowed",
            )
        first = _offset(params.get("NextToken"))
        results: list[Params] = []
        before, after = 0, first + most
        for query, values in series:
            page = values[max(0, first - before) : max(0, after - before)]
            before += len(values)
            results.append(
                {
                    "Id": query["Id"],
                    "Label": query.get("Label") or _label(query["MetricStat"]),
                    "Timestamps": [stamp for stamp, _ in page],
                    "Values": [value for _, value in page],
                    "StatusCode": "PartialData" if before > after else "Complete",
                }
            )
        more = {"NextToken": str(after)} if before > after else {}
        return {"MetricDataResults": results, "Messages": [], **more}

    def _series(self, query: Params, params: Params) -> tuple[Params, list[tuple[datetime, float]]]:
        """The query with its points, in the order that is asked for."""
        wanted = query["MetricStat"]
        period = _period(wanted.get("Period"))
        start, end = self._range(params, period, "ValidationError")
        points = self._points(wanted["Metric"], wanted.get("Unit"), start, end)
        periods: dict[datetime, list[Point]] = defaultdict(list)
        for (stamp, _), inside in _by_period(points, start, period).items():
            periods[stamp] += inside
        newest_first = params.get("ScanBy", "TimestampDescending") != "TimestampAscending"
        return query, sorted(
            ((stamp, STATISTICS[wanted["Stat"]](inside)) for stamp, inside in periods.items()),
            reverse=newest_first,
        )

    # ---- ListMetrics --------------------------------------------------------------------------

    def _list(self, params: Params) -> Params:
        recently = params.get("RecentlyActive")
        if recently not in (None, "PT3H"):
            raise WireError(
                "InvalidParameterValue", f"RecentlyActive is {recently!r}; only PT3H is allowed"
            )
        moment = datetime.fromtimestamp(self._now(), UTC)
        since = moment - (_RECENT if recently else _LISTED_FOR)
        found = dict.fromkeys(
            point.metric
            for point in map(Point.of, self._state.metric_data())
            if point.at >= since and _is_listed(point, params)
        )
        first = _offset(params.get("NextToken"))
        page = list(found)[first : first + _MOST_LISTED]
        listed = [
            {
                "Namespace": namespace,
                "MetricName": name,
                "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions],
            }
            for namespace, name, dimensions in page
        ]
        more = {"NextToken": str(first + _MOST_LISTED)} if first + _MOST_LISTED < len(found) else {}
        return {"Metrics": listed, **more}

    # ---- both ---------------------------------------------------------------------------------

    def _range(self, params: Params, period: int, code: str) -> tuple[datetime, datetime]:
        """[StartTime, EndTime), StartTime rounded down."""
        start, end = (
            in_utc(params[name]).replace(microsecond=0) for name in ("StartTime", "EndTime")
        )
        if start >= end:
            raise WireError(
                code, "The parameter StartTime must be less than the parameter EndTime."
            )
        age = datetime.fromtimestamp(self._now(), UTC) - start
        to = period if period in _SHORT_PERIODS else _rounding(age)
        seconds = int(start.timestamp())
        return datetime.fromtimestamp(seconds - seconds % to, UTC), end

    def _points(
        self, metric: Params, unit: str | None, start: datetime, end: datetime
    ) -> list[Point]:
        dimensions = sorted_dimensions(
            (each["Name"], each["Value"]) for each in metric.get("Dimensions") or []
        )
        found = of_metric(
            self._state.metric_data(), metric["Namespace"], metric["MetricName"], dimensions
        )
        return [each for each in found if start <= each.at < end and unit in (None, each.unit)]


def _rounding(age: timedelta) -> int:
    return next((seconds for above, seconds in _ROUNDING if age > above), 60)


def _by_period(
    points: Iterable[Point], start: datetime, period: int
) -> dict[tuple[datetime, str], list[Point]]:
    """Points by the beginning of their period and their unit."""
    length = timedelta(seconds=period)
    found: dict[tuple[datetime, str], list[Point]] = defaultdict(list)
    for point in points:
        found[start + (point.at - start) // length * length, point.unit].append(point)
    return dict(sorted(found.items()))


def _check_queries(queries: Sequence[Params]) -> None:
    """Raises WireError for what GetMetricData refuses, and for what is not computed here."""
    if not queries:
        raise WireError("ValidationError", "The parameter MetricDataQueries is required.")
    if len(queries) > _MOST_QUERIES:
        raise WireError(
            "ValidationError",
            f"{len(queries)} MetricDataQueries; a request has at most {_MOST_QUERIES}",
        )
    ids = [query.get("Id") for query in queries]
    for number, query in enumerate(queries, 1):
        if ids.count(query.get("Id")) > 1:
            raise WireError(
                "ValidationError",
                f"The values for parameter id in MetricDataQueries are not unique: {query['Id']}",
            )
        if query.get("Expression"):
            raise WireError(
                "ValidationError",
                f"MetricDataQueries {query.get('Id')}: expressions (metric math, SEARCH, SQL) "
                "are not run here",
            )
        if not query.get("MetricStat"):
            raise WireError(
                "ValidationError",
                f"The parameter MetricDataQueries.member.{number}.MetricStat is required.\n",
            )
        statistic = query["MetricStat"].get("Stat")
        if statistic not in STATISTICS:
            raise WireError(
                "ValidationError",
                f"the statistic {statistic} is not computed here; {', '.join(STATISTICS)} are",
            )


def _label(metric_stat: Params) -> str:
    return f"{metric_stat['Metric']['MetricName']} {metric_stat['Stat']}"


def _period(given: Any) -> int:
    """A period in seconds. Raises WireError."""
    period = int(given or 0)
    if period not in _SHORT_PERIODS and (period < 60 or period % 60):
        allowed = ", ".join(map(str, _SHORT_PERIODS))
        raise WireError(
            "InvalidParameterValue",
            f"The parameter Period is {period}; it must be {allowed} or a multiple of 60.",
        )
    return period


def _is_listed(point: Point, params: Params) -> bool:
    """Whether ListMetrics is asked for a metric; dimensions without a value match every value."""
    if params.get("Namespace") not in (None, "", point.namespace):
        return False
    if params.get("MetricName") not in (None, "", point.name):
        return False
    has = dict(point.dimensions)
    return all(
        each["Name"] in has and each.get("Value") in (None, "", has[each["Name"]])
        for each in params.get("Dimensions") or []
    )


def _offset(token: str | None) -> int:
    """Where a page begins. Raises WireError for a token that no page has ended with."""
    if token is None:
        return 0
    if not (token.isascii() and token.isdigit()):
        raise WireError("InvalidParameterValue", "Request parameter NextToken is invalid")
    return int(token)
