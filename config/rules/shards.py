"""What an analysis of several shards, an AWS Batch array job, needs."""

from __future__ import annotations

from collections.abc import Iterator

from config.jobs import AnalysisJob
from config.problems import Problem
from config.rules.base import Rule
from config.stack import StackConfig
from config.topology import jobs


class ShardsAreOfOneNode(Rule):
    """Each shard is a job of one node."""

    code = "SHARDS-NODES"
    reason = (
        "AWS Batch takes no array of multi-node jobs: SubmitJob refuses array properties with them,"
        " and every run fails there."
    )
    source = (
        "AWS Batch API, SubmitJob arrayProperties; AWS Batch user guide, multi-node-parallel-jobs"
    )
    reads = frozenset({"jobs"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Shards of several nodes."""
        job = config.jobs.analysis  # the fallback's nodes have a rule of their own
        if job.shards > 1 and job.nodes > 1:
            message = f"nodes is {job.nodes}, and a shard is a job of one node"
            fix = (
                "set nodes to 1 and send the analysis to a queue for such jobs, or set shards to 1"
            )
            yield self.problem("jobs.analysis.shards", job.shards, message, fix)


class ShardsShareTheSearch(Rule):
    """Shards share out the search for remote rows."""

    code = "SHARDS-MODE"
    reason = (
        "Only the search is shared out; without it every shard would compute the same profile, and"
        " the analysis refuses to start."
    )
    source = "the analysis, workloads/analysis/settings.py"
    reads = frozenset({"jobs"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Shards without a search."""
        for stage, job in jobs(config).items():
            if isinstance(job, AnalysisJob) and job.shards > 1 and job.anomaly_mode == "off":
                message = "anomaly_mode is off, and nothing else is shared out"
                yield self.problem(
                    f"jobs.{stage}.shards",
                    job.shards,
                    message,
                    "set anomaly_mode to top or full, or shards to 1",
                )
