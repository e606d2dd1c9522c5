"""Names that must exist, and things that nobody names."""

from __future__ import annotations

from collections.abc import Iterator

from config.problems import Problem
from config.rules.base import Rule
from config.stack import StackConfig
from config.topology import environments_of, jobs, placing_environments_of


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
                    yield self.problem(
                        path,
                        environment,
                        f"no environment has this name; declared are: {declared}",
                        "name a declared one",
                    )
                elif environment in queue.environments[:index]:
                    yield self.problem(
                        path, environment, "the queue names this environment twice", "remove one"
                    )


class JobNamesKnownQueue(Rule):
    """A job's queue is declared."""

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
                    f"jobs.{stage}.queue",
                    job.queue,
                    f"no queue has this name; declared are: {declared}",
                    "name a declared queue",
                )


class QueueTakesJobs(Rule):
    """While uploads start runs, the queues of the stages take jobs and place them."""

    code = "QUEUE-DISABLED"
    reason = (
        "SubmitJob refuses a disabled queue, and a job whose environments are all disabled stays in"
        " RUNNABLE."
    )
    source = "AWS Batch API, CreateJobQueue state and CreateComputeEnvironment state"
    reads = frozenset({"environments", "jobs", "pipeline", "queues"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each disabled queue of a stage, and each whose environments are all disabled; a pipeline
        that is off makes both sound.
        """
        if not config.pipeline.enabled:
            return
        for name in dict.fromkeys(
            job.queue for job in jobs(config).values() if job.queue in config.queues
        ):
            stages = ", ".join(stage for stage, job in jobs(config).items() if job.queue == name)
            if not config.queues[name].enabled:
                message = f"uploads start runs, and {stages} would be refused by this queue"
                yield self.problem(
                    f"queues.{name}.enabled",
                    config.queues[name].enabled,
                    message,
                    "enable it, or turn pipeline.enabled off too",
                )
            elif environments_of(config, name) and not placing_environments_of(config, name):
                first, environment = next(iter(environments_of(config, name).items()))
                message = (
                    f"uploads start runs, and every environment of queue {name}, where {stages}"
                    " run, is disabled"
                )
                yield self.problem(
                    f"environments.{first}.enabled",
                    environment.enabled,
                    message,
                    "enable one, or turn pipeline.enabled off too",
                )


class EnvironmentsAreUsed(Rule):
    """An enabled environment stands behind some queue."""

    code = "ENVIRONMENT-UNUSED"
    level = "warning"
    reason = "No job ever reaches it."
    source = "AWS Batch API, CreateJobQueue computeEnvironmentOrder"
    reads = frozenset({"environments", "queues"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each environment that no queue names; one that is disabled is on its way in or out."""
        named = {
            environment for queue in config.queues.values() for environment in queue.environments
        }
        for name, environment in config.environments.items():
            if name not in named and environment.enabled:
                fix = "add it to a queue, disable it, or remove it"
                yield self.problem(
                    f"environments.{name}", environment.kind, "no queue names this environment", fix
                )
