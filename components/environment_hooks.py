"""How a compute environment leaves, replaced or removed: its jobs end first, and AWS gets the time
to see that no queue names it.

A replacement makes the new environment, moves the queues to it and then deletes the old one. Three
things go wrong there by themselves:

- AWS keeps seeing the relation to the queue for a while after UpdateJobQueue has returned, and the
  deletion fails with "found existing JobQueue relationship" (pulumi-aws #6233,
  terraform-provider-aws #46925). An error hook has exactly that failure tried again.
- Its instances shut down for minutes after that, and until then EC2 keeps their placement group.
  Another error hook has its deletion tried again.
- Nobody asks whether jobs run there. AWS documents for Fargate that an environment with active jobs
  becomes invalid by the deletion (API reference, DeleteComputeEnvironment), and for instances
  nothing. A hook waits until no task is left in the environment's ECS cluster.

An update in place has a wait of its own: AWS leaves the environment UPDATING until the jobs on its
former instances have ended, up to `update_timeout_minutes`, and the provider waits 20 minutes for
that, whatever its options say. The error hook waits on, and then has the update tried again, which
by then has nothing left to do.

Hooks of deletions need the program: `pulumi destroy` has to be called with `--run-program`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from config.environments import DEFAULT_UPDATE_MINUTES, InstanceEnvironment

_RELATED: Final = "found existing JobQueue relationship"
_PLACEMENT_IN_USE: Final = "InvalidPlacementGroup.InUse"
_BEING_UPDATED: Final = re.compile(
    r"timeout while waiting for state to become 'VALID'|resource is being modified"
)
"""How an update fails that goes on in AWS, or that finds one going on (terraform-provider-aws,
compute_environment.go; Batch API).
"""
_NO_CLUSTER: Final = re.compile(
    r"empty result|couldn't find resource|ClusterNotFoundException|\): INACTIVE"
)
"""How the provider says that there is no ECS cluster of the name (terraform-provider-aws,
internal/service/ecs/cluster.go).
"""
RETRY_PAUSES: Final = (1, 2, 4, 8, 16, *(30 for _ in range(19)))
"""Seconds before each further try of a deletion: ten minutes in all.

The engine allows a hundred tries.
"""
_REPLACEMENT_MINUTES: Final = 30
"""For instances to go and to come, beside the time that jobs have."""
_QUIET_POLLS: Final = 2
"""Times in a row that no task may be there: for a moment the scheduler may still place a job by the
queue's former order.
"""
_LOOK_SECONDS: Final = 2.0
_LONGEST_LOOK_SECONDS: Final = 30.0


def departure_hooks(
    name: str, environments: Mapping[str, InstanceEnvironment]
) -> pulumi.ResourceHookBinding:
    """The hooks of all compute environments of a stack.

    Args:
        name: Prefix of the hooks' names. The state keeps these names: whoever changes them has to
            keep the old ones registered.
        environments: By name of the resource. One that is not there (Fargate, or no longer in the
            config) goes by what its resource says.
    """

    async def drain(args: pulumi.ResourceHookArgs) -> None:
        minutes = _patience(args, environments.get(args.name))
        # AWS makes the cluster when it makes the environment; one that never became VALID may have
        # none, and no tasks
        cluster = (args.old_outputs or {}).get("ecsClusterArn")
        if minutes and cluster:
            await _drained(args.id, str(cluster).rpartition("/")[2], minutes)

    async def again(args: pulumi.ErrorHookArgs) -> bool:
        if args.errors and _BEING_UPDATED.search(args.errors[0]):
            section = environments.get(args.name)
            jobs = section.update_timeout_minutes if section is not None else DEFAULT_UPDATE_MINUTES
            return await _updated(args.id, jobs + _REPLACEMENT_MINUTES)
        return await released(args)

    return pulumi.ResourceHookBinding(
        before_delete=[pulumi.ResourceHook(f"{name}-drained", drain)],
        on_error=[pulumi.ErrorHook(f"{name}-released", again)],
    )


async def _updated(environment: str, minutes: int) -> bool:
    """Whether an environment is ready for another try; waits until AWS has ended the update that
    goes on.
    """
    waited, told = 0.0, False
    while True:
        found = await aws.batch.get_compute_environment_output(name=environment).future()
        status = found.status if found is not None else ""
        if status != "UPDATING":
            if status == "INVALID":
                pulumi.log.warn(
                    f"compute environment {environment} is INVALID:"
                    f" {found.status_reason if found else ''}"
                )
            return status == "VALID"
        if waited >= minutes * 60:
            pulumi.log.warn(
                f"compute environment {environment} is still UPDATING after {minutes} minutes; AWS"
                " goes on with it. Run the update again when it is VALID"
            )
            return False
        if not told:
            told = True
            pulumi.log.info(
                f"compute environment {environment} is UPDATING until the jobs on its former"
                " instances have ended"
            )
        pause = min(_LONGEST_LOOK_SECONDS, max(_LOOK_SECONDS, waited / 10))
        await asyncio.sleep(pause)
        waited += pause


async def released(args: pulumi.ErrorHookArgs) -> bool:
    """Whether a failed operation is tried again: a deletion that AWS refuses for a queue's sake is,
    after a pause, for ten minutes.
    """
    return await _again(
        args,
        _RELATED,
        f"compute environment {args.id} is still in a job queue, {sum(RETRY_PAUSES) // 60} minutes"
        " after the queues of this stack have let go of it, so another queue uses it. `aws batch"
        " describe-job-queues` says which: take it out there and run the update again",
    )


def placement_hooks(name: str) -> pulumi.ResourceHookBinding:
    """The hook of the placement groups of a stack's compute environments; `name` as in
    `departure_hooks`.
    """
    return pulumi.ResourceHookBinding(on_error=[pulumi.ErrorHook(f"{name}-dispersed", dispersed)])


async def dispersed(args: pulumi.ErrorHookArgs) -> bool:
    """The same for the deletion of a placement group whose instances still shut down."""
    return await _again(
        args,
        _PLACEMENT_IN_USE,
        f"placement group {args.id} still has instances, {sum(RETRY_PAUSES) // 60} minutes after"
        " its compute environment is gone. `aws ec2 describe-instances --filters"
        " Name=placement-group-name,Values=...` says which: end them and run the update again",
    )


async def _again(args: pulumi.ErrorHookArgs, refusal: str, advice: str) -> bool:
    """Whether a deletion that failed with this refusal is tried again; sleeps before, and gives the
    advice instead where patience ends.
    """
    if args.failed_operation != "delete" or not args.errors or refusal not in args.errors[0]:
        return False
    tries = sum(refusal in error for error in args.errors)
    if tries > len(RETRY_PAUSES):
        pulumi.log.warn(advice)
        return False
    await asyncio.sleep(RETRY_PAUSES[tries - 1])
    return True


def _patience(args: pulumi.ResourceHookArgs, section: InstanceEnvironment | None) -> int:
    """Minutes that running jobs get; 0 where they are to be stopped.

    The config of today goes before what the resource was made with.
    """
    if section is not None:
        return 0 if section.terminate_jobs_on_update else section.update_timeout_minutes
    made: Mapping[str, Any] = (args.old_inputs or {}).get("updatePolicy") or {}
    return (
        0
        if made.get("terminateJobsOnUpdate")
        else int(made.get("jobExecutionTimeoutMinutes") or DEFAULT_UPDATE_MINUTES)
    )


async def _drained(environment: str, cluster: str, minutes: int) -> None:
    """Waits until no task runs in the environment.

    Raises RuntimeError where some still do after the minutes, or nobody can say.
    """
    waited, quiet, told = 0.0, 0, False
    while True:
        tasks = await _tasks(environment, cluster)
        quiet = 0 if tasks else quiet + 1
        if quiet == _QUIET_POLLS:
            return
        counted = f"{tasks} task{'s' if tasks > 1 else ''}"
        if tasks and waited >= minutes * 60:
            raise RuntimeError(
                f"after {minutes} minutes {counted} still run in compute environment {environment}."
                " It stays, no queue of this stack sends jobs there, and its instances cost money;"
                " the next update deletes it. Run that when the jobs have ended, or end their runs"
                " (`batchref cancel RUN`), or give update_timeout_minutes more"
            )
        if tasks and not told:
            told = True
            pulumi.log.info(
                f"{counted} in compute environment {environment}: it is deleted when they have"
                " ended"
            )
        pause = (
            min(_LONGEST_LOOK_SECONDS, max(_LOOK_SECONDS, waited / 10)) if tasks else _LOOK_SECONDS
        )
        await asyncio.sleep(pause)
        waited += pause


async def _tasks(environment: str, cluster: str) -> int:
    try:
        found = await aws.ecs.get_cluster_output(cluster_name=cluster).future()
    except Exception as error:
        if _NO_CLUSTER.search(str(error)):
            return 0
        raise RuntimeError(
            f"nobody could say whether jobs run in compute environment {environment} ({error})."
            " Whoever deploys needs ecs:DescribeClusters; terminate_jobs_on_update: true deletes"
            " without asking"
        ) from error
    if found is None:
        raise RuntimeError(f"the tasks of compute environment {environment} are not known")
    return found.running_tasks_count + found.pending_tasks_count
