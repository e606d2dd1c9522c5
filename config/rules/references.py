"""Names that must exist."""

from __future__ import annotations

from collections.abc import Iterator

from config.problems import Problem
from config.rules.base import Rule, jobs
from config.stack import StackConfig


class QueueNamesKnownEnvironments(Rule):
    """A queue's environments are declared."""

    code = "REF-ENVIRONMENT"
    reason = "CreateJobQueue refuses an environment that does not exist."
    source = "AWS Batch API, CreateJobQueue computeEnvironmentOrder"
    reads = frozenset({"environments", "queues"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each unknown or repeated name."""
        for name, queue in config.queues.items():
            for index, environment in enumerate(queue.environments):
                path = f"queues.{name}.environments.{index}"
                if environment not in config.environments:
                    declared = ", ".join(sorted(config.environments)) or "none"
                    yield self.problem(path, environment, f"no environment has this name; declared are: {declared}", "name a declared one")
                elif environment in queue.environments[:index]:
                    yield self.problem(path, environment, "the queue names this environment twice", "remove one")


class JobNamesKnownQueue(Rule):
    """A job's queue is declared and takes jobs."""

    code = "REF-QUEUE"
    reason = "SubmitJob refuses a queue that does not exist."
    source = "AWS Batch API, SubmitJob jobQueue"
    reads = frozenset({"jobs", "queues"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each job with an unknown queue."""
        for stage, job in jobs(config).items():
            if job.queue not in config.queues:
                declared = ", ".join(sorted(config.queues)) or "none"
                yield self.problem(
                    f"jobs.{stage}.queue", job.queue, f"no queue has this name; declared are: {declared}", "name a declared queue"
                )
