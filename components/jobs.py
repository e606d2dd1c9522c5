"""AWS Batch job definitions of the three stages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from components import cleaning
from components.arns import arn_of
from components.containers import ContainerArgs, Placement, container_properties
from components.context import Component, StackContext
from components.disks import disk_variables
from components.images import Images
from components.json_text import json_text
from components.prices import job_prices
from components.retries import retry_strategy
from components.roles import Roles
from components.secrets import Secrets
from components.storage import Storage
from components.volumes import Volumes
from config.batch_model import Shape, property_problems
from config.jobs import AnalysisJob, PreprocessJob
from config.stack import StackConfig
from config.topology import Job, goes_on_demand, jobs, may_be_reclaimed, reclaims_are_counted
from workloads import contract
from workloads.contract import STAGES, Stage
from workloads.parameters import AnalysisParameters
from workloads.variables import (
    ENV_ARRAY_BACKEND,
    ENV_BLOCK_MEMORY_MIB,
    ENV_CHECKPOINTS_PATH,
    ENV_CONSOLE_URL,
    ENV_COUNT_RECLAIMS,
    ENV_EXCHANGE,
    ENV_INGEST_BUCKET,
    ENV_INTERMEDIATE_BUCKET,
    ENV_JOIN_DEADLINE_SECONDS,
    ENV_LAUNCH_TOKEN,
    ENV_MAX_DOLLARS,
    ENV_RANKS_PER_NODE,
    ENV_RECLAIM_SIGNAL,
    ENV_RESULTS_BUCKET,
    ENV_SHARDS,
    ENV_SLACK_WEBHOOK_URL,
    ENV_STACK,
    ENV_STAGE_PRICES,
    ENV_TABLE,
    ENV_TABLES_PATH,
)

_LARGEST_DEFINITION_BYTES: Final = 24 * 1024
_SHARE_OF_BLOCKS: Final = 0.6
"""Share of a container's memory for blocks of rows; the rest is for interpreters, units being read,
and results.
"""


@dataclass(frozen=True, kw_only=True)
class JobsArgs:
    """What Jobs needs."""

    context: StackContext
    config: StackConfig
    storage: Storage
    images: Images
    secrets: Secrets
    roles: Roles
    volumes: Volumes


@dataclass(frozen=True, kw_only=True)
class Definition:
    """The job definition of a stage."""

    name: pulumi.Output[str]
    arn_prefix: pulumi.Output[str]
    """ARN without revision: whoever submits by it gets the newest one."""
    multi_node: bool
    shards: int
    """Size of the array as which it is submitted; 1: no array job."""


class Jobs(Component):
    """A job definition and a log group for each stage.

    The analysis of several nodes is a multi-node parallel job whose node range is open-ended, so
    that a submission may name another number of nodes; of one node it is a plain container job.
    """

    definitions: dict[Stage, Definition]
    fallback: Definition | None
    """Definition of the job that takes the place of an analysis, where the config has one."""
    log_group_names: dict[Stage, pulumi.Output[str]]

    def __init__(
        self, name: str, args: JobsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, opts)
        self._args = args
        self.definitions, self.log_group_names = {}, {}
        for stage in STAGES:
            group = aws.cloudwatch.LogGroup(
                f"{name}-{stage}",
                name=f"{args.context.log_group_prefix}{stage}",
                retention_in_days=args.config.monitoring.log_retention_days,
                tags=args.context.tags,
                opts=self.child(),
            )
            self.log_group_names[stage] = group.name
            self.definitions[stage] = self._definition(
                f"{name}-{stage}", stage, stage, jobs(args.config)[stage], group.name
            )
        fallback = jobs(args.config).get("fallback")
        self.fallback = (
            self._definition(
                f"{name}-fallback",
                "fallback",
                "analysis",
                fallback,
                self.log_group_names["analysis"],
            )
            if fallback is not None
            else None
        )
        self.register_outputs(
            {
                "definition_names": {
                    stage: definition.name for stage, definition in self.definitions.items()
                },
                "log_group_names": self.log_group_names,
            }
        )

    def _definition(
        self, name: str, job_name: str, stage: Stage, job: Job, log_group: pulumi.Output[str]
    ) -> Definition:
        args = self._args
        placement = Placement.of(args.config, job)
        nodes = job.nodes if isinstance(job, AnalysisJob) else 1
        container = container_properties(
            ContainerArgs(
                job=job,
                placement=placement,
                image=args.images.gpu_image if stage == "analysis" else args.images.cpu_image,
                command=("python", "-m", f"workloads.{stage}"),
                environment={
                    **self._environment(stage, job),
                    **disk_variables(args.config, _place(args.config, job_name), job),
                    ENV_STACK: args.context.stack,
                },
                secrets=self._secrets(stage, nodes),
                job_role_arn=args.roles.job_role_arns[stage],
                execution_role_arn=args.roles.execution_role_arn,
                log_group=log_group,
                log_stream_prefix=stage,
                region=args.context.region,
                mounts=args.volumes.mounts(job_name, job),
            )
        )
        node_range = {"targetNodes": contract.ANALYSIS_TARGET_NODES, "container": container}
        if nodes == 1:
            text = _json(stage, "ContainerProperties", container)
        else:
            text = _json(
                stage,
                "NodeProperties",
                {"numNodes": nodes, "mainNode": 0, "nodeRangeProperties": [node_range]},
            )
        definition = aws.batch.JobDefinition(
            name,
            type="container" if nodes == 1 else "multinode",
            container_properties=text if nodes == 1 else None,
            node_properties=text if nodes > 1 else None,
            # multi-node jobs run on EC2 alone, and AWS keeps no capabilities for them: naming one
            # would show as a change for ever
            platform_capabilities=(
                None if nodes > 1 else ["FARGATE" if placement.fargate else "EC2"]
            ),
            retry_strategy=retry_strategy(
                attempts=job.attempts, fargate=placement.fargate, multi_node=nodes > 1
            ),
            timeout=aws.batch.JobDefinitionTimeoutArgs(
                attempt_duration_seconds=job.timeout_minutes * 60
            ),
            scheduling_priority=job.scheduling_priority,
            propagate_tags=True,
            # A chain waits with the revisions that it was submitted with, for hours where capacity
            # is short. An update must not take them away, nor an operator's way to repeat a run
            # with the definition of its day. Old revisions cost nothing.
            deregister_on_new_revision=False,
            tags={**args.context.tags, contract.STAGE_TAG: stage},
            opts=self.child(),
        )
        shards = job.shards if isinstance(job, AnalysisJob) else 1
        return Definition(
            name=definition.name,
            arn_prefix=arn_of(definition, args.context),
            multi_node=nodes > 1,
            shards=shards,
        )

    def _environment(self, stage: Stage, job: Job) -> dict[str, pulumi.Input[str]]:
        """Variables that are the same for every run; a submission adds those of its run."""
        storage = self._args.storage
        variables: dict[str, pulumi.Input[str]] = {
            ENV_INTERMEDIATE_BUCKET: storage.intermediate.bucket,
            ENV_RESULTS_BUCKET: storage.results.bucket,
            **cleaning.shown(self._args.config.pipeline),
        }
        if isinstance(job, PreprocessJob):
            variables |= {
                ENV_INGEST_BUCKET: storage.ingest.bucket,
                **cleaning.variables(job),
                **_given({ENV_TABLES_PATH: job.tables_path}),
            }
        elif isinstance(job, AnalysisJob):
            variables |= {
                ENV_ARRAY_BACKEND: job.array_backend,
                ENV_EXCHANGE: job.exchange,
                ENV_RANKS_PER_NODE: str(job.ranks_per_node),
                ENV_JOIN_DEADLINE_SECONDS: str(job.join_deadline_minutes * 60),
                **AnalysisParameters.of(job).to_env(),
                ENV_BLOCK_MEMORY_MIB: str(
                    job.block_memory_mib or round(job.memory_mib * _SHARE_OF_BLOCKS)
                ),
                ENV_STAGE_PRICES: self._prices(),
                **_given(
                    {
                        ENV_TABLES_PATH: job.tables_path,
                        ENV_CHECKPOINTS_PATH: job.checkpoints_path,
                    }
                ),
            }
            if may_be_reclaimed(self._args.config, job):
                fargate = Placement.of(self._args.config, job).fargate
                # SIGTERM is Fargate's own word for it (Amazon ECS developer guide, "Fargate
                # capacity providers"); on instances the watch of the boot script has another
                variables[ENV_RECLAIM_SIGNAL] = "SIGTERM" if fargate else "SIGWINCH"
            if job.shards > 1:
                variables[ENV_SHARDS] = str(job.shards)
            if job.max_dollars is not None:
                variables[ENV_MAX_DOLLARS] = f"{job.max_dollars:g}"
        elif stage == "postprocess":
            variables |= {
                ENV_TABLE: storage.table.name,
                ENV_STAGE_PRICES: self._prices(),
                ENV_CONSOLE_URL: storage.results_url,
            }
            if reclaims_are_counted(self._args.config):
                variables[ENV_COUNT_RECLAIMS] = "true"
        return variables

    def _prices(self) -> str:
        return json.dumps(job_prices(self._args.config, self._args.context.region), sort_keys=True)

    def _secrets(self, stage: Stage, nodes: int) -> dict[str, pulumi.Input[str]]:
        secrets = self._args.secrets
        if stage == "analysis" and nodes > 1:
            return {ENV_LAUNCH_TOKEN: secrets.launch_token_arn}
        if stage == "postprocess" and secrets.slack_webhook_arn is not None:
            return {ENV_SLACK_WEBHOOK_URL: secrets.slack_webhook_arn}
        return {}


def _place(config: StackConfig, job_name: str) -> str:
    """The name of a job in the stack file, where one without Spot is the analysis."""
    return "analysis" if job_name == "fallback" and goes_on_demand(config) else job_name


def _given(variables: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in variables.items() if value is not None}


def _json(stage: Stage, shape: Shape, properties: dict[str, Any]) -> pulumi.Output[str]:
    """The properties as JSON, keys in a fixed order so that nothing but a change shows as one.

    Raises pulumi.RunError where AWS Batch knows no such properties: the provider would drop them
    without a word.
    """
    problems = property_problems(shape, properties)
    if problems:
        raise pulumi.RunError(
            f"the job definition of {stage} is not one of AWS Batch: {'; '.join(problems)}"
        )

    def within_limit(text: str) -> str:
        size = len(text.encode())
        if size > _LARGEST_DEFINITION_BYTES:
            raise pulumi.RunError(
                f"the job definition of {stage} has {size} bytes, and AWS Batch takes"
                f" {_LARGEST_DEFINITION_BYTES}. Fix: an instance type with fewer network cards,"
                " efa: false, or fewer entries in jobs.preprocess.columns."
            )
        return text

    return json_text(properties, sort_keys=True, separators=(",", ":")).apply(within_limit)
