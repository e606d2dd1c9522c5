"""Reading metrics as CloudWatch's API reference has it: periods, paging, which metrics there
are.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.conftest import Stage

HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
"""A whole hour that has ended."""
DIMENSIONS = [{"Name": "b", "Value": "2"}, {"Name": "a", "Value": "1"}]


@pytest.fixture(scope="module")
def cloudwatch(stage: Stage) -> Any:
    client = stage.client("cloudwatch")
    data = [
        {"MetricName": "m", "Timestamp": HOUR + timedelta(minutes=at), "Value": value}
        for at, value in ((7.6, 1.0), (8.9, 2.0), (12.1, 4.0), (21.5, 8.0))
    ]
    client.put_metric_data(Namespace="own", MetricData=[{**each, "Unit": "Count"} for each in data])
    client.put_metric_data(
        Namespace="own", MetricData=[{**data[0], "Dimensions": DIMENSIONS, "Value": 100.0}]
    )
    return client


def statistics(cloudwatch: Any, start: float, end: float, period: int, **more: Any) -> list[Any]:
    found = cloudwatch.get_metric_statistics(
        Namespace="own",
        MetricName="m",
        StartTime=HOUR + timedelta(minutes=start),
        EndTime=HOUR + timedelta(minutes=end),
        Period=period,
        Statistics=["Sum", "SampleCount"],
        **more,
    )["Datapoints"]
    return sorted((_minutes(each["Timestamp"]), each["Sum"]) for each in found)


def data(cloudwatch: Any, start: float, end: float, period: int, **more: Any) -> Any:
    query = {
        "Id": "q",
        "MetricStat": {
            "Metric": {"Namespace": "own", "MetricName": "m"},
            "Period": period,
            "Stat": "Sum",
        },
    }
    return cloudwatch.get_metric_data(
        MetricDataQueries=[query],
        StartTime=HOUR + timedelta(minutes=start),
        EndTime=HOUR + timedelta(minutes=end),
        **more,
    )


def _minutes(stamp: datetime) -> float:
    return (stamp - HOUR).total_seconds() / 60


@pytest.mark.parametrize(
    ("start", "period", "expected"),
    [
        (0, 300, [(5, 3), (10, 4), (20, 8)]),
        (7.9, 300, [(7, 3), (12, 4), (17, 8)]),  # rounded down to the minute, and no further
        (0, 60, [(7, 1), (8, 2), (12, 4), (21, 8)]),
        (0, 3600, [(0, 15)]),
        (7.59, 30, [(7.5, 1), (8.5, 2), (12, 4), (21.5, 8)]),
        (8, 300, [(8, 6), (18, 8)]),  # the value at 7:36 is before it
    ],
)
def test_periods_begin_at_the_start_time_rounded_down(
    cloudwatch: Any, start: float, period: int, expected: list[tuple[float, float]]
) -> None:
    assert statistics(cloudwatch, start, 60, period) == expected
    result = data(cloudwatch, start, 60, period, ScanBy="TimestampAscending")
    (found,) = result["MetricDataResults"]
    assert list(zip(map(_minutes, found["Timestamps"]), found["Values"], strict=True)) == expected
    assert found["StatusCode"] == "Complete"


@pytest.mark.parametrize(("days", "to"), [(14, 60), (16, 300), (62, 300), (64, 3600)])
def test_old_start_times_are_rounded_further(stage: Stage, days: int, to: int) -> None:
    cloudwatch, name = stage.client("cloudwatch"), stage.name("old")
    start = datetime.now(UTC).replace(minute=32, second=34, microsecond=0) - timedelta(days=days)
    cloudwatch.put_metric_data(
        Namespace="old", MetricData=[{"MetricName": name, "Timestamp": start, "Value": 1}]
    )
    (found,) = cloudwatch.get_metric_statistics(
        Namespace="old",
        MetricName=name,
        StartTime=start,
        EndTime=start + timedelta(hours=1),
        Period=3600,
        Statistics=["Maximum"],
    )["Datapoints"]
    seconds = int(start.timestamp())
    assert found["Timestamp"] == datetime.fromtimestamp(seconds - seconds % to, UTC)


def test_each_combination_of_dimensions_is_a_metric(cloudwatch: Any) -> None:
    assert statistics(cloudwatch, 0, 60, 3600, Dimensions=DIMENSIONS[::-1]) == [(0, 100)]
    assert statistics(cloudwatch, 0, 60, 3600, Dimensions=DIMENSIONS[:1]) == []


def test_units_are_not_mixed(stage: Stage) -> None:
    cloudwatch, name = stage.client("cloudwatch"), stage.name("units")
    for unit, value in (("Seconds", 1), ("Milliseconds", 1000), ("None", 7)):
        cloudwatch.put_metric_data(
            Namespace="units",
            MetricData=[{"MetricName": name, "Value": value, "Unit": unit, "Timestamp": HOUR}],
        )
    asked: dict[str, Any] = {
        "Namespace": "units",
        "MetricName": name,
        "StartTime": HOUR,
        "EndTime": HOUR + timedelta(minutes=1),
        "Period": 60,
        "Statistics": ["Average"],
    }
    found = cloudwatch.get_metric_statistics(**asked)["Datapoints"]
    assert {(each["Unit"], each["Average"]) for each in found} == {
        ("Seconds", 1),
        ("Milliseconds", 1000),
        ("None", 7),
    }
    (one,) = cloudwatch.get_metric_statistics(**asked, Unit="Seconds")["Datapoints"]
    assert one["Average"] == 1


def test_sets_of_statistics_count(stage: Stage) -> None:
    cloudwatch, name = stage.client("cloudwatch"), stage.name("sets")
    values = {"SampleCount": 4, "Sum": 10, "Minimum": 1, "Maximum": 4}
    cloudwatch.put_metric_data(
        Namespace="sets",
        MetricData=[
            {"MetricName": name, "StatisticValues": values, "Timestamp": HOUR},
            {"MetricName": name, "Values": [5.0, 6.0], "Counts": [2, 1], "Timestamp": HOUR},
        ],
    )
    (found,) = cloudwatch.get_metric_statistics(
        Namespace="sets",
        MetricName=name,
        StartTime=HOUR,
        EndTime=HOUR + timedelta(hours=1),
        Period=3600,
        Statistics=["Average", "Sum", "SampleCount", "Minimum", "Maximum"],
    )["Datapoints"]
    assert [found[each] for each in ("Sum", "SampleCount", "Minimum", "Maximum")] == [26, 7, 1, 6]
    assert found["Average"] == pytest.approx(26 / 7)


def test_data_points_come_in_pages(cloudwatch: Any) -> None:
    newest_first: list[float] = []
    token: dict[str, str] = {}
    sizes = []
    while True:
        page = data(cloudwatch, 0, 60, 60, MaxDatapoints=3, **token)
        (result,) = page["MetricDataResults"]
        newest_first += result["Values"]
        sizes.append((len(result["Values"]), result["StatusCode"]))
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    assert newest_first == [8, 4, 2, 1]
    assert sizes == [(3, "PartialData"), (1, "Complete")]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"Period": 45}, "Period is 45"),
        ({"EndTime": HOUR}, "StartTime must be less than"),
        ({"EndTime": HOUR + timedelta(days=2)}, "requested up to 2880 datapoints"),
        ({"Statistics": None}, "Must specify either"),
        ({"Statistics": ["Median"]}, "is 'Median', allowed are"),
        ({"Statistics": None, "ExtendedStatistics": ["p99"]}, "percentiles are not computed here"),
    ],
)
def test_bad_questions(cloudwatch: Any, more: dict[str, Any], message: str) -> None:
    asked = {
        "Namespace": "own",
        "MetricName": "m",
        "StartTime": HOUR,
        "EndTime": HOUR + timedelta(hours=1),
        "Period": 60,
        "Statistics": ["Sum"],
        **more,
    }
    with pytest.raises(ClientError, match=message):
        cloudwatch.get_metric_statistics(
            **{name: value for name, value in asked.items() if value is not None}
        )


def test_every_metric_is_listed_once(stage: Stage) -> None:
    cloudwatch = stage.client("cloudwatch")
    names = [f"n{number:04}" for number in range(1100)]
    for start in (*range(0, 1100, 500), *range(0, 1100, 500)):
        cloudwatch.put_metric_data(
            Namespace="many",
            MetricData=[{"MetricName": n, "Value": 1} for n in names[start : start + 500]],
        )
    pages = list(cloudwatch.get_paginator("list_metrics").paginate(Namespace="many"))
    assert [len(page["Metrics"]) for page in pages] == [500, 500, 100]
    assert sorted(m["MetricName"] for page in pages for m in page["Metrics"]) == names
    with pytest.raises(ClientError, match="NextToken is invalid"):
        cloudwatch.list_metrics(NextToken="never given")


def test_metrics_are_found_by_what_they_have(cloudwatch: Any) -> None:
    def listed(**asked: Any) -> list[Any]:
        return list(cloudwatch.list_metrics(Namespace="own", **asked)["Metrics"])

    assert len(listed()) == 2
    (by_name,) = listed(Dimensions=[{"Name": "a"}])
    assert by_name["Dimensions"] == DIMENSIONS[::-1]
    assert listed(Dimensions=[{"Name": "a", "Value": "2"}]) == []
    assert len(listed(RecentlyActive="PT3H")) == 2
    assert listed(MetricName="other") == []


def test_metrics_of_long_ago_are_not_listed(stage: Stage) -> None:
    cloudwatch = stage.client("cloudwatch")
    for days in (1, 13.9, 14.1):
        at = datetime.now(UTC) - timedelta(days=days)
        cloudwatch.put_metric_data(
            Namespace="ages",
            MetricData=[{"MetricName": f"{days} days", "Value": 1, "Timestamp": at}],
        )
    found = cloudwatch.list_metrics(Namespace="ages")["Metrics"]
    assert [each["MetricName"] for each in found] == ["1 days", "13.9 days"]
    assert cloudwatch.list_metrics(Namespace="ages", RecentlyActive="PT3H")["Metrics"] == []
