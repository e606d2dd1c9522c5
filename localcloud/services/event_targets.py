"""What the target of a rule gets of an event, and how it gets it.

Sources: EventBridge User Guide (input transformation, targets and permissions).
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import jmespath  # type: ignore[import-untyped]
from botocore.exceptions import BotoCoreError, ClientError

from localcloud.iam.access import Access, AssumeRoleError
from localcloud.moto.state import AwsState

_EVENTS: Final = "events.amazonaws.com"


class DeliveryError(Exception):
    """A target did not take an event.

    `code` is what EventBridge puts into the dead-letter message.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, kw_only=True)
class Targets:
    """How targets are reached."""

    client: Callable[[str], Any]
    """Service -> boto3 client of the deployer."""
    role_client: Callable[[str, str, str], Any]
    """(service, role ARN, service principal) -> boto3 client of a role; raises AssumeRoleError."""
    invoke_function: Callable[[str, bytes], None]
    """Asynchronous invocation of a function by ARN."""


class Delivery:
    """Delivers to the targets of rules, once and at once.

    Args:
        state: The in-memory AWS.
        access: Who may do what.
        targets: How targets are reached.
        publish: Puts an event on a bus, as `EventBus.publish` does.
    """

    def __init__(
        self,
        state: AwsState,
        access: Access,
        targets: Targets,
        publish: Callable[..., dict[str, Any]],
    ) -> None:
        self._state = state
        self._access = access
        self._targets = targets
        self._publish = publish

    def send(self, rule_arn: str, target: dict[str, Any], payload: str) -> None:
        """Gives a payload to a target of a rule. Raises DeliveryError."""
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
        self._publish(
            event["source"], event["detail-type"], event["resources"], event["detail"], bus=bus
        )


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
