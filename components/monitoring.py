"""Who hears of failures: Slack of a failed run, e-mail of an event that nobody could handle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from components.context import Component, StackContext
from components.function import EventTrigger, EventTriggerArgs, LambdaFunction, LambdaFunctionArgs
from components.policies import document, statement
from components.queues import Queues
from components.secrets import Secrets
from components.storage import Storage
from config.stack import StackConfig
from workloads import contract

_NOTIFY_TIMEOUT_SECONDS: Final = 60
"""Below the time for which one invocation of the function has the right to tell Slack (workloads/functions/states.py)."""
_ALARMS: Final = {"Service": "cloudwatch.amazonaws.com"}


@dataclass(frozen=True, kw_only=True)
class MonitoringArgs:
    """What Monitoring needs."""

    context: StackContext
    config: StackConfig
    storage: Storage
    secrets: Secrets
    queues: Queues
    state_machine_arn: pulumi.Output[str] | None
    """Of the machine that runs the stages, where there is one."""
    functions: Mapping[str, LambdaFunction]
    """Functions of other components, by a short name, whose dead letters are watched too."""


class Monitoring(Component):
    """The notify function on failed jobs, and an alarm on each dead-letter queue."""

    notify: LambdaFunction
    topic_arn: pulumi.Output[str]

    def __init__(self, name: str, args: MonitoringArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._context = args.context
        self.notify = self._notify(name, args)
        topic = self._topic(name)
        for index, address in enumerate(args.config.monitoring.emails):
            aws.sns.TopicSubscription(f"{name}-email-{index}", topic=topic.arn, protocol="email", endpoint=address, opts=self.child())
        for label, function in {**args.functions, "notify": self.notify}.items():
            self._dead_letter_alarm(f"{name}-{label}-dead-letters", label, function, topic)
        self.topic_arn = topic.arn
        self.register_outputs({"notify_function": self.notify.name, "topic_arn": self.topic_arn})

    def _notify(self, name: str, args: MonitoringArgs) -> LambdaFunction:
        age = args.config.pipeline.event_max_age_hours
        function = LambdaFunction(
            f"{name}-notify",
            LambdaFunctionArgs(
                context=args.context,
                description="Marks the run of a failed job as FAILED and tells Slack why",
                handler="workloads.functions.notify.handler",
                environment=_environment(args),
                statements=_statements(args),
                timeout_seconds=_NOTIFY_TIMEOUT_SECONDS,
                event_max_age_hours=age,
                log_retention_days=args.config.monitoring.log_retention_days,
            ),
            opts=self.child(),
        )
        EventTrigger(
            f"{name}-failures",
            EventTriggerArgs(
                context=args.context,
                description="A job failed for good",
                pattern={
                    "source": ["aws.batch"],
                    "detail-type": ["Batch Job State Change"],
                    "detail": {"status": ["FAILED"], "jobQueue": list(args.queues.arns.values())},
                },
                further=_executions(args.state_machine_arn),
                enabled=True,
                function=function,
                event_max_age_hours=age,
            ),
            opts=self.child(),
        )
        return function

    def _topic(self, name: str) -> aws.sns.Topic:
        """An encrypted topic. Its key is our own, because alarms cannot publish to a topic under the key that AWS manages for SNS."""
        context = self._context
        own_account = {"StringEquals": {"aws:SourceAccount": context.account_id}}
        account = {"AWS": f"arn:{context.partition}:iam::{context.account_id}:root"}
        key = aws.kms.Key(
            f"{name}-topic",
            description=f"Messages of {context.project} {context.stack}",
            enable_key_rotation=True,
            policy=document(
                statement("Administration", principal=account, actions=["kms:*"], resources=["*"]),
                statement(
                    "Alarms", principal=_ALARMS, actions=["kms:Decrypt", "kms:GenerateDataKey*"], resources=["*"], conditions=own_account
                ),
            ),
            tags=context.tags,
            opts=self.child(),
        )
        topic = aws.sns.Topic(f"{name}-topic", kms_master_key_id=key.arn, tags=context.tags, opts=self.child())
        aws.sns.TopicPolicy(
            f"{name}-topic",
            arn=topic.arn,
            policy=document(statement("Alarms", principal=_ALARMS, actions=["sns:Publish"], resources=[topic.arn], conditions=own_account)),
            opts=self.child(),
        )
        return topic

    def _dead_letter_alarm(self, name: str, label: str, function: LambdaFunction, topic: aws.sns.Topic) -> None:
        aws.cloudwatch.MetricAlarm(
            name,
            alarm_description=f"An event could not be handled and lies in the dead-letter queue of the {label} function",
            namespace="AWS/SQS",
            metric_name="ApproximateNumberOfMessagesVisible",
            dimensions={"QueueName": function.dead_letters.name},
            statistic="Maximum",
            period=300,
            evaluation_periods=1,
            comparison_operator="GreaterThanThreshold",
            threshold=0,
            treat_missing_data="notBreaching",  # SQS sends no data for a queue that has long been empty
            alarm_actions=[topic.arn],
            tags=self._context.tags,
            opts=self.child(),
        )


def _executions(state_machine_arn: pulumi.Output[str] | None) -> dict[str, dict[str, Any]]:
    """Which ends of executions call the notify function, by a short name."""
    if state_machine_arn is None:
        return {}
    return {
        "executions": {
            "source": ["aws.states"],
            "detail-type": ["Step Functions Execution Status Change"],
            "detail": {"status": ["FAILED", "TIMED_OUT", "ABORTED"], "stateMachineArn": [state_machine_arn]},
        }
    }


def _environment(args: MonitoringArgs) -> dict[str, pulumi.Input[str]]:
    variables: dict[str, pulumi.Input[str]] = {
        contract.ENV_TABLE: args.storage.table.name,
        contract.ENV_RESULTS_BUCKET: args.storage.results.bucket,
    }
    if args.secrets.slack_webhook_arn is not None:
        variables[contract.ENV_SLACK_WEBHOOK_SECRET_ARN] = args.secrets.slack_webhook_arn
    return variables


def _statements(args: MonitoringArgs) -> list[dict[str, Any]]:
    statements = [
        statement(
            "ReadErrorRecords", actions=["s3:GetObject"], resources=[pulumi.Output.concat(args.storage.results.arn, "/runs/*/errors/*")]
        ),
        statement("RunStates", actions=["dynamodb:UpdateItem"], resources=[args.storage.table.arn]),
    ]
    if args.secrets.slack_webhook_arn is not None:
        statements.append(statement("ReadWebhook", actions=["secretsmanager:GetSecretValue"], resources=[args.secrets.slack_webhook_arn]))
    return statements
