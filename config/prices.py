"""What machines and standing services cost: the dated price files, and the machines that a stage
reserves.

The prices are those of one region, On-Demand. Spot is counted at the On-Demand price: the truth is
below it. A price that is not known is None and stays None in every sum that it belongs to.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from config.disks import FARGATE_GIB, GP3_IOPS, GP3_MIBPS, Gp3
from config.environments import Environment, FargateEnvironment, HpcEnvironment
from config.facts import InstanceType, ec2_facts, instance_type
from config.jobs import AnalysisJob
from config.stack import StackConfig
from config.topology import Job, environments_of, instance_types_of, jobs, scratch_of

HOURS_PER_MONTH: Final = 730
"""Hours of a month as AWS counts them in its own price examples: 8760 hours a year through
twelve.
"""
_FARGATE_MAX_GIB_PER_VCPU: Final = 8

Service = Literal[
    "fargate-storage-gib-hour",
    "nat-gateway-hour",
    "interface-endpoint-zone-hour",
    "public-ipv4-hour",
    "alarm-month",
    "composite-alarm-month",
    "custom-metric-month",
    "secret-month",
    "kms-key-month",
    "s3-gb-month",
    "ecr-gb-month",
    "efs-gb-month",
    "efs-provisioned-mibps-month",
    "lustre-scratch-gib-month",
    "lustre-125-gib-month",
    "lustre-250-gib-month",
    "lustre-500-gib-month",
    "lustre-1000-gib-month",
    "gp3-gib-month",
    "gp3-iops-month",
    "gp3-mibps-month",
    "ebs-snapshot-gib-month",
]


class _Price(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    usd: float
    confirmed: bool


class ServicePrices(BaseModel):
    """Prices of what stands there without any job, US dollars."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    region: str
    date: str
    source: str
    prices: dict[Service, _Price]


@cache
def service_prices() -> ServicePrices:
    """The data file, read once."""
    return ServicePrices.model_validate_json(
        files("config").joinpath("service_prices.json").read_bytes()
    )


@dataclass(frozen=True, kw_only=True)
class Machines:
    """What a stage reserves while it runs."""

    what: str
    usd_per_hour: float | None
    """Its share where it does not take whole instances."""
    worst_usd_per_hour: float | None
    """The job alone on the dearest type that its environment may start, and one instance more: AWS
    Batch may exceed max_vcpus by one (API, ComputeResource allocationStrategy).
    """
    confirmed: bool
    """Whether all these prices are of the dated list, not of an older copy."""


def stage_machines(config: StackConfig, stage: str) -> Machines:
    """The machines of a stage as it is begun at first, see job_machines."""
    return job_machines(config, jobs(config)[stage])


def job_machines(config: StackConfig, job: Job) -> Machines:
    """The machines of a job: those of the first environment of its queue that has a price, or else
    of the first.

    Where the config names no environment that exists, the machines and their prices are unknown.
    """
    found = [
        _machines(job, environment) for environment in environments_of(config, job.queue).values()
    ]
    if isinstance(job, AnalysisJob) and job.shards > 1:
        found = [_array(machines, job.shards) for machines in found]
    unknown = Machines(
        what="machines of no environment",
        usd_per_hour=None,
        worst_usd_per_hour=None,
        confirmed=False,
    )
    return next(
        (machines for machines in found if machines.usd_per_hour is not None),
        found[0] if found else unknown,
    )


def ceiling_usd_per_hour(environment: Environment) -> float | None:
    """An hour of an environment that is filled to max_vcpus with the dearest of its types per vCPU,
    and one instance more.
    """
    if isinstance(environment, FargateEnvironment):
        fargate = ec2_facts().fargate
        return environment.max_vcpus * (
            fargate.usd_per_vcpu_hour + _FARGATE_MAX_GIB_PER_VCPU * fargate.usd_per_gib_hour
        )
    known = _priced(environment)
    if known is None:
        return None
    return max(environment.max_vcpus // facts.vcpus * price + price for facts, price in known)


def unpriced_types(config: StackConfig) -> list[str]:
    """Instance types of the environments whose price is not known, sorted."""
    names = {
        name
        for environment in config.environments.values()
        for name in instance_types_of(environment)
    }
    known = {name: instance_type(name) for name in names}
    return sorted(
        name for name, facts in known.items() if facts is None or facts.usd_per_hour is None
    )


def dearest_rates(environment: Environment) -> dict[str, float] | None:
    """The most that an hour of an instance, a vCPU, a GiB and a GPU costs in an environment, None
    where the price of a type is not known.

    On Fargate a container pays for its vCPUs and its memory; on an instance it takes the largest of
    its shares.
    """
    if isinstance(environment, FargateEnvironment):
        fargate = ec2_facts().fargate
        return {"vcpu": fargate.usd_per_vcpu_hour, "gib": fargate.usd_per_gib_hour}
    known = _priced(environment)
    if known is None:
        return None
    rates = {
        "instance": max(price for _, price in known),
        "vcpu": max(price / facts.vcpus for facts, price in known),
        "gib": max(price / facts.memory_mib * 1024 for facts, price in known),
        "gpu": max((price / facts.gpus for facts, price in known if facts.gpus), default=0.0),
    }
    return {name: round(rate, 6) for name, rate in rates.items()}


def idle_usd_per_hour(environment: Environment) -> float | None:
    """An hour of the vCPUs that an environment keeps without any job, as the whole instances of its
    cheapest type that hold them.
    """
    least = (
        0
        if isinstance(environment, (FargateEnvironment, HpcEnvironment))
        else environment.min_vcpus
    )
    if not least:
        return 0.0
    known = _priced(environment)
    return (
        None
        if known is None
        else min(math.ceil(least / facts.vcpus) * price for facts, price in known)
    )


def _array(machines: Machines, shards: int) -> Machines:
    """Of all shards at once; where they find room one after the other only, each takes its minutes
    all the same.
    """
    usd, worst = machines.usd_per_hour, machines.worst_usd_per_hour
    return Machines(
        what=f"{shards} x {machines.what}",
        usd_per_hour=None if usd is None else shards * usd,
        worst_usd_per_hour=None if worst is None else shards * worst,
        confirmed=machines.confirmed,
    )


def _machines(job: Job, environment: Environment) -> Machines:
    if isinstance(environment, FargateEnvironment):
        fargate, gib = ec2_facts().fargate, job.memory_mib / 1024
        price = job.vcpus * fargate.usd_per_vcpu_hour + gib * fargate.usd_per_gib_hour
        more = max(0, (job.ephemeral_storage_gib or 0) - FARGATE_GIB)
        price += more * service_prices().prices["fargate-storage-gib-hour"].usd
        what = f"{job.vcpus:g} vCPUs, {gib:g} GiB of Fargate"
        return Machines(
            what=what,
            usd_per_hour=price,
            worst_usd_per_hour=price,
            confirmed=fargate.price_confirmed,
        )
    known = _priced(environment)
    dearest = None if known is None else max(price for _, price in known)
    disk = _scratch(environment)
    confirmed = (
        known is not None and all(facts.price_confirmed for facts, _ in known) and disk.confirmed
    )
    if isinstance(job, AnalysisJob) and job.nodes > 1 and isinstance(environment, HpcEnvironment):
        return Machines(
            what=f"{job.nodes} x {environment.instance_type}{disk.what}",
            usd_per_hour=None if dearest is None else job.nodes * dearest,
            worst_usd_per_hour=None if dearest is None else (job.nodes + 1) * dearest,
            confirmed=confirmed,
        )
    shares = [
        (share * price, name)
        for name in instance_types_of(environment)
        for share, price in _shares(job, name, disk.usd_per_hour)
    ]
    cheapest = min(shares, default=None)
    return Machines(
        what=f"{job.vcpus:g} vCPUs" + (f" of {cheapest[1]}{disk.what}" if cheapest else ""),
        usd_per_hour=cheapest[0] if cheapest else None,
        worst_usd_per_hour=None if dearest is None else 2 * dearest,
        confirmed=confirmed,
    )


@dataclass(frozen=True, kw_only=True)
class _Disk:
    """What the volume for scratch of one instance adds to it."""

    what: str
    usd_per_hour: float
    confirmed: bool


def _scratch(environment: Environment) -> _Disk:
    scratch = scratch_of(environment)
    if not isinstance(scratch, Gp3):  # instance-store disks are part of the instance's price
        return _Disk(what="", usd_per_hour=0.0, confirmed=True)
    bought: dict[Service, int] = {
        "gp3-gib-month": scratch.size_gib,
        "gp3-iops-month": scratch.iops - GP3_IOPS,
        "gp3-mibps-month": scratch.throughput_mibps - GP3_MIBPS,
    }
    prices = service_prices().prices
    return _Disk(
        what=f" with {scratch.size_gib} GiB of gp3",
        usd_per_hour=math.fsum(n * prices[name].usd for name, n in bought.items())
        / HOURS_PER_MONTH,
        confirmed=all(prices[name].confirmed for name, n in bought.items() if n),
    )


def _priced(environment: Environment) -> list[tuple[InstanceType, float]] | None:
    """Facts and price of every type of an environment, its volume for scratch included; None where
    one is not known.
    """
    known = [instance_type(name) for name in instance_types_of(environment)]
    disk = _scratch(environment).usd_per_hour
    priced = [
        (facts, facts.usd_per_hour + disk)
        for facts in known
        if facts is not None and facts.usd_per_hour is not None
    ]
    return priced if len(priced) == len(known) else None


def _shares(job: Job, name: str, disk_usd_per_hour: float) -> list[tuple[float, float]]:
    """The part of one instance of a type that the job takes, and the price of the whole with its
    volume for scratch; empty where it is unknown or too small.
    """
    facts = instance_type(name)
    if facts is None or facts.usd_per_hour is None:
        return []
    shares = [job.vcpus / facts.vcpus, job.memory_mib / facts.usable_memory_mib]
    if isinstance(job, AnalysisJob) and job.gpus:
        shares.append(job.gpus / facts.gpus if facts.gpus else math.inf)
    usd = facts.usd_per_hour + disk_usd_per_hour
    return [(max(shares), usd)] if max(shares) <= 1 else []
