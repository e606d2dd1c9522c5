"""How long a container took to begin, apart from its work: the pull of its image, and the start.

The container agent knows both and tells the container itself (ECS task metadata endpoint version 4,
`/task`: PullStartedAt, PullStoppedAt), on instances and on Fargate; no permission is needed. How
long the machine took to come is before that: from AWS Batch's createdAt to the begin of the pull.
"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from workloads.records import Beginning

_METADATA: Final = "ECS_CONTAINER_METADATA_URI_V4"
_SECONDS: Final = 2.0


def beginning(
    started: datetime | None = None, environ: Mapping[str, str] = os.environ
) -> Beginning | None:
    """What the agent says of this container; None where there is none, or it does not say.

    Args:
        started: when the program began, now without it.
        environ: variables of the process.
    """
    uri = environ.get(_METADATA, "")
    if not uri:
        return None
    began = started or datetime.now(UTC)
    try:
        with urllib.request.urlopen(f"{uri}/task", timeout=_SECONDS) as reply:  # noqa: S310 - the agent's own URI
            task: dict[str, Any] = json.load(reply)
        pulling = datetime.fromisoformat(task["PullStartedAt"])
        pulled = datetime.fromisoformat(task["PullStoppedAt"])
        return Beginning(
            pull_started_at=pulling.astimezone(UTC).isoformat(timespec="milliseconds"),
            pull_seconds=_between(pulling, pulled),
            start_seconds=_between(pulled, began),
        )
    except (urllib.error.URLError, OSError, ValueError, KeyError, TypeError):
        return None


def _between(earlier: datetime, later: datetime) -> float:
    """Seconds; clocks of agent and container may differ by a little."""
    return round(max(0.0, (later - earlier).total_seconds()), 3)
