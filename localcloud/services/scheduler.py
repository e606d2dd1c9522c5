"""EventBridge Scheduler: when a schedule's time comes, and the call of its target under the
schedule's role.

Rules follow the EventBridge Scheduler User Guide (schedule types, time zones and daylight saving
time, context attributes, dead-letter queues). A call is tried a few times within seconds where AWS
goes on for hours. Of cron expressions L, W and # are refused.
"""

from __future__ import annotations

import logging
import re
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from botocore.exceptions import BotoCoreError, ClientError

from localcloud.iam.access import AssumeRoleError
from localcloud.moto.state import AwsState
from localcloud.services.event_targets import Targets

_log = logging.getLogger(__name__)
_SCHEDULER: Final = "scheduler.amazonaws.com"
_MOST_TRIES: Final = 3
_RETRY_SECONDS: Final = 0.2
_UNITS: Final = {"minute": 60, "hour": 3600, "day": 86400}
_MONTHS: Final = (
    "JAN",
    "FEB",
    "MAR",
    "APR",
    "MAY",
    "JUN",
    "JUL",
    "AUG",
    "SEP",
    "OCT",
    "NOV",
    "DEC",
)
_WEEKDAYS: Final = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_NOT_RETRIED: Final = (
    "AccessDeniedException",
    "ResourceNotFoundException",
    "StateMachineDoesNotExist",
    "ValidationException",
)


class Schedules:
    """Calls the targets of schedules whose time has come.

    Args:
        state: The in-memory AWS, which keeps the schedules.
        targets: How targets are reached.
        submit: Runs a call in the background.
        now: The cloud's clock, seconds since 1970.
    """

    def __init__(
        self,
        state: AwsState,
        targets: Targets,
        submit: Callable[[Callable[[], None]], None],
        now: Callable[[], float],
    ) -> None:
        self._state = state
        self._targets = targets
        self._submit = submit
        self._now = now
        self._lock = threading.Lock()
        self._made: dict[str, float] = {}
        self._fired_until: dict[str, float] = {}
        self._closed = threading.Event()

    def close(self) -> None:
        """Ends the waits between tries."""
        self._closed.set()

    def notice(self) -> None:
        """Has to be called when a schedule may have been made: moto notes the machine's time, and
        this cloud's clock may be ahead of it.
        """
        now = self._now()
        with self._lock:
            for schedule in self._state.schedules():
                self._made.setdefault(schedule.arn, now)

    def fire(self) -> None:
        """Calls the target of every enabled schedule once for each of its times since the last
        call.
        """
        now = self._now()
        for schedule in self._state.schedules():
            with self._lock:
                made = self._made.setdefault(schedule.arn, now)
                since = self._fired_until.get(schedule.arn, made)
                self._fired_until[schedule.arn] = now
            if schedule.state != "ENABLED":
                continue
            times = due(
                schedule.schedule_expression,
                schedule.schedule_expression_timezone,
                made=made,
                since=since,
                until=now,
            )
            for moment in times:
                self._submit(lambda schedule=schedule, moment=moment: self._call(schedule, moment))  # type: ignore[misc]

    def _call(self, schedule: Any, moment: datetime) -> None:
        target, execution = schedule.target, uuid.uuid4().hex[:16]
        tries = min(
            _MOST_TRIES, int(target.get("RetryPolicy", {}).get("MaximumRetryAttempts", 185)) + 1
        )
        for attempt in range(1, tries + 1):
            values = {
                "schedule-arn": schedule.arn,
                "scheduled-time": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "execution-id": execution,
                "attempt-number": str(attempt),
            }
            payload = _filled(target.get("Input") or "{}", values)
            try:
                self._send(target, payload)
            except (ClientError, BotoCoreError, AssumeRoleError, NotImplementedError) as error:
                code = (
                    error.response["Error"]["Code"]
                    if isinstance(error, ClientError)
                    else type(error).__name__
                )
                lasting = code in _NOT_RETRIED or isinstance(
                    error, (AssumeRoleError, NotImplementedError)
                )
                if lasting or attempt == tries or self._closed.wait(_RETRY_SECONDS * attempt):
                    self._give_up(schedule, payload, code, str(error))
                    return
            else:
                return

    def _send(self, target: dict[str, Any], payload: str) -> None:
        arn, service = str(target["Arn"]), str(target["Arn"]).split(":")[2]
        if service == "lambda":
            self._client("lambda", target).invoke(
                FunctionName=arn, InvocationType="Event", Payload=payload.encode()
            )
        elif service == "states":
            self._client("stepfunctions", target).start_execution(
                stateMachineArn=arn, name=str(uuid.uuid4()), input=payload
            )
        elif service == "sqs":
            self._to_queue(target, arn, payload, {})
        else:
            raise NotImplementedError(f"the local EventBridge Scheduler does not call {arn}")

    def _client(self, service: str, target: dict[str, Any]) -> Any:
        return self._targets.role_client(service, target["RoleArn"], _SCHEDULER)

    def _to_queue(
        self, target: dict[str, Any], arn: str, payload: str, attributes: dict[str, str]
    ) -> None:
        sqs = self._client("sqs", target)
        url = self._targets.client("sqs").get_queue_url(QueueName=arn.rsplit(":", 1)[-1])[
            "QueueUrl"
        ]
        values = {
            key: {"DataType": "String", "StringValue": value} for key, value in attributes.items()
        }
        sqs.send_message(QueueUrl=url, MessageBody=payload, MessageAttributes=values)

    def _give_up(self, schedule: Any, payload: str, code: str, message: str) -> None:
        _log.warning(
            "schedule %s did not reach %s: %s", schedule.name, schedule.target["Arn"], message
        )
        queue = (schedule.target.get("DeadLetterConfig") or {}).get("Arn")
        if queue:
            attributes = {
                "SCHEDULE_ARN": schedule.arn,
                "TARGET_ARN": schedule.target["Arn"],
                "ERROR_CODE": code,
                "ERROR_MESSAGE": message[:1000],
            }
            try:
                self._to_queue(schedule.target, queue, payload, attributes)
            except (ClientError, BotoCoreError, AssumeRoleError) as error:
                _log.warning("nor its dead-letter queue %s: %s", queue, error)


def _filled(text: str, values: dict[str, str]) -> str:
    return re.sub(
        r"<aws\.scheduler\.([a-z-]+)>", lambda match: values.get(match[1], match[0]), text
    )


def due(expression: str, zone: str, *, made: float, since: float, until: float) -> list[datetime]:
    """The times of a schedule after `since`, up to `until`, in UTC and in order.

    Args:
        expression: `cron(...)` of six fields, `rate(...)` or `at(...)`.
        zone: Name of the time zone of cron and at.
        made: When the schedule was made, from which a rate counts; like the other two in seconds
            since 1970.
        since: See above.
        until: See above.

    Raises NotImplementedError for an expression that is none of these.
    """
    match = re.fullmatch(r"(cron|rate|at)\((.+)\)", expression.strip())
    if match is None:
        raise NotImplementedError(f"the schedule expression {expression} is not known")
    kind, text = match.groups()
    if kind == "rate":
        number, unit = text.split()
        step = int(number) * _UNITS[unit.removesuffix("s")]
        first = int((since - made) // step) + 1
        return [
            datetime.fromtimestamp(made + n * step, UTC)
            for n in range(first, int((until - made) // step) + 1)
        ]
    if kind == "at":
        moments = [datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)]
    else:
        days = _days(
            datetime.fromtimestamp(since, ZoneInfo(zone)).date(),
            datetime.fromtimestamp(until, ZoneInfo(zone)).date(),
        )
        cron = _Cron.parse(text)
        moments = [moment for day in days for moment in cron.moments(day, ZoneInfo(zone))]
    return [moment for moment in moments if since < moment.timestamp() <= until]


def _days(first: date, last: date) -> Iterator[date]:
    for n in range((last - first).days + 1):
        yield first + timedelta(days=n)


@dataclass(frozen=True, kw_only=True)
class _Cron:
    """A cron expression: the values that each field takes, None where it takes all."""

    minutes: list[int]
    hours: list[int]
    days: set[int]
    months: set[int]
    weekdays: set[int]
    """1 is Sunday."""
    years: set[int]

    @classmethod
    def parse(cls, text: str) -> _Cron:
        fields = text.split()
        if len(fields) != 6:
            raise NotImplementedError(
                f"cron({text}) has {len(fields)} fields, EventBridge Scheduler takes six"
            )
        return cls(
            minutes=sorted(_values(fields[0], 0, 59)),
            hours=sorted(_values(fields[1], 0, 23)),
            days=_values(fields[2], 1, 31),
            months=_values(fields[3], 1, 12, _MONTHS),
            weekdays=_values(fields[4], 1, 7, _WEEKDAYS),
            years=_values(fields[5], 1970, 2199),
        )

    def moments(self, day: date, zone: ZoneInfo) -> Iterator[datetime]:
        """Its times of a day, in UTC.

        One that summer time skips does not come, one that comes twice comes once.
        """
        if not (
            day.day in self.days
            and day.month in self.months
            and day.isoweekday() % 7 + 1 in self.weekdays
            and day.year in self.years
        ):
            return
        for hour in self.hours:
            for minute in self.minutes:
                local = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)
                moment = local.astimezone(UTC)
                if moment.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None):
                    yield moment


def _values(field: str, low: int, high: int, names: tuple[str, ...] = ()) -> set[int]:
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        begin, _, end = span.partition("-")
        if span in ("*", "?"):
            first, last = low, high
        else:
            first = _number(begin, low, names)
            last = _number(end, low, names) if end else high if step else first
        found |= set(range(first, last + 1, int(step or 1)))
    return found


def _number(text: str, low: int, names: tuple[str, ...]) -> int:
    if text.upper() in names:
        return names.index(text.upper()) + low
    try:
        return int(text)
    except ValueError:
        raise NotImplementedError(
            f"{text} in a cron expression is not known to the local EventBridge Scheduler"
        ) from None
