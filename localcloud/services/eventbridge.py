"""EventBridge: which rules an event matches, and its delivery to their targets.

Rules follow the EventBridge User Guide (input transformation, targets and permissions, retry policy
and dead-letter queues). A delivery is tried a few times within seconds where AWS goes on for a day.
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import re
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any, Final

import jmespath  # type: ignore[import-untyped]
from botocore.exceptions import BotoCoreError, ClientError

from localcloud.iam.access import Access, AssumeRoleError
from localcloud.moto.state import ACCOUNT_ID, AwsState
from localcloud.protocol.wire import WireError

_log = logging.getLogger(__name__)
_EVENTS: Final = "events.amazonaws.com"
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


class DeliveryError(Exception):
    """A target did not take an event.

    `code` is what EventBridge puts into the dead-letter message.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, kw_only=True)
class Undelivered:
    """An event that a target never got; on AWS only a metric would tell."""

    rule: str
    target: str
    sentence: str
    event: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Targets:
    """How targets are reached."""

    client: Callable[[str], Any]
    """Service -> boto3 client of the deployer."""
    role_client: Callable[[str, str, str], Any]
    """(service, role ARN, service principal) -> boto3 client of a role; raises AssumeRoleError."""
    invoke_function: Callable[[str, bytes], None]
    """Asynchronous invocation of a function by ARN."""


class EventBus:
    """Takes events and delivers them in the background."""

    def __init__(self, state: AwsState, access: Access, targets: Targets) -> None:
        self._state = state
        self._access = access
        self._targets = targets
        self._workers = ThreadPoolExecutor(max_workers=8, thread_name_prefix="events")
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
                self._workers.submit(self._guarded, work)
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
                self._send(rule_arn, target, payload)
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

    def _send(self, rule_arn: str, target: dict[str, Any], payload: str) -> None:
        arn = str(target["Arn"])
        service = arn.split(":")[2]
        send = {
            "lambda": self._to_function,
            "sns": self._to_topic,
            "sqs": self._to_queue,
            "batch": self._to_batch,
            "states": self._to_state_machine,
            "logs": self._to_log_group,
            "events": self._to_bus,
        }.get(service)
        if send is None:
            raise DeliveryError("UNSUPPORTED", f"the local EventBridge does not deliver to {arn}")
        try:
            send(rule_arn, target, payload)
        except ClientError as error:
            raise DeliveryError(error.response["Error"]["Code"], str(error)) from error
        except (BotoCoreError, ValueError, KeyError) as error:
            raise DeliveryError("INTERNAL", str(error)) from error
        except AssumeRoleError as error:
            raise DeliveryError("NO_PERMISSIONS", str(error)) from error

    def _permit(self, policy: dict[str, Any], action: str, resource: str, rule_arn: str) -> None:
        if not self._access.service_may(
            policy, service=_EVENTS, action=action, resource=resource, source_arn=rule_arn
        ):
            raise DeliveryError(
                "NO_PERMISSIONS",
                f"{_EVENTS} may not {action} on {resource} for {rule_arn}: no resource policy"
                " allows it",
            )

    def _to_function(self, rule_arn: str, target: dict[str, Any], payload: str) -> None:
        arn = target["Arn"]
        if self._state.function(arn) is None:
            raise DeliveryError("ResourceNotFoundException", f"function {arn} does not exist")
        self._permit(self._state.function_policy(arn), "lambda:InvokeFunction", arn, rule_arn)
        self._targets.invoke_function(arn, payload.encode())

    def _to_topic(self, rule_arn: str, target: dict[str, Any], payload: str) -> None:
        self._permit(
            self._state.topic_policy(target["Arn"]), "sns:Publish", target["Arn"], rule_arn
        )
        self._targets.client("sns").publish(TopicArn=target["Arn"], Message=payload)

    def _to_queue(self, rule_arn: str, target: dict[str, Any], payload: str) -> None:
        self.send_to_queue(
            target["Arn"],
            payload,
            rule_arn,
            group=(target.get("SqsParameters") or {}).get("MessageGroupId"),
        )

    def send_to_queue(
        self,
        arn: str,
        payload: str,
        source_arn: str,
        *,
        group: str | None = None,
        attributes: dict[str, str] | None = None,
    ) -> None:
        """Sends to an SQS queue whose policy has to let EventBridge in."""
        self._permit(self._state.queue_policy(arn), "sqs:SendMessage", arn, source_arn)
        sqs = self._targets.client("sqs")
        url = sqs.get_queue_url(QueueName=arn.rsplit(":", 1)[-1])["QueueUrl"]
        more = (
            {"MessageGroupId": group, "MessageDeduplicationId": str(uuid.uuid4())} if group else {}
        )
        values = {
            key: {"DataType": "String", "StringValue": value}
            for key, value in (attributes or {}).items()
        }
        sqs.send_message(QueueUrl=url, MessageBody=payload, MessageAttributes=values, **more)

    def _to_batch(self, rule_arn: str, target: dict[str, Any], payload: str) -> None:
        parameters = target["BatchParameters"]
        body = json.loads(payload)
        request: dict[str, Any] = {
            "jobName": parameters["JobName"],
            "jobQueue": target["Arn"],
            "jobDefinition": parameters["JobDefinition"],
        }
        if parameters.get("ArrayProperties"):
            request["arrayProperties"] = {"size": parameters["ArrayProperties"]["Size"]}
        if parameters.get("RetryStrategy"):
            request["retryStrategy"] = {"attempts": parameters["RetryStrategy"]["Attempts"]}
        if isinstance(body, dict) and "detail-type" not in body:
            if "Parameters" in body:
                request["parameters"] = {
                    key: str(value) for key, value in body["Parameters"].items()
                }
            if "ContainerOverrides" in body:
                request["containerOverrides"] = _lower_first(body["ContainerOverrides"])
        self._as_role(target, rule_arn, "batch").submit_job(**request)

    def _to_state_machine(self, rule_arn: str, target: dict[str, Any], payload: str) -> None:
        # moto names all executions without a name alike
        client = self._as_role(target, rule_arn, "stepfunctions")
        client.start_execution(stateMachineArn=target["Arn"], name=str(uuid.uuid4()), input=payload)

    def _as_role(self, target: dict[str, Any], rule_arn: str, service: str) -> Any:
        if not target.get("RoleArn"):
            raise DeliveryError(
                "NO_PERMISSIONS", f"target {target['Id']} of {rule_arn} needs a RoleArn"
            )
        return self._targets.role_client(service, target["RoleArn"], _EVENTS)

    def _to_log_group(self, _: str, target: dict[str, Any], payload: str) -> None:
        group = target["Arn"].split(":log-group:")[1].removesuffix(":*")
        if not self._state.has_log_group(group):
            raise DeliveryError("ResourceNotFoundException", f"log group {group} does not exist")
        stream = str(uuid.uuid4())
        self._state.create_log_stream(group, stream)
        self._state.put_log_lines(group, stream, [payload])

    def _to_bus(self, _: str, target: dict[str, Any], payload: str) -> None:
        event = json.loads(payload)
        bus = target["Arn"].rsplit("/", 1)[-1]
        self.publish(
            event["source"], event["detail-type"], event["resources"], event["detail"], bus=bus
        )

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
            self.send_to_queue(queue, json.dumps(event), rule_arn, attributes=attributes)


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


def target_input(target: dict[str, Any], event: dict[str, Any], rule_arn: str) -> str:
    """What a target gets: its constant Input, a part of the event, a transformed one, or the event
    as it is.
    """
    if target.get("Input"):
        return str(target["Input"])
    if target.get("InputPath"):
        return json.dumps(_at(event, target["InputPath"]))
    transformer = target.get("InputTransformer")
    if not transformer:
        return json.dumps(event)
    values = {
        name: _at(event, path) for name, path in (transformer.get("InputPathsMap") or {}).items()
    }
    values |= {
        "aws.events.rule-arn": rule_arn,
        "aws.events.rule-name": rule_arn.rsplit("/", 1)[-1],
        "aws.events.event.ingestion-time": event["time"],
        "aws.events.event.json": event,
        "aws.events.event": {key: value for key, value in event.items() if key != "detail"},
    }
    template = str(transformer["InputTemplate"])

    def fill(match: re.Match[str]) -> str:
        name = match["name"]
        if name not in values:
            return match[0]
        value = values[name]
        inside_string = template[: match.start()].count('"') % 2 == 1
        if inside_string:
            return value if isinstance(value, str) else json.dumps(value)
        return json.dumps(value)

    return re.sub(r"<(?P<name>[A-Za-z0-9_.-]+)>", fill, template)


def _at(event: dict[str, Any], path: str) -> Any:
    """The value at a JSON path such as `$.detail.object.key` or
    `$.detail.attempts[0].container`.
    """
    steps = re.findall(r"\.([^.\[\]]+)|\[(\d+)\]", path.removeprefix("$"))
    expression = "".join(f'."{name}"' if name else f"[{index}]" for name, index in steps).lstrip(
        "."
    )
    return event if not expression else jmespath.search(expression, event)


def _lower_first(value: Any) -> Any:
    if isinstance(value, dict):
        return {key[:1].lower() + key[1:]: _lower_first(each) for key, each in value.items()}
    return [_lower_first(each) for each in value] if isinstance(value, list) else value
