"""Who hears of failures: Slack of failed runs and blocked queues, Slack and e-mail of alarms; and
what the operator looks at.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from components.arns import arn_of
from components.context import Component, StackContext
from components.environments import Environments
from components.function import (
    EventTrigger,
    EventTriggerArgs,
    LambdaFunction,
    LambdaFunctionArgs,
    Pattern,
    in_rules,
    job_state_changes,
)
from components.growth import growth_environment
from components.jobs import Jobs
from components.monitoring.alarm_rules import AlarmsArgs
from components.monitoring.alarms import Alarms
from components.monitoring.dashboard import Dashboard, DashboardArgs
from components.monitoring.measuring import Measuring, MeasuringArgs
from components.policies import document, leading_keys, statement, tls_only
from components.prices import job_prices
from components.queues import Queues
from components.redrive import Redrive, RedriveArgs
from components.run_pages import page_statements
from components.secrets import Secrets
from components.storage import Storage
from config.jobs import AnalysisJob
from config.stack import StackConfig
from config.topology import goes_on_demand, growing, jobs
from workloads import contract, metrics
from workloads.variables import (
    ENV_CONSOLE_URL,
    ENV_RESULTS_BUCKET,
    ENV_STAGE_PRICES,
    ENV_SUBMIT_FUNCTION,
    ENV_TABLE,
)

_NOTIFY_TIMEOUT_SECONDS: Final = 75
"""Timeout of the notify function: below the time for which one invocation of the function has the
right to tell Slack (workloads/functions/state_items.py), and above what Slack may take
(workloads/functions/slack.py) after the cost of a large array has been asked for.
"""
_ALARMS: Final = {"Service": "cloudwatch.amazonaws.com"}
_MAILED: Final = {"NewStateValue": ["ALARM"]}
"""The part of the alarms' news that is mailed. Their OK actions are run too for an alarm that has
just been made, which goes from INSUFFICIENT_DATA to OK (CloudWatch user guide, "Alarm actions"):
each change of an alarm would mail everybody. Slack hears of the end of what it heard the beginning
of (workloads/functions/alarm.py). SNS developer guide, "Payload-based message filtering".
"""


@dataclass(frozen=True, kw_only=True)
class MonitoringArgs:
    """What Monitoring needs."""

    context: StackContext
    config: StackConfig
    storage: Storage
    secrets: Secrets
    queues: Queues
    environments: Environments
    jobs: Jobs
    state_machine_arns: Mapping[str, pulumi.Output[str]]
    """`run`: the machine that runs the stages; `day`: that of the day; each where there is one."""
    submit: LambdaFunction
    """Begins runs again, and goes on with those that leave Spot."""
    watched: Mapping[str, LambdaFunction]
    """Functions of other components, by a short name, whose errors and dead letters count too."""


class Monitoring(Component):
    """The notify function on failed jobs, the measure function, the alarms with their topic, what
    tries again, and the dashboard.
    """

    notify: LambdaFunction
    notifiers: dict[str, LambdaFunction]
    """The functions that tell people, by a short name; their dead letters are tried again by
    themselves.
    """
    topic_arn: pulumi.Output[str]

    def __init__(
        self, name: str, args: MonitoringArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, opts)
        self._context = args.context
        self.notify = self._notify(name, args)
        self.topic_arn = self._topic(name)
        for index, address in enumerate(args.config.monitoring.emails):
            aws.sns.TopicSubscription(
                f"{name}-email-{index}",
                topic=self.topic_arn,
                protocol="email",
                endpoint=address,
                filter_policy=json.dumps(_MAILED),
                filter_policy_scope="MessageBody",
                opts=self.child(),
            )
        self.notifiers = {"notify": self.notify, "alarm": self._tell(name, args)}
        redrive = Redrive(
            f"{name}-redrive",
            RedriveArgs(
                context=args.context,
                functions=self.notifiers,
                log_retention_days=args.config.monitoring.log_retention_days,
            ),
            opts=self.child(),
        )
        measuring = Measuring(
            f"{name}-measure",
            MeasuringArgs(
                context=args.context,
                config=args.config,
                queues=args.queues,
                environments=args.environments,
            ),
            opts=self.child(),
        )
        functions = {
            **args.watched,
            **self.notifiers,
            "measure": measuring.function,
            "redrive": redrive.function,
        }
        alarms = Alarms(
            f"{name}-alarms",
            AlarmsArgs(
                context=args.context,
                config=args.config,
                queues=args.queues,
                functions=functions,
                state_machine_arns=args.state_machine_arns,
                topic_arn=self.topic_arn,
            ),
            opts=self.child(),
        )
        Dashboard(
            f"{name}-dashboard",
            DashboardArgs(
                context=args.context,
                config=args.config,
                queues=args.queues,
                functions=functions,
                stage_logs=args.jobs.log_group_names,
                state_machine_arns=args.state_machine_arns,
                alarm_arns=alarms.arns,
            ),
            opts=self.child(),
        )
        self.register_outputs({"notify_function": self.notify.name, "topic_arn": self.topic_arn})

    def _notify(self, name: str, args: MonitoringArgs) -> LambdaFunction:
        function = LambdaFunction(
            f"{name}-notify",
            LambdaFunctionArgs(
                context=args.context,
                description=(
                    "Marks the run of a failed job as FAILED and tells Slack why; tells findings"
                    " where postprocess could not"
                ),
                handler="workloads.functions.notify.handler",
                environment=_environment(args),
                statements=_statements(args),
                timeout_seconds=_NOTIFY_TIMEOUT_SECONDS,
                event_max_age_hours=args.config.pipeline.event_max_age_hours,
                log_retention_days=args.config.monitoring.log_retention_days,
            ),
            opts=self.child(),
        )
        queues = list(args.queues.arns.values())
        failures = in_rules("failed", queues, lambda arns: job_state_changes(["FAILED"], arns))
        first = failures.pop("failed")
        EventTrigger(
            f"{name}-failures",
            EventTriggerArgs(
                context=args.context,
                description=(
                    "A job failed for good, a queue is blocked, or findings could not be told"
                ),
                pattern=first,
                further={
                    **failures,
                    **in_rules("blocked", queues, _blocked),
                    "findings": {
                        "source": [contract.event_source(args.context.stack)],
                        "detail-type": [contract.RUN_SUCCEEDED_EVENT],
                    },
                    **_executions(args.state_machine_arns.get("run")),
                },
                enabled=True,
                function=function,
            ),
            opts=self.child(),
        )
        return function

    def _topic(self, name: str) -> pulumi.Output[str]:
        """The ARN of an encrypted topic.

        Its key is our own, because alarms cannot publish to a topic under the key that AWS manages
        for SNS.
        """
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
                    "Alarms",
                    principal=_ALARMS,
                    actions=["kms:Decrypt", "kms:GenerateDataKey*"],
                    resources=["*"],
                    conditions=own_account,
                ),
            ),
            tags=context.tags,
            opts=self.child(),
        )
        topic = aws.sns.Topic(
            f"{name}-topic", kms_master_key_id=key.arn, tags=context.tags, opts=self.child()
        )
        arn = arn_of(topic, context)
        aws.sns.TopicPolicy(
            f"{name}-topic",
            arn=arn,
            policy=document(
                statement(
                    "Alarms",
                    principal=_ALARMS,
                    actions=["sns:Publish"],
                    resources=[arn],
                    conditions=own_account,
                ),
                # SNS developer guide, security best practices: what is published is what has to be
                # kept from the wire
                tls_only("sns:Publish", [arn]),
            ),
            opts=self.child(),
        )
        return arn

    def _tell(self, name: str, args: MonitoringArgs) -> LambdaFunction:
        """The function that makes messages of alarms, as a subscriber of the topic."""
        variables: dict[str, pulumi.Input[str]] = {
            ENV_TABLE: args.storage.table.name,
            metrics.ENV_ENVIRONMENTS: json.dumps(sorted(args.config.environments)),
            **args.secrets.webhook_environment(),
        }
        statements = [
            _items(
                "WhatWasTold",
                args.storage,
                ["dynamodb:GetItem", "dynamodb:UpdateItem"],
                metrics.ALARM_KEY_PREFIX,
            ),
            _items("WhatTheDayLacks", args.storage, ["dynamodb:Query"], metrics.DAY_KEY),
            # knows no resources (service authorization reference, Amazon CloudWatch)
            statement(
                "WhichEnvironmentCosts", actions=["cloudwatch:GetMetricStatistics"], resources=["*"]
            ),
            *args.secrets.read_webhook(),
        ]
        function = LambdaFunction(
            f"{name}-alarm",
            LambdaFunctionArgs(
                context=args.context,
                description="Tells Slack of alarms, once for each change",
                handler="workloads.functions.alarm.handler",
                environment=variables,
                statements=statements,
                timeout_seconds=_NOTIFY_TIMEOUT_SECONDS,
                event_max_age_hours=args.config.pipeline.event_max_age_hours,
                log_retention_days=args.config.monitoring.log_retention_days,
                called_by_rules=False,
            ),
            opts=self.child(),
        )
        permission = aws.lambda_.Permission(
            f"{name}-alarm-topic",
            action="lambda:InvokeFunction",
            function=function.name,
            principal="sns.amazonaws.com",
            source_arn=self.topic_arn,
            opts=self.child(),
        )
        aws.sns.TopicSubscription(
            f"{name}-alarm-topic",
            topic=self.topic_arn,
            protocol="lambda",
            endpoint=function.arn,
            opts=self.child(depends_on=[permission]),
        )
        return function


def _items(sid: str, storage: Storage, actions: list[str], *key_prefixes: str) -> dict[str, Any]:
    """Actions on the items of the table whose partition key begins so."""
    return statement(
        sid, actions=actions, resources=[storage.table_arn], conditions=leading_keys(*key_prefixes)
    )


def _blocked(queue_arns: Sequence[pulumi.Input[str]]) -> Pattern:
    return {
        "source": ["aws.batch"],
        "detail-type": ["Batch Job Queue Blocked"],
        "resources": list(queue_arns),
    }


def _executions(state_machine_arn: pulumi.Output[str] | None) -> dict[str, dict[str, Any]]:
    """Which ends of executions call the notify function, by a short name."""
    if state_machine_arn is None:
        return {}
    return {
        "executions": {
            "source": ["aws.states"],
            "detail-type": ["Step Functions Execution Status Change"],
            "detail": {
                "status": ["FAILED", "TIMED_OUT", "ABORTED"],
                "stateMachineArn": [state_machine_arn],
            },
        }
    }


def _environment(args: MonitoringArgs) -> dict[str, pulumi.Input[str]]:
    variables: dict[str, pulumi.Input[str]] = {
        ENV_TABLE: args.storage.table.name,
        ENV_RESULTS_BUCKET: args.storage.results.bucket,
        ENV_CONSOLE_URL: args.storage.results_url,
        ENV_STAGE_PRICES: json.dumps(job_prices(args.config, args.context.region), sort_keys=True),
        **args.secrets.webhook_environment(),
        **growth_environment(args.config),
    }
    if _asks_to_begin_again(args):
        variables[ENV_SUBMIT_FUNCTION] = args.submit.arn
    return variables


def _asks_to_begin_again(args: MonitoringArgs) -> bool:
    """Whether the notify function calls the submit function: of stages that grow, and of an
    analysis of a chain that leaves Spot, which the state machine would see by itself.
    """
    chained = args.config.pipeline.orchestrator == "batch"
    return bool(growing(args.config)) or (chained and goes_on_demand(args.config))


def _statements(args: MonitoringArgs) -> list[dict[str, Any]]:
    statements = [
        statement(
            "ReadErrorRecords",
            actions=["s3:GetObject"],
            resources=[pulumi.Output.concat(args.storage.results_arn, "/runs/*/errors/*")],
        ),
        # S3 tells missing from denied only to those who may list the bucket, see
        # components/job_policies.py
        statement(
            "TellMissingFromDenied", actions=["s3:ListBucket"], resources=[args.storage.results_arn]
        ),
        _items(
            "RunStates",
            args.storage,
            ["dynamodb:GetItem", "dynamodb:UpdateItem"],
            contract.DATA_SET_KEY_PREFIX,
            metrics.BLOCKED_KEY_PREFIX,
        ),
        # knows no resources (service authorization reference, AWS Batch)
        statement("WhatJobsTook", actions=["batch:DescribeJobs"], resources=["*"]),
        *page_statements(args.storage),
        *args.secrets.read_webhook(),
    ]
    if any(isinstance(job, AnalysisJob) and job.shards > 1 for job in jobs(args.config).values()):
        # a failed array says only that a child failed; knows no resources either
        statements.append(statement("SeeChildren", actions=["batch:ListJobs"], resources=["*"]))
    if _asks_to_begin_again(args):
        statements.append(
            statement("BeginAgain", actions=["lambda:InvokeFunction"], resources=[args.submit.arn])
        )
    return statements
