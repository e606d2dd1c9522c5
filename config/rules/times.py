"""Limits on time that have to go together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from config.problems import Problem
from config.rules.base import Rule
from config.stack import StackConfig
from config.topology import jobs, longest_minutes

_MINUTES_PER_DAY: Final = 24 * 60


class NodesJoinBeforeTimeout(Rule):
    """The main node gives up waiting for the others before the job's time is over."""

    code = "JOIN-DEADLINE"
    reason = (
        "The attempt would be ended by AWS Batch, which does not retry timeouts, and nobody would"
        " learn that a node was missing."
    )
    source = "AWS Batch user guide, job_timeouts; this program's launcher"
    reads = frozenset({"jobs"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """A deadline that is not below the timeout."""
        job = config.jobs.analysis
        if job.nodes > 1 and job.join_deadline_minutes >= job.timeout_minutes:
            message = (
                f"timeout_minutes is {job.timeout_minutes}, for the wait and the analysis together"
            )
            path = "jobs.analysis.join_deadline_minutes"
            yield self.problem(
                path, job.join_deadline_minutes, message, "lower it, or raise timeout_minutes"
            )


class TablesOutliveTheRun(Rule):
    """Cleaned tables are kept for as long as a run may take."""

    code = "INTERMEDIATE-DAYS"
    level = "warning"
    reason = "The life cycle of the bucket deletes what a retried stage still wants to read."
    source = "Amazon S3 user guide, lifecycle expiration"
    reads = frozenset({"jobs", "storage"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """A life shorter than all attempts of the analysis and postprocess stages, each up to its
        timeout.
        """
        longest = sum(
            longest_minutes(job) for stage, job in jobs(config).items() if stage != "preprocess"
        )
        days = config.storage.intermediate_days
        if days * _MINUTES_PER_DAY < longest:
            need = -(-longest // _MINUTES_PER_DAY)
            message = (
                f"the analysis and postprocess stages may take {need} days with all their attempts"
            )
            yield self.problem(
                "storage.intermediate_days",
                days,
                message,
                f"raise it to {need}, or lower timeouts or attempts",
            )


class LogsOutliveTheJob(Rule):
    """Logs are kept for longer than a job may take."""

    code = "LOG-RETENTION"
    level = "warning"
    reason = (
        "The beginning of a log is gone before the job has ended, and with it what would explain a"
        " failure."
    )
    source = "CloudWatch Logs API, PutRetentionPolicy"
    reads = frozenset({"jobs", "monitoring"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """A retention shorter than all attempts of one stage, each up to its timeout."""
        stage, job = max(jobs(config).items(), key=lambda item: longest_minutes(item[1]))
        longest, days = longest_minutes(job), config.monitoring.log_retention_days
        if days * _MINUTES_PER_DAY < longest:
            message = (
                f"jobs.{stage} may take {-(-longest // _MINUTES_PER_DAY)} days with all its"
                " attempts"
            )
            yield self.problem(
                "monitoring.log_retention_days",
                days,
                message,
                "keep logs for longer, or lower timeouts or attempts",
            )
