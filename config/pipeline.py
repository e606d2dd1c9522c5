"""Section `pipeline`: how an upload becomes a run."""

from __future__ import annotations

from typing import Literal

from config.base import DatasetName, Section, TimeOfDay, TimeZone, setting


class DailySection(Section):
    """What has to be there when on every day: files under `data/<YYYYMMDD>/`, and the ends of their
    runs.
    """

    file_by: TimeOfDay = setting(
        about="When the files of a day have to be there.", change="in place"
    )
    finished_by: TimeOfDay = setting(
        about="When their runs have to have succeeded, on the same day.", change="in place"
    )
    time_zone: TimeZone = setting(
        "UTC", about="Where clocks show these times; summer time is followed.", change="in place"
    )
    max_parallel: int = setting(
        10,
        about=(
            "Runs that are begun at a time for uploads whose event was lost: the state machine of"
            " the day waits for one to end before it begins another; without it so many are begun"
            " at each look."
        ),
        change="in place",
        ge=1,
        le=1000,
    )
    datasets: tuple[DatasetName, ...] = setting(
        (),
        about=(
            "Data sets of which a file has to come every day, by the names of their files without"
            " ending; without any, one file of whatever name."
        ),
        change="in place",
        max_length=100,
    )


class PipelineSection(Section):
    """Upload event -> submit function -> chain of dependent Batch jobs, or state machine."""

    orchestrator: Literal["batch", "step-functions"] = setting(
        "batch",
        about="Who orders the stages: dependencies between the jobs, or a state machine.",
        change="in place",
    )
    deadline_hours: int = setting(
        24,
        about="How long a run of the state machine may take before it is stopped.",
        change="in place",
        ge=1,
        le=36,
    )
    poll_seconds: int = setting(
        60,
        about="Pause between two looks of the state machine at a job.",
        change="in place",
        ge=1,
        le=300,
    )

    enabled: bool = setting(True, about="Whether uploads start runs.", change="in place")
    function_timeout_seconds: int = setting(
        60, about="Limit of one call of a function.", change="in place", ge=10, le=900
    )
    event_max_age_hours: int = setting(
        6,
        about="How long an event that could not be handled is tried again.",
        change="in place",
        ge=1,
        le=6,
    )
    show_values: bool = setting(
        True,
        about=(
            "Whether cells of the file stand in Slack messages, logs, error records and items of"
            " the table; false where they may be personal. Statistics, smallest and largest value"
            " among them, and what lies in the buckets hold them either way."
        ),
        change="new revision",
    )
    daily: DailySection | None = setting(
        None,
        about="What has to be there when on every day; without it nobody waits for a file.",
        change="in place",
    )
