"""What the state machine and its jobs have to agree on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from config.problems import Problem
from config.rules.base import Rule
from config.stack import StackConfig

_MOST_EVENTS: Final = 25_000
_EVENTS_PER_LOOK: Final = 9
"""Wait (entered, exited), look (entered, scheduled, started, succeeded, exited), choice (entered, exited)."""
_OTHER_EVENTS: Final = 1_000
"""Submissions, records and all their retries."""


class FallbackHasAMachine(Rule):
    """A fallback needs the state machine, which is what starts it."""

    code = "FALLBACK-ORCHESTRATOR"
    reason = "Jobs that depend on one another know no other way: when the analysis fails, the rest fails with it."
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
    reason = "It takes the place of a job that did not get its nodes, or lost one; on several nodes it would fail alike."
    source = "AWS Batch user guide, multi-node-parallel-jobs"
    reads = frozenset({"jobs"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """A fallback of several nodes."""
        fallback = config.jobs.fallback
        if fallback is not None and fallback.nodes > 1:
            yield self.problem("jobs.fallback.nodes", fallback.nodes, "the fallback is a job of one node", "set it to 1")


class HistoryHoldsTheRun(Rule):
    """The history of an execution has room for all looks until the deadline."""

    code = "POLL-HISTORY"
    reason = "Step Functions fails an execution whose history reaches 25,000 events, in the middle of a run that is well."
    source = "Step Functions developer guide, service quotas (execution event history size)"
    reads = frozenset({"pipeline"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Looks that are too many for the deadline."""
        section = config.pipeline
        if section.orchestrator != "step-functions":
            return
        looks = (_MOST_EVENTS - _OTHER_EVENTS) // _EVENTS_PER_LOOK
        need = -(-section.deadline_hours * 3600 // looks)
        if section.poll_seconds < need:
            message = f"a run may take {section.deadline_hours} h, and a history holds {looks} looks"
            yield self.problem("pipeline.poll_seconds", section.poll_seconds, message, f"raise it to {need}, or lower deadline_hours")
