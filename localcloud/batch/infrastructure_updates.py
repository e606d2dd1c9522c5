"""An infrastructure update of a compute environment: it is UPDATING until the jobs on its former
instances have ended.

Batch User Guide, infrastructure updates: jobs may run on for `jobExecutionTimeoutMinutes`, after
which their instances are terminated, or lose these at once with `terminateJobsOnUpdate`; new jobs
go to new instances. Meanwhile AWS refuses other changes.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Final

from localcloud.batch.records import ComputeEnvironment, Job, Store, client_error

_SCALING: Final = frozenset({"minvCpus", "maxvCpus", "desiredvCpus"})
_DEFAULT_MINUTES: Final = 30


def begin(store: Store, environment: ComputeEnvironment, changed: Collection[str]) -> None:
    """Begins an update where something but the number of vCPUs has changed and jobs run on
    instances. The caller holds the lock.
    """
    jobs = store.running_in(environment)
    if environment.is_fargate or not jobs or not set(changed) - _SCALING:
        return
    policy = environment.update_policy or {}
    minutes = policy.get("jobExecutionTimeoutMinutes", _DEFAULT_MINUTES)
    seconds = 0.0 if policy.get("terminateJobsOnUpdate") else 60.0 * minutes
    environment.status, environment.status_reason = "UPDATING", "Infrastructure update"
    environment.outdated = {job.id: job.current.number for job in jobs if job.current is not None}
    environment.outdated_until = time.monotonic() + seconds


def settle(store: Store, environment: ComputeEnvironment) -> list[Job]:
    """Ends an update whose jobs are gone; returns those whose instances are to be terminated now.

    The caller holds the lock.
    """
    if environment.status != "UPDATING":
        return []
    left = [
        job
        for job in store.running_in(environment)
        if job.current is not None and environment.outdated.get(job.id) == job.current.number
    ]
    if not left:
        environment.status, environment.status_reason = "VALID", "ComputeEnvironment Healthy"
        environment.outdated = {}
    return left if time.monotonic() >= environment.outdated_until else []


def refuse_meanwhile(environment: ComputeEnvironment, verb: str) -> None:
    """Raises ClientException while an update goes on."""
    if environment.status == "UPDATING":
        raise client_error(f"Cannot {verb}, resource is being modified.")
