"""What the analysis took: of one launch of ranks, and of all shards together."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from mpi4py import MPI

from workloads.analysis.backend import ProfileBackend
from workloads.analysis.checkpoint.cooperation import Cost
from workloads.analysis.plan import ModePlan
from workloads.analysis.progress import Progress
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
    products: float = 0.0
    """Multiplications of the comparisons of rows, where their limit was measured."""
    possible_products: float = 0.0
    """As many as that limit would have allowed in the same time."""
    plan: dict[str, dict[str, float | None]] = field(default_factory=dict)
    """Mode -> what was predicted: see `plan.ModePlan`."""
    exchange: dict[str, str] = field(default_factory=dict)
    """What carried rows between ranks: see `exchange_choice.Chosen`."""
    checkpoint: dict[str, float] = field(default_factory=dict)
    shard_seconds: list[float] = field(default_factory=list)
    """Of each shard in order, from its beginning to its part of the result; empty where the job is no array job."""

    @property
    def percent_of_limit(self) -> dict[str, float]:
        """Stage -> what it reached of the limit measured in the same run."""
        return {"pairs": round(100.0 * self.products / self.possible_products, 1)} if self.possible_products else {}

    def to_json(self) -> dict[str, Any]:
        """JSON values; Figures(**values) is the same again."""
        return asdict(self)

    @classmethod
    def joined(cls, parts: Sequence[Figures]) -> Self:
        """Of several shards: what they moved and computed adds up, of times and peaks the largest counts. The sequence is not empty."""
        return cls(
            ranks=sum(part.ranks for part in parts),
            nodes=sum(part.nodes for part in parts),
            seconds=_combined(max, (part.seconds for part in parts)),
            bytes_moved=_combined(sum, (part.bytes_moved for part in parts)),
            peak_memory_bytes=max(part.peak_memory_bytes for part in parts),
            peak_device_bytes=max(part.peak_device_bytes for part in parts),
            products=sum(part.products for part in parts),
            possible_products=sum(part.possible_products for part in parts),
            plan=max((part.plan for part in parts), key=lambda plan: max((one["seconds"] or 0.0 for one in plan.values()), default=0.0)),
            exchange=max((part.exchange for part in parts), key=lambda exchange: len(exchange.get("refused", ""))),
            checkpoint=_combined(sum, (part.checkpoint for part in parts)),
            shard_seconds=[part.seconds["total"] for part in parts],
        )


@dataclass(frozen=True, kw_only=True)
class SearchFigures:
    """What the search for remote rows adds; of all ranks, but for the checkpoints' cost."""

    checkpoint: Cost
    """Of this rank."""
    objects_resumed: int
    plan: Mapping[str, ModePlan]
    products: int
    products_per_second: float
    """Limit of one rank on the host."""
    exchange: dict[str, str]
    """What carries rows between ranks."""


def gathered(
    comm: MPI.Intracomm, node: int, progress: Progress, backend: ProfileBackend, start: float, search: SearchFigures | None = None
) -> Figures | None:
    """Of all ranks so far, on rank 0. Collective.

    Args:
        comm: All ranks.
        node: That this rank is on.
        progress: Of this rank.
        backend: Of this rank.
        start: When this rank began, by `time.perf_counter`.
        search: None where nothing was searched for.
    """
    own = (progress, node, peak_rss_mib() << 20, backend.peak_device_bytes(), search.checkpoint.bytes if search else 0)
    figures = comm.gather(own)
    if figures is None:
        return None
    seconds = _combined(max, (one.seconds for one, *_ in figures)) | {"total": time.perf_counter() - start}
    possible = 0.0
    if search is not None and backend.name == "numpy":  # the limit was measured on the host
        busy = sum(one.seconds.get("pairs", 0.0) + one.seconds.get("panels", 0.0) for one, *_ in figures)
        possible = busy * search.products_per_second
    checkpoint: dict[str, float] = {}
    if search is not None:
        checkpoint = {
            "count": search.checkpoint.count,
            "seconds": round(search.checkpoint.seconds, 4),
            "bytes": sum(count for *_, count in figures),
            "objects_resumed": search.objects_resumed,
        }
    return Figures(
        ranks=comm.size,
        nodes=len({node for _, node, *_ in figures}),
        seconds={stage: round(value, 4) for stage, value in seconds.items()},
        bytes_moved={stage: sum(one.bytes.get(stage, 0) for one, *_ in figures) for stage in ("read", "exchange", "checkpoint")},
        peak_memory_bytes=max(peak for *_, peak, _, _ in figures),
        peak_device_bytes=max(peak for *_, peak, _ in figures),
        products=search.products if search and possible else 0.0,
        possible_products=possible,
        plan={mode: asdict(one) for mode, one in search.plan.items()} if search else {},
        exchange=search.exchange if search else {},
        checkpoint=checkpoint,
    )


def _combined(how: Any, parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    found = list(parts)
    names = sorted({name for one in found for name in one})
    return {name: how([one.get(name, 0) for one in found]) for name in names}
