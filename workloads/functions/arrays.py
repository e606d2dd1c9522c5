"""Array jobs, which AWS Batch describes in two ways: a parent, which never runs, and its children
`<parent id>:<index>`, which do.

A parent is PENDING while its children wait and run. When all have ended it is FAILED if one of them
is, with a reason that says no more than that. Queues list parents only; children are listed by
their parent. Children have no tags (user guide, "Array jobs"; API reference, ListJobs and
TagResource).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from workloads import metrics
from workloads.functions.reasons import is_cascade

STATUSES: Final = (*metrics.QUEUE_STATES, "SUCCEEDED", "FAILED")
_DESCRIBED_AT_ONCE: Final = 100  # DescribeJobs takes no more


def is_parent(job: Mapping[str, Any]) -> bool:
    """Whether a description or a summary is of a whole array."""
    return bool((job.get("arrayProperties") or {}).get("size"))


def parent_id(job_id: str) -> str | None:
    """Of a child; None where the job is no child of an array."""
    parent, colon, _ = job_id.partition(":")
    return parent if colon else None


def describe(batch: Any, job_ids: Sequence[str]) -> list[dict[str, Any]]:
    """Descriptions of any number of jobs, each id once; jobs that are not known any more are left
    out.
    """
    unique = list(dict.fromkeys(job_ids))
    parts = [
        unique[start : start + _DESCRIBED_AT_ONCE]
        for start in range(0, len(unique), _DESCRIBED_AT_ONCE)
    ]
    return [job for part in parts for job in batch.describe_jobs(jobs=part)["jobs"]]


def children(batch: Any, parent: str, *statuses: str) -> Iterator[dict[str, Any]]:
    """Summaries of the children in some states, state after state."""
    for status in statuses:
        for page in batch.get_paginator("list_jobs").paginate(arrayJobId=parent, jobStatus=status):
            yield from page["jobSummaryList"]


def machines(batch: Any, job: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The job, or the children of an array that have run, each of which reserves its part of the
    stage's machines.
    """
    if not is_parent(job):
        return [job]
    ran = children(batch, str(job["jobId"]), "RUNNING", "SUCCEEDED", "FAILED")
    return list(describe(batch, [child["jobId"] for child in ran]))


def notifying_child(batch: Any, parent: str) -> dict[str, Any] | None:
    """Description of the child that failed first for a reason of its own, or else of any that
    failed; None where none has.
    """
    failed = sorted(
        children(batch, parent, "FAILED"),
        key=lambda job: (is_cascade(job), job.get("stoppedAt") or 0),
    )
    found = describe(batch, [job["jobId"] for job in failed[:1]])
    return found[0] if found else None


def shard_name(child: Mapping[str, Any], size: int | None) -> str:
    """For people, as the analysis itself calls its shards."""
    index = str(child["jobId"]).partition(":")[2]
    return f"shard {index} of {size}" if size else f"shard {index}"
