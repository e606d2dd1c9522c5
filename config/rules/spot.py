"""What an analysis needs that goes on without Spot after some attempts."""

from __future__ import annotations

from collections.abc import Iterator

from config.environments import FargateEnvironment
from config.problems import Problem
from config.rules.base import Rule
from config.stack import StackConfig
from config.topology import environments_of, is_spot, may_be_reclaimed, reclaims_are_counted

_ATTEMPTS = "jobs.analysis.spot_attempts"
_QUEUE = "jobs.analysis.on_demand_queue"
_SOURCE = "this program's orchestration; AWS Batch user guide, job_retries"


class SpotAttemptsAndQueueGoTogether(Rule):
    """Attempts on Spot are counted where there is a queue for the others, and the other way
    round.
    """

    code = "SPOT-ATTEMPTS-QUEUE"
    reason = "One says when the analysis leaves Spot, the other where it goes."
    source = _SOURCE
    reads = frozenset({"environments", "jobs", "queues"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """The one without the other."""
        analysis = config.jobs.analysis
        if analysis.spot_attempts is not None and analysis.on_demand_queue is None:
            able = [name for name in config.queues if _is_without_spot(config, name)]
            named = f"name one of {', '.join(able)}" if able else "add a queue without Spot"
            message = "on_demand_queue is not set, so nothing follows them"
            yield self.problem(
                _ATTEMPTS,
                analysis.spot_attempts,
                message,
                f"{named} as on_demand_queue, or remove spot_attempts",
            )
        elif analysis.spot_attempts is None and analysis.on_demand_queue is not None:
            message = "spot_attempts is not set, so nothing ever goes there"
            yield self.problem(
                _QUEUE,
                analysis.on_demand_queue,
                message,
                "set spot_attempts, for example to 2, or remove on_demand_queue",
            )


class SpotAttemptsAreOnSpot(Rule):
    """Attempts on Spot are counted of an analysis on Spot."""

    code = "SPOT-ATTEMPTS-PLACE"
    reason = "Only Spot machines are taken back; elsewhere the setting says nothing."
    source = "EC2 user guide, Spot Instance interruptions"
    reads = frozenset({"environments", "jobs", "queues"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """An analysis whose queue has no Spot environment."""
        analysis = config.jobs.analysis
        if analysis.spot_attempts is None or not environments_of(config, analysis.queue):
            return
        if not may_be_reclaimed(config, analysis):
            message = f"queue {analysis.queue}, where the analysis runs, has no Spot environment"
            fix = "send the analysis to a queue on Spot, or remove spot_attempts"
            yield self.problem(_ATTEMPTS, analysis.spot_attempts, message, fix)


class OnDemandQueueHasNoSpot(Rule):
    """The queue that follows Spot has no Spot."""

    code = "ON-DEMAND-QUEUE"
    reason = (
        "An analysis that lost its machines to the market would be placed where the market takes"
        " them again."
    )
    source = "AWS Batch API, CreateJobQueue computeEnvironmentOrder"
    reads = frozenset({"environments", "jobs", "queues"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """A queue with Spot."""
        analysis = config.jobs.analysis
        if analysis.on_demand_queue is None:
            return
        found = environments_of(config, analysis.on_demand_queue)
        spot = [name for name, environment in found.items() if is_spot(environment)]
        if spot:
            yield self.problem(
                _QUEUE,
                analysis.on_demand_queue,
                f"its environment {spot[0]} is on Spot too",
                "name a queue whose environments are all on-demand, hpc or fargate",
            )


class SpotAttemptsLeaveSome(Rule):
    """Some of all attempts are left for On-Demand."""

    code = "SPOT-ATTEMPTS-COUNT"
    reason = (
        "attempts counts both; AWS Batch allows 10 for a job, and without one left nothing follows"
        " Spot."
    )
    source = "AWS Batch API, RetryStrategy attempts"
    reads = frozenset({"jobs"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """As many attempts on Spot as there are in all."""
        analysis = config.jobs.analysis
        spot = analysis.spot_attempts
        if spot is not None and spot >= analysis.attempts:
            yield self.problem(
                _ATTEMPTS,
                spot,
                f"attempts is {analysis.attempts}, so none is left for On-Demand",
                f"lower it, or raise attempts to {spot + 1} or more",
            )


class OneJobTakesThePlace(Rule):
    """An analysis has one job that takes its place."""

    code = "SPOT-FALLBACK"
    reason = "Both would begin where the analysis has failed; a run goes on with one job."
    source = _SOURCE
    reads = frozenset({"jobs"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """spot_attempts beside a fallback."""
        analysis = config.jobs.analysis
        if config.jobs.fallback is not None and analysis.spot_attempts is not None:
            message = "jobs.fallback takes the place of the analysis already"
            fix = "remove jobs.fallback, or spot_attempts and on_demand_queue"
            yield self.problem(_ATTEMPTS, analysis.spot_attempts, message, fix)


def _is_without_spot(config: StackConfig, queue: str) -> bool:
    """Whether the analysis could go on there, as far as the kinds of environments tell."""
    found = environments_of(config, queue).values()
    sort = {
        isinstance(each, FargateEnvironment)
        for each in environments_of(config, config.jobs.analysis.queue).values()
    }
    return bool(found) and all(
        not is_spot(each) and isinstance(each, FargateEnvironment) in sort for each in found
    )


class ReclaimsAreCounted(Rule):
    """Where Spot may take machines of the analysis back, postprocess can ask how often it did."""

    code = "SPOT-COUNT"
    level = "warning"
    reason = (
        "Postprocess asks AWS Batch for the attempts of the analysis; without a way there report"
        " and message say nothing of what was taken back, and what it cost."
    )
    source = "AWS Batch API, DescribeJobs; AWS Batch user guide, VPC endpoints"
    reads = frozenset({"environments", "jobs", "network", "queues"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """An analysis on Spot in a closed network without the endpoint."""
        if may_be_reclaimed(config, config.jobs.analysis) and not reclaims_are_counted(config):
            yield self.problem(
                "network.interface_endpoints",
                list(config.network.interface_endpoints),
                "jobs.analysis may run on Spot, and network.nat is none",
                "add batch",
            )
