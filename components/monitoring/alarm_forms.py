"""What an alarm consists of, and the composite alarms that tell of several at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import pulumi

from workloads import metrics

Missing = Literal["notBreaching", "breaching", "missing", "ignore"]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One alarm: the metric is above (or below) the threshold in each of so many periods."""

    label: str
    section: str
    """Section of the runbook, as an anchor."""
    what: str
    todo: str
    namespace: str = metrics.NAMESPACE
    metric: str
    dimensions: Mapping[str, pulumi.Input[str]]
    statistic: Literal["Sum", "Maximum", "Minimum"]
    seconds: int
    """Length of a period."""
    periods: int = 1
    above: float | None = None
    below: float | None = None
    missing: Missing = "notBreaching"
    flood: str | None = None
    """The composite alarm that tells of this one."""


@dataclass(frozen=True, kw_only=True)
class Flood:
    """A composite alarm over all rules that name it."""

    section: str
    what: str
    todo: str


FLOODS: Final = {
    "failing": Flood(
        section="jobs-fail",
        what="Jobs fail",
        todo="Slack has a message with the cause for every failed run: begin with the first.",
    ),
    "executions": Flood(
        section="executions",
        what="Executions of a state machine end without having said why, or cannot go on",
        todo=(
            "Look at the executions of the machine in the console, the newest first; what was under"
            " way has to be begun again by hand."
        ),
    ),
    "full": Flood(
        section="no-room",
        what="There is more work than the environments may do",
        todo=(
            "See on the dashboard whether the line gets shorter by itself; if not, raise max_vcpus"
            " or submit less."
        ),
    ),
}
