"""What one queue may hold."""

from __future__ import annotations

from collections.abc import Iterator

from config.environments import FargateEnvironment
from config.facts import instance_type
from config.problems import Problem
from config.rules.base import Rule, environments_of, instance_types_of, jobs
from config.stack import StackConfig


class QueueDoesNotMixFargateAndEc2(Rule):
    """Fargate and EC2 do not share a queue."""

    code = "QUEUE-MIX"
    reason = "AWS Batch refuses a queue over both."
    source = "AWS Batch API, CreateJobQueue computeEnvironmentOrder"
    reads = frozenset({"environments", "queues"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each mixed queue."""
        for name in config.queues:
            kinds = {env: isinstance(e, FargateEnvironment) for env, e in environments_of(config, name).items()}
            if len(set(kinds.values())) > 1:
                found = {env: "Fargate" if fargate else "EC2" for env, fargate in kinds.items()}
                yield self.problem(f"queues.{name}.environments", found, "one queue is all Fargate or all EC2", "split the queue in two")


class QueueHasOneArchitecture(Rule):
    """All instances behind a queue have one CPU architecture."""

    code = "QUEUE-ARCHITECTURE"
    reason = "AWS Batch wants one architecture per queue, and an image of the other would not start."
    source = "AWS Batch API, CreateJobQueue computeEnvironmentOrder"
    reads = frozenset({"environments", "queues"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each queue whose known types differ."""
        for name in config.queues:
            found: dict[str, list[str]] = {}
            for environment in environments_of(config, name).values():
                for type_name in instance_types_of(environment):
                    facts = instance_type(type_name)
                    if facts is not None:
                        found.setdefault(facts.architecture, []).append(type_name)
            if len(found) > 1:
                shown = "; ".join(f"{architecture}: {_some(types)}" for architecture, types in found.items())
                yield self.problem(
                    f"queues.{name}.environments",
                    sorted(found),
                    f"one queue holds one CPU architecture, and this one has {shown}",
                    "keep the types of one architecture",
                )


def _some(types: list[str]) -> str:
    unique = list(dict.fromkeys(types))
    return ", ".join(unique[:3]) + (f" and {len(unique) - 3} more" if len(unique) > 3 else "")


class FairShareJobNamesItsShare(Rule):
    """A job names a share exactly where its queue has a fair-share policy."""

    code = "FAIR-SHARE-IDENTIFIER"
    reason = (
        "SubmitJob demands a share identifier and a scheduling priority on a fair-share queue, and refuses the identifier on any other."
    )
    source = "AWS Batch API, SubmitJob shareIdentifier; nextflow-io/nextflow PR 3505 for the priority"
    reads = frozenset({"jobs", "queues"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each job whose identifier does not go with its queue."""
        for stage, job in jobs(config).items():
            queue = config.queues.get(job.queue)
            if queue is None:
                continue
            path = f"jobs.{stage}.share_identifier"
            if queue.fair_share is None:
                if job.share_identifier is not None:
                    yield self.problem(path, job.share_identifier, f"queue {job.queue} has no fair_share", "remove share_identifier")
                continue
            weights = queue.fair_share.weights
            identifier = job.share_identifier
            if identifier is None:
                yield self.problem(path, None, f"queue {job.queue} has a fair-share policy", f"name one of {', '.join(sorted(weights))}")
            elif not any(identifier == w or (w.endswith("*") and identifier.startswith(w[:-1])) for w in weights):
                known = ", ".join(sorted(weights))
                yield self.problem(path, identifier, f"queue {job.queue} has weights for {known} only", "use or add a weight")
            if job.scheduling_priority is None:
                yield self.problem(
                    f"jobs.{stage}.scheduling_priority", None, f"jobs on the fair-share queue {job.queue} need one", "add a number from 0"
                )
