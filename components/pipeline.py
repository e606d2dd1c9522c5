"""From upload to run: the event of the ingest bucket calls the submit function, which submits the
jobs or starts the state machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import pulumi

from components.context import Component, StackContext
from components.daily import Daily, DailyArgs
from components.function import EventTrigger, EventTriggerArgs, LambdaFunction, LambdaFunctionArgs
from components.growth import growth_environment
from components.jobs import Definition, Jobs
from components.json_text import json_text
from components.orchestration import Orchestration, OrchestrationArgs, submit_statements
from components.policies import leading_keys, statement
from components.queues import Queues
from components.secrets import Secrets
from components.state_machines.machine import Machine
from components.storage import Storage
from config.stack import StackConfig
from config.topology import Job
from config.topology import jobs as jobs_of
from workloads import contract, names, operating
from workloads.contract import STAGES, Stage
from workloads.variables import (
    ENV_DEADLINE_HOURS,
    ENV_JOB_DEFINITIONS,
    ENV_JOB_QUEUES,
    ENV_SHARE_IDENTIFIERS,
    ENV_STATE_MACHINE_ARN,
    ENV_TABLE,
)

_UPLOADS: Final = [{"prefix": names.UPLOAD_PREFIX}]
"""Object keys that start the function: all that somebody may have meant as an upload, so that the
function says so where it is none.
"""


@dataclass(frozen=True, kw_only=True)
class PipelineArgs:
    """What Pipeline needs."""

    context: StackContext
    config: StackConfig
    storage: Storage
    secrets: Secrets
    queues: Queues
    jobs: Jobs


class Pipeline(Component):
    """The submit function and the rule that calls it for each new object in data/."""

    submit: LambdaFunction
    daily: Daily | None
    """What waits for the files of a day, where the config asks for it."""
    functions: dict[str, LambdaFunction]
    """Functions by a short name."""
    machines: dict[str, Machine]
    """`run` and `day`; empty where dependencies between the jobs order the stages."""
    stage_queues: dict[Stage, pulumi.Output[str]]
    """Name of the queue that a stage is sent to."""

    def __init__(
        self, name: str, args: PipelineArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, opts)
        section = args.config.pipeline
        self.stage_queues = {
            stage: args.queues.names[jobs_of(args.config)[stage].queue] for stage in STAGES
        }
        self.machines = {}
        if section.orchestrator == "step-functions":
            self.machines["run"] = Orchestration(
                f"{name}-run",
                OrchestrationArgs(
                    context=args.context,
                    config=args.config,
                    storage=args.storage,
                    queues=args.queues,
                    jobs=args.jobs,
                ),
                opts=self.child(),
            ).machine
        run_arn = self.machines["run"].arn if "run" in self.machines else None
        self.submit = LambdaFunction(
            f"{name}-submit",
            LambdaFunctionArgs(
                context=args.context,
                description="Turns an uploaded CSV into a run, once per upload",
                handler="workloads.functions.submit.handler",
                environment=_environment(args, run_arn),
                statements=_statements(args, run_arn),
                timeout_seconds=section.function_timeout_seconds,
                event_max_age_hours=section.event_max_age_hours,
                log_retention_days=args.config.monitoring.log_retention_days,
            ),
            opts=self.child(),
        )
        EventTrigger(
            f"{name}-uploads",
            EventTriggerArgs(
                context=args.context,
                description="A file was uploaded",
                pattern={
                    "source": ["aws.s3"],
                    "detail-type": ["Object Created"],
                    "detail": {
                        "bucket": {"name": [args.storage.ingest.bucket]},
                        "object": {"key": _UPLOADS},
                    },
                },
                enabled=section.enabled,
                function=self.submit,
            ),
            opts=self.child(),
        )
        self.functions = {"submit": self.submit}
        self.daily = self._daily(name, args)
        if self.daily is not None:
            self.functions["daily"] = self.daily.function
            if self.daily.machine is not None:
                self.machines["day"] = self.daily.machine
        self.register_outputs(
            {"submit_function": self.submit.name, "stage_queues": self.stage_queues}
        )

    @property
    def state_machine_arns(self) -> dict[str, pulumi.Output[str]]:
        """ARNs of the machines."""
        return {label: machine.arn for label, machine in self.machines.items()}

    @property
    def submitter_roles(self) -> list[pulumi.Output[str]]:
        """Names of the roles that submit jobs or start runs."""
        return [self.submit.role_name, *(machine.role_name for machine in self.machines.values())]

    def _daily(self, name: str, args: PipelineArgs) -> Daily | None:
        section = args.config.pipeline.daily
        if section is None:
            return None
        return Daily(
            f"{name}-day",
            DailyArgs(
                context=args.context,
                config=args.config,
                section=section,
                storage=args.storage,
                submit=self.submit,
            ),
            opts=self.child(),
        )


def _environment(
    args: PipelineArgs, state_machine_arn: pulumi.Output[str] | None
) -> dict[str, pulumi.Input[str]]:
    variables: dict[str, pulumi.Input[str]] = {
        ENV_TABLE: args.storage.table.name,
        **args.secrets.webhook_environment(),
        **growth_environment(args.config),
    }
    if state_machine_arn is not None:
        variables[ENV_STATE_MACHINE_ARN] = state_machine_arn
        variables[ENV_DEADLINE_HOURS] = str(args.config.pipeline.deadline_hours)
    else:
        stages: dict[str, Job] = jobs_of(args.config)
        definitions: dict[str, Definition] = dict(args.jobs.definitions.items())
        if args.jobs.fallback is not None:
            definitions["fallback"] = args.jobs.fallback
        shares = {
            stage: job.share_identifier
            for stage, job in stages.items()
            if job.share_identifier is not None
        }
        variables |= {
            ENV_JOB_QUEUES: json_text(
                {stage: args.queues.arns[job.queue] for stage, job in stages.items()}
            ),
            ENV_JOB_DEFINITIONS: json_text(
                {
                    stage: {"name": of.arn_prefix, "multi_node": of.multi_node, "shards": of.shards}
                    for stage, of in definitions.items()
                }
            ),
            ENV_SHARE_IDENTIFIERS: json_text(shares),
        }
    return variables


def _statements(
    args: PipelineArgs, state_machine_arn: pulumi.Output[str] | None
) -> list[dict[str, Any]]:
    if state_machine_arn is not None:
        statements = [
            statement("StartRuns", actions=["states:StartExecution"], resources=[state_machine_arn])
        ]
    else:
        statements = [
            *submit_statements(args.context, args.config, args.queues, args.jobs),
            # knows no resources
            statement("FindJobs", actions=["batch:ListJobs"], resources=["*"]),
        ]
    states = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]
    of_runs = leading_keys(contract.DATA_SET_KEY_PREFIX)
    return [
        *statements,
        statement(
            "RunStates", actions=states, resources=[args.storage.table_arn], conditions=of_runs
        ),
        statement(
            "WhatWasTold",
            actions=["dynamodb:GetItem", "dynamodb:UpdateItem"],
            resources=[args.storage.table_arn],
            conditions=leading_keys(contract.REFUSED_KEY_PREFIX),
        ),
        statement(
            "Pause",
            actions=["dynamodb:GetItem"],
            resources=[args.storage.table_arn],
            conditions=leading_keys(operating.PAUSE_KEY),
        ),
        *args.secrets.read_webhook(),
    ]
