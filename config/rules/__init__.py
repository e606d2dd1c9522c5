"""Rules across sections: one class each, all run, all shown."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from config.problems import Problem
from config.rules import capacity, multi_node, queues, references
from config.rules.base import Rule
from config.stack import StackConfig

RULES: Final[tuple[Rule, ...]] = (
    references.QueueNamesKnownEnvironments(),
    references.JobNamesKnownQueue(),
    queues.QueueDoesNotMixFargateAndEc2(),
    queues.QueueHasOneArchitecture(),
    queues.FairShareJobNamesItsShare(),
    capacity.JobFitsSomeInstanceType(),
    capacity.FargateJobSize(),
    capacity.GpuJobBootsGpuImage(),
    multi_node.MultiNodeQueueHasOneHpcEnvironment(),
    multi_node.NodesFitMaxVcpus(),
    multi_node.EfaIsSupported(),
    multi_node.ZoneIndexExists(),
    multi_node.NodesFitSubnet(),
)


def check(config: StackConfig, sections: Collection[str]) -> list[Problem]:
    """Every problem that any rule finds, errors first.

    A rule is left out where one of the sections that it reads is not among `sections`, which are those without problems of their own. Rules
    that need a name to resolve keep silent where it does not.
    """
    able = [rule for rule in RULES if rule.reads <= set(sections)]
    return sorted((problem for rule in able for problem in rule.check(config)), key=lambda problem: problem.level != "error")
