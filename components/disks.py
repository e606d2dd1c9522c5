"""What a job is told of its disk."""

from __future__ import annotations

from components.containers import Placement
from components.user_data import SCRATCH_PATH
from config.disks import FARGATE_GIB, Gp3
from config.environments import FargateEnvironment
from config.stack import StackConfig
from config.topology import Job, environments_of
from workloads.variables import ENV_DISK_HINT, ENV_SCRATCH_PATH


def disk_variables(config: StackConfig, name: str, job: Job) -> dict[str, str]:
    """Where temporary files go, and which setting of the stack file makes room for more.

    Args:
        config: A valid one.
        name: Of the job in section `jobs`.
        job: The job.
    """
    hints = []
    mounted = Placement.of(config, job).scratch
    for each, environment in environments_of(config, job.queue).items():
        if isinstance(environment, FargateEnvironment):
            here = job.ephemeral_storage_gib or FARGATE_GIB
            hints = [f"jobs.{name}.ephemeral_storage_gib, which is {here} (at most 200)"]
        elif not mounted:
            here = environment.root_volume_gib
            hints.append(f"environments.{each}.root_volume_gib, which is {here}")
        elif isinstance(environment.scratch, Gp3):
            here = environment.scratch.size_gib
            hints.append(f"environments.{each}.scratch.size_gib, which is {here}")
        else:
            hints.append(f"the disks of environments.{each} by other types or scratch of kind gp3")
    return {
        # in one order, so that the order of a queue's environments changes no job definition
        ENV_DISK_HINT: f"raise {', and '.join(sorted(hints))}",
        **({ENV_SCRATCH_PATH: SCRATCH_PATH} if mounted else {}),
    }
