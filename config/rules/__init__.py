"""Rules across sections: one class each, all run, all shown."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress
from typing import Final

from config.base import BrokenFieldError
from config.problems import Problem
from config.rules import (
    account,
    capacity,
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
    queues,
    references,
    shards,
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
    instances.ScratchHasDisks(),
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
    return sorted(
        (problem for rule in able for problem in _run_rule(rule, config)),
        key=lambda problem: problem.level != "error",
    )


def _run_rule(rule: Rule, config: StackConfig) -> Iterator[Problem]:
    with suppress(BrokenFieldError):
        yield from rule.check(config)
