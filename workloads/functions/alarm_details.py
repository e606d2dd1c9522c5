"""What an alarm's metric cannot say: which files and runs of the day it is about, and which
environment costs most.

The alarm's own sentences come first in importance: where a detail cannot be had, the message goes
out without it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import boto3
from boto3.dynamodb.conditions import Key
from botocore.exceptions import BotoCoreError, ClientError

from workloads import contract, metrics
from workloads.formats import dollars
from workloads.functions.log import log
from workloads.variables import ENV_STACK

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

_DAYS: Final = {metrics.MISSING_FILES: "missing", metrics.UNFINISHED_RUNS: "unfinished"}


def details(alarm: Mapping[str, Any], table: Table) -> list[str]:
    """Sentences on the case that set an alarm off; none where there is nothing to add.

    `alarm` is CloudWatch's message.
    """
    trigger = alarm.get("Trigger") or {}
    metric = trigger.get("MetricName") if trigger.get("Namespace") == metrics.NAMESPACE else None
    try:
        if metric in _DAYS:
            days = table.query(
                KeyConditionExpression=Key("pk").eq(metrics.DAY_KEY),
                ScanIndexForward=False,
                Limit=1,
            )["Items"]
            lines: Any = days[0].get(_DAYS[metric], []) if days else []
            return [str(line) for line in lines]
        if metric == metrics.USD_PER_HOUR:
            return _costs(alarm, period=int(trigger["Period"]))
    except (ClientError, BotoCoreError, ValueError, OverflowError, KeyError, TypeError) as error:
        log("alarm without its details", alarm=alarm.get("AlarmName"), reason=str(error))
    return []


def _costs(alarm: Mapping[str, Any], *, period: int) -> list[str]:
    """The dollars per hour of the stack, and the environment with most of them."""
    end = datetime.fromisoformat(str(alarm["StateChangeTime"]))
    total = _usd_per_hour(end, period)
    if total is None:
        return []
    sentences = [f"the stack costs {dollars(total)} an hour"]
    names = json.loads(os.environ.get(metrics.ENV_ENVIRONMENTS, "[]"))
    found = {
        name: usd
        for name in names
        if (usd := _usd_per_hour(end, period, environment=name)) is not None
    }
    if found:
        largest = max(found, key=lambda name: found[name])
        sentences.append(
            f"the largest environment is {largest} with {dollars(found[largest])} an hour"
        )
    return sentences


def _usd_per_hour(end: datetime, period: int, *, environment: str | None = None) -> float | None:
    dimensions = {metrics.STACK: contract.require_env(ENV_STACK)}
    if environment is not None:
        dimensions[metrics.ENVIRONMENT] = environment
    # two periods: CloudWatch begins them at whole minutes, the alarm where it wants
    answer = boto3.client("cloudwatch").get_metric_statistics(
        Namespace=metrics.NAMESPACE,
        MetricName=metrics.USD_PER_HOUR,
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        StartTime=end - timedelta(seconds=2 * period),
        EndTime=end + timedelta(seconds=60),
        Period=period,
        Statistics=["Maximum"],
    )
    points = answer["Datapoints"]
    return max(points, key=lambda point: point["Timestamp"])["Maximum"] if points else None
