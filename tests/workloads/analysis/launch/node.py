"""One node whose ranks run Python code given as the only argument: the launcher under test, without
the analysis.
"""

from __future__ import annotations

import sys
from dataclasses import replace

from workloads.analysis.launch.child_node import ChildNode
from workloads.analysis.launch.main_node import MainNode
from workloads.analysis.launch.settings import LaunchSettings
from workloads.runtime.stage import run_stage


def main(_run):
    settings = replace(
        LaunchSettings.read(), program=(sys.executable, "-m", "mpi4py", "-c", sys.argv[1])
    )
    node = MainNode(settings) if settings.batch.is_main_node else ChildNode(settings)
    node.run()
    return {}


if __name__ == "__main__":
    sys.exit(run_stage("analysis", main))
