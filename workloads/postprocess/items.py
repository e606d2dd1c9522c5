"""The findings in the metrics table.

Every write may be repeated: the same run writes the same items.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import boto3
from boto3.dynamodb.conditions import Attr
from botocore.exceptions import ClientError

from workloads.contract import Run
from workloads.runtime.errors import EXIT_AWS, StageError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

_BATCH: Final = 25  # BatchWriteItem's limit
_ATTEMPTS: Final = 8
_SMALLEST: Final = 1e-130
_LARGEST: Final = 9.9e125
"""DynamoDB's numbers: 38 digits, 1E-130 to 9.99E+125 (Amazon DynamoDB developer guide, "Naming
rules and data types").
"""

_TOP_ROWS: Final = 10
_STATISTICS: Final = (
    "count",
    "infinite",
    "mean",
    "sd",
    "minimum",
    "maximum",
    "skewness",
    "kurtosis",
    "autocorrelation",
    "constant",
)


def decimals(value: Any) -> Any:
    """The same value with floats as Decimals, as DynamoDB takes them; what is too small for
    DynamoDB becomes 0, too large null.
    """
    if isinstance(value, dict):
        return {key: decimals(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [decimals(item) for item in value]
    if isinstance(value, float):
        size = abs(value)
        if size < _SMALLEST:
            return Decimal(0)
        return Decimal(repr(value)) if size <= _LARGEST else None  # NaN compares false as well
    return value


def of_summary(run: Run, summary: dict[str, Any], *, show_values: bool) -> Iterator[dict[str, Any]]:
    """One item for each column and one for the table; cells of the file only where they may be
    shown.
    """
    common = {
        "run_id": run.run_id,
        "date": run.date,
        "dataset": run.dataset,
        "name": summary["name"],
    }
    for column in summary["columns"]:
        item = {
            **run.metric_key(column["name"]),
            **common,
            "column": column["name"],
            "source_name": column["source_name"],
        }
        item |= {
            "kind": column["kind"],
            "missing": column["missing"],
            "missing_share": column["missing_share"],
        }
        if "count" in column:  # numbers that are only kept, as identifiers are, have no statistics
            item |= {name: column[name] for name in _STATISTICS}
            item |= {
                "quantiles": {p: q["value"] for p, q in column["quantiles"].items()},
                "drift": column["drift"],
            }
        yield decimals(item)
    yield decimals(
        {
            **run.summary_item_key,
            **common,
            "table": summary["table"],
            "drift": summary["drift"],
            "anomalies": _most_remote(summary["anomalies"], show_values=show_values),
            "nothing_to_compare": summary["nothing_to_compare"],
            "remarks": [
                remark for remark in summary["remarks"] if show_values and not remark["sure"]
            ][:20],
            "notable": summary["notable"][:20],
            "usd": summary["run"]["usd"],
            "compute_seconds": summary["run"]["compute_seconds"],
            "elapsed_seconds": summary["run"]["elapsed_seconds"],
            "digest": summary["digest"],
            "analysed_at": (
                next(
                    (s["started_at"] for s in summary["run"]["stages"] if s["stage"] == "analysis"),
                    None,
                )
                or ""
            ),
            "summary_key": run.summary_key,
            "report_key": run.report_key,
        }
    )


def of_spending(summary: dict[str, Any]) -> dict[str, Any]:
    """What the run took and cost, for its state item; in the form that the notify function gives to
    a run that failed.
    """
    stages = {
        stage["stage"]: {
            "attempts": stage["attempt"],
            "seconds": stage["seconds"],
            "usd": stage["usd"],
        }
        for stage in summary["run"]["stages"]
    }
    found: dict[str, Any] = decimals(
        {
            "seconds": summary["run"]["compute_seconds"],
            "usd": summary["run"]["usd"],
            "spent": stages,
            "reclaimed": summary["run"]["reclaimed"],
        }
    )
    return found


def _most_remote(anomalies: dict[str, Any] | None, *, show_values: bool) -> dict[str, Any] | None:
    """The first of the remote rows without their other cells: an item holds 400 KB, and the summary
    has them all.
    """
    if anomalies is None:
        return None
    top = [
        {
            **{
                name: entry[name]
                for name in ("row", "line", "score", "neighbour", "neighbour_line")
            },
            "columns": (
                entry["columns"]
                if show_values
                else [{"column": p["column"], "share": p["share"]} for p in entry["columns"]]
            ),
        }
        for entry in anomalies["top"][:_TOP_ROWS]
    ]
    return {**anomalies, "top": top, "excluded": len(anomalies["excluded"])}


def write(
    table_name: str, items: Iterator[dict[str, Any]], *, sleep: Callable[[float], None] = time.sleep
) -> int:
    """Writes items 25 at a time and returns how many; what DynamoDB hands back unprocessed is sent
    again with back-off.

    Raises StageError where it hands something back eight times.
    """
    dynamodb = boto3.resource("dynamodb")
    written = 0
    waiting = list(items)
    while waiting:
        batch, waiting = waiting[:_BATCH], waiting[_BATCH:]
        requests: Any = {table_name: [{"PutRequest": {"Item": item}} for item in batch]}
        for attempt in range(_ATTEMPTS):
            requests = dynamodb.batch_write_item(RequestItems=requests)["UnprocessedItems"]
            if not requests:
                break
            sleep(random.uniform(0.5, 1.0) * 0.1 * 2**attempt)  # noqa: S311 - jitter, not a secret
        else:
            raise StageError(
                f"DynamoDB table {table_name} left {len(requests[table_name])} items unwritten in"
                f" {_ATTEMPTS} attempts",
                hint=(
                    "the table is throttled: use on-demand capacity or raise its write capacity, "
                    "then begin the stage again (batchref retry KEY)"
                ),
                exit_code=EXIT_AWS,
            )
        written += len(batch)
    return written


def advance_latest(table: Table, run: Run, *, name: str, report_key: str, digest: str) -> bool:
    """Makes the run the data set's latest, unless one of a later date is; returns whether it did.

    Of two runs of one date the one that finishes last wins: that is the corrected file.
    """
    item = {
        **run.latest_key,
        "run_id": run.run_id,
        "date": run.date,
        "name": name,
        "report_key": report_key,
        "digest": digest,
    }
    try:
        table.put_item(
            Item=item, ConditionExpression=Attr("pk").not_exists() | Attr("date").lte(run.date)
        )
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") != "ConditionalCheckFailedException":
            raise
        return False
    return True
