"""What the machines of a stage cost in an hour."""

from __future__ import annotations

import math

from config.environments import Environment, FargateEnvironment, HpcEnvironment
from config.facts import InstanceType, ec2_facts, instance_type
from config.jobs import AnalysisJob
from config.rules.base import Job, environments_of, instance_types_of, jobs
from config.stack import StackConfig
from workloads.contract import STAGES, Stage


def stage_prices(config: StackConfig, region: str) -> dict[Stage, float]:
    """US dollars per hour by stage, On-Demand, of what the stage reserves; a stage whose price is not known is left out.

    A multi-node job reserves its instances whole. Another job reserves its share of an instance, the larger of its shares of vCPUs and
    memory, of the cheapest fitting type in the first environment of its queue that has a price. Spot is counted at the On-Demand price:
    the truth is below it. Outside of the region of the price list nothing is known.
    """
    if region != ec2_facts().prices.region:
        return {}
    found: dict[Stage, float] = {}
    for stage in STAGES:
        job = jobs(config)[stage]
        prices = (_price(job, environment) for environment in environments_of(config, job.queue).values())
        price = next((price for price in prices if price is not None), None)
        if price is not None:
            found[stage] = round(price, 6)
    return found


def _price(job: Job, environment: Environment) -> float | None:
    if isinstance(environment, FargateEnvironment):
        fargate = ec2_facts().fargate
        return job.vcpus * fargate.usd_per_vcpu_hour + job.memory_mib / 1024 * fargate.usd_per_gib_hour
    if isinstance(job, AnalysisJob) and job.nodes > 1 and isinstance(environment, HpcEnvironment):
        facts = instance_type(environment.instance_type)
        return job.nodes * facts.usd_per_hour if facts is not None and facts.usd_per_hour is not None else None
    known = [facts for name in instance_types_of(environment) if (facts := instance_type(name)) is not None]
    prices = [_share(job, facts) * facts.usd_per_hour for facts in known if facts.usd_per_hour is not None and _share(job, facts) <= 1]
    return min(prices, default=None)


def _share(job: Job, facts: InstanceType) -> float:
    """The largest part of one instance that the job takes; above 1 it does not fit."""
    shares = [job.vcpus / facts.vcpus, job.memory_mib / facts.usable_memory_mib]
    if isinstance(job, AnalysisJob) and job.gpus:
        shares.append(job.gpus / facts.gpus if facts.gpus else math.inf)
    return max(shares)
