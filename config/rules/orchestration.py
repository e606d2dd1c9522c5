"""What the state machine and its jobs have to agree on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from config.pipeline import DailySection
from config.problems import Problem
from config.rules.base import Rule
from config.stack import StackConfig

_MOST_EVENTS: Final = 25_000
_EVENTS_PER_LOOK: Final = 9
"""Wait (entered, exited), look (entered, scheduled, started, succeeded, exited), choice (entered,
exited).
"""
_OTHER_EVENTS: Final = 1_000
"""Submissions, records and all their retries."""


def minutes_of_day(daily: DailySection) -> int:
    """Minutes from `file_by` to `finished_by`; below zero where they are the wrong way round."""
    begin, end = (
        (int(text[:2]) * 60 + int(text[3:])) for text in (daily.file_by, daily.finished_by)
    )
    return end - begin


class FallbackHasAMachine(Rule):
    """A fallback needs the state machine, which is what starts it."""

    code = "FALLBACK-ORCHESTRATOR"
    reason = (
        "Jobs that depend on one another know no other way: when the analysis fails, the rest fails"
        " with it."
    )
    source = "AWS Batch user guide, job_dependencies"
    reads = frozenset({"jobs", "pipeline"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """A fallback beside the orchestrator `batch`."""
        if config.jobs.fallback is not None and config.pipeline.orchestrator == "batch":
            message = "jobs.fallback is there, and nothing would ever start it"
            fix = "set it to step-functions, or remove jobs.fallback"
            yield self.problem("pipeline.orchestrator", config.pipeline.orchestrator, message, fix)


class FallbackIsOneNode(Rule):
    """A fallback runs on one node."""

    code = "FALLBACK-NODES"
    reason = (
        "It takes the place of a job that did not get its nodes, or lost one; on several nodes it"
        " would fail alike."
    )
    source = "AWS Batch user guide, multi-node-parallel-jobs"
    reads = frozenset({"jobs"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """A fallback of several nodes."""
        fallback = config.jobs.fallback
        if fallback is not None and fallback.nodes > 1:
            yield self.problem(
                "jobs.fallback.nodes",
                fallback.nodes,
                "the fallback is a job of one node",
                "set it to 1",
            )


class HistoryHoldsTheRun(Rule):
    """The history of an execution has room for all looks until the deadline."""

    code = "POLL-HISTORY"
    reason = (
        "Step Functions fails an execution whose history reaches 25,000 events, in the middle of a"
        " run that is well."
    )
    source = "Step Functions developer guide, service quotas (execution event history size)"
    reads = frozenset({"pipeline"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Looks that are too many for the deadline."""
        section = config.pipeline
        if section.orchestrator != "step-functions":
            return
        hours, why = section.deadline_hours, "a run may take"
        if section.daily is not None and minutes_of_day(section.daily) > hours * 60:
            hours, why = (
                -(-minutes_of_day(section.daily) // 60),
                "the state machine of the day may wait",
            )
        looks = (_MOST_EVENTS - _OTHER_EVENTS) // _EVENTS_PER_LOOK
        need = -(-hours * 3600 // looks)
        if section.poll_seconds < need:
            message = f"{why} {hours} h, and a history holds {looks} looks"
            yield self.problem(
                "pipeline.poll_seconds",
                section.poll_seconds,
                message,
                f"raise it to {need}, or lower that time",
            )


class DayEndsAfterItsFiles(Rule):
    """The runs of a day are looked for after its files are."""

    code = "DAILY-ORDER"
    reason = (
        "A run cannot have ended before its file has to be there, and both times are of one day."
    )
    source = "this program's daily function"
    reads = frozenset({"pipeline"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """`finished_by` that does not come after `file_by`."""
        daily = config.pipeline.daily
        if daily is not None and minutes_of_day(daily) <= 0:
            message = f"file_by is {daily.file_by}, and a day ends at 23:59"
            yield self.problem(
                "pipeline.daily.finished_by",
                daily.finished_by,
                message,
                "make it later, or file_by earlier",
            )


class DayIsWatchedWhereUploadsStart(Rule):
    """Files are waited for only where an upload starts a run."""

    code = "DAILY-ENABLED"
    level = "warning"
    reason = (
        "The look at the day begins runs that uploads did not, which is what somebody switched off."
    )
    source = "this program's daily function"
    reads = frozenset({"pipeline"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """`pipeline.daily` beside `pipeline.enabled: false`."""
        if config.pipeline.daily is not None and not config.pipeline.enabled:
            yield self.problem(
                "pipeline.enabled",
                config.pipeline.enabled,
                "pipeline.daily begins runs all the same",
                "remove pipeline.daily meanwhile",
            )
