"""The diagnosis of a job and of a queue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from cli.why.account import Account
from cli.why.blocked import blocked_events
from cli.why.demand import demand_of
from cli.why.failed import UNREACHED, failed_job
from cli.why.model import Cause, Diagnosis
from cli.why.network import way_causes
from cli.why.queue import line_of, others_first, queue_causes, stopped, utilization
from cli.why.starting import start_causes
from workloads import contract
from workloads.functions.reasons import explain

_DEEP: Final = 8
"""Dependencies that are followed; a chain that is longer is said to be."""


def job_diagnosis(account: Account, job: dict[str, Any], *, depth: int = 0) -> Diagnosis:
    """Why a job is where it is.

    Args:
        account: to ask.
        job: as DescribeJobs tells of it.
        depth: how many jobs depend on it that were looked at already.
    """
    subject = f"job {job['jobId']} ({job['jobName']})"
    status = str(job["status"])
    if status == "SUCCEEDED":
        return Diagnosis(subject=subject, state=status, verdict="it has succeeded")
    if status == "FAILED":
        found = failed_job(
            account, job, lambda other: job_diagnosis(account, other, depth=depth + 1)
        )
        return _with_ways(account, found, job)
    if status == "RUNNING":
        return _with(account, Diagnosis(subject=subject, state=status, verdict="it runs"), job)
    if job.get("arrayProperties", {}).get("size"):
        return _array(account, job, subject, depth)
    if status in {"SUBMITTED", "PENDING"}:
        return _pending(account, job, subject, depth)
    if status == "STARTING":
        return _starting(account, job, subject)
    return _runnable(account, job, subject)


def _with_ways(account: Account, diagnosis: Diagnosis, job: dict[str, Any]) -> Diagnosis:
    """The same with what keeps the environments of the job's queue from the service that its
    container did not reach.
    """
    queue = queue_of(account, job)
    if not diagnosis.causes or diagnosis.causes[0].code != UNREACHED or queue is None:
        return diagnosis
    arns = {each["computeEnvironment"] for each in queue["computeEnvironmentOrder"]}
    environments = account.listed("batch", "describe_compute_environments", "computeEnvironments")
    ways = [
        cause
        for each in environments
        if each["computeEnvironmentArn"] in arns
        for cause in way_causes(account, each)
    ]
    causes = (*diagnosis.causes, *_unique(ways))
    return replace(diagnosis, causes=causes, unseen=tuple(account.unseen))


def _with(account: Account, diagnosis: Diagnosis, job: dict[str, Any]) -> Diagnosis:
    """The same with a job's last attempt, where it had one before."""
    attempts = job.get("attempts") or []
    if not attempts:
        return diagnosis
    cause = explain({**job, "statusReason": attempts[-1].get("statusReason", "")})
    total = (job.get("retryStrategy") or {}).get("attempts", 1)
    seen = f"attempt {len(attempts)} of {total} failed: {cause.error}"
    return Diagnosis(
        **{**vars(diagnosis), "seen": (*diagnosis.seen, seen), "unseen": tuple(account.unseen)}
    )


def queue_of(account: Account, job: dict[str, Any]) -> dict[str, Any] | None:
    """The job's queue, None where it is gone or AWS does not tell."""
    found = account.listed("batch", "describe_job_queues", "jobQueues")
    return next((each for each in found if each["jobQueueArn"] == job["jobQueue"]), None)


# ---- RUNNABLE ------------------------------------------------------------------------------------


def _runnable(account: Account, job: dict[str, Any], subject: str) -> Diagnosis:
    queue = queue_of(account, job)
    if queue is None:
        cause = Cause(
            code="QUEUE-GONE",
            what="the job's queue does not exist any more, or may not be seen",
            setting=str(job["jobQueue"]),
            fix="submit the job again",
        )
        return _diagnosed(account, job, subject, [cause], [])
    line = line_of(account, queue)
    own, seen = queue_causes(account, queue, demand_of(job))
    before = list(others_first(account, queue, job, line))
    place = line.place_of(job)
    if place == 1:
        seen.append(f"it is first in queue {account.shown('queues', queue['jobQueueName'])}")
    words = utilization(account, queue)
    if words:
        seen.append(f"queue {account.shown('queues', queue['jobQueueName'])}: {words}")
    front = _front(account, line.arns[0], job) if place != 1 and line.arns else []
    blocking = [cause for cause in own if cause.weight == "blocks"]
    # what blocks this job stays when its turn comes; else what blocks the one in front is what it
    # waits for
    causes = [*blocking, *front, *(c for c in own if c not in blocking), *before]
    return _diagnosed(account, job, subject, _unique(causes), seen)


def _front(account: Account, arn: str, behind: dict[str, Any]) -> list[Cause]:
    """What blocks the job in front, as causes of the jobs behind it."""
    job_id = arn.rsplit("/", 1)[-1]
    found = account.listed("batch", "describe_jobs", "jobs", jobs=[job_id])
    if not found or found[0]["jobId"] == behind["jobId"]:
        return []
    queue = queue_of(account, found[0])
    if queue is None:
        return []
    causes, _ = queue_causes(account, queue, demand_of(found[0]))
    return [
        Cause(
            **{
                **vars(cause),
                "code": f"FRONT-{cause.code}",
                "what": (
                    f"the job in front, {job_id} ({found[0]['jobName']}), holds up the "
                    f"queue: {cause.what}"
                ),
                "fix": f"{cause.fix}; or take it out: {_out(account, found[0])}",
            }
        )
        for cause in causes
        if cause.weight == "blocks"
    ]


def _out(account: Account, job: dict[str, Any]) -> str:
    """The command that takes a job out of its queue: with its run, where it belongs to one."""
    run = str((job.get("tags") or {}).get(contract.RUN_ID_TAG) or "")
    if run:
        return account.command(f"cancel {run}")
    return f"aws batch terminate-job --job-id {job['jobId']} --reason 'holds up the queue'"


def _diagnosed(
    account: Account, job: dict[str, Any], subject: str, causes: Sequence[Cause], seen: list[str]
) -> Diagnosis:
    said = str(job.get("statusReason") or "")
    minutes = int((account.now() * 1000 - job["createdAt"]) / 60_000)
    if said:
        seen.append(f"AWS Batch says: {said}")
    seen += blocked_events(account, job)
    environments = account.listed("batch", "describe_compute_environments", "computeEnvironments")
    later = start_causes(account, job, environments)
    first = causes[0] if causes else None
    if first is None:
        verdict = (
            "nothing keeps it from starting that can be seen; it was submitted "
            f"{minutes} min ago, and instances take some minutes to start"
            if not said
            else f"AWS Batch calls it blocked, and what can be seen is in order: {said}"
        )
        causes = [*causes, *([_unexplained(said)] if said else [])]
    elif first.weight == "waits":
        verdict = f"it waits: {first.what}"
    else:
        verdict = f"it cannot start: {first.what}"
    diagnosis = Diagnosis(
        subject=subject,
        state=str(job["status"]),
        verdict=verdict,
        causes=(*causes, *later),
        seen=tuple(seen),
        unseen=tuple(account.unseen),
    )
    return _with(account, diagnosis, job)


def _unexplained(said: str) -> Cause:
    cause = explain({"statusReason": said})
    return Cause(
        code="BATCH-REASON",
        weight="suspect",
        what=cause.error,
        setting="statusReason",
        found=said,
        fix=cause.hint,
    )


def _unique(causes: Sequence[Cause]) -> list[Cause]:
    found: dict[tuple[str, str], Cause] = {}
    for cause in causes:
        found.setdefault((cause.code, cause.setting), cause)
    return list(found.values())


# ---- before and after RUNNABLE -------------------------------------------------------------------


def _pending(account: Account, job: dict[str, Any], subject: str, depth: int) -> Diagnosis:
    ids = [each["jobId"] for each in job.get("dependsOn") or [] if each.get("jobId")]
    found = account.listed("batch", "describe_jobs", "jobs", jobs=ids) if ids else []
    waiting = [other for other in found if other["status"] != "SUCCEEDED"]
    if not waiting:
        gone = sorted(set(ids) - {other["jobId"] for other in found})
        verdict = (
            f"it waits for jobs that AWS Batch knows no longer: {', '.join(gone)}"
            if gone
            else "AWS Batch has not looked at it yet; that takes seconds"
        )
        causes = (
            [
                Cause(
                    code="DEPENDENCY-GONE",
                    weight="suspect",
                    what=verdict,
                    setting="dependsOn",
                    found=", ".join(gone),
                    fix="terminate it and submit it again",
                )
            ]
            if gone
            else []
        )
        return Diagnosis(
            subject=subject,
            state=str(job["status"]),
            verdict=verdict,
            causes=tuple(causes),
            unseen=tuple(account.unseen),
        )
    other = waiting[0]
    what = f"it waits for job {other['jobId']} ({other['jobName']}), which is {other['status']}"
    cause = Cause(
        code="DEPENDENCY",
        weight="waits",
        what=what,
        setting="dependsOn",
        found=str(other["status"]),
        needed="SUCCEEDED",
        fix=f"see why that one does not go on: {account.command('why ' + other['jobId'])}",
    )
    below = job_diagnosis(account, other, depth=depth + 1) if depth < _DEEP else None
    causes = [cause]
    verdict = what
    if below is not None and below.causes:
        # the job below is what has to be mended
        causes = [*below.causes, cause]
        verdict = f"{what}: {below.causes[0].what}"
    return Diagnosis(
        subject=subject,
        state=str(job["status"]),
        verdict=verdict,
        causes=tuple(causes),
        seen=below.seen if below is not None else (),
        log=below.log if below is not None else (),
        log_command=below.log_command if below is not None else "",
        unseen=tuple(account.unseen),
    )


def _array(account: Account, job: dict[str, Any], subject: str, depth: int) -> Diagnosis:
    """An array job is PENDING while its children run: the first child that does not go on speaks
    for it.
    """
    if job["status"] in {"SUBMITTED", "PENDING"} and not any(
        (job["arrayProperties"].get("statusSummary") or {}).values()
    ):
        return _pending(account, job, subject, depth)
    for status in ("FAILED", "RUNNABLE", "STARTING", "PENDING"):
        child = account.first_child(job["jobId"], status)
        if child is None:
            continue
        below = job_diagnosis(account, child, depth=depth + 1)
        counts = ", ".join(
            f"{count} {name}"
            for name, count in (job["arrayProperties"].get("statusSummary") or {}).items()
            if count
        )
        return Diagnosis(
            **{
                **vars(below),
                "subject": subject,
                "state": str(job["status"]),
                "verdict": (
                    f"of its {job['arrayProperties']['size']} children {counts}; "
                    f"child {child['jobId'].rpartition(':')[2]}: {below.verdict}"
                ),
            }
        )
    return _pending(account, job, subject, depth)


def _starting(account: Account, job: dict[str, Any], subject: str) -> Diagnosis:
    environments = account.listed("batch", "describe_compute_environments", "computeEnvironments")
    later = start_causes(account, job, environments)
    verdict = (
        f"it has a place, and its container cannot start: {later[0].what}"
        if later
        else (
            "it has a place, and its container is being started; the pull of a large "
            "image takes minutes"
        )
    )
    diagnosis = Diagnosis(
        subject=subject,
        state=str(job["status"]),
        verdict=verdict,
        causes=tuple(Cause(**{**vars(cause), "weight": "blocks"}) for cause in later),
        unseen=tuple(account.unseen),
    )
    return _with(account, diagnosis, job)


# ---- queues --------------------------------------------------------------------------------------


def queue_diagnosis(account: Account, queue: dict[str, Any]) -> Diagnosis:
    """Why the jobs of a queue do not go on: what blocks the first of them."""
    name = account.shown("queues", str(queue["jobQueueName"]))
    subject, state = f"queue {name}", f"{queue['state']}, {queue['status']}"
    line = line_of(account, queue)
    own = list(stopped(account, queue))
    words = utilization(account, queue)
    seen = [words] if words else []
    jobs = (
        account.listed("batch", "describe_jobs", "jobs", jobs=[line.arns[0].rsplit("/", 1)[-1]])
        if line.arns
        else []
    )
    if not jobs:
        verdict = (
            own[0].what
            if own
            else ("no job waits in it" if line.known else "AWS does not tell what waits in it")
        )
        return Diagnosis(
            subject=subject,
            state=state,
            verdict=verdict,
            causes=tuple(own),
            seen=tuple(seen),
            unseen=tuple(account.unseen),
        )
    front = job_diagnosis(account, jobs[0])
    more = "100 or more" if len(line.arns) >= 100 else str(len(line.arns))
    return Diagnosis(
        subject=subject,
        state=state,
        verdict=(
            f"{more} wait in it; the first, {jobs[0]['jobId']} ({jobs[0]['jobName']}): "
            f"{front.verdict}"
        ),
        causes=(*own, *front.causes),
        seen=(*seen, *front.seen),
        unseen=tuple(account.unseen),
    )
