"""The analysis stage on one node: `python -m workloads.analysis`, the same command on all of them."""

from __future__ import annotations

import sys
from typing import Any

from workloads import contract
from workloads.analysis.launch.child_node import ChildNode
from workloads.analysis.launch.main_node import MainNode
from workloads.analysis.launch.settings import LaunchSettings
from workloads.contract import Run
from workloads.runtime import env
from workloads.runtime.stage import run_stage


def main(run: Run) -> dict[str, Any]:
    """Runs this node to the end of the job; the main node returns what `_SUCCESS.json` says of the run."""
    settings = LaunchSettings.read()
    if not settings.batch.is_main_node:
        ChildNode(settings).run()
        return {}
    MainNode(settings).run()
    from workloads.runtime import s3

    return details(s3.get_bytes(env.text(contract.ENV_RESULTS_BUCKET), run.success_key))


def details(success: bytes) -> dict[str, Any]:
    """The figures of the run, without the list of its objects."""
    from workloads.analysis.profile.partials import Success

    found = Success.from_json(success)
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
        anomaly = ("mode", "certified_fraction", "fallback_rows", "evaluations")
        figures["exchange"] = found.exchange
        figures |= {f"anomaly_{name}": getattr(found.anomaly, name) for name in anomaly} | {"checkpoint": found.checkpoint}
    return figures


if __name__ == "__main__":
    sys.exit(run_stage("analysis", main))
