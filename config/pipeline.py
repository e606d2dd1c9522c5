"""Section `pipeline`: how an upload becomes a run."""

from __future__ import annotations

from typing import Literal

from config.base import Section, setting


class PipelineSection(Section):
    """Upload event -> submit function -> chain of dependent Batch jobs, or state machine."""

    orchestrator: Literal["batch", "step-functions"] = setting(
        "batch", about="Who orders the stages: dependencies between the jobs, or a state machine.", change="in place"
    )
    deadline_hours: int = setting(
        24, about="How long a run of the state machine may take before it is stopped.", change="in place", ge=1, le=36
    )
    poll_seconds: int = setting(60, about="Pause between two looks of the state machine at a job.", change="in place", ge=1, le=300)

    enabled: bool = setting(True, about="Whether uploads start runs.", change="in place")
    function_timeout_seconds: int = setting(60, about="Limit of one call of a function.", change="in place", ge=10, le=900)
    event_max_age_hours: int = setting(
        6, about="How long an event that could not be handled is tried again.", change="in place", ge=1, le=6
    )
