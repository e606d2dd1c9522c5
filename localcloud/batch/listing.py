"""ListJobs, and the paging of every listing (Batch API reference: ListJobs, KeyValuesPair, and
`nextToken` and `maxResults` throughout).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeVar, get_args

from localcloud.batch import descriptions, queues
from localcloud.batch.records import Job, Status, Store, client_error

Params = dict[str, Any]
Item = TypeVar("Item")

LARGEST_PAGE: Final = 100
MOST_NAMED: Final = 100
"""Jobs, or other resources, that one Describe call may name."""
_STATUSES: Final = get_args(Status)
_FILTERS: Final = (
    "JOB_NAME",
    "JOB_DEFINITION",
    "SHARE_IDENTIFIER",
    "BEFORE_CREATED_AT",
    "AFTER_CREATED_AT",
)


def named(params: Params, member: str) -> list[str]:
    """The resources that a Describe call names. Raises ClientException where they are too many."""
    found = list(params.get(member) or [])
    if len(found) > MOST_NAMED:
        raise client_error(f"{member} can have at most {MOST_NAMED} items, found {len(found)}")
    return found


def page(
    items: Sequence[Item], params: Params, member: str, show: Callable[[Item], Params]
) -> Params:
    """One page of a listing; only what is on it is described.

    The token is the index of the next item. Raises ClientException.
    """
    token, size = str(params.get("nextToken") or "0"), params.get("maxResults")
    if not token.isdecimal() or int(token) > len(items):
        raise client_error(f"nextToken {token!r} is not one that this operation has returned")
    if size is not None and not 1 <= size <= LARGEST_PAGE:
        raise client_error(f"maxResults must be between 1 and {LARGEST_PAGE}, found {size}")
    start, count = int(token), size or LARGEST_PAGE
    found: Params = {member: [show(each) for each in items[start : start + count]]}
    if start + count < len(items):
        found["nextToken"] = str(start + count)
    return found


def list_jobs(store: Store, params: Params) -> Params:
    """One page of the jobs of a queue, newest first, or of the children of an array, or of the
    nodes of a multi-node job.

    Without a status those that are RUNNING. Raises ClientException.
    """
    chosen = [key for key in ("jobQueue", "arrayJobId", "multiNodeJobId") if params.get(key)]
    if len(chosen) != 1:
        raise client_error(
            "Exactly one of jobQueue, arrayJobId and multiNodeJobId must be specified"
        )
    status = params.get("jobStatus")
    if status is not None and status not in _STATUSES:
        raise client_error(f"jobStatus {status!r} is not one of {', '.join(_STATUSES)}")
    if params.get("multiNodeJobId"):
        return _nodes(store, params, status or "RUNNING")
    if params.get("arrayJobId"):
        parent = store.jobs.get(params["arrayJobId"])
        children = (
            []
            if parent is None
            else [job for job in parent.children if job.status == (status or "RUNNING")]
        )
        return page(children, params, "jobSummaryList", descriptions.summary)
    queue = queues.existing(store, params["jobQueue"])
    jobs: Iterable[Job] = (
        job for job in store.jobs.values() if job.queue is queue and job.parent is None
    )
    newest = sorted(_chosen(jobs, params, status), key=lambda job: job.created_at, reverse=True)
    return page(newest, params, "jobSummaryList", descriptions.summary)


def _nodes(store: Store, params: Params, status: str) -> Params:
    job = store.jobs.get(params["multiNodeJobId"])
    if job is None or not job.multinode:
        return page([], params, "jobSummaryList", lambda each: each)
    nodes = [
        node for node in range(len(job.nodes)) if descriptions.node_status(job, node) == status
    ]
    return page(nodes, params, "jobSummaryList", lambda node: descriptions.node_summary(job, node))


def _chosen(jobs: Iterable[Job], params: Params, status: str | None) -> list[Job]:
    """A filter takes the place of the status; with SHARE_IDENTIFIER both count."""
    filters = params.get("filters") or []
    if len(filters) > 1:
        raise client_error(f"Only one filter can be used at a time, found {len(filters)}")
    if not filters:
        return [job for job in jobs if job.status == (status or "RUNNING")]
    (condition,) = filters
    matches = _condition(condition)
    if condition["name"] == "SHARE_IDENTIFIER" and status is not None:
        return [job for job in jobs if job.status == status and matches(job)]
    return [job for job in jobs if matches(job)]


def _condition(condition: Params) -> Callable[[Job], bool]:
    name, values = condition.get("name"), condition.get("values") or []
    if name not in _FILTERS:
        raise client_error(f"ListJobs filter {name!r} is not one of {', '.join(_FILTERS)}")
    if not values:
        raise client_error(f"ListJobs filter {name} needs a value")
    if name == "JOB_NAME":
        return lambda job: any(_prefix(value.lower(), job.name.lower()) for value in values)
    if name == "JOB_DEFINITION":
        return lambda job: any(_of_definition(value, job) for value in values)
    if name == "SHARE_IDENTIFIER":
        return lambda job: any(_prefix(value, job.share or "") for value in values)
    if len(values) != 1 or not str(values[0]).isdecimal():
        raise client_error(
            f"ListJobs filter {name} takes one number of milliseconds since 1970, found"
            f" {', '.join(map(str, values))}"
        )
    bound = int(values[0])
    if name == "BEFORE_CREATED_AT":
        return lambda job: int(job.created_at * 1000) < bound
    return lambda job: int(job.created_at * 1000) > bound


def _of_definition(value: str, job: Job) -> bool:
    definition = job.definition
    return value in (definition.arn, definition.name) or _prefix(
        value, f"{definition.name}:{definition.revision}"
    )


def _prefix(pattern: str, value: str) -> bool:
    return value.startswith(pattern[:-1]) if pattern.endswith("*") else value == pattern
