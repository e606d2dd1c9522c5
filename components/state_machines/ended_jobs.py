"""What follows where a job of the state machine has failed: the fallback, unless somebody ended the
job or a part of it.

A child of an array that is terminated or cancelled alone fails its parent, whose description says
no more than that a child failed (AWS Batch user guide, "Array jobs"): the failed children are
looked at, a page after the other. A page is short, because a state hands on 256 KiB at most (Step
Functions developer guide, service quotas) and a description of a job has some thousand bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from workloads import contract

_PAGE: Final = 20
_BY_LIMIT: Final = "*JobStateTimeLimit*"
"""Reason of AWS Batch's own end of a job that cannot start, which counts as cancelled too (API
reference, JobStateTimeLimitAction).
"""

_TIMED_OUT: Final = "*exceeded timeout*"
_OWN_ENDS: Final = {
    "reasons.$": "States.JsonToString($.Jobs[*].StatusReason)",
    "codes.$": "$.Jobs[*].Container.ExitCode",
}

State = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class FailedJob:
    """A job that may fail. What DescribeJobs said of it stands in `$.seen`."""

    label: str
    """How the names of its states begin."""
    stage: str
    on_failure: str
    """State that follows where nobody ended it."""
    falls_back: bool
    """Whether that begins another job."""
    after_loss: bool
    """Whether it does so only where the job lost its machine: what the code itself reports would be
    the same elsewhere.
    """
    job_failed: str
    """State that ends the execution of a job that has failed for good."""
    is_array: bool
    broken: str
    """State that ends the execution with `$.error`."""
    task: Callable[[str, dict[str, Any]], State]
    """(action of AWS Batch, parameters) -> a task with its retries and its catch."""

    @property
    def _terminated(self) -> str:
        return f"{self.label}Terminated"

    def choices(self) -> list[dict[str, Any]]:
        """Choices on a job that has failed; AWS Batch itself is nobody."""
        failed = {"Variable": "$.seen.status", "StringEquals": "FAILED"}
        if not self.falls_back:
            return [{**failed, "Next": self.on_failure}]

        def reason(pattern: str, following: str) -> dict[str, Any]:
            said = "$.seen.reasons[0]"
            present = {"Variable": said, "IsPresent": True}
            matches = {"Variable": said, "StringMatches": pattern}
            return {"And": [failed, present, matches], "Next": following}

        flags = [
            {
                "And": [
                    failed,
                    {"Variable": f"$.seen.{flag}[0]", "IsPresent": True},
                    {"Variable": f"$.seen.{flag}[0]", "BooleanEquals": True},
                ],
                "Next": self._terminated,
            }
            for flag in ("terminated", "cancelled")
        ]
        following = f"{self.label}Children" if self.is_array else self.on_failure
        return [
            reason(_BY_LIMIT, self.on_failure),
            reason(f"{contract.OWN_STOP}*", self._terminated),
            *flags,
            *(self._of_its_own(failed, reason) if self.after_loss else ()),
            {**failed, "Next": following},
        ]

    def _of_its_own(
        self, failed: dict[str, Any], reason: Callable[[str, str], dict[str, Any]]
    ) -> list[dict[str, Any]]:
        """Choices on a job that has not lost its machine, after those on one that has; a job whose
        container was never started has no exit code.
        """
        return [
            *(reason(f"{beginning}*", self.on_failure) for beginning in contract.LOST_REASONS),
            reason(_TIMED_OUT, self.job_failed),
            {"And": [failed, *_own_code("$.seen.codes[0]")], "Next": self.job_failed},
        ]

    def states(self) -> dict[str, State]:
        """The states in which an execution learns that its job was ended by somebody; none where no
        fallback could follow.
        """
        if not self.falls_back:
            return {}
        said = (
            f"the job of the stage {self.stage} was ended by somebody, so no fallback follows: {{}}"
        )
        return {
            **(self._of_children() if self.is_array else {}),
            self._terminated: {
                "Type": "Pass",
                "Parameters": {
                    "Error": contract.JOB_TERMINATED_ERROR,
                    "Cause.$": f"States.Format('{said}', $.seen.reasons[0])",
                },
                "ResultPath": "$.error",
                "Next": self.broken,
            },
        }

    def _children_of_their_own(self) -> list[dict[str, Any]]:
        return [
            {
                "Variable": "$.ended.reasons",
                "StringMatches": _TIMED_OUT,
                "Next": self.job_failed,
            },
            # as many as a page has: a filter that finds nothing is an error to some, and who has no
            # exit code is not in the list
            *(
                {"And": _own_code(f"$.ended.codes[{index}]"), "Next": self.job_failed}
                for index in range(_PAGE)
            ),
        ]

    def _of_children(self) -> dict[str, State]:
        label, found = self.label, f"{self.label}ChildrenFound"
        page = {"ArrayJobId.$": "$.job.JobId", "JobStatus": "FAILED", "MaxResults": _PAGE}
        more = {**page, "NextToken.$": "$.failed.NextToken"}
        listed = {"ResultPath": "$.failed", "Next": found}
        ids = {"Jobs.$": "$.failed.JobSummaryList[*].JobId"}
        return {
            f"{label}Children": {**self.task("listJobs", page), **listed},
            f"{label}ChildrenMore": {**self.task("listJobs", more), **listed},
            found: {
                "Type": "Choice",
                "Choices": [
                    _present("$.failed.JobSummaryList[0].JobId", f"{label}ChildrenLook"),
                ],
                "Default": self.on_failure,
            },
            f"{label}ChildrenLook": {
                **self.task("describeJobs", ids),
                # as text: an intrinsic function takes no boolean as it stands (Amazon States
                # Language, "Intrinsic Functions")
                "ResultSelector": {
                    "terminated.$": "States.JsonToString($.Jobs[*].IsTerminated)",
                    "cancelled.$": "States.JsonToString($.Jobs[*].IsCancelled)",
                    **(_OWN_ENDS if self.after_loss else {}),
                },
                "ResultPath": "$.ended",
                "Next": f"{label}ChildrenEnded",
            },
            f"{label}ChildrenEnded": {
                "Type": "Choice",
                "Choices": [
                    _true("$.ended.terminated", f"{label}ChildTerminated"),
                    _true("$.ended.cancelled", f"{label}ChildCancelled"),
                    *(self._children_of_their_own() if self.after_loss else ()),
                    _present("$.failed.NextToken", f"{label}ChildrenMore"),
                ],
                "Default": self.on_failure,
            },
            **{
                f"{label}Child{flag}": {
                    **self.task("describeJobs", ids),
                    "ResultSelector": {"reasons.$": f"$.Jobs[?(@.Is{flag} == true)].StatusReason"},
                    "ResultPath": "$.seen",
                    "Next": following,
                }
                for flag, following in (
                    ("Terminated", self._terminated),
                    ("Cancelled", f"{label}ChildCancelledBy"),
                )
            },
            f"{label}ChildCancelledBy": {
                "Type": "Choice",
                "Choices": [
                    {
                        "Variable": "$.seen.reasons[0]",
                        "StringMatches": _BY_LIMIT,
                        "Next": self.on_failure,
                    }
                ],
                "Default": self._terminated,
            },
        }


def _own_code(variable: str) -> list[dict[str, Any]]:
    """Whether the code ended by itself, and not because its machine is taken back."""
    reclaimed = {"Variable": variable, "NumericEquals": contract.RECLAIMED_EXIT}
    return [{"Variable": variable, "IsPresent": True}, {"Not": reclaimed}]


def _present(variable: str, following: str) -> dict[str, Any]:
    return {"Variable": variable, "IsPresent": True, "Next": following}


def _true(variable: str, following: str) -> dict[str, Any]:
    return {"Variable": variable, "StringMatches": "*true*", "Next": following}
