"""What has to be there when on every day: the daily function, its two times, and the state machine
of the day where stages have one too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from components.arns import arn_of
from components.context import Component, StackContext
from components.function import (
    EventTrigger,
    EventTriggerArgs,
    LambdaFunction,
    LambdaFunctionArgs,
    rate,
)
from components.json_text import json_text
from components.policies import document, leading_keys, statement, trust
from components.state_machines.day_machine import DayDefinitionArgs, day_definition
from components.state_machines.machine import Machine, MachineArgs
from components.storage import Storage
from config.pipeline import DailySection
from config.rules.orchestration import minutes_of_day
from config.stack import StackConfig
from workloads import contract, metrics, names
from workloads.variables import ENV_INGEST_BUCKET, ENV_SUBMIT_FUNCTION, ENV_TABLE

_TIMEOUT_SECONDS: Final = 300
"""Timeout of a look: the folder of a day is listed, and the state of every run in it is read."""
_LOOK_MAX_AGE_HOURS: Final = 1
"""A look that comes late is as good as the next one."""
_CALL_MAX_AGE_SECONDS: Final = 3600
_CALL_RETRIES: Final = (
    185  # the most that EventBridge Scheduler takes: the age of the call ends the attempts
)


@dataclass(frozen=True, kw_only=True)
class DailyArgs:
    """What Daily needs."""

    context: StackContext
    config: StackConfig
    section: DailySection
    storage: Storage
    submit: LambdaFunction


class Daily(Component):
    """Two schedules in the config's time zone, a rule for the looks between, and the function
    (workloads/functions/daily.py).
    """

    function: LambdaFunction
    machine: Machine | None
    """State machine of the day, where the orchestrator is one."""

    def __init__(
        self, name: str, args: DailyArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, opts)
        self._args = args
        by_machine = args.config.pipeline.orchestrator == "step-functions"
        self.function = LambdaFunction(
            f"{name}-look",
            LambdaFunctionArgs(
                context=args.context,
                description=(
                    "Looks for the files of the day and the ends of their runs, and begins what no"
                    " event began"
                ),
                handler="workloads.functions.daily.handler",
                environment=_environment(args),
                settings={metrics.ENV_DAILY: _settings(args, begins=not by_machine)},
                statements=_statements(args),
                timeout_seconds=_TIMEOUT_SECONDS,
                event_max_age_hours=_LOOK_MAX_AGE_HOURS,
                log_retention_days=args.config.monitoring.log_retention_days,
            ),
            opts=self.child(),
        )
        EventTrigger(
            f"{name}-clock",
            EventTriggerArgs(
                context=args.context,
                description="Time to look at the files of the day again",
                schedule=rate(args.config.monitoring.measure_minutes),
                enabled=True,
                function=self.function,
            ),
            opts=self.child(),
        )
        self.machine = self._machine(name) if by_machine else None
        first = self.machine.arn if self.machine is not None else self.function.arn
        role, policy = self._role(name)
        self._schedule(
            f"{name}-file-by",
            args.section.file_by,
            first,
            role,
            policy,
            "The files of the day have to be there",
        )
        self._schedule(
            f"{name}-finished-by",
            args.section.finished_by,
            self.function.arn,
            role,
            policy,
            "The runs of the day have to be done",
        )
        self.register_outputs(
            {
                "function": self.function.name,
                "state_machine_arn": self.machine.arn if self.machine is not None else "",
            }
        )

    def _machine(self, name: str) -> Machine:
        args = self._args
        return Machine(
            f"{name}-runs",
            MachineArgs(
                context=args.context,
                definition=day_definition(
                    DayDefinitionArgs(
                        partition=args.context.partition,
                        look_function_arn=self.function.arn,
                        submit_function_arn=args.submit.arn,
                        table_name=args.storage.table.name,
                        max_parallel=args.section.max_parallel,
                        poll_seconds=args.config.pipeline.poll_seconds,
                        wait_minutes=minutes_of_day(args.section),
                    )
                ),
                statements=[
                    statement(
                        "CallFunctions",
                        actions=["lambda:InvokeFunction"],
                        resources=[self.function.arn, args.submit.arn],
                    ),
                    statement(
                        "RunStates",
                        actions=["dynamodb:GetItem"],
                        resources=[args.storage.table_arn],
                        conditions=leading_keys(contract.DATA_SET_KEY_PREFIX),
                    ),
                ],
                distributes=True,
                log_retention_days=args.config.monitoring.log_retention_days,
            ),
            opts=self.child(),
        )

    def _role(self, name: str) -> tuple[aws.iam.Role, aws.iam.RolePolicy]:
        """EventBridge Scheduler may make these calls, and keep what it cannot deliver."""
        context = self._args.context
        calls = [
            statement(
                "CallFunction", actions=["lambda:InvokeFunction"], resources=[self.function.arn]
            )
        ]
        if self.machine is not None:
            calls.append(
                statement(
                    "StartDay", actions=["states:StartExecution"], resources=[self.machine.arn]
                )
            )
        role = aws.iam.Role(
            f"{name}-schedules",
            assume_role_policy=trust("scheduler.amazonaws.com", context),
            tags=context.tags,
            opts=self.child(),
        )
        policy = aws.iam.RolePolicy(
            f"{name}-schedules",
            role=role.name,
            policy=document(
                *calls,
                statement(
                    "KeepDeadLetters",
                    actions=["sqs:SendMessage"],
                    resources=[self.function.dead_letters_arn],
                ),
            ),
            opts=self.child(),
        )
        return role, policy

    def _schedule(
        self,
        name: str,
        at: str,
        target_arn: pulumi.Input[str],
        role: aws.iam.Role,
        policy: aws.iam.RolePolicy,
        description: str,
    ) -> None:
        hour, minute = int(at[:2]), int(at[3:])
        aws.scheduler.Schedule(
            name,
            description=description,
            schedule_expression=f"cron({minute} {hour} * * ? *)",
            schedule_expression_timezone=self._args.section.time_zone,
            flexible_time_window=aws.scheduler.ScheduleFlexibleTimeWindowArgs(mode="OFF"),
            target=aws.scheduler.ScheduleTargetArgs(
                arn=target_arn,
                role_arn=arn_of(role, self._args.context),
                # the time it stands for, also where the call comes late
                input=json_text(
                    {"at": "<aws.scheduler.scheduled-time>", "begin": True}, sort_keys=True
                ),
                retry_policy=aws.scheduler.ScheduleTargetRetryPolicyArgs(
                    maximum_event_age_in_seconds=_CALL_MAX_AGE_SECONDS,
                    maximum_retry_attempts=_CALL_RETRIES,
                ),
                dead_letter_config=aws.scheduler.ScheduleTargetDeadLetterConfigArgs(
                    arn=self.function.dead_letters_arn
                ),
            ),
            state="ENABLED",
            # a call that comes before would be refused
            opts=self.child(depends_on=[policy]),
        )


def _settings(args: DailyArgs, *, begins: bool) -> dict[str, Any]:
    return {**args.section.model_dump(mode="json"), "begins": begins}


def _environment(args: DailyArgs) -> dict[str, pulumi.Input[str]]:
    return {
        ENV_TABLE: args.storage.table.name,
        ENV_INGEST_BUCKET: args.storage.ingest.bucket,
        ENV_SUBMIT_FUNCTION: args.submit.arn,
    }


def _statements(args: DailyArgs) -> list[dict[str, Any]]:
    of_days, of_runs = leading_keys(metrics.DAY_KEY), leading_keys(contract.DATA_SET_KEY_PREFIX)
    uploads = {"StringLike": {"s3:prefix": f"{names.UPLOAD_PREFIX}*"}}
    return [
        statement(
            "ListUploads",
            actions=["s3:ListBucket"],
            resources=[args.storage.ingest_arn],
            conditions=uploads,
        ),
        statement(
            "RunStates",
            actions=["dynamodb:BatchGetItem"],
            resources=[args.storage.table_arn],
            conditions=of_runs,
        ),
        statement(
            "Days",
            actions=["dynamodb:PutItem", "dynamodb:Query"],
            resources=[args.storage.table_arn],
            conditions=of_days,
        ),
        statement("BeginRuns", actions=["lambda:InvokeFunction"], resources=[args.submit.arn]),
        # knows no resources (service authorization reference, AWS Batch)
        statement("LookAtJobs", actions=["batch:DescribeJobs"], resources=["*"]),
    ]
