"""Rules across sections: one class each, all run, all shown."""

from __future__ import annotations

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
)


def check(config: StackConfig) -> list[Problem]:
    """Every problem that any rule finds, errors first. Rules that need a name to resolve keep silent where it does not."""
    problems = [problem for rule in RULES for problem in rule.check(config)]
    return sorted(problems, key=lambda problem: problem.level != "error")
