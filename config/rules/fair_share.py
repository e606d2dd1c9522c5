"""Fair-share scheduling policies and priorities."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Final

from config.problems import Problem
from config.rules.base import Rule
from config.stack import StackConfig
from config.topology import jobs

_MOST_SHARES: Final = 500


class FairShareJobNamesItsShare(Rule):
    """A job names a share exactly where its queue has a fair-share policy."""

    code = "FAIR-SHARE-IDENTIFIER"
    reason = (
        "SubmitJob demands a share identifier and a scheduling priority on a fair-share queue, and"
        " refuses the identifier on any other."
    )
    source = (
        "AWS Batch API, SubmitJob shareIdentifier; nextflow-io/nextflow PR 3505 for the priority"
    )
    reads = frozenset({"jobs", "queues"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each job whose identifier does not go with its queue."""
        for stage, job in jobs(config).items():
            queue = config.queues.get(job.queue)
            if queue is None:
                continue
            path = f"jobs.{stage}.share_identifier"
            identifier = job.share_identifier
            if queue.fair_share is None:
                if identifier is not None:
                    yield self.problem(
                        path,
                        identifier,
                        f"queue {job.queue} has no fair_share",
                        "remove share_identifier",
                    )
                continue
            weights = queue.fair_share.weights
            known = ", ".join(sorted(weights))
            if identifier is None:
                yield self.problem(
                    path, None, f"queue {job.queue} has a fair-share policy", f"name one of {known}"
                )
            elif identifier.endswith("*"):
                yield self.problem(
                    path,
                    identifier,
                    "a job has one share, and only weights are for prefixes",
                    "write letters and digits only",
                )
            elif not any(covers(weight, identifier) for weight in weights):
                yield self.problem(
                    path,
                    identifier,
                    f"queue {job.queue} has weights for {known} only",
                    "use or add a weight",
                )
            if job.scheduling_priority is None:
                yield self.problem(
                    f"jobs.{stage}.scheduling_priority",
                    None,
                    f"jobs on the fair-share queue {job.queue} need one",
                    "add a number from 1",
                )


def covers(weight: str, identifier: str) -> bool:
    """Whether the key of a weight is the identifier, or a prefix of it that ends with *."""
    return identifier.startswith(weight[:-1]) if weight.endswith("*") else identifier == weight


class WeightsDoNotOverlap(Rule):
    """No share identifier has two weights."""

    code = "FAIR-SHARE-OVERLAP"
    reason = "CreateSchedulingPolicy refuses a distribution whose identifiers overlap."
    source = "AWS Batch API, ShareAttributes shareIdentifier"
    reads = frozenset({"queues"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each pair that overlaps."""
        for name, queue in config.queues.items():
            for a, b in combinations(
                sorted(queue.fair_share.weights) if queue.fair_share else (), 2
            ):
                if covers(a, b.removesuffix("*")) or covers(b, a.removesuffix("*")):
                    path = f"queues.{name}.fair_share.weights"
                    yield self.problem(
                        path,
                        [a, b],
                        "one of them covers the other",
                        "keep one, or tell them apart by another prefix",
                    )


class SharesAreFew(Rule):
    """A queue has no more share identifiers than can be active in it."""

    code = "FAIR-SHARE-COUNT"
    level = "warning"
    reason = (
        "No more than 500 identifiers are active in a queue; jobs of others wait, or AWS Batch"
        " refuses the policy."
    )
    source = "AWS Batch API, ShareAttributes shareIdentifier"
    reads = frozenset({"queues"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each queue with more weights."""
        for name, queue in config.queues.items():
            count = len(queue.fair_share.weights) if queue.fair_share else 0
            if count > _MOST_SHARES:
                message = f"{_MOST_SHARES} identifiers can be active in a queue"
                fix = "join some under a prefix with * at its end"
                yield self.problem(f"queues.{name}.fair_share.weights", count, message, fix)


class MultiNodeJobsAreFirstComeFirstServed(Rule):
    """Multi-node jobs have a queue without shares."""

    code = "FAIR-SHARE-MNP"
    level = "warning"
    reason = "AWS Batch documents nothing about multi-node jobs under a fair-share policy."
    source = (
        "AWS Batch user guide, job_scheduling and multi-node-parallel-jobs, which are silent"
        " about it"
    )
    reads = frozenset({"jobs", "queues"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """An analysis of several nodes on a fair-share queue."""
        job = config.jobs.analysis
        queue = config.queues.get(job.queue)
        if job.nodes > 1 and queue is not None and queue.fair_share is not None:
            message = (
                f"queue {job.queue} has a fair-share policy, and nothing says how AWS Batch counts"
                f" {job.nodes} nodes there"
            )
            yield self.problem(
                "jobs.analysis.queue",
                job.queue,
                message,
                "give multi-node jobs a queue without fair_share",
            )


class PriorityHasAnEffect(Rule):
    """A scheduling priority stands where it counts."""

    code = "SCHEDULING-PRIORITY"
    level = "warning"
    reason = "It orders the jobs of one share identifier and means nothing elsewhere."
    source = "AWS Batch API, RegisterJobDefinition schedulingPriority"
    reads = frozenset({"jobs", "queues"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each priority on a queue without shares."""
        for stage, job in jobs(config).items():
            queue = config.queues.get(job.queue)
            if (
                queue is not None
                and queue.fair_share is None
                and job.scheduling_priority is not None
            ):
                path = f"jobs.{stage}.scheduling_priority"
                yield self.problem(
                    path,
                    job.scheduling_priority,
                    f"it has no effect: queue {job.queue} has no fair_share",
                    "remove it",
                )
