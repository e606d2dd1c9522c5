"""No accepted config leaves a job in RUNNABLE.

Configs are made up; each is refused with the code of a rule, or its environments, queues and
definitions pass the checks of localcloud's AWS Batch, and its jobs are placed one after the other.
That model is written from AWS's rules and knows nothing of the config's.
"""

from __future__ import annotations

import json
from collections import Counter
from functools import partial
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.containers import ContainerArgs, Placement, container_properties
from config import SECTIONS, ConfigError, StackConfig, load_stack_config
from config.environments import Environment, FargateEnvironment, HpcEnvironment, SpotEnvironment
from config.rules import RULES
from config.topology import Job as StageJob
from config.topology import instance_types_of, jobs, nodes_of, placing_environments_of
from localcloud.batch import definitions, environments, queues, submission
from localcloud.batch.fair_share import available_fraction
from localcloud.batch.placement import Capacity, Need, Refusal, release
from localcloud.batch.records import Job, Store
from localcloud.cloud import LocalCloud
from localcloud.deployment.deploy import deploy
from localcloud.moto.state import AwsState
from localcloud.protocol.wire import WireError
from tests.config.stacks import ROOT
from tests.localcloud.conftest import until
from tests.localcloud.made_configs import Maker

# ---- the same in AWS's words ---------------------------------------------------------------------


class _Anything(AwsState):
    """An account where every role, subnet and launch template exists that somebody names."""

    def role(self, name_or_arn: str) -> Any:
        return name_or_arn

    def instance_profile_role(self, name_or_arn: str) -> Any:
        return name_or_arn

    def subnet(self, subnet_id: str) -> Any:
        return SimpleNamespace(id=subnet_id, vpc_id="vpc")

    def security_group(self, group_id: str) -> Any:
        return SimpleNamespace(id=group_id, vpc_id="vpc")

    def launch_template_data(self, reference: dict[str, str]) -> dict[str, Any]:
        return {"NetworkInterfaces": [{}]} if reference["launchTemplateId"] == "efa" else {}


STATE = _Anything("us-east-1")


def resources(made: Environment) -> dict[str, Any]:
    market = {
        "on-demand": "EC2",
        "hpc": "EC2",
        "spot": "SPOT",
        "fargate": "FARGATE",
        "fargate-spot": "FARGATE_SPOT",
    }[made.kind]
    common = {
        "type": market,
        "maxvCpus": made.max_vcpus,
        "subnets": ["subnet"],
        "securityGroupIds": ["group"],
    }
    if isinstance(made, FargateEnvironment):
        return common
    if isinstance(made, HpcEnvironment) and made.efa:
        del common["securityGroupIds"]
    return common | {
        "minvCpus": 0 if isinstance(made, HpcEnvironment) else made.min_vcpus,
        "instanceTypes": list(instance_types_of(made)),
        "allocationStrategy": made.allocation_strategy,
        "instanceRole": "profile",
        "ec2Configuration": [{"imageType": made.image_type}],
        "launchTemplate": {"launchTemplateId": "plain" if "securityGroupIds" in common else "efa"},
        **(
            {"bidPercentage": made.bid_percent}
            if isinstance(made, SpotEnvironment) and made.bid_percent
            else {}
        ),
    }


def definition(config: StackConfig, stage: str, job: StageJob) -> dict[str, Any]:
    placement = Placement.of(config, job)
    container = container_properties(
        ContainerArgs(
            job=job, placement=placement, image="image", command=["true"], environment={}, secrets={}, job_role_arn="arn:role",
            execution_role_arn="arn:role", log_group="logs", log_stream_prefix=stage, region="us-east-1",
        )
    )  # fmt: skip
    made: dict[str, Any] = {
        "jobDefinitionName": stage,
        "timeout": {"attemptDurationSeconds": job.timeout_minutes * 60},
        "tags": dict(config.tags),
    }
    if job.scheduling_priority is not None:
        made["schedulingPriority"] = job.scheduling_priority
    if nodes_of(job) > 1:
        nodes = {
            "numNodes": nodes_of(job),
            "mainNode": 0,
            "nodeRangeProperties": [{"targetNodes": "0:", "container": container}],
        }
        return made | {"type": "multinode", "nodeProperties": nodes}
    return made | {
        "type": "container",
        "containerProperties": container,
        "platformCapabilities": ["FARGATE" if placement.fargate else "EC2"],
    }


def registered(config: StackConfig) -> Store:
    """Everything of the config in a Batch that refuses what AWS refuses."""
    store = Store(STATE)
    for name, made in config.environments.items():
        state = "ENABLED" if made.enabled else "DISABLED"
        environments.create(
            store,
            {
                "computeEnvironmentName": name,
                "type": "MANAGED",
                "state": state,
                "computeResources": resources(made),
            },
            {},
        )
    for name, queue in config.queues.items():
        policy = {}
        if queue.fair_share is not None:
            shares = [
                {"shareIdentifier": share, "weightFactor": weight}
                for share, weight in queue.fair_share.weights.items()
            ]
            fair = {
                "shareDistribution": shares,
                "computeReservation": queue.fair_share.compute_reservation_percent,
            }
            policy = {
                "schedulingPolicyArn": (
                    queues.create_policy(store, {"name": name, "fairsharePolicy": fair}).arn
                )
            }
        order = [
            {"order": index, "computeEnvironment": each}
            for index, each in enumerate(queue.environments)
        ]
        state = "ENABLED" if queue.enabled else "DISABLED"
        queues.create(
            store,
            {
                "jobQueueName": name,
                "state": state,
                "priority": queue.priority,
                "computeEnvironmentOrder": order,
                **policy,
            },
        )
    for stage, job in jobs(config).items():
        definitions.register(store, definition(config, stage, job))
    return store


def run_alone(store: Store, capacity: Capacity, job: Job) -> str:
    """Places a job where nothing else runs, and ends it; the reasons of all environments where it
    would wait for ever.
    """
    needs = [Need.of(node) for node in job.nodes]
    policy = store.policy(job.queue.policy) if job.queue.policy else None
    refused = []
    for arn in job.queue.environments:
        where = store.environment(arn)
        assert where is not None
        if where.state != "ENABLED":
            refused.append(f"{where.name} is disabled")
            continue
        fraction = available_fraction(policy.fairshare, 1) if policy else 1.0
        placed = capacity.place(where, needs, multinode=job.multinode, fraction=fraction)
        if not isinstance(placed, Refusal):
            for instance, need in zip(placed, needs, strict=True):
                release(instance, need, multinode=job.multinode)
            if where.is_fargate:
                where.instances.clear()
            capacity.keep_minimum(where)
            return ""
        refused.append(f"{where.name}: {placed.text or 'waits'}")
    return "; ".join(refused)


CODES = {rule.code for rule in RULES}
DEADLY = {
    "FAIR-SHARE-IDENTIFIER", "FAIR-SHARE-OVERLAP", "FAIR-SHARE-RESERVATION", "FARGATE-GPU", "JOB-FITS", "JOB-MAX-VCPUS", "JOB-MIN-VCPUS",
    "JOB-SIZE", "JOB-VCPUS", "MIN-VCPUS", "MNP-CAPACITY", "MNP-ENVIRONMENT", "QUEUE-ARCHITECTURE", "QUEUE-DISABLED", "QUEUE-MIX",
}  # fmt: skip
"""Codes of what AWS Batch itself refuses or never starts, and of which the model has to agree."""
SEEN: Counter[str] = Counter()
CONFIRMED: Counter[str] = Counter()


def outcome(config: StackConfig) -> str:
    """Empty where Batch takes all of the config and starts every job; else the first thing that it
    says.
    """
    try:
        store, capacity = registered(config), Capacity(shapes=STATE.instance_shapes())
        for each in store.environments.values():
            capacity.keep_minimum(each)
        for stage, job in jobs(config).items() if config.pipeline.enabled else ():
            share = {"shareIdentifier": job.share_identifier} if job.share_identifier else {}
            built = submission.build(
                store,
                {"jobName": stage, "jobQueue": job.queue, "jobDefinition": stage, **share},
                0.0,
            )
            SEEN[
                f"{'multi-node' if built.multinode else 'on Fargate' if built.definition.on_fargate else 'on EC2'}"
            ] += 1
            stuck = run_alone(store, capacity, built)
            if stuck:
                return f"{stage} stays in RUNNABLE: {stuck}"
    except WireError as refused:
        return str(refused)
    return ""


def unchecked(found: dict[str, Any]) -> StackConfig:
    values = {
        name: adapter.validate_python(found.get(name, {})) for name, adapter in SECTIONS.items()
    }
    return StackConfig.model_construct(name="generated", **values)


def shown(found: dict[str, Any]) -> str:
    """The sections of a made config, for a message."""
    names = ("environments", "queues", "jobs", "network", "pipeline")
    return json.dumps({name: found[name] for name in names}, indent=1)


@settings(max_examples=3000, deadline=None, database=None)
@given(random=st.randoms(use_true_random=True))
def _accepted_means_placed(random: Random) -> None:
    found = Maker(random).sections()
    try:
        config = load_stack_config("generated", found.get, found)[0]
    except ConfigError as error:
        errors = {problem.code for problem in error.problems if problem.level == "error"}
        assert errors, shown(found)
        assert errors <= CODES, shown(found)
        SEEN.update(["refused", *errors])
        if len(errors) == 1 and (errors <= DEADLY) and outcome(unchecked(found)):
            CONFIRMED.update(errors)
        return
    SEEN["accepted"] += 1
    assert outcome(config) == "", shown(found)


def test_no_accepted_config_leaves_a_job_in_runnable() -> None:
    SEEN.clear()
    CONFIRMED.clear()
    _accepted_means_placed()
    assert SEEN["accepted"] > 500
    assert SEEN["refused"] > 500
    assert min(SEEN[where] for where in ("on EC2", "on Fargate", "multi-node")) > 30
    # what the rules refuse is what the model, which does not know them, refuses or never starts
    assert CONFIRMED.keys() == DEADLY


def accepted(kind: str) -> tuple[dict[str, Any], StackConfig]:
    """The first config, in a fixed order, that is accepted and whose analysis runs so."""
    for number in range(2000):
        found = Maker(Random(number)).sections()  # noqa: S311 - a fixed order is the point
        try:
            config = load_stack_config("generated", found.get, found)[0]
        except ConfigError:
            continue
        of_analysis = placing_environments_of(config, config.jobs.analysis.queue)
        on_fargate = any(isinstance(e, FargateEnvironment) for e in of_analysis.values())
        runs = (
            "multi-node"
            if config.jobs.analysis.nodes > 1
            else "on Fargate"
            if on_fargate
            else "on EC2"
        )
        if config.pipeline.enabled and runs == kind:
            return found, config
    raise AssertionError(f"no accepted config whose analysis runs {kind}")


def _ended(batch: Any, job_id: str) -> Any:
    seen = batch.describe_jobs(jobs=[job_id])["jobs"][0]
    return seen if seen["status"] == "FAILED" else None


@pytest.mark.parametrize("kind", ["multi-node", "on Fargate", "on EC2"])
def test_accepted_configs_deploy_and_their_jobs_start(kind: str, tmp_path: Path) -> None:
    found, config = accepted(kind)
    values = {f"batch-reference:{name}": json.dumps(value) for name, value in found.items()}
    with LocalCloud(tmp_path, images={}) as cloud:
        outputs = deploy(ROOT, "local", cloud.client, config=values).outputs
        batch = cloud.client("batch")
        for stage, job in jobs(config).items():
            share = {"shareIdentifier": job.share_identifier} if job.share_identifier else {}
            request = {
                "jobQueue": outputs["stage_queues"][stage],
                "jobDefinition": outputs["stage_job_definitions"][stage],
            }
            job_id = batch.submit_job(jobName=stage, **request, **share)["jobId"]
            ended = until(partial(_ended, batch, job_id))
            # it was given a machine, and only there it showed that nobody has published an image
            assert len(ended["attempts"]) == job.attempts
            assert "CannotPullContainerError" in json.dumps(ended, default=str)
