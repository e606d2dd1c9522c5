"""What one queue may hold, and how queues and environments stand to each other."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Final

from config.environments import FargateEnvironment
from config.problems import Problem
from config.rules.base import Rule
from config.stack import StackConfig
from config.topology import environments_of, is_spot, known_types_of, some

_INSTANCE_START_MINUTES: Final = 20
"""Boot, pull of a large image and registration, and the reason is published minutes late
(nextflow-io/nextflow issue 7479).
"""


class QueueDoesNotMixFargateAndEc2(Rule):
    """Fargate and EC2 do not share a queue."""

    code = "QUEUE-MIX"
    reason = "AWS Batch refuses a queue over both."
    source = "AWS Batch API, CreateJobQueue computeEnvironmentOrder"
    reads = frozenset({"environments", "queues"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each mixed queue."""
        for name in config.queues:
            kinds = {
                env: isinstance(e, FargateEnvironment)
                for env, e in environments_of(config, name).items()
            }
            if len(set(kinds.values())) > 1:
                found = {env: "Fargate" if fargate else "EC2" for env, fargate in kinds.items()}
                yield self.problem(
                    f"queues.{name}.environments",
                    found,
                    "one queue is all Fargate or all EC2",
                    "split the queue in two",
                )


class QueueHasOneArchitecture(Rule):
    """All instances behind a queue have one CPU architecture, and so have those of one
    environment.
    """

    code = "QUEUE-ARCHITECTURE"
    reason = (
        "AWS Batch wants one architecture per environment and queue, and an image of the other"
        " would not start."
    )
    source = "AWS Batch API, CreateJobQueue computeEnvironmentOrder; ComputeResource instanceTypes"
    reads = frozenset({"environments", "queues"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each queue whose known types differ, and each environment in no queue of which the same
        is true.
        """
        queued = {name for queue in config.queues.values() for name in queue.environments}
        alone = {
            name: {name: environment}
            for name, environment in config.environments.items()
            if name not in queued
        }
        places = {
            f"queues.{name}.environments": environments_of(config, name) for name in config.queues
        }
        for path, environments in {
            **places,
            **{f"environments.{name}.instance_types": each for name, each in alone.items()},
        }.items():
            found: dict[str, list[str]] = {}
            for environment in environments.values():
                for type_name, facts in known_types_of(environment).items():
                    found.setdefault(facts.architecture, []).append(type_name)
            if len(found) > 1:
                shown = "; ".join(
                    f"{architecture}: {some(types)}" for architecture, types in found.items()
                )
                message = (
                    f"one queue or environment holds one CPU architecture, and this one has {shown}"
                )
                yield self.problem(
                    path, sorted(found), message, "keep the types of one architecture"
                )


class SpotComesFirst(Rule):
    """Where a queue has Spot and On-Demand, Spot is tried first."""

    code = "QUEUE-ORDER"
    level = "warning"
    reason = (
        "AWS Batch fills the first environment before it looks at the next: behind On-Demand, Spot"
        " is used only when that is full."
    )
    source = "AWS Batch API, CreateJobQueue computeEnvironmentOrder"
    reads = frozenset({"environments", "queues"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each queue with a Spot environment behind another."""
        for name in config.queues:
            found = environments_of(config, name)
            spot = [n for n, e in found.items() if is_spot(e)]
            if spot and list(found)[: len(spot)] != spot:
                order = [*spot, *(n for n in found if n not in spot)]
                message = "Spot is used only when what stands before it is full"
                yield self.problem(
                    f"queues.{name}.environments",
                    list(found),
                    message,
                    f"write [{', '.join(order)}]",
                )


class SharedEnvironmentsHavePriorities(Rule):
    """Queues that share an environment differ in priority."""

    code = "QUEUE-PRIORITY"
    level = "warning"
    reason = "Of two queues with one priority on one environment nothing says whose jobs go first."
    source = "AWS Batch API, CreateJobQueue priority"
    reads = frozenset({"queues"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each such pair."""
        for (a, first), (b, second) in combinations(config.queues.items(), 2):
            shared = [name for name in first.environments if name in second.environments]
            if shared and first.priority == second.priority:
                message = f"queue {a} has the same priority and shares environment {shared[0]}"
                yield self.problem(
                    f"queues.{b}.priority",
                    second.priority,
                    message,
                    "give one of them a higher priority",
                )


class RunnableReasonsDiffer(Rule):
    """A queue has one limit for each reason."""

    code = "RUNNABLE-REASON"
    reason = "Of two limits for one reason only one can count, and AWS Batch does not say which."
    source = "AWS Batch API, JobStateTimeLimitAction"
    reads = frozenset({"queues"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each reason that is given twice."""
        for name, queue in config.queues.items():
            reasons = [limit.reason for limit in queue.runnable_limits]
            for index, reason in enumerate(reasons):
                if reason in reasons[:index]:
                    path = f"queues.{name}.runnable_limits.{index}.reason"
                    yield self.problem(
                        path, reason, "the queue has a limit for this reason already", "remove one"
                    )


class RunnableLimitsLetInstancesStart(Rule):
    """A limit is well above the start of an instance."""

    code = "RUNNABLE-LIMIT"
    level = "warning"
    reason = "A job whose instance is about to join would be cancelled."
    source = "AWS Batch API, JobStateTimeLimitAction; nextflow-io/nextflow issue 7479"
    reads = frozenset({"queues"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each limit below that."""
        for name, queue in config.queues.items():
            for index, limit in enumerate(queue.runnable_limits):
                if limit.max_minutes < _INSTANCE_START_MINUTES:
                    message = (
                        f"an instance may take {_INSTANCE_START_MINUTES} minutes to start, and AWS"
                        " Batch learns of it late"
                    )
                    path = f"queues.{name}.runnable_limits.{index}.max_minutes"
                    yield self.problem(
                        path,
                        limit.max_minutes,
                        message,
                        f"raise it to {_INSTANCE_START_MINUTES} or more",
                    )


class MultiNodeQueueGivesUp(Rule):
    """The queue of a multi-node job has limits on the wait."""

    code = "RUNNABLE-NONE"
    level = "warning"
    reason = "A multi-node job that cannot start blocks its queue, silently and for ever."
    source = "AWS Batch user guide, job-queue-blocked and job-state-time-limit-actions"
    reads = frozenset({"jobs", "queues"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """An analysis of several nodes on a queue without any limit."""
        job = config.jobs.analysis
        queue = config.queues.get(job.queue)
        if job.nodes > 1 and queue is not None and not queue.runnable_limits:
            message = (
                "jobs.analysis waits for several machines at once, and without a limit for ever"
            )
            yield self.problem(
                f"queues.{job.queue}.runnable_limits", [], message, "add a limit for each reason"
            )
