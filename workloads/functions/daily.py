"""Lambda function: looks at the files of a day and at their runs, publishes what is missing, and
begins what no event began.

EventBridge Scheduler calls at the time by which the files have to be there, and again when their
runs have to be done; between and after, a rule calls every few minutes, so that an alarm is over
soon after its cause. The day that is looked at is the last one whose `file_by` has come. Every call
does the same, so a doubled or a lost one does no harm; who begins a run is settled by the submit
function's claim.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from datetime import time as time_of_day
from typing import Any, Final, Self

import boto3
from boto3.dynamodb.conditions import Key
from dateutil.tz import gettz  # type: ignore[import-untyped]

from workloads import contract, metrics, names
from workloads.contract import ContractError, Run, Upload
from workloads.functions import asking, clients, forms, settings
from workloads.functions.embedded import publish
from workloads.functions.log import log
from workloads.functions.progress import how_far
from workloads.functions.state_items import ITEM
from workloads.runtime.quoting import SHOWN, escaped
from workloads.variables import ENV_INGEST_BUCKET

_READ_AT_ONCE: Final = 100  # BatchGetItem takes no more
_NAMED: Final = 10
"""Runs that a message names; the others are counted."""
_MOST_BYTES: Final = 200_000
"""Largest size of the answer to the state machine, whose states hand on 256 KiB at most (Step
Functions developer guide, service quotas).
"""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the function is told by its environment."""

    file_by: time_of_day
    finished_by: time_of_day
    zone: tzinfo
    max_parallel: int
    datasets: tuple[str, ...]
    begins: bool
    """Whether the looks between the two times begin runs; where a state machine of the day does,
    they leave it to that.
    """

    @classmethod
    def from_env(cls) -> Self:
        """Raises ContractError where the variable is missing or not of its form."""
        text = settings.read(metrics.ENV_DAILY)
        try:
            found = json.loads(text)
            return cls(
                file_by=time_of_day.fromisoformat(found["file_by"]),
                finished_by=time_of_day.fromisoformat(found["finished_by"]),
                zone=_zone(found["time_zone"]),
                max_parallel=int(found["max_parallel"]),
                datasets=tuple(found["datasets"]),
                begins=found["begins"] is True,
            )
        except (ValueError, TypeError, KeyError) as error:
            raise ContractError(
                f"environment variable {metrics.ENV_DAILY} is not of its form ({error!r}); deploy"
                " the stack again"
            ) from error

    def day(self, moment: datetime) -> date:
        """The last day whose `file_by` has come."""
        local = moment.astimezone(self.zone)
        return local.date() if local.time() >= self.file_by else local.date() - timedelta(days=1)

    def deadline(self, day: date) -> datetime:
        """When the runs of a day have to be done, in UTC."""
        return datetime.combine(day, self.finished_by, self.zone).astimezone(UTC)


@dataclass(frozen=True, kw_only=True)
class FileOfDay:
    """An upload in the folder of the day, with the state item of its run; empty where it has
    none.
    """

    upload: Upload
    item: Mapping[str, Any]

    @property
    def state(self) -> str:
        """State of the run, `NONE` where it has none."""
        return str(self.item.get("state") or "NONE")

    def waits(self, now_ms: int) -> bool:
        """Whether nobody is at work on it: no run, or one whose submission broke off."""
        return self.state == "NONE" or (
            self.state == "CLAIMED" and int(self.item.get("claim_expires_ms") or 0) < now_ms
        )


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Entry point.

    `event` is `{"at": ISO moment, "begin": bool}` from a schedule or from the state machine, or
    EventBridge's `Scheduled Event`.

    Returns `{"outcome", "day", "deadline", "files", "missing", "unfinished", "begun", "work"}`:
    `work` are the files whose runs have not ended, those that wait first, for the state machine of
    the day. Before the first `file_by` of a new stack the outcome is `too early`.

    Raises ContractError and botocore's errors.
    """
    forms.check(
        event, {"at?": forms.MOMENT, "time?": forms.MOMENT, "begin?": forms.FLAG}, what="the event"
    )
    settings = Settings.from_env()
    called = event.get("at") or event.get("time")
    moment = datetime.fromisoformat(called) if called else datetime.now(UTC)
    table = clients.metrics_table()
    if (
        "at" not in event
        and not table.query(KeyConditionExpression=Key("pk").eq(metrics.DAY_KEY), Limit=1)["Items"]
    ):
        return {"outcome": "too early"}
    day, now_ms = settings.day(moment), int(time.time() * 1000)
    files, others = _files(contract.require_env(ENV_INGEST_BUCKET), table.name, day)
    missing = _missing(files, others, day, settings)
    late = (
        [file for file in files if file.state != "SUCCEEDED"]
        if moment >= settings.deadline(day)
        else []
    )

    waiting = sorted(
        (file for file in files if file.waits(now_ms)), key=lambda file: file.upload.key
    )
    begun = waiting[: settings.max_parallel] if event.get("begin", settings.begins) is True else []
    for file in begun:
        _begin(file.upload)
    # the item first: an alarm that goes off by the metrics is told with what stands in it
    table.put_item(
        Item={
            "pk": metrics.DAY_KEY,
            "sk": f"{day:%Y%m%d}",
            "missing": missing,
            "unfinished": _named(late),
        }
    )
    publish(
        {
            metrics.FILES: len(files),
            metrics.MISSING_FILES: len(missing),
            metrics.UNFINISHED_RUNS: len(late),
        },
        at_ms=int(moment.timestamp() * 1000),
    )
    log(
        "day looked at",
        day=f"{day:%Y%m%d}",
        files=len(files),
        missing=missing,
        unfinished=len(late),
        begun=len(begun),
    )
    under_way = [
        file
        for file in files
        if file.state in {"WAITING", "CLAIMED", "SUBMITTED"} and not file.waits(now_ms)
    ]
    return {
        "outcome": "looked",
        "day": f"{day:%Y%m%d}",
        "deadline": settings.deadline(day).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "files": len(files),
        "missing": missing,
        "unfinished": len(late),
        "begun": len(begun),
        "work": _bounded([asking.event_of(asdict(file.upload)) for file in (*waiting, *under_way)]),
    }


def _zone(name: str) -> tzinfo:
    """A time zone by botocore's own dateutil, which brings the IANA database along: the runtime of
    Lambda need not have one.
    """
    found: tzinfo | None = gettz(name)
    if found is None:
        raise ValueError(f"time zone {name} is not known here")
    return found


def _files(bucket: str, table: str, day: date) -> tuple[list[FileOfDay], list[str]]:
    """The uploads in the folder of a day, and the names of what lies there and is none; the submit
    function tells of each of those.
    """
    uploads: list[Upload] = []
    others: list[str] = []
    pages = boto3.client("s3").get_paginator("list_objects_v2")
    for page in pages.paginate(Bucket=bucket, Prefix=f"{names.UPLOAD_PREFIX}{day:%Y%m%d}/"):
        for found in page.get("Contents", []):
            key = found["Key"]
            if names.fault_of(key) == "":
                uploads.append(Upload(bucket=bucket, key=key, etag=found["ETag"].strip('"')))
            elif contract.concerns_uploads(key):
                others.append(
                    escaped(key.removeprefix(f"{names.UPLOAD_PREFIX}{day:%Y%m%d}/")[:SHOWN])
                )
                log("object is no upload", bucket=bucket, key=key, reason=names.fault_of(key))
    items = _items(table, [Run(upload.run_id).state_key for upload in uploads])
    return [
        FileOfDay(upload=upload, item=items.get(Run(upload.run_id).state_key["sk"], {}))
        for upload in uploads
    ], others


def _items(table: str, keys: Sequence[Mapping[str, str]]) -> dict[str, Mapping[str, Any]]:
    """State items by their sort key, which names the run."""
    dynamodb, found = boto3.resource("dynamodb"), dict[str, Mapping[str, Any]]()
    for start in range(0, len(keys), _READ_AT_ONCE):
        request: Any = {
            table: {
                "Keys": [dict(key) for key in keys[start : start + _READ_AT_ONCE]],
                "ConsistentRead": True,
            }
        }
        while request:
            answer = dynamodb.batch_get_item(RequestItems=request)
            for item in answer["Responses"].get(table, []):
                forms.check(item, ITEM, what=f"the state item {item['sk']!s}")
                found[str(item["sk"])] = item
            request = answer.get("UnprocessedKeys")
    return found


def _missing(
    files: Iterable[FileOfDay], others: Sequence[str], day: date, settings: Settings
) -> list[str]:
    """What is not there, by the names of the config: those of files, or ids of data sets."""
    present = {file.upload.dataset for file in files}
    if settings.datasets:
        absent = [
            name for name in settings.datasets if not {name, names.dataset_of(name)} & present
        ]
        sentences = [f"there is no file of the data set {name} for {day}" for name in absent]
    else:
        sentences = [] if present else [f"there is no file in {names.UPLOAD_PREFIX}{day:%Y%m%d}/"]
    if sentences and others:
        more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
        sentences[-1] += (
            f"; the folder also holds what is no upload: {', '.join(others[:_NAMED])}{more}"
        )
    return sentences


def _named(late: Sequence[FileOfDay]) -> list[str]:
    named = [f"{file.upload.run_id}: {how_far(file.item)}" for file in late[:_NAMED]]
    return [*named, f"and {len(late) - _NAMED} more"] if len(late) > _NAMED else named


def _begin(upload: Upload) -> None:
    asking.ask(asdict(upload))
    log("run begun without its event", run_id=upload.run_id, key=upload.key)


def _bounded(work: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """As many as an answer may hold; the others are begun at `finished_by`, and the alarm names
    them.
    """
    size = 0
    for count, each in enumerate(work):
        size += len(json.dumps(each)) + 2
        if size > _MOST_BYTES:
            log("too many files for one execution", left=len(work) - count)
            return list(work[:count])
    return list(work)
