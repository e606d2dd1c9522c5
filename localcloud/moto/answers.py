"""Answers in which moto leaves out what it knows, or has lost it, so that a deployment cannot read
it back.

`docs/moto.md` has each fault.
"""

from __future__ import annotations

from typing import Any, Final

from moto.awslambda.models import LambdaBackend
from moto.core.responses import ActionResult
from moto.ec2.models.launch_templates import LaunchTemplate
from moto.ec2.models.security_groups import SecurityGroupRule
from moto.s3.models import FakeDeleteMarker
from moto.s3.responses import S3Response
from moto.sqs.models import Queue

_plain_attributes: Final = Queue._set_attributes  # noqa: SLF001 - there is no other place between the request and the loss
_plain_invoke_config: Final = LambdaBackend.put_function_event_invoke_config
_plain_notification: Final = S3Response.get_bucket_notification


def complete_answers() -> None:
    """Puts them right, once for the process."""
    setattr(SecurityGroupRule, "description", property(_description))  # noqa: B010 - mypy knows these as moto has them
    # taken once, when it is made; the setter takes no notice of that
    setattr(LaunchTemplate, "tags", property(LaunchTemplate.get_tags, lambda _template, _: None))  # noqa: B010
    setattr(S3Response, "get_bucket_notification", _notification)  # noqa: B010
    # deleting an object whose versions hold a marker asks each of them to let go of its content
    setattr(FakeDeleteMarker, "dispose", lambda _marker: None)  # noqa: B010
    setattr(Queue, "_set_attributes", _attributes)  # noqa: B010
    setattr(LambdaBackend, "put_function_event_invoke_config", _invoke_config)  # noqa: B010


def _description(rule: Any) -> str | None:
    """That of a rule whose other end is a group lies with the group."""
    found: str | None = (rule.ip_range or rule.source_group or {}).get("Description")
    return found


def _attributes(queue: Any, attributes: dict[str, Any], now: float | None = None) -> None:
    """A change of other attributes leaves the policy of a queue as it is."""
    policy = queue.policy if hasattr(queue, "_policy_json") else None  # none yet: it is being made
    _plain_attributes(queue, attributes, now)
    if "Policy" not in attributes and policy:
        queue.policy = policy


def _invoke_config(backend: Any, function_name: str, config: dict[str, Any]) -> dict[str, Any]:
    """The second one takes the place of the first, which moto would go on telling."""
    told = _plain_invoke_config(backend, function_name, config)
    del backend.get_function(function_name).event_invoke_config[:-1]
    return told


def _notification(response: Any) -> Any:
    """Whether the bucket tells EventBridge."""
    known = response.backend.get_bucket_notification_configuration(response.bucket_name)
    if known is None or known.event_bridge is None:
        return _plain_notification(response)
    serialized = response.serialized
    response.serialized = lambda answer: serialized(
        ActionResult({**answer.result, "EventBridgeConfiguration": {}})
    )
    return _plain_notification(response)
