"""The analysis stage on one node: `python -m workloads.analysis`, the same command on all of
them.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from workloads.runtime.loading import loading

with loading():
    from workloads.analysis.launch.child_node import ChildNode
    from workloads.analysis.launch.main_node import MainNode
    from workloads.analysis.launch.settings import LaunchSettings
    from workloads.analysis.shard import Shard
    from workloads.contract import Run
    from workloads.runtime import env
    from workloads.runtime.errors import StageError
    from workloads.runtime.stage import run_stage
    from workloads.variables import ENV_RESULTS_BUCKET

if TYPE_CHECKING:
    from workloads.analysis.pipeline.success import Success


def main(run: Run) -> dict[str, Any] | None:
    """Runs this node to the end of the job; the main node returns what `_SUCCESS.json` says of the
    run.

    Of the children of an array job only those return it that end when all of them have done their
    part; the others return None.
    """
    settings = LaunchSettings.read()
    if not settings.batch.is_main_node:
        ChildNode(settings).run()
        return {}
    shard = Shard.read(settings.batch)
    try:
        MainNode(settings).run()
    except StageError as error:
        sentence = f"{shard.name}: {error.sentence}" if shard.count > 1 else error.sentence
        raise StageError(sentence, hint=error.hint, exit_code=error.exit_code) from error
    from workloads.analysis.pipeline.success import Success, launched
    from workloads.runtime import s3

    bucket = env.text(ENV_RESULTS_BUCKET)
    if shard.count == 1:
        return details(Success.from_json(s3.get_bytes(bucket, run.success_key)))
    stored = s3.get_with_etag(bucket, run.success_key)
    found = launched(stored[0], settings.batch.launch) if stored is not None else None
    return details(found) if found is not None else None


def details(found: Success) -> dict[str, Any]:
    """The figures of the run, without the list of its objects."""
    names = (
        "digest",
        "ranks",
        "nodes",
        "units",
        "rows",
        "complete_rows",
        "backend",
        "precision",
        "bytes_read",
        "peak_memory_bytes",
        "code_version",
    )
    figures = {**{name: getattr(found, name) for name in names}, "step_seconds": found.seconds}
    if found.anomaly is not None:
        anomaly = ("certified_fraction", "fallback_rows", "evaluations")
        figures |= {
            "exchange": found.exchange,
            "checkpoint": found.checkpoint,
            "anomaly_mode": found.anomaly.asked.anomaly_mode,
            "anomaly_neighbours": found.anomaly.neighbours_used,
            **{f"anomaly_{name}": getattr(found.anomaly, name) for name in anomaly},
        }
    if found.shard_seconds:
        figures["shard_seconds"] = list(found.shard_seconds)
    return figures


if __name__ == "__main__":
    sys.exit(run_stage("analysis", main))
