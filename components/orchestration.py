"""The state machine that runs the stages, where the config asks for it in place of dependencies
between jobs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi

from components.context import Component, StackContext
from components.jobs import Definition, Jobs
from components.policies import leading_keys, statement
from components.queues import Queues
from components.state_machines.machine import Machine, MachineArgs
from components.state_machines.run_machine import DONE, DefinitionArgs, definition
from components.state_machines.submitted_jobs import JOB_FAILED, MachineJob
from components.storage import Storage
from config.stack import StackConfig
from config.topology import goes_on_demand
from config.topology import jobs as jobs_of
from workloads import contract
from workloads.contract import STAGES, Stage


@dataclass(frozen=True, kw_only=True)
class OrchestrationArgs:
    """What Orchestration needs."""

    context: StackContext
    config: StackConfig
    storage: Storage
    queues: Queues
    jobs: Jobs


class Orchestration(Component):
    """The state machine of a run."""

    machine: Machine

    def __init__(
        self, name: str, args: OrchestrationArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, opts)
        section = args.config.pipeline
        self.machine = Machine(
            name,
            MachineArgs(
                context=args.context,
                definition=definition(
                    DefinitionArgs(
                        partition=args.context.partition,
                        table_name=args.storage.table.name,
                        jobs=_machine_jobs(args),
                        poll_seconds=section.poll_seconds,
                        deadline_hours=section.deadline_hours,
                    )
                ),
                statements=_statements(args),
                log_retention_days=args.config.monitoring.log_retention_days,
            ),
            opts=self.child(),
        )
        self.register_outputs({"state_machine_arn": self.machine.arn})


def _machine_jobs(args: OrchestrationArgs) -> list[MachineJob]:
    following = {
        "preprocess": "AnalysisSubmit",
        "analysis": "PostprocessSubmit",
        "postprocess": DONE,
    }
    fallback, after_loss = args.jobs.fallback, goes_on_demand(args.config)
    found: list[MachineJob] = []
    for stage in STAGES:
        falls_back = stage == "analysis" and fallback is not None
        found.append(
            _machine_job(
                args,
                label=stage.capitalize(),
                stage=stage,
                key=stage,
                definition=args.jobs.definitions[stage],
                on_failure="FallbackSubmit" if falls_back else JOB_FAILED,
                after_loss=falls_back and after_loss,
                following=following[stage],
            )
        )
        if stage == "analysis" and fallback is not None:
            found.append(
                _machine_job(
                    args,
                    label="Fallback",
                    stage="analysis",
                    key="fallback",
                    definition=fallback,
                    on_failure=JOB_FAILED,
                    after_loss=False,
                    following=following[stage],
                )
            )
    return found


def _machine_job(
    args: OrchestrationArgs,
    *,
    label: str,
    stage: Stage,
    key: str,
    definition: Definition,
    on_failure: str,
    after_loss: bool,
    following: str,
) -> MachineJob:
    job = jobs_of(args.config)[key]
    return MachineJob(
        label=label,
        stage=stage,
        name_key=key,
        queue_arn=args.queues.arns[job.queue],
        definition=definition.arn_prefix,
        multi_node=definition.multi_node,
        shards=definition.shards,
        share_identifier=job.share_identifier,
        grows=bool(job.memory_growth_mib),
        on_failure=on_failure,
        after_loss=after_loss,
        next=following,
    )


def _statements(args: OrchestrationArgs) -> list[dict[str, Any]]:
    context = args.context
    all_jobs = f"arn:{context.partition}:batch:{context.region}:{context.account_id}:job/*"
    return [
        *submit_statements(args.context, args.config, args.queues, args.jobs),
        # these three know no resources, or only jobs, which have no names before they exist
        statement("LookAtJobs", actions=["batch:DescribeJobs", "batch:ListJobs"], resources=["*"]),
        statement("StopJobs", actions=["batch:TerminateJob"], resources=[all_jobs]),
        statement(
            "RunStates",
            actions=["dynamodb:UpdateItem"],
            resources=[args.storage.table_arn],
            conditions=leading_keys(contract.DATA_SET_KEY_PREFIX),
        ),
    ]


def submit_statements(
    context: StackContext, config: StackConfig, queues: Queues, jobs: Jobs
) -> list[dict[str, Any]]:
    """What somebody needs who submits the jobs of a run."""
    names = list(dict.fromkeys(job.queue for job in jobs_of(config).values()))
    all_jobs = f"arn:{context.partition}:batch:{context.region}:{context.account_id}:job/*"
    definitions = [
        *jobs.definitions.values(),
        *([jobs.fallback] if jobs.fallback is not None else []),
    ]
    return [
        statement(
            "SubmitJobs",
            actions=["batch:SubmitJob"],
            resources=[
                *(queues.arns[queue] for queue in names),
                # by name alone AWS Batch asks for both forms (service authorization reference, AWS
                # Batch)
                *(
                    arn
                    for each in definitions
                    for arn in (each.arn_prefix, pulumi.Output.concat(each.arn_prefix, ":*"))
                ),
                # the job that is made counts as a resource of the call, and it has no name before
                all_jobs,
            ],
        ),
        statement("TagJobs", actions=["batch:TagResource"], resources=[all_jobs]),
    ]
