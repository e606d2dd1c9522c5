"""Rules across sections: one class each, all run, all shown."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Final

from config.base import BrokenFieldError
from config.problems import Problem
from config.rules import (
    account,
    capacity,
    disks,
    fair_share,
    fargate,
    file_systems,
    gpus,
    growth,
    images,
    instances,
    money,
    multi_node,
    network,
    orchestration,
    prepared,
    queues,
    references,
    shards,
    spot,
    times,
    volumes,
)
from config.rules.base import Rule
from config.stack import StackConfig

RULES: Final[tuple[Rule, ...]] = (
    account.RegionIsNotInChina(),
    account.StackNameFitsNames(),
    account.SecretsAreEncrypted(),
    account.QuotasHold(),
    account.ColumnsFitTheDefinition(),
    references.QueueNamesKnownEnvironments(),
    references.JobNamesKnownQueue(),
    references.QueueTakesJobs(),
    references.EnvironmentsAreUsed(),
    queues.QueueDoesNotMixFargateAndEc2(),
    queues.QueueHasOneArchitecture(),
    queues.SpotComesFirst(),
    queues.SharedEnvironmentsHavePriorities(),
    queues.RunnableReasonsDiffer(),
    queues.RunnableLimitsLetInstancesStart(),
    queues.MultiNodeQueueGivesUp(),
    fair_share.FairShareJobNamesItsShare(),
    fair_share.WeightsDoNotOverlap(),
    fair_share.SharesAreFew(),
    fair_share.MultiNodeJobsAreFirstComeFirstServed(),
    fair_share.PriorityHasAnEffect(),
    capacity.JobFitsSomeInstanceType(),
    capacity.JobFitsMaxVcpus(),
    capacity.IdleInstancesLeaveRoom(),
    capacity.ReservationLeavesRoom(),
    capacity.EveryEnvironmentServes(),
    capacity.EveryTypeServes(),
    capacity.OneInstanceFitsMaxVcpus(),
    capacity.MinVcpusBelowMax(),
    capacity.JobSize(),
    fargate.FargateJobSize(),
    fargate.GpusAreNotOnFargate(),
    fargate.EphemeralStorageIsOnFargate(),
    fargate.FargateRanksTalk(),
    gpus.GpuJobBootsGpuImage(),
    gpus.ImageServesFamily(),
    gpus.GpusAreComputedOn(),
    gpus.GpuInstancesServeGpuJobs(),
    gpus.OneRankPerGpu(),
    gpus.ExchangeHasDevices(),
    gpus.RanksHaveCpus(),
    gpus.KeptGpusArePaidFor(),
    instances.TypesAreKnown(),
    instances.SpotTypesAreSold(),
    instances.SpotHasManyTypes(),
    instances.SpotBidIsNotLow(),
    instances.SpotJobsAreRetried(),
    disks.ScratchHasDisks(),
    disks.Gp3IsSold(),
    disks.ScratchIsSeen(),
    disks.ScratchIsUsed(),
    instances.CapacityBlockIsReserved(),
    instances.ReservationHasItsOwnPlace(),
    multi_node.MultiNodeQueueHasOneHpcEnvironment(),
    multi_node.NodesFitMaxVcpus(),
    multi_node.EfaIsSupported(),
    multi_node.MultiNodeUsesEfa(),
    multi_node.MultiNodeIsPlacedTogether(),
    multi_node.NodeUsesWholeInstance(),
    multi_node.SharedMemoryFits(),
    shards.ShardsAreOfOneNode(),
    shards.ShardsShareTheSearch(),
    spot.SpotAttemptsAndQueueGoTogether(),
    spot.SpotAttemptsAreOnSpot(),
    spot.OnDemandQueueHasNoSpot(),
    spot.SpotAttemptsLeaveSome(),
    spot.OneJobTakesThePlace(),
    spot.ReclaimsAreCounted(),
    network.ZoneIndexExists(),
    network.ZonesHaveRoom(),
    network.SeveralZones(),
    network.NodesFitSubnet(),
    network.InstancesFitSubnets(),
    network.VpcIsNotTheDockerBridge(),
    network.SlackIsReachable(),
    network.EndpointsPayOff(),
    images.BothImagesArePublished(),
    images.ImagesRunOnTheInstances(),
    prepared.PreparedImageIsTheOnlyOne(),
    prepared.PreparedImageHasJobs(),
    prepared.PreparedImageHasDigests(),
    prepared.BuilderServesTheImage(),
    prepared.BuilderReachesItsServices(),
    prepared.PreparedImageFitsTheVolume(),
    money.BudgetCoversOneRun(),
    money.GuardKnowsItsPrices(),
    money.GuardLetsOneRunFinish(),
    orchestration.FallbackHasAMachine(),
    orchestration.FallbackIsOneNode(),
    orchestration.HistoryHoldsTheRun(),
    orchestration.DayEndsAfterItsFiles(),
    orchestration.DayIsWatchedWhereUploadsStart(),
    growth.GrowthGrows(),
    growth.GrowthFits(),
    growth.GrowthHasNoFallback(),
    times.NodesJoinBeforeTimeout(),
    times.TablesOutliveTheRun(),
    times.LogsOutliveTheJob(),
    volumes.VolumesAreOfFileSystems(),
    file_systems.FileSystemsAreMounted(),
    volumes.MountPathsAreApart(),
    volumes.LustreIsNotOnFargate(),
    file_systems.LustreZoneExists(),
    volumes.LustreIsInTheZoneOfItsJobs(),
    volumes.ImagesHaveClients(),
    file_systems.LustreSizeIsSold(),
    file_systems.LustreThroughputIsSold(),
    file_systems.EfsThroughputIsOfItsMode(),
    file_systems.EfsIsFoundWithoutNat(),
    file_systems.ForeignLustreIsReached(),
    volumes.PathsLieOnVolumes(),
    volumes.TablesGetThere(),
    account.TagsAreFew(),
    account.TagsAreNotTheProgramsOwn(),
    account.TagsDifferInMoreThanCase(),
)


def check(config: StackConfig, sections: Collection[str]) -> list[Problem]:
    """Every problem that any rule finds, errors first.

    A rule is left out where one of the sections that it reads is not among `sections`, which are
    those that could be read, and ends where it comes to a field that could not. Rules that need a
    name to resolve keep silent where it does not.
    """
    able = [rule for rule in RULES if rule.reads <= set(sections)]
    found: Iterator[Problem] = (p for rule in able for p in _run_rule(rule, config))
    if "jobs" in sections:
        found = _of_file(found, config)
    return sorted(found, key=lambda problem: problem.level != "error")


def _of_file(found: Iterator[Problem], config: StackConfig) -> Iterator[Problem]:
    """The same, each at a place that the stack file has: an analysis that goes on without Spot is
    the analysis, in another queue.
    """
    with suppress(BrokenFieldError):
        if config.jobs.fallback is not None:
            yield from found
            return
    told = set[tuple[str, str]]()
    for problem in found:
        path = problem.path.replace("jobs.fallback.queue", "jobs.analysis.on_demand_queue")
        here = replace(
            problem,
            path=path.replace("jobs.fallback", "jobs.analysis"),
            message=problem.message.replace("jobs.fallback", "jobs.analysis"),
        )
        if here.path == problem.path or (here.code, here.path) not in told:
            yield here
        told.add((here.code, here.path))


def _run_rule(rule: Rule, config: StackConfig) -> Iterator[Problem]:
    with suppress(BrokenFieldError):
        yield from rule.check(config)
