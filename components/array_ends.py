"""Whether somebody ended a part of an array job: states that look at its failed children, where a fallback would follow.

A child that is terminated or cancelled alone fails its parent, whose description says no more than that a child failed (AWS Batch user
guide, "Array jobs"). A page of children is short, because a state hands on 256 KiB at most (Step Functions developer guide, service
quotas) and a description of a job has some thousand bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

CHILDREN: Final = "Children"
"""How the name of the first state ends."""
_PAGE: Final = 20
_ATTEMPTS: Final = 8

State = dict[str, Any]
Task = Callable[..., State]
"""(action, parameters, attempts=...) -> a task with its retries and its catch."""


def of_children(
    label: str, *, task: Task, on_failure: str, terminated: str, by_limit: str
) -> dict[str, State]:
    """The states of one job.

    Args:
        label: how their names begin.
        task: makes a task of the AWS SDK integration.
        on_failure: state that follows where nobody ended a child.
        terminated: state that follows where somebody did, with the reason in `$.seen.reasons[0]`.
        by_limit: pattern of the reason where AWS Batch itself cancelled a child, who is nobody.
    """
    page = {"ArrayJobId.$": "$.job.JobId", "JobStatus": "FAILED", "MaxResults": _PAGE}
    ids = {"Jobs.$": "$.failed.JobSummaryList[*].JobId"}
    found, look = f"{label}ChildrenFound", f"{label}ChildrenLook"
    return {
        f"{label}{CHILDREN}": {
            **task("listJobs", page, attempts=_ATTEMPTS),
            "ResultPath": "$.failed",
            "Next": found,
        },
        f"{label}ChildrenMore": {
            **task("listJobs", {**page, "NextToken.$": "$.failed.NextToken"}, attempts=_ATTEMPTS),
            "ResultPath": "$.failed",
            "Next": found,
        },
        found: {
            "Type": "Choice",
            "Choices": [_present("$.failed.JobSummaryList[0].JobId", look)],
            "Default": on_failure,
        },
        look: {
            **task("describeJobs", ids, attempts=_ATTEMPTS),
            "ResultSelector": {
                "terminated.$": "States.ArrayContains($.Jobs[*].IsTerminated, true)",
                "cancelled.$": "States.ArrayContains($.Jobs[*].IsCancelled, true)",
            },
            "ResultPath": "$.ended",
            "Next": f"{label}ChildrenEnded",
        },
        f"{label}ChildrenEnded": {
            "Type": "Choice",
            "Choices": [
                {
                    "Variable": "$.ended.terminated",
                    "BooleanEquals": True,
                    "Next": f"{label}ChildTerminated",
                },
                {
                    "Variable": "$.ended.cancelled",
                    "BooleanEquals": True,
                    "Next": f"{label}ChildCancelled",
                },
                _present("$.failed.NextToken", f"{label}ChildrenMore"),
            ],
            "Default": on_failure,
        },
        **{
            f"{label}Child{flag}": {
                **task("describeJobs", ids, attempts=_ATTEMPTS),
                "ResultSelector": {"reasons.$": f"$.Jobs[?(@.Is{flag} == true)].StatusReason"},
                "ResultPath": "$.seen",
                "Next": following,
            }
            for flag, following in (
                ("Terminated", terminated),
                ("Cancelled", f"{label}ChildCancelledBy"),
            )
        },
        f"{label}ChildCancelledBy": {
            "Type": "Choice",
            "Choices": [
                {
                    "Variable": "$.seen.reasons[0]",
                    "StringMatches": by_limit,
                    "Next": on_failure,
                }
            ],
            "Default": terminated,
        },
    }


def _present(variable: str, following: str) -> Mapping[str, Any]:
    return {"Variable": variable, "IsPresent": True, "Next": following}
