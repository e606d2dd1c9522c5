"""What the other parts need to know of the in-memory AWS besides Batch: one module that touches
moto's own objects.

moto answers the API of every service but Batch. Placement, permissions and job logs look at its
state far too often for HTTP, so this module reads the backends of the process, and nobody else
does.
"""

from __future__ import annotations

import os
from typing import Any

from moto.backends import get_backend
from moto.core.base_backend import BackendDict, backend_lock
from moto.core.config import default_user_config
from moto.core.exceptions import JsonRESTError
from moto.core.model_instances import reset_model_data

from localcloud.moto.answers import complete_answers
from localcloud.moto.backends import ACCOUNT_ID, PARTITION
from localcloud.moto.ec2 import Ec2
from localcloud.moto.efs import Efs
from localcloud.moto.identity import Identities, document
from localcloud.moto.logs import LogGroups
from localcloud.moto.speed import hasten
from localcloud.moto.tags import Tags

__all__ = [
    "ACCOUNT_ID",
    "PARTITION",
    "AwsState",
    "function_name",
    "prepare_moto",
    "reset_moto",
]


def prepare_moto(port: int) -> None:
    """Settings that moto reads when its backends are first touched.

    AWS managed policies have to exist, or no role of the program could attach one: in the
    partition that the account is in. moto asks those of every other one for an access key too,
    and reading 1,500 policies for each takes seconds and a hundred megabytes. State machines are
    executed, and call the services that they integrate through the port of the front.
    """
    hasten()
    default_user_config["iam"]["load_aws_managed_policies"] = True
    get_backend("iam")[ACCOUNT_ID][PARTITION]
    default_user_config["iam"]["load_aws_managed_policies"] = False
    default_user_config["stepfunctions"]["execute_state_machine"] = True
    os.environ["MOTO_PORT"] = str(port)
    complete_answers()


def reset_moto() -> None:
    """Empties every backend, so that a new cloud starts with nothing.

    moto's own reset first builds every backend anew and then throws it away, which costs seconds of
    parsing managed policies; only S3 has something to close.
    """
    with backend_lock:
        in_use: list[Any] = BackendDict._instances  # type: ignore[misc]  # noqa: SLF001 - moto has no other list of them
        managed: list[Any] = []
        for services in list(in_use):
            if services.service_name == "s3":
                for account in services.values():
                    account.reset()
            if services.service_name == "iam" and PARTITION in services.get(ACCOUNT_ID, {}).keys():  # noqa: SIM118 - `in` means more there
                managed = list(services[ACCOUNT_ID][PARTITION].aws_managed_policies)
            services.clear()
        in_use.clear()
    reset_model_data()
    if managed:
        _keep_managed_policies(managed)


def _keep_managed_policies(managed: list[Any]) -> None:
    """Gives the new, empty IAM the managed policies of the old one: reading the 1,500 of them takes
    longer than all the rest.
    """
    default_user_config["iam"]["load_aws_managed_policies"] = False
    iam = get_backend("iam")[ACCOUNT_ID][PARTITION]
    for policy in managed:
        policy.attachment_count = 0
    iam.aws_managed_policies = managed
    iam.managed_policies = {policy.arn: policy for policy in managed}


class AwsState(Identities, Ec2, Efs, LogGroups, Tags):
    """Read access to moto's backends of one region, and the few writes that would be too slow over
    HTTP (logs).
    """

    def budget(self, name: str) -> dict[str, Any] | None:
        """What moto keeps of a budget, to be read and written; None where there is none of that
        name.
        """
        found = self._global("budgets").budgets.get(ACCOUNT_ID, {}).get(name)
        return None if found is None else found.budget

    def subscribers(self, name: str, notification: dict[str, Any]) -> list[dict[str, str]] | None:
        """Who hears of one notification of a budget; None where it has no such notification."""
        found = self._global("budgets").budgets.get(ACCOUNT_ID, {}).get(name)
        for each in found.notifications if found is not None else ():
            if all(each.details.get(member) == value for member, value in notification.items()):
                return list(each.subscribers)
        return None

    def topic_tags(self, name: str) -> dict[str, str] | None:
        """Tags of an SNS topic; None where there is none of that name."""
        found = self._regional("sns").topics.get(self.arn("sns", name))
        return None if found is None else dict(found._tags)  # noqa: SLF001 - moto has no other name

    def key(self, key_id: str) -> Any | None:
        """Moto's KMS key object by its id or ARN, or None."""
        return self._regional("kms").keys.get(key_id.rpartition("/")[2])

    def partition_key(self, table_name_or_arn: str) -> str:
        """Name of a DynamoDB table's partition key; empty where there is no such table."""
        name = table_name_or_arn.rsplit("/", 1)[-1]
        table = self._regional("dynamodb").tables.get(name)
        return "" if table is None else str(table.hash_key_attr)

    # ---- metrics and alarms ----------------------------------------------------------------------

    def put_metrics(self, namespace: str, data: list[dict[str, Any]]) -> None:
        """Adds to CloudWatch's metrics; `data` as PutMetricData takes it."""
        self._regional("cloudwatch").put_metric_data(namespace, data)

    def metric_data(self) -> list[Any]:
        """All that was put into CloudWatch's metrics, as moto's data."""
        return list(self._regional("cloudwatch").metric_data)

    def alarms(self) -> list[Any]:
        """Moto's alarm objects, composite ones with a `rule`."""
        return list(self._regional("cloudwatch").alarms.values())

    def put_composite_alarm(self, params: dict[str, Any]) -> None:
        """Keeps a composite alarm: moto describes such alarms and has no operation that makes
        one.
        """
        nothing = (
            "namespace",
            "metric_name",
            "comparison_operator",
            "evaluation_periods",
            "period",
            "threshold",
            "statistic",
        )
        self._regional("cloudwatch").put_metric_alarm(
            **dict.fromkeys(nothing),
            name=params["AlarmName"],
            description=params.get("AlarmDescription"),
            dimensions=[],
            alarm_actions=params.get("AlarmActions") or [],
            ok_actions=params.get("OKActions"),
            insufficient_data_actions=params.get("InsufficientDataActions"),
            actions_enabled=params.get("ActionsEnabled", True),
            rule=params["AlarmRule"],
            tags=params.get("Tags"),
        )

    def queue_depths(self) -> dict[str, int]:
        """Messages that wait in each SQS queue, by its name."""
        return {
            queue.name: int(queue.approximate_number_of_messages)
            for queue in list(self._regional("sqs").queues.values())
        }

    # ---- other services --------------------------------------------------------------------------

    def secret_arn(self, secret_id: str) -> str:
        """Full ARN of a secret that is named by ARN (with or without the random suffix) or by
        name.
        """
        for secret in list(self._regional("secretsmanager").secrets.values()):
            if secret_id in (secret.arn, secret.name) or secret.arn.rsplit("-", 1)[0] == secret_id:
                return str(secret.arn)
        return (
            secret_id
            if secret_id.startswith("arn:")
            else self.arn("secretsmanager", f"secret:{secret_id}")
        )

    def secret_value(self, secret_id: str, *, stage: str = "", version: str = "") -> str:
        """The text of a secret.

        Raises LookupError where there is none, with the sentence of Secrets Manager.
        """
        try:
            found = self._regional("secretsmanager").get_secret_value(
                secret_id, version or None, stage or None
            )
        except JsonRESTError as error:
            raise LookupError(f"{error.error_type}: {error.message}") from error
        return str(found["SecretString"])

    def function(self, name_or_arn: str) -> Any | None:
        """Moto's function object, or None."""
        name = function_name(name_or_arn)
        return next(
            (
                each
                for each in self._regional("lambda").list_functions()
                if each.function_name == name
            ),
            None,
        )

    def function_policy(self, name_or_arn: str) -> dict[str, Any]:
        """Resource policy of a function: who may invoke it."""
        function = self.function(name_or_arn)
        return {"Statement": [] if function is None else list(function.policy.statements)}

    def bucket(self, name: str) -> Any | None:
        """Moto's bucket object, or None."""
        return self._global("s3").buckets.get(name)

    def object(self, bucket: str, key: str, version_id: str | None = None) -> Any | None:
        """Moto's object of that version, the newest without one, or None."""
        return (
            self._global("s3").get_object(bucket, key, version_id=version_id)
            if self.bucket(bucket)
            else None
        )

    def event_rules(self, bus: str) -> list[Any]:
        """Moto's rule objects of an event bus."""
        found = self._regional("events").event_buses.get(bus)
        return [] if found is None else list(found.rules.values())

    def schedules(self) -> list[Any]:
        """Moto's objects of the schedules of EventBridge Scheduler."""
        return [
            schedule
            for group in list(self._regional("scheduler").schedule_groups.values())
            for schedule in list(group.schedules.values())
        ]

    def topic_policy(self, topic_arn: str) -> dict[str, Any]:
        """Access policy of an SNS topic."""
        topic = self._regional("sns").topics.get(topic_arn)
        return {"Statement": []} if topic is None else document(topic.policy)

    def queue_policy(self, queue_arn: str) -> dict[str, Any]:
        """Access policy of an SQS queue."""
        queue = next(
            (
                each
                for each in list(self._regional("sqs").queues.values())
                if each.queue_arn == queue_arn
            ),
            None,
        )
        policy = None if queue is None else getattr(queue, "policy", None)
        return document(policy) if policy else {"Statement": []}

    def queue_wait_seconds(self, name: str) -> int:
        """How long a poll of an SQS queue waits that does not say so itself."""
        queue = self._regional("sqs").queues.get(name)
        return 0 if queue is None else int(queue.receive_message_wait_time_seconds)

    def queue_is_empty(self, name: str) -> bool:
        """Whether no message of an SQS queue can be received now."""
        queue = self._regional("sqs").queues.get(name)
        return queue is not None and not queue.messages

    def state_machine_role(self, arn: str) -> str | None:
        """The role of a state machine; None where there is none of that ARN."""
        return next((each.roleArn for each in self._state_machines() if each.arn == arn), None)

    def state_machine(self, name: str) -> tuple[str, str] | None:
        """Definition and type of the state machine of a name; None where there is none."""
        found = (each for each in self._state_machines() if each.name == name)
        return next(((each.definition, each.sm_type or "STANDARD") for each in found), None)

    def has_schedule_group(self, name: str) -> bool:
        """Whether EventBridge Scheduler has a group of that name."""
        return name in self._regional("scheduler").schedule_groups

    def permissions(self, function: str) -> set[str]:
        """Statement ids of a function's own policy; none where there is no such function."""
        return {each.get("Sid", "") for each in self.function_policy(function)["Statement"]}

    def _state_machines(self) -> list[Any]:
        return list(self._state_machine_backend().state_machines)

    def running_executions(self) -> list[Any]:
        """Moto's objects of the executions of state machines that have not ended."""
        return [
            execution
            for machine in self._state_machines()
            for execution in list(machine.executions)
            if execution.status == "RUNNING"
        ]


def function_name(name_or_arn: str) -> str:
    """Name of a Lambda function out of a name, partial ARN or ARN, with or without qualifier."""
    if ":function:" in name_or_arn:
        name_or_arn = name_or_arn.split(":function:", 1)[1]
    return name_or_arn.split(":")[0]
