"""Where a job stands in its queue, who goes first and why, and whether the queue goes on at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from cli.why.account import Account
from cli.why.demand import Demand
from cli.why.environment import environment_causes
from cli.why.model import Cause


@dataclass(frozen=True, kw_only=True)
class Line:
    """The RUNNABLE jobs of a queue in their order, the first hundred of them."""

    arns: tuple[str, ...]
    known: bool
    """False where AWS did not tell."""

    def place_of(self, job: dict[str, Any]) -> int:
        """From 1; 0 where the job is not among the first hundred."""
        return self.arns.index(job["jobArn"]) + 1 if job["jobArn"] in self.arns else 0


def line_of(account: Account, queue: dict[str, Any]) -> Line:
    """From GetJobQueueSnapshot."""
    answer = account.ask("batch", "get_job_queue_snapshot", jobQueue=queue["jobQueueArn"])
    jobs = ((answer or {}).get("frontOfQueue") or {}).get("jobs") or []
    return Line(arns=tuple(each["jobArn"] for each in jobs), known=answer is not None)


def utilization(account: Account, queue: dict[str, Any]) -> str:
    """What the queue, and each of its shares, uses at this moment, in words; empty where AWS does
    not tell.
    """
    answer = account.ask("batch", "get_job_queue_snapshot", jobQueue=queue["jobQueueArn"])
    used = (answer or {}).get("queueUtilization") or {}
    total = sum(each["quantity"] for each in used.get("totalCapacityUsage") or [])
    if not used:
        return ""
    shares = "".join(f", share {name} {vcpus:g}" for name, vcpus in _shares(used).items())
    return f"its jobs use {total:g} vCPUs{shares}"


def _shares(used: dict[str, Any]) -> dict[str, float]:
    listed = (used.get("fairshareUtilization") or {}).get("topCapacityUtilization") or []
    return {
        each["shareIdentifier"]: sum(part["quantity"] for part in each["capacityUsage"])
        for each in listed
    }


def fraction_of(account: Account, queue: dict[str, Any]) -> float:
    """Part of maxvCpus that the queue's jobs may use: 1 - (computeReservation / 100) ^ active
    shares.

    AWS Batch API reference, FairsharePolicy.
    """
    policy = _policy(account, queue)
    reservation = float((policy or {}).get("computeReservation") or 0) / 100
    if not reservation:
        return 1.0
    answer = account.ask("batch", "get_job_queue_snapshot", jobQueue=queue["jobQueueArn"])
    used = (answer or {}).get("queueUtilization") or {}
    active = int((used.get("fairshareUtilization") or {}).get("activeShareCount") or 0)
    return 1.0 - reservation ** max(active, 1)


def _policy(account: Account, queue: dict[str, Any]) -> dict[str, Any] | None:
    arn = queue.get("schedulingPolicyArn")
    found = (
        account.listed("batch", "describe_scheduling_policies", "schedulingPolicies", arns=[arn])
        if arn
        else []
    )
    return dict(found[0].get("fairsharePolicy") or {}) if found else None


def queue_causes(
    account: Account, queue: dict[str, Any], demand: Demand
) -> tuple[list[Cause], list[str]]:
    """Why a job at the front of the queue does not start, and what is in order.

    A job starts in the first environment that takes it: where one of them has nothing against it,
    the others' causes are not what it waits for.
    """
    environments = account.listed("batch", "describe_compute_environments", "computeEnvironments")
    by_arn = {each["computeEnvironmentArn"]: each for each in environments}
    order = [each["computeEnvironment"] for each in queue["computeEnvironmentOrder"]]
    fraction = fraction_of(account, queue)
    causes: list[Cause] = []
    open_to: list[str] = []
    seen: list[str] = []
    for arn in order:
        environment = by_arn.get(arn)
        if environment is None:
            continue
        found = environment_causes(account, environment, demand, environments, fraction=fraction)
        causes += found
        name = account.shown("environments", str(environment["computeEnvironmentName"]))
        if not found:
            open_to.append(name)
        seen.append(_summary(name, environment))
        if demand.multi_node and any(cause.code == "CAPACITY" for cause in found):
            break  # a multi-node job does not go on to the next environment (AWS Batch user guide)
    if open_to:
        causes = []
        seen.append(f"environment {open_to[0]} has nothing against the job")
    elif not any(arn in by_arn for arn in order) and environments:
        causes = [
            Cause(
                code="ENV-GONE",
                what=f"none of the environments of queue {queue['jobQueueName']} exists any more",
                setting="computeEnvironmentOrder",
                found="0",
                needed="1",
                fix="run pulumi up: it puts back what the stack owns",
            )
        ]
    order_of = {"blocks": 0, "suspect": 1, "waits": 2, "later": 3}
    return sorted(causes, key=lambda cause: order_of[cause.weight]), seen


def _summary(name: str, environment: dict[str, Any]) -> str:
    resources = environment.get("computeResources") or {}
    vcpus = (
        f"up to {resources.get('maxvCpus')} vCPUs"
        if str(resources.get("type")).startswith("FARGATE")
        else f"wants {resources.get('desiredvCpus', 0)} of {resources.get('maxvCpus')} vCPUs"
    )
    return (
        f"environment {name}: {environment['state']}, {environment['status']}, "
        f"{resources.get('type')}, {vcpus}"
    )


def others_first(
    account: Account, queue: dict[str, Any], job: dict[str, Any], line: Line
) -> Iterator[Cause]:
    """Who goes before the job: jobs in front, shares that have used less, queues of a higher
    priority.
    """
    place = line.place_of(job)
    name = account.shown("queues", str(queue["jobQueueName"]))
    if place > 1 or (not place and line.arns):
        where = f"number {place}" if place else "behind the first hundred"
        front = line.arns[0].rsplit("/", 1)[-1]
        policy = _policy(account, queue)
        yield Cause(
            code="FAIR-SHARE" if policy is not None else "BEHIND",
            weight="waits",
            what=(
                f"the job is {where} in queue {name}, behind "
                f"{front}{_share_words(account, queue, job, policy)}"
            ),
            setting=(
                account.setting(
                    "queues", str(queue["jobQueueName"]), "fair_share.weights", "shareDistribution"
                )
                if policy is not None
                else f"place in queue {name}"
            ),
            found=where,
            needed="number 1",
            fix=(
                "wait, or lower the weight of the share (a LOWER weight gets MORE)"
                if policy is not None
                else f"wait, or see why that one does not start: {account.command('why ' + front)}"
            ),
        )
    yield from _higher_queues(account, queue)


def _share_words(
    account: Account, queue: dict[str, Any], job: dict[str, Any], policy: dict[str, Any] | None
) -> str:
    if policy is None:
        return ""
    answer = account.ask("batch", "get_job_queue_snapshot", jobQueue=queue["jobQueueArn"])
    shares = _shares((answer or {}).get("queueUtilization") or {})
    own = str(job.get("shareIdentifier") or "")
    weights = {
        each["shareIdentifier"]: each.get("weightFactor", 1.0)
        for each in policy.get("shareDistribution") or []
    }
    others = ", ".join(f"{share} {vcpus:g}" for share, vcpus in shares.items() if share != own)
    return (
        f"; its share {own} (weight {weights.get(own, 1.0):g}) uses {shares.get(own, 0.0):g} vCPUs"
        + (f", others {others}" if others else "")
    )


def _higher_queues(account: Account, queue: dict[str, Any]) -> Iterator[Cause]:
    own = {each["computeEnvironment"] for each in queue["computeEnvironmentOrder"]}
    for other in account.listed("batch", "describe_job_queues", "jobQueues"):
        shared = own & {each["computeEnvironment"] for each in other["computeEnvironmentOrder"]}
        if other["priority"] <= queue["priority"] or not shared:
            continue
        waiting = len(line_of(account, other).arns)
        if waiting:
            yield Cause(
                code="PRIORITY",
                weight="waits",
                what=(
                    f"queue {account.shown('queues', other['jobQueueName'])} has "
                    f"priority {other['priority']} on the same environments, "
                    f"and {waiting} jobs wait there"
                ),
                setting=account.setting(
                    "queues", str(queue["jobQueueName"]), "priority", "priority"
                ),
                found=str(queue["priority"]),
                needed=f"more than {other['priority']}",
                fix=(
                    "wait, or raise the priority of this queue, or give it an "
                    "environment of its own"
                ),
            )


def stopped(account: Account, queue: dict[str, Any]) -> Sequence[Cause]:
    """The queue itself: DISABLED ones take no jobs, those in it go on (API reference,
    CreateJobQueue).
    """
    name = str(queue["jobQueueName"])
    if queue["state"] == "DISABLED":
        return [
            Cause(
                code="QUEUE-DISABLED",
                what=(
                    f"queue {account.shown('queues', name)} is disabled: it takes no "
                    "new jobs, those in it go on"
                ),
                setting=account.setting("queues", name, "enabled", "state"),
                found="DISABLED",
                needed="ENABLED",
                fix=(
                    f"{_enable(account, name)} (the guard of the budget disables it:"
                    " docs/runbook.md)"
                ),
            )
        ]
    if queue["status"] == "INVALID":
        return [
            Cause(
                code="QUEUE-INVALID",
                what=(
                    f"queue {account.shown('queues', name)} is INVALID: {queue.get('statusReason')}"
                ),
                setting=f"status of {name}",
                found="INVALID",
                needed="VALID",
                fix="its environments are at fault: the causes below, or run pulumi up",
            )
        ]
    return []


def _enable(account: Account, queue: str) -> str:
    """The command that enables a queue: our own for one of the stack's."""
    if account.config_name("queues", queue):
        return account.command(f"resume --queue {account.config_name('queues', queue)}")
    return f"aws batch update-job-queue --job-queue {queue} --state ENABLED"
