"""Section `queues`: AWS Batch job queues by name."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from config.base import FrozenMap, ResourceName, Section, ShareIdentifier, setting

ShareWeight = Annotated[float, Field(ge=0.0001, le=999.9999)]
"""The range that AWS Batch takes (API, ShareAttributes weightFactor)."""
RunnableReason = Literal[
    "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY",
    "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE",
    "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT",
]


class FairShare(Section):
    """Fair-share scheduling policy. Jobs of such a queue must name a share identifier."""

    weights: FrozenMap[ShareIdentifier, ShareWeight] = setting(
        about=(
            "Share identifier -> weight factor; a LOWER weight gets MORE: 0.5 gets twice the share"
            " of 1."
        ),
        change="in place",
        min_length=1,
    )
    decay_seconds: int = setting(
        0,
        about="Over how long past use counts against a share; 0 means the ten minutes at least.",
        change="in place",
        ge=0,
        le=604_800,
    )
    compute_reservation_percent: int = setting(
        0,
        about="Share of the capacity kept free for identifiers that are not active.",
        change="in place",
        ge=0,
        le=99,
    )


class RunnableLimit(Section):
    """After how long at the head of the queue a job that cannot start is cancelled."""

    reason: RunnableReason = setting(
        about="The reason that AWS Batch gives for the wait.", change="in place"
    )
    max_minutes: int = setting(
        about="Minutes until the job is cancelled.", change="in place", ge=10, le=1440
    )


class Queue(Section):
    """A queue: the environments that it tries, in order."""

    environments: tuple[ResourceName, ...] = setting(
        about="Names from the section environments, in the order in which they are tried.",
        change="in place",
        min_length=1,
        max_length=3,
    )
    priority: int = setting(
        1,
        about="Which of several queues on one environment goes first: the higher.",
        change="in place",
        ge=0,
        le=1000,
    )
    enabled: bool = setting(True, about="Whether the queue takes jobs.", change="in place")
    fair_share: FairShare | None = setting(
        None,
        about="Fair-share policy; AWS can neither add one to a queue nor take it away later.",
        change="replaces",
    )
    runnable_limits: tuple[RunnableLimit, ...] = setting(
        (),
        about="When a job that cannot start is cancelled, by reason.",
        change="in place",
        max_length=3,
    )
