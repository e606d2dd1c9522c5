"""Why a job does not start in one compute environment."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from cli.why.account import Account
from cli.why.demand import Demand, demand_of
from cli.why.fitting import Size, least_vcpus, quotas, sizes_of, too_large
from cli.why.held import pause_of
from cli.why.model import Cause
from cli.why.network import network_causes
from cli.why.scaling import refused_launches
from cli.why.starting import agent_causes

_CHANGING: Final = {"CREATING", "UPDATING", "DELETING", "DELETED"}
_SHOWN: Final = 3


def environment_causes(
    account: Account,
    environment: dict[str, Any],
    demand: Demand,
    environments: Sequence[dict[str, Any]],
    *,
    fraction: float = 1.0,
) -> list[Cause]:
    """All that keeps a job from starting there, what is known for sure first.

    Args:
        account: to ask.
        environment: as DescribeComputeEnvironments tells of it.
        demand: of the job.
        environments: all of the account, which share its quotas.
        fraction: of maxvCpus that the job's queue may use (fair share, computeReservation).
    """
    sizes = sizes_of(account, environment.get("computeResources") or {})
    found: dict[str, Cause] = {}
    for check in _checks(account, environment, demand, environments, sizes, fraction):
        for cause in check():
            found.setdefault(cause.code, cause)
    order = {"blocks": 0, "suspect": 1, "waits": 2, "later": 3}
    return sorted(found.values(), key=lambda cause: order[cause.weight])


def _checks(
    account: Account,
    environment: dict[str, Any],
    demand: Demand,
    environments: Sequence[dict[str, Any]],
    sizes: Sequence[Size],
    fraction: float,
) -> Iterator[Callable[[], Iterator[Cause]]]:
    """The questions; those about instances only where the environment takes such jobs at all."""
    state = list(_state(account, environment))
    yield lambda: iter(state)
    kind = list(_kind(account, environment, demand))
    yield lambda: iter(kind)
    if kind or environment.get("type") != "MANAGED":
        return
    large = too_large(account, environment, sizes, demand)
    yield lambda: iter([large] if large else [])
    ceiling = list(_ceiling(account, environment, demand, sizes, fraction))
    yield lambda: iter(ceiling)
    if any(cause.weight == "blocks" for cause in (*([large] if large else []), *ceiling)):
        return
    setting = account.setting(
        "environments",
        str(environment["computeEnvironmentName"]),
        "instance_types",
        "instanceTypes",
    )
    yield lambda: quotas(account, environment, sizes, demand, environments)
    yield lambda: network_causes(account, environment, sizes, demand)
    yield lambda: agent_causes(account, environment)
    if not any(cause.code == "ENV-INVALID" for cause in state):
        yield lambda: refused_launches(account, environment, setting)


def _state(account: Account, environment: dict[str, Any]) -> Iterator[Cause]:
    name = str(environment["computeEnvironmentName"])
    shown = account.shown("environments", name)
    reason = str(environment.get("statusReason") or "")
    paused = pause_of(account, name) if environment["state"] != "ENABLED" else None
    if paused is not None:
        yield paused
    elif environment["state"] != "ENABLED":
        yield Cause(
            code="ENV-DISABLED",
            what=f"environment {shown} is disabled and takes no jobs",
            setting=account.setting("environments", name, "enabled", "state"),
            found="DISABLED",
            needed="ENABLED",
            fix=(
                f"aws batch update-compute-environment --compute-environment {name} "
                "--state ENABLED; for good, enabled: true in the stack file"
            ),
        )
    if environment["status"] == "INVALID":
        yield Cause(
            code="ENV-INVALID",
            what=f"environment {shown} is INVALID: {reason or 'AWS gives no reason'}",
            setting=f"status of {name}",
            found="INVALID",
            needed="VALID",
            fix=(
                "mend what the reason names, then disable and enable the environment, "
                "which makes AWS Batch try again: aws batch update-compute-environment "
                f"--compute-environment {name} --state DISABLED, then ENABLED"
            ),
        )
    elif environment["status"] in _CHANGING:
        yield Cause(
            code="ENV-CHANGING",
            weight="waits" if environment["status"] in {"CREATING", "UPDATING"} else "blocks",
            what=f"environment {shown} is {environment['status']}{f': {reason}' if reason else ''}",
            setting=f"status of {name}",
            found=str(environment["status"]),
            needed="VALID",
            fix=(
                "wait until the deployment is done; running jobs hold it up for"
                " update_timeout_minutes at most"
            ),
        )


def _kind(account: Account, environment: dict[str, Any], demand: Demand) -> Iterator[Cause]:
    name = str(environment["computeEnvironmentName"])
    kind = str((environment.get("computeResources") or {}).get("type", ""))
    shown = account.shown("environments", name)
    setting = account.setting("environments", name, "kind", "type")
    if demand.multi_node and kind != "EC2":
        yield Cause(
            code="MULTI-NODE",
            what=f"AWS Batch runs no multi-node jobs in {kind} environments such as {shown}",
            setting=setting,
            found=kind,
            needed="EC2 (kind on-demand or hpc)",
            fix=(
                "put the job in a queue with an On-Demand environment, or set nodes: 1 and use"
                " shards"
            ),
        )
    elif kind and demand.fargate != kind.startswith("FARGATE"):
        wanted = "FARGATE" if demand.fargate else "EC2"
        yield Cause(
            code="PLATFORM",
            what=f"the job definition is for {wanted}, and environment {shown} is {kind}",
            setting=setting,
            found=kind,
            needed=wanted,
            fix=(
                f"put the job in a queue with {wanted} environments, or register its definition for"
                f" {kind}"
            ),
        )


def _ceiling(
    account: Account,
    environment: dict[str, Any],
    demand: Demand,
    sizes: Sequence[Size],
    fraction: float,
) -> Iterator[Cause]:
    name = str(environment["computeEnvironmentName"])
    resources = environment.get("computeResources") or {}
    maximum, desired = (
        float(resources.get("maxvCpus") or 0),
        float(resources.get("desiredvCpus") or 0),
    )
    needed = least_vcpus(sizes, demand)
    shown = account.shown("environments", name)
    setting = account.setting("environments", name, "max_vcpus", "maxvCpus")
    raise_it = (
        f"set {setting} to {{:g}}; at once: aws batch update-compute-environment"
        f" --compute-environment {name} --compute-resources maxvCpus={{:g}}"
    )
    nodes = f" ({demand.nodes} whole instances at once)" if demand.multi_node else ""
    if needed > maximum:
        yield Cause(
            code="MAX-VCPUS",
            what=(
                f"environment {shown} may have {maximum:g} vCPUs, and the job needs"
                f" {needed:g}{nodes}"
            ),
            setting=setting,
            found=f"{maximum:g}",
            needed=f"{needed:g}",
            fix=raise_it.format(needed, needed),
        )
    elif needed > maximum * fraction:
        yield Cause(
            code="RESERVATION",
            what=(
                f"the fair-share policy leaves this job {maximum * fraction:g} of the {maximum:g}"
                f" vCPUs of environment {shown}, and it needs {needed:g}"
            ),
            setting="queues.<queue>.fair_share.compute_reservation_percent",
            found=f"{maximum * fraction:g}",
            needed=f"{needed:g}",
            fix="lower compute_reservation_percent, or "
            + raise_it.format(needed / fraction, needed / fraction),
        )
    elif desired + needed > maximum * fraction and not str(resources.get("type")).startswith(
        "FARGATE"
    ):
        yield Cause(
            code="AT-MAX",
            weight="waits",
            what=(
                f"environment {shown} runs {desired:g} of its {maximum:g} vCPUs, and the job needs"
                f" {needed:g}{nodes}{_holders(account, environment)}"
            ),
            setting=setting,
            found=f"{maximum:g}",
            needed=f"{desired + needed:g}",
            fix="wait for the jobs that run, or "
            + raise_it.format(desired + needed, desired + needed),
        )
    elif str(resources.get("type")).startswith("FARGATE"):
        yield from _fargate_full(
            account, environment, needed, maximum * fraction, setting, raise_it
        )


def _fargate_full(
    account: Account,
    environment: dict[str, Any],
    needed: float,
    limit: float,
    setting: str,
    raise_it: str,
) -> Iterator[Cause]:
    used = sum(vcpus for _, vcpus in _running(account, environment))
    if used + needed > limit:
        shown = account.shown("environments", str(environment["computeEnvironmentName"]))
        yield Cause(
            code="AT-MAX",
            weight="waits",
            what=(
                f"jobs run with {used:g} of the {limit:g} vCPUs of environment {shown}, and the job"
                f" needs {needed:g}{_holders(account, environment)}"
            ),
            setting=setting,
            found=f"{limit:g}",
            needed=f"{used + needed:g}",
            fix="wait for the jobs that run, or " + raise_it.format(used + needed, used + needed),
        )


def _holders(account: Account, environment: dict[str, Any]) -> str:
    """Who runs in the environment, for the end of a sentence."""
    held = _running(account, environment)
    if not held:
        return "; no job runs there any more: its idle instances go within minutes"
    oldest = sorted(held, key=lambda each: each[0].get("startedAt") or each[0]["createdAt"])
    names = [
        f"{job['jobName']} since {_moment(job.get('startedAt') or job['createdAt'])}"
        for job, _ in oldest[:_SHOWN]
    ]
    more = f" and {len(held) - _SHOWN} more" if len(held) > _SHOWN else ""
    return f"; there run {', '.join(names)}{more}"


def _running(account: Account, environment: dict[str, Any]) -> list[tuple[dict[str, Any], float]]:
    """The jobs that hold resources in an environment, with their vCPUs; the first hundred of each
    queue are looked at.
    """
    arn = environment["computeEnvironmentArn"]
    held = []
    for queue in account.listed("batch", "describe_job_queues", "jobQueues"):
        if arn not in {each["computeEnvironment"] for each in queue["computeEnvironmentOrder"]}:
            continue
        for status in ("STARTING", "RUNNING"):
            listed = account.listed(
                "batch",
                "list_jobs",
                "jobSummaryList",
                pages=False,
                jobQueue=queue["jobQueueArn"],
                jobStatus=status,
            )
            ids = [each["jobId"] for each in listed[:100]]
            jobs = account.listed("batch", "describe_jobs", "jobs", jobs=ids) if ids else []
            held += [(job, _vcpus(job)) for job in jobs]
    return held


def _vcpus(job: dict[str, Any]) -> float:
    demand = demand_of(job)
    return demand.nodes * demand.vcpus


def _moment(millis: int) -> str:
    return f"{datetime.fromtimestamp(millis / 1000, UTC):%H:%M} UTC"
