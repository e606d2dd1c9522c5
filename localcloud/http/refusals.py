"""What AWS refuses for the sake of something else, or of a limit, and moto takes; looked at before
a call is answered.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from localcloud.batch.records import Store
from localcloud.iam.access import Access
from localcloud.moto.state import AwsState
from localcloud.protocol.wire import Call, WireError

Params = Mapping[str, Any]
_MOST_VARIABLES_BYTES: Final = 4096
_LONGEST_PATTERN: Final = 2048
_LONGEST_ALARM_RULE: Final = 10_240
_MOST_CHILDREN: Final = 100
_MOST_WIDGETS: Final = 500
_MOST_ALARMS: Final = 100
_LOG_DELIVERY: Final = (
    "CreateLogDelivery",
    "GetLogDelivery",
    "UpdateLogDelivery",
    "DeleteLogDelivery",
    "ListLogDeliveries",
    "PutResourcePolicy",
    "DescribeResourcePolicies",
    "DescribeLogGroups",
)
_MOST_METRICS: Final = (500, 2500)
"""Most metrics of one widget, of all widgets of a dashboard."""


class Refusals:
    """The account's dependencies and limits, each by the operation that they forbid."""

    def __init__(
        self,
        state: AwsState,
        store: Store,
        access: Access,
        more: Mapping[tuple[str, str], Callable[[dict[str, Any]], Any]],
    ) -> None:
        """`more` are rules that another part of the cloud keeps."""
        self._state, self._store, self._access = state, store, access
        self._rules: dict[tuple[str, str], Callable[[dict[str, Any]], Any]] = {
            **more,
            ("iam", "DeletePolicy"): self._policy_is_free,
            ("ec2", "DeletePlacementGroup"): self._group_is_empty,
            ("lambda", "CreateFunction"): _variables_are_short,
            ("lambda", "UpdateFunctionConfiguration"): _variables_are_short,
            ("events", "PutRule"): _pattern_is_short,
            ("sns", "CreateTopic"): self._topic_has_these_tags,
            ("scheduler", "CreateScheduleGroup"): self._group_is_new,
            ("scheduler", "DeleteScheduleGroup"): self._group_is_there,
            ("lambda", "AddPermission"): self._permission_is_new,
            ("cloudwatch", "PutDashboard"): _dashboard_is_small,
            ("cloudwatch", "PutCompositeAlarm"): _alarm_rule_is_short,
            ("stepfunctions", "CreateStateMachine"): self._machine_can_be_made,
            ("stepfunctions", "UpdateStateMachine"): self._logs_are_delivered,
        }

    def check(self, call: Call) -> None:
        """Raises WireError where AWS would refuse the call."""
        rule = self._rules.get((call.service, call.operation))
        if rule is not None:
            rule(call.params)

    def _group_is_empty(self, params: Params) -> None:
        """EC2 user guide, placement groups: not before all instances in it are terminated."""
        name = params.get("GroupName", "")
        with self._store.lock:
            members = any(
                each.instances
                for each in self._store.environments.values()
                if each.resources.get("placementGroup") == name
            )
            if members or time.monotonic() < self._store.placements_busy.get(name, 0.0):
                raise WireError(
                    "InvalidPlacementGroup.InUse",
                    f"The placement group {name} is in use and may not be deleted.",
                )

    def _policy_is_free(self, params: Params) -> None:
        """API reference of IAM, DeletePolicy: detached from everything, and of one version."""
        policy = self._state.managed_policy(params["PolicyArn"])
        if policy is None:
            return
        if policy.attachment_count:
            raise WireError(
                "DeleteConflict", "Cannot delete a policy attached to entities.", status=409
            )
        if len(policy.versions) > 1:
            message = (
                "This policy has more than one version. Before you delete a policy, you must delete"
                " the policy's versions."
            )
            raise WireError("DeleteConflict", message, status=409)

    def _topic_has_these_tags(self, params: Params) -> None:
        """API reference of SNS, CreateTopic: a topic that is there is answered with its ARN; where
        the call gives other tags, InvalidParameter (re:Post, "Topic already exists with different
        tags").
        """
        given = {tag["Key"]: tag["Value"] for tag in params.get("Tags") or ()}
        there = self._state.topic_tags(params["Name"])
        if given and there is not None and given != there:
            raise WireError(
                "InvalidParameter",
                "Invalid parameter: Tags Reason: Topic already exists with different tags",
            )

    def _group_is_new(self, params: Params) -> None:
        """API reference of EventBridge Scheduler, CreateScheduleGroup: ConflictException."""
        if self._state.has_schedule_group(params["Name"]):
            message = f"Schedule group {params['Name']} already exists."
            raise WireError("ConflictException", message, status=409)

    def _group_is_there(self, params: Params) -> None:
        """The same, DeleteScheduleGroup: ResourceNotFoundException."""
        if not self._state.has_schedule_group(params["Name"]):
            message = f"Schedule group {params['Name']} does not exist."
            raise WireError("ResourceNotFoundException", message, status=404)

    def _permission_is_new(self, params: Params) -> None:
        """API reference of Lambda, AddPermission: ResourceConflictException."""
        identity = params["StatementId"]
        if params.get("Qualifier"):
            return  # a version or alias has a policy of its own
        if identity in self._state.permissions(params["FunctionName"]):
            raise WireError(
                "ResourceConflictException",
                f"The statement id ({identity}) provided already exists. Please provide a new"
                " statement id, or remove the existing statement.",
                status=409,
            )

    def _machine_can_be_made(self, params: Params) -> None:
        """API reference of Step Functions, CreateStateMachine: the same machine again is answered
        with its ARN; role and tags do not count.
        """
        there = self._state.state_machine(params["name"])
        if there is not None and there != (params["definition"], params.get("type", "STANDARD")):
            arn = self._state.arn("states", f"stateMachine:{params['name']}")
            raise WireError("StateMachineAlreadyExists", f"State Machine Already Exists: '{arn}'")
        self._logs_are_delivered(params)

    def _logs_are_delivered(self, params: Params) -> None:
        """Step Functions developer guide, "Logging using CloudWatch Logs": the machine's role sets
        the delivery up.

        AWS documents two actions more, on log streams, which the delivery itself writes: roles that
        aws-cdk makes have these eight alone.
        """
        logging = params.get("loggingConfiguration") or {}
        role = params.get("roleArn") or self._state.state_machine_role(
            params.get("stateMachineArn", "")
        )
        if logging.get("level", "OFF") == "OFF" or role is None:
            return
        try:
            for action in _LOG_DELIVERY:
                self._access.require(role, "states", f"logs:{action}", "*")
        except WireError as error:
            message = "The state machine IAM Role is not authorized to access the Log Destination"
            raise WireError("AccessDeniedException", message) from error


def _variables_are_short(params: Params) -> None:
    """Lambda developer guide, quotas: 4 KB for all environment variables of a function together,
    measured as JSON.
    """
    text = json.dumps(
        (params.get("Environment") or {}).get("Variables") or {}, separators=(",", ":")
    )
    if len(text.encode()) > _MOST_VARIABLES_BYTES:
        raise WireError(
            "InvalidParameterValueException",
            "Lambda was unable to configure your environment variables because the environment"
            f" variables you have provided exceeded the 4KB limit. String measured: {text}",
        )


def _pattern_is_short(params: Params) -> None:
    """EventBridge user guide, quotas: 2,048 characters; more on request."""
    size = len(params.get("EventPattern") or "")
    if size > _LONGEST_PATTERN:
        raise WireError(
            "ValidationException",
            f"The event pattern has {size} characters, which is more than {_LONGEST_PATTERN}.",
        )


def _dashboard_is_small(params: Params) -> None:
    """CloudWatch API reference, dashboard body structure, and user guide, service quotas."""
    widgets = json.loads(params["DashboardBody"]).get("widgets") or []
    alarms = [
        len(each["properties"].get("alarms") or [])
        for each in widgets
        if each.get("type") == "alarm"
    ]
    metrics = [
        len(each["properties"].get("metrics") or [])
        for each in widgets
        if each.get("type") == "metric"
    ]
    found = {
        f"{len(widgets)} widgets, which is more than {_MOST_WIDGETS}": len(widgets) > _MOST_WIDGETS,
        f"a widget with {max(alarms, default=0)} alarms, which is more than {_MOST_ALARMS}": (
            max(alarms, default=0) > _MOST_ALARMS
        ),
        f"a widget with {max(metrics, default=0)} metrics, which is more than {_MOST_METRICS[0]}": (
            max(metrics, default=0) > _MOST_METRICS[0]
        ),
        f"{sum(metrics)} metrics in all, which is more than {_MOST_METRICS[1]}": (
            sum(metrics) > _MOST_METRICS[1]
        ),
    }
    problems = [text for text, wrong in found.items() if wrong]
    if problems:
        raise WireError(
            "InvalidParameterInput", f"The field DashboardBody has {', and '.join(problems)}."
        )


def _alarm_rule_is_short(params: Params) -> None:
    """CloudWatch API reference, PutCompositeAlarm: 10,240 characters, 100 other alarms."""
    rule = params["AlarmRule"]
    children = len(set(re.findall(r'ALARM\("([^"]+)"\)', rule)))
    if len(rule) > _LONGEST_ALARM_RULE or children > _MOST_CHILDREN:
        raise WireError(
            "ValidationError",
            f"AlarmRule has {len(rule)} characters and {children} alarms; allowed are 10240 and"
            " 100.",
        )
