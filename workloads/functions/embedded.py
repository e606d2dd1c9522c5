"""CloudWatch's embedded metric format: a log line from which CloudWatch itself makes metrics, so
that no call and no permission is needed.

Format: CloudWatch User Guide, "Specification: Embedded metric format".
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping

from workloads import contract, metrics
from workloads.variables import ENV_STACK

_UNITS = {metrics.FRONT_WAITED: "Seconds", metrics.SECONDS: "Seconds", metrics.USD_PER_HOUR: "None"}


def publish(values: Mapping[str, float], *, at_ms: int, **dimension: str) -> None:
    """Writes one line with metrics that share their dimensions.

    Args:
        values: By name; see workloads/metrics.py for what they mean.
        at_ms: Milliseconds since the epoch.
        dimension: At most one besides the stack, by its name.
    """
    dimensions = {metrics.STACK: contract.require_env(ENV_STACK, os.environ), **dimension}
    described = [{"Name": name, "Unit": _UNITS.get(name, "Count")} for name in values]
    metadata = {
        "Timestamp": at_ms,
        "CloudWatchMetrics": [
            {"Namespace": metrics.NAMESPACE, "Dimensions": [list(dimensions)], "Metrics": described}
        ],
    }
    sys.stdout.write(
        json.dumps({"event": "measured", "_aws": metadata, **dimensions, **values}) + "\n"
    )
    sys.stdout.flush()
