"""What a stack costs: at rest, a run, a month, and at worst. Arithmetic on the config and the dated
prices; nothing is measured here.

All amounts are US dollars. An amount whose price is not known is None, and so is every sum that
would need it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from config.environments import FargateEnvironment
from config.facts import ec2_facts, instance_type
from config.prices import (
    HOURS_PER_MONTH,
    Service,
    ceiling_usd_per_hour,
    idle_usd_per_hour,
    job_machines,
    service_prices,
    stage_machines,
    unpriced_types,
)
from config.stack import StackConfig
from config.topology import builder_type_of, jobs, preparing, sizes_of
from config.volumes import CreatedEfs, CreatedLustre

RUNS_PER_MONTH: Final = 30
STORED_GB: Final = 100
"""Objects in the three buckets, where nobody says better."""
SHARED_GB: Final = 100
"""Files on a file system of EFS, which is paid by what is on it."""
IMAGES_GB: Final = 20
"""Two container images, the GPU one with the CUDA libraries."""
BUILDS_PER_MONTH: Final = 3
"""Of an AMI: AWS publishes an ECS-optimized one about every two weeks, and there are new images of
ours.
"""
BUILD_MINUTES: Final = 40
"""One build and test of an AMI."""
_FUNCTIONS: Final = 5
"""Submit, notify, measure, alarm, redrive; those of the guard and of the day are two more."""
NOT_COUNTED: Final = (
    "data transfer and NAT traffic, requests to S3 and DynamoDB, what is read from and written to"
    " EFS, and its backups, logs, root volumes and their initialization, machines that start or"
    " idle, taxes; Spot counts as On-Demand"
)


@dataclass(frozen=True, kw_only=True)
class Line:
    """Something that is paid by the month."""

    what: str
    usd: float | None
    confirmed: bool
    """Whether the price is of the dated list, not of an older copy."""


@dataclass(frozen=True, kw_only=True)
class StageCost:
    """A stage of one run, or the job that takes the place of its analysis, which costs nothing but
    at worst.
    """

    stage: str
    machines: str
    usd_per_hour: float | None
    minutes: float
    source: str
    """Where the minutes come from: `given`, `past runs`, or `timeout`, the limit of one attempt; of
    a fallback, that there are none as a rule.
    """
    usd: float | None
    worst_usd: float | None
    """Every attempt runs into its timeout, on the dearest machines, with one instance beyond
    max_vcpus; and then all of it again with each memory that the stage may ask for.
    """
    confirmed: bool


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a stack costs."""

    region: str | None
    """Region of the stack, None where its file names none."""
    price_region: str
    price_date: str
    service_price_date: str
    rest: tuple[Line, ...]
    """Costs of a month, without a single run."""
    stages: tuple[StageCost, ...]
    runs: int
    """A month."""
    ceiling: tuple[Line, ...]
    """Costs of an hour at most: each environment filled to max_vcpus, and one instance more."""
    budget_usd: float
    unpriced: tuple[str, ...]
    """Instance types whose price is not known."""

    @property
    def rest_usd(self) -> float | None:
        """A month without a run."""
        return total(line.usd for line in self.rest)

    @property
    def run_usd(self) -> float | None:
        """One run."""
        return total(stage.usd for stage in self.stages)

    @property
    def month_usd(self) -> float | None:
        """A month at rest and all its runs."""
        return total((self.rest_usd, None if self.run_usd is None else self.runs * self.run_usd))

    @property
    def worst_run_usd(self) -> float | None:
        """One run at worst."""
        return total(stage.worst_usd for stage in self.stages)

    @property
    def worst_month_usd(self) -> float | None:
        """A month of runs that all go as badly as they can."""
        return total(
            (self.rest_usd, None if self.worst_run_usd is None else self.runs * self.worst_run_usd)
        )

    @property
    def ceiling_usd_per_hour(self) -> float | None:
        """All environments full at once."""
        return total(line.usd for line in self.ceiling)


def total(amounts: Iterable[float | None]) -> float | None:
    """The sum, None where an amount is not known: a sum without it would look like the whole."""
    known = list(amounts)
    return (
        None
        if any(amount is None for amount in known)
        else math.fsum(amount for amount in known if amount is not None)
    )


def estimate(
    config: StackConfig,
    *,
    region: str | None,
    webhook: bool = True,
    minutes: Mapping[str, float] | None = None,
    past: Mapping[str, float] | None = None,
    runs: int = RUNS_PER_MONTH,
    stored_gb: float = STORED_GB,
) -> Estimate:
    """What the stack costs.

    Args:
        config: the stack.
        region: where it stands; elsewhere than in the region of the price lists nothing is known.
            None counts as that region.
        webhook: whether the stack has a Slack webhook, which is one more secret.
        minutes: stage -> minutes of one attempt, as somebody plans them.
        past: stage -> minutes as past runs took, for the stages that `minutes` does not name. What
            neither names takes its timeout.
        runs: runs a month.
        stored_gb: gigabytes in the buckets.
    """
    facts, services = ec2_facts().prices, service_prices()
    here, services_here = region in (None, facts.region), region in (None, services.region)
    given, known = minutes or {}, past or {}
    stages = []
    for stage, job in jobs(config).items():
        machines = stage_machines(config, stage)
        source = "given" if stage in given else "past runs" if stage in known else "timeout"
        took = given.get(stage, known.get(stage, float(job.timeout_minutes)))
        if stage == "fallback":  # an hour of it takes the place of an analysis that failed
            source, took = "none: it follows a failure", 0.0
        limit = job.attempts * job.timeout_minutes
        worst = total(
            _hours(job_machines(config, size).worst_usd_per_hour, limit) for size in sizes_of(job)
        )
        stages.append(
            StageCost(
                stage=stage,
                machines=machines.what,
                usd_per_hour=machines.usd_per_hour if here else None,
                minutes=took,
                source=source,
                usd=_hours(machines.usd_per_hour, took) if here else None,
                worst_usd=worst if here else None,
                confirmed=machines.confirmed,
            )
        )
    ceiling = [
        Line(
            what=f"environment {name}, {environment.max_vcpus} vCPUs",
            usd=ceiling_usd_per_hour(environment) if here else None,
            confirmed=True,
        )
        for name, environment in config.environments.items()
    ]
    return Estimate(
        region=region,
        price_region=facts.region,
        price_date=facts.date,
        service_price_date=services.date,
        rest=(
            *_standing(config, webhook=webhook, stored_gb=stored_gb, known=services_here),
            *_builds(config, known=here),
            *_idle(config, known=here),
        ),
        stages=tuple(stages),
        runs=runs,
        ceiling=tuple(ceiling),
        budget_usd=config.budget.monthly_usd,
        unpriced=tuple(unpriced_types(config)),
    )


def _hours(usd_per_hour: float | None, minutes: float) -> float | None:
    return None if usd_per_hour is None else usd_per_hour * minutes / 60


def _gauged(config: StackConfig) -> int:
    """Environments of which AWS Batch tells the vCPUs."""
    return sum(
        not isinstance(environment, FargateEnvironment)
        for environment in config.environments.values()
    )


def _machines(config: StackConfig) -> int:
    """State machines: that of a run, and that of the day."""
    return (
        (1 + (config.pipeline.daily is not None))
        if config.pipeline.orchestrator == "step-functions"
        else 0
    )


def _alarms(config: StackConfig) -> int:
    """Three for each function, three for each queue, one or two for each environment, four for each
    machine; of the day and the stack.
    """
    section = config.monitoring
    daily = config.pipeline.daily is not None
    functions = _FUNCTIONS + (config.budget.guard is not None) + daily
    whole = (
        3
        + (section.no_success_hours is not None)
        + (section.running_usd_per_hour is not None)
        + 3 * daily
        + 4 * _machines(config)
    )
    return (
        3 * functions + 3 * len(config.queues) + len(config.environments) + _gauged(config) + whole
    )


def _custom_metrics(config: StackConfig) -> int:
    """Six for each queue, three or five for each environment, three for each stage, two for the
    stack, and three of the day.
    """
    daily = 3 * (config.pipeline.daily is not None)
    return (
        6 * len(config.queues)
        + 3 * len(config.environments)
        + 2 * _gauged(config)
        + 3 * 3
        + 2
        + daily
    )


def _standing(
    config: StackConfig, *, webhook: bool, stored_gb: float, known: bool
) -> Iterable[Line]:
    network = config.network
    endpoints = len(network.endpoint_services) * network.az_count
    quantities: list[tuple[Service, float, str]] = [
        ("nat-gateway-hour", network.nat_gateways, " x NAT gateway"),
        ("public-ipv4-hour", network.nat_gateways, " x public IPv4 address of NAT"),
        ("interface-endpoint-zone-hour", endpoints, " x interface endpoint in a zone"),
        ("secret-month", 2 if webhook else 1, " x secret"),
        ("kms-key-month", 1, " x KMS key"),
        ("alarm-month", _alarms(config), " x alarm"),
        ("composite-alarm-month", 2 + bool(_machines(config)), " x composite alarm"),
        ("custom-metric-month", _custom_metrics(config), " custom metrics"),
        ("s3-gb-month", stored_gb, " GB in S3 (assumed)"),
        ("ecr-gb-month", IMAGES_GB, " GB of images in ECR (assumed)"),
        *_shared(config),
        (
            "ebs-snapshot-gib-month",
            _snapshot_gib(config),
            " GiB of snapshots of prepared images, at most",
        ),
    ]
    for service, quantity, what in quantities:
        if not quantity:
            continue
        price = service_prices().prices.get(service)
        hours = HOURS_PER_MONTH if service.endswith("-hour") else 1
        yield Line(
            what=f"{quantity:g}{what}" + (f", {hours} h" if hours > 1 else ""),
            usd=quantity * hours * price.usd if known and price is not None else None,
            confirmed=price is not None and price.confirmed,
        )


def _shared(config: StackConfig) -> Iterable[tuple[Service, float, str]]:
    """File systems that the stack creates; those that were there before are not its cost."""
    efs, lustre = config.storage.efs, config.storage.lustre
    if isinstance(efs, CreatedEfs):
        yield "efs-gb-month", SHARED_GB, " GB in EFS (assumed)"
        yield (
            "efs-provisioned-mibps-month",
            efs.provisioned_mibps or 0,
            " MiB/s of throughput of EFS",
        )
    if isinstance(lustre, CreatedLustre):
        rates: dict[int | None, Service] = {
            None: "lustre-scratch-gib-month",
            125: "lustre-125-gib-month",
            250: "lustre-250-gib-month",
            500: "lustre-500-gib-month",
            1000: "lustre-1000-gib-month",
        }
        rate = rates[lustre.throughput_mbps_per_tib]
        yield rate, lustre.size_gib, f" GiB of FSx for Lustre, {lustre.deployment}"


def _snapshot_gib(config: StackConfig) -> int:
    """Of AMIs that the stack keeps, as if every block were written and none shared."""
    return sum(made.keep * made.volume_gib for _, _, made in preparing(config))


def _builds(config: StackConfig, *, known: bool) -> Iterable[Line]:
    """Instances that make AMIs."""
    for name, environment, _ in preparing(config):
        builder = builder_type_of(environment)
        if builder is None:
            continue
        facts = instance_type(builder)
        price = facts.usd_per_hour if facts is not None and known else None
        yield Line(
            what=(
                f"{BUILDS_PER_MONTH} builds of the AMI of environment {name}, {BUILD_MINUTES} min"
                f" of {builder} each (assumed)"
            ),
            usd=_hours(price, BUILDS_PER_MONTH * BUILD_MINUTES),
            confirmed=facts is not None and facts.price_confirmed,
        )


def _idle(config: StackConfig, *, known: bool) -> Iterable[Line]:
    for name, environment in config.environments.items():
        usd = idle_usd_per_hour(environment)
        if usd != 0:
            what = f"min_vcpus of environment {name}, {HOURS_PER_MONTH} h"
            yield Line(
                what=what,
                usd=usd * HOURS_PER_MONTH if usd is not None and known else None,
                confirmed=True,
            )
