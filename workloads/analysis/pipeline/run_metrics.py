"""What the analysis took: of one launch of ranks, and of all shards together."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from workloads.analysis.backend import ProfileBackend
from workloads.analysis.checkpoint.coordinator import CheckpointCoordinator
from workloads.analysis.pipeline.plan import Machine, ModePlan
from workloads.analysis.table import Table
from workloads.runtime.memory import peak_rss_mib


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Of all ranks of one launch, or of several launches."""

    ranks: int
    nodes: int
    seconds: dict[str, float]
    """Stage -> seconds; the slowest rank where ranks differ."""
    bytes_moved: dict[str, int]
    """Stage -> bytes, all ranks together."""
    peak_memory_bytes: int
    peak_device_bytes: int
    reached: dict[str, float] = field(default_factory=dict)
    """Stage -> what it did of what its limit counts: multiplications of `pairs`, bytes that
    `profile` went through on the host.
    """
    possible: dict[str, float] = field(default_factory=dict)
    """Stage -> as much as the limit would have allowed in the same time."""
    plan: dict[str, dict[str, float | None]] = field(default_factory=dict)
    """Mode -> what was predicted: see `plan.ModePlan`."""
    exchange: dict[str, str] = field(default_factory=dict)
    """What carried rows between ranks: see `choice.Chosen`."""
    checkpoint: dict[str, float] = field(default_factory=dict)
    shard_seconds: list[float] = field(default_factory=list)
    """Seconds of each shard in order, from its beginning to its part of the result; empty where the
    job is no array job.
    """

    @property
    def percent_of_limit(self) -> dict[str, float]:
        """Stage -> what it reached of the limit measured in the same run."""
        stages = [
            stage for stage, most in self.possible.items() if most and self.reached.get(stage)
        ]
        return {
            stage: round(100.0 * self.reached[stage] / self.possible[stage], 1) for stage in stages
        }

    def to_json(self) -> dict[str, Any]:
        """JSON values; Figures(**values) is the same again."""
        return asdict(self)

    @classmethod
    def joined(cls, parts: Sequence[Figures]) -> Self:
        """Of several shards: what they moved and computed adds up, of times and peaks the largest
        counts. The sequence is not empty.
        """
        return cls(
            ranks=sum(part.ranks for part in parts),
            nodes=sum(part.nodes for part in parts),
            seconds=_combined(max, (part.seconds for part in parts)),
            bytes_moved=_combined(sum, (part.bytes_moved for part in parts)),
            peak_memory_bytes=max(part.peak_memory_bytes for part in parts),
            peak_device_bytes=max(part.peak_device_bytes for part in parts),
            reached=_combined(sum, (part.reached for part in parts)),
            possible=_combined(sum, (part.possible for part in parts)),
            plan=max(
                (part.plan for part in parts),
                key=lambda plan: max((one["seconds"] or 0.0 for one in plan.values()), default=0.0),
            ),
            exchange=max(
                (part.exchange for part in parts),
                key=lambda exchange: len(exchange.get("refused", "")),
            ),
            checkpoint=_combined(sum, (part.checkpoint for part in parts)),
            shard_seconds=[part.seconds["total"] for part in parts],
        )


@dataclass(frozen=True, kw_only=True)
class SearchFigures:
    """What the search for remote rows adds, of all ranks."""

    plan: Mapping[str, ModePlan]
    machine: Machine
    """The limits of one rank, measured before."""
    products: float
    """Multiplications of the comparisons of rows."""
    exchange: dict[str, str]
    """What carries rows between ranks."""


def gathered(
    node: int,
    backend: ProfileBackend,
    start: float,
    table: Table,
    coordinator: CheckpointCoordinator,
    search: SearchFigures | None,
) -> Figures | None:
    """Of all ranks so far, on rank 0. Collective.

    Args:
        node: That this rank is on.
        backend: Of this rank.
        start: When this rank began, by `time.perf_counter`.
        table: That was analysed.
        coordinator: Of all ranks.
        search: None where nothing was searched for.
    """
    own = (
        coordinator.progress,
        node,
        peak_rss_mib() << 20,
        backend.peak_device_bytes(),
        coordinator.cost.bytes,
    )
    figures = coordinator.comm.gather(own)
    if figures is None:
        return None
    seconds = _combined(max, (one.seconds for one, *_ in figures)) | {
        "total": time.perf_counter() - start
    }
    reached: dict[str, float] = {}
    possible: dict[str, float] = {}
    if search is not None:
        busy = _combined(sum, (one.seconds for one, *_ in figures))
        values = len(table.columns) * table.manifest.rows
        reached = {
            "pairs": search.products,
            "profile": 8.0 * values if backend.name == "numpy" else 0.0,
        }
        possible = search.machine.possible(busy)
    return Figures(
        ranks=coordinator.comm.size,
        nodes=len({node for _, node, *_ in figures}),
        seconds={stage: round(value, 4) for stage, value in seconds.items()},
        bytes_moved={
            stage: sum(one.bytes.get(stage, 0) for one, *_ in figures)
            for stage in ("read", "exchange", "checkpoint")
        },
        peak_memory_bytes=max(peak for *_, peak, _, _ in figures),
        peak_device_bytes=max(peak for *_, peak, _ in figures),
        reached=reached,
        possible=possible,
        plan={mode: asdict(one) for mode, one in search.plan.items()} if search else {},
        exchange=search.exchange if search else {},
        checkpoint={
            "count": coordinator.cost.count,
            "seconds": round(coordinator.cost.seconds, 4),
            "bytes": sum(count for *_, count in figures),
            "objects_resumed": coordinator.objects_resumed,
        },
    )


def _combined(how: Any, parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    found = list(parts)
    names = sorted({name for one in found for name in one})
    return {name: how([one.get(name, 0) for one in found]) for name in names}
