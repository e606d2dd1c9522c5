"""Instance types, Spot and reserved capacity."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from config.environments import HpcEnvironment, SpotEnvironment
from config.facts import instance_type
from config.problems import Problem
from config.rules.base import Rule
from config.stack import StackConfig
from config.topology import (
    builder_type_of,
    environments_of,
    goes_on_demand,
    instance_types_of,
    is_spot,
    jobs,
    known_types_of,
)

_SPOT_TYPES: Final = 10
_LOW_BID: Final = 50


class TypesAreKnown(Rule):
    """Facts about every instance type are at hand."""

    code = "TYPE-UNKNOWN"
    level = "warning"
    reason = (
        "Nothing is concluded about a type that the facts do not know: whether it exists, whether"
        " jobs fit, what it costs."
    )
    source = "config/ec2_facts.json"
    reads = frozenset({"environments"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each environment with unknown types."""
        for name, environment in config.environments.items():
            unknown = [t for t in instance_types_of(environment) if instance_type(t) is None]
            if unknown:
                field = (
                    "instance_type" if isinstance(environment, HpcEnvironment) else "instance_types"
                )
                message = "no facts are known about these types, so nothing about them is checked"
                yield self.problem(
                    f"environments.{name}.{field}",
                    unknown,
                    message,
                    "check the spelling, or add them to ec2_facts.json",
                )
            builder = builder_type_of(environment)
            if builder is not None and instance_type(builder) is None:
                yield self.problem(
                    f"environments.{name}.prepared_image.builder_type",
                    builder,
                    "no facts are known about this type, so nothing about it is checked",
                    "check the spelling, or add it to ec2_facts.json",
                )


class SpotTypesAreSold(Rule):
    """Spot environments name types that EC2 sells as Spot."""

    code = "SPOT-TYPE"
    reason = "EC2 has no Spot capacity of such a type, ever."
    source = "EC2 API, DescribeInstanceTypes SupportedUsageClasses"
    reads = frozenset({"environments"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each Spot environment with types that are sold On-Demand alone."""
        for name, environment in config.environments.items():
            known = known_types_of(environment) if isinstance(environment, SpotEnvironment) else {}
            unsold = [t for t, facts in known.items() if not facts.spot]
            if unsold:
                message = "EC2 does not sell these types as Spot instances"
                yield self.problem(
                    f"environments.{name}.instance_types",
                    unsold,
                    message,
                    "take them away, or use the kind on-demand",
                )


class SpotHasManyTypes(Rule):
    """A Spot environment can choose among many types."""

    code = "SPOT-DIVERSITY"
    level = "warning"
    reason = (
        "Every type is a pool of its own; with few of them jobs wait longer and are interrupted"
        " more often."
    )
    source = "EC2 user guide, spot-best-practices: at least ten instance types"
    reads = frozenset({"environments"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each Spot environment with fewer types than that."""
        for name, environment in config.environments.items():
            count = len(set(instance_types_of(environment)))
            if isinstance(environment, SpotEnvironment) and count < _SPOT_TYPES:
                message = (
                    f"{count} {'type' if count == 1 else 'types'} to choose from, and EC2 advises"
                    f" {_SPOT_TYPES} or more"
                )
                path, found = (
                    f"environments.{name}.instance_types",
                    list(environment.instance_types),
                )
                yield self.problem(
                    path,
                    found,
                    message,
                    "add types that hold the jobs, of other sizes and generations",
                )


class SpotBidIsNotLow(Rule):
    """The highest Spot price is no obstacle."""

    code = "SPOT-BID"
    level = "warning"
    reason = (
        "Where the Spot price is higher nothing starts, and the job waits without saying so; a Spot"
        " instance costs its price, not the bid."
    )
    source = "AWS Batch API, ComputeResource bidPercentage: for most use cases leave it empty"
    reads = frozenset({"environments"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each bid below half of the On-Demand price."""
        for name, environment in config.environments.items():
            bid = environment.bid_percent if isinstance(environment, SpotEnvironment) else None
            if bid is not None and bid < _LOW_BID:
                message = "Spot prices are often above this share of the On-Demand price"
                yield self.problem(f"environments.{name}.bid_percent", bid, message, "remove it")


class SpotJobsAreRetried(Rule):
    """A job on Spot survives an interruption."""

    code = "SPOT-ATTEMPTS"
    level = "warning"
    reason = (
        "AWS takes Spot capacity back with two minutes' notice; without a second attempt the run"
        " has failed then."
    )
    source = "AWS Batch user guide, job_retries"
    reads = frozenset({"environments", "jobs", "queues"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each job of one attempt that may run on Spot."""
        for stage, job in jobs(config).items():
            spot = [n for n, e in environments_of(config, job.queue).items() if is_spot(e)]
            split = stage in {"analysis", "fallback"} and goes_on_demand(config)
            if spot and job.attempts == 1 and not split:
                message = f"it may run on Spot in environment {spot[0]} and has no second attempt"
                yield self.problem(
                    f"jobs.{stage}.attempts", job.attempts, message, "allow 2 or more"
                )


class CapacityBlockIsReserved(Rule):
    """A Capacity Block is named."""

    code = "CAPACITY-BLOCK"
    reason = "RunInstances refuses the market type capacity-block without the block's id."
    source = "EC2 user guide, capacity-blocks-launch"
    reads = frozenset({"environments"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each block without an id."""
        for name, environment in config.environments.items():
            if (
                isinstance(environment, HpcEnvironment)
                and environment.capacity_block
                and environment.capacity_reservation_id is None
            ):
                message = "a Capacity Block is bought first, and its id is not given"
                fix = "add capacity_reservation_id, or turn capacity_block off"
                yield self.problem(
                    f"environments.{name}.capacity_block", environment.capacity_block, message, fix
                )


class ReservationHasItsOwnPlace(Rule):
    """Reserved capacity is not asked for in a new placement group."""

    code = "RESERVATION-PLACEMENT"
    level = "warning"
    reason = (
        "Reserved machines stand where they stand: asked for in another cluster placement group,"
        " EC2 reports insufficient capacity."
    )
    source = "terraform-aws-modules/terraform-aws-eks issue 3730; EC2 user guide, cr-cpg"
    reads = frozenset({"environments"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each reservation beside a placement group of the stack's own."""
        for name, environment in config.environments.items():
            if (
                isinstance(environment, HpcEnvironment)
                and environment.capacity_reservation_id
                and environment.placement_group
            ):
                message = (
                    f"the reserved capacity {environment.capacity_reservation_id} does not lie in"
                    " the stack's new placement group"
                )
                yield self.problem(
                    f"environments.{name}.placement_group",
                    environment.placement_group,
                    message,
                    "turn placement_group off",
                )
