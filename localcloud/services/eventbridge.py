"""EventBridge: which rules an event matches, and its delivery to their targets.

Rules follow the EventBridge User Guide (retry policy and dead-letter queues). A delivery is tried
a few times within seconds where AWS goes on for a day.
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any, Final

from localcloud.iam.access import Access
from localcloud.moto.state import ACCOUNT_ID, AwsState
from localcloud.protocol.wire import WireError
from localcloud.services.event_targets import Delivery, DeliveryError, Targets, target_input
from localcloud.services.pending import Pending

_log = logging.getLogger(__name__)
_MOST_TRIES: Final = 4
_RETRY_SECONDS: Final = 0.2
_NOT_RETRIED: Final = (
    "AccessDenied",
    "AccessDeniedException",
    "ResourceNotFoundException",
    "NotFound",
    "NotFoundException",
    "ClientException",
)


@dataclass(frozen=True, kw_only=True)
class Undelivered:
    """An event that a target never got; on AWS only a metric would tell."""

    rule: str
    target: str
    sentence: str
    event: dict[str, Any]


class EventBus:
    """Takes events and delivers them in the background, where `pending` counts them."""

    def __init__(self, state: AwsState, access: Access, targets: Targets, pending: Pending) -> None:
        self._state = state
        self._delivery = Delivery(state, access, targets, self.publish)
        self._workers = ThreadPoolExecutor(max_workers=8, thread_name_prefix="events")
        self._pending = pending
        self._closed = threading.Event()
        self._held: list[Callable[[], None]] | None = None
        self.undelivered: list[Undelivered] = []

    def close(self) -> None:
        """Forgets what is still to be delivered."""
        self._closed.set()
        self._workers.shutdown(wait=True, cancel_futures=True)

    def submit(self, work: Callable[[], None]) -> None:
        """Runs a delivery in the background."""
        if not self._closed.is_set():
            try:
                self._pending.add(self._workers.submit(self._guarded, work))
            except RuntimeError:  # closed between the two lines
                return

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception:  # noqa: BLE001 - logged below
            if not self._closed.is_set():
                _log.exception("an event could not be delivered")

    # ---- taking events ---------------------------------------------------------------------------

    def put_events(self, params: dict[str, Any]) -> dict[str, Any]:
        """The PutEvents operation. Raises WireError."""
        entries = params.get("Entries") or []
        if not 1 <= len(entries) <= 10:
            raise WireError(
                "ValidationException", f"PutEvents takes 1 to 10 entries, found {len(entries)}"
            )
        results = [self._put_entry(entry) for entry in entries]
        return {
            "FailedEntryCount": sum(1 for each in results if "ErrorCode" in each),
            "Entries": results,
        }

    def _put_entry(self, entry: dict[str, Any]) -> dict[str, Any]:
        for member in ("Source", "DetailType", "Detail"):
            if not entry.get(member):
                message = (
                    f"Parameter {member} is not valid. Reason: {member} is a required argument."
                )
                return {"ErrorCode": "InvalidArgument", "ErrorMessage": message}
        if str(entry["Source"]).startswith("aws."):
            return {
                "ErrorCode": "NotAuthorizedForSourceException",
                "ErrorMessage": "Not authorized for the source.",
            }
        try:
            detail = json.loads(entry["Detail"])
        except ValueError:
            return {"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed."}
        bus = str(entry.get("EventBusName") or "default").rsplit("/", 1)[-1]
        event = self.publish(
            entry["Source"],
            entry["DetailType"],
            list(entry.get("Resources") or []),
            detail,
            bus=bus,
        )
        return {"EventId": event["id"]}

    def publish(
        self,
        source: str,
        detail_type: str,
        resources: list[str],
        detail: dict[str, Any],
        *,
        bus: str = "default",
    ) -> dict[str, Any]:
        """Puts an event on a bus and returns it; delivery goes on in the background."""
        event = {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": detail_type,
            "source": source,
            "account": ACCOUNT_ID,
            "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": self._state.region,
            "resources": resources,
            "detail": detail,
        }
        for rule in self._state.event_rules(bus):
            pattern = rule.event_pattern.get_pattern()
            if (
                rule.state == "ENABLED"
                and pattern
                and _may_match(pattern, event)
                and rule.event_pattern.matches_event(event)
            ):
                for target in list(rule.targets):
                    self._schedule(functools.partial(self._deliver, rule.arn, target, event))
        return event

    def _schedule(self, delivery: Callable[[], None]) -> None:
        held = self._held
        if held is None:
            self.submit(delivery)
        else:
            held.append(delivery)

    @contextlib.contextmanager
    def disorder(self, random: Random, *, most_copies: int) -> Iterator[list[Callable[[], None]]]:
        """Holds back what is published in the block; at its end each delivery is made 1 to
        `most_copies` times, all in random order.

        EventBridge promises neither once nor in order. Yields the deliveries, after the block those
        that are made.
        """
        deliveries = self._held = []
        try:
            yield deliveries
        finally:
            self._held = None
            deliveries[:] = [
                delivery for delivery in deliveries for _ in range(random.randint(1, most_copies))
            ]
            random.shuffle(deliveries)
            for delivery in deliveries:
                self.submit(delivery)

    def fire_schedules(self, now: float) -> None:
        """Lets the time of every enabled rule with a schedule come, once; `now` in seconds since
        1970.
        """
        moment = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        for rule in self._state.event_rules("default"):
            if rule.state != "ENABLED" or not rule.scheduled_expression:
                continue
            event = {
                "version": "0",
                "id": str(uuid.uuid4()),
                "detail-type": "Scheduled Event",
                "source": "aws.events",
                "account": ACCOUNT_ID,
                "time": moment,
                "region": self._state.region,
                "resources": [rule.arn],
                "detail": {},
            }
            for target in list(rule.targets):
                self._schedule(functools.partial(self._deliver, rule.arn, target, event))

    # ---- delivering ------------------------------------------------------------------------------

    def _deliver(self, rule_arn: str, target: dict[str, Any], event: dict[str, Any]) -> None:
        payload = target_input(target, event, rule_arn)
        allowed = (target.get("RetryPolicy") or {}).get("MaximumRetryAttempts", 185)
        for attempt in range(1, min(_MOST_TRIES, allowed + 1) + 1):
            try:
                self._delivery.send(rule_arn, target, payload)
            except DeliveryError as error:
                final = (
                    error.code == "NO_PERMISSIONS"
                    or error.code in _NOT_RETRIED
                    or attempt == min(_MOST_TRIES, allowed + 1)
                )
                if final or self._closed.wait(_RETRY_SECONDS * attempt):
                    self._give_up(rule_arn, target, event, error)
                    return
            else:
                return

    def _give_up(
        self, rule_arn: str, target: dict[str, Any], event: dict[str, Any], error: DeliveryError
    ) -> None:
        self.undelivered.append(
            Undelivered(rule=rule_arn, target=target["Arn"], sentence=str(error), event=event)
        )
        _log.warning(
            "event %s of rule %s was not delivered to %s: %s",
            event["detail-type"],
            rule_arn,
            target["Arn"],
            error,
        )
        queue = (target.get("DeadLetterConfig") or {}).get("Arn")
        if queue:
            attributes = {
                "RULE_ARN": rule_arn,
                "TARGET_ARN": target["Arn"],
                "ERROR_CODE": error.code,
                "ERROR_MESSAGE": str(error)[:1000],
            }
            self._delivery.send_to_queue(queue, json.dumps(event), rule_arn, attributes=attributes)


def _may_match(pattern: dict[str, Any], event: dict[str, Any]) -> bool:
    """False where source or kind rule the event out: most events are of no interest to most rules,
    and a whole comparison takes long.
    """
    for member in ("source", "detail-type"):
        wanted = pattern.get(member)
        if (
            isinstance(wanted, list)
            and all(isinstance(each, str) for each in wanted)
            and event[member] not in wanted
        ):
            return False
    return True
