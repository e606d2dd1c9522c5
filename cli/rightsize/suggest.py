"""What a stage should ask for, by what its runs used."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cli.rightsize.past import Past, Point
from cli.rightsize.quantiles import QUANTILE, Fit, fit
from config.environments import FargateEnvironment
from config.rules.fargate import FARGATE_MEMORY_MIB
from config.stack import StackConfig
from config.topology import environments_of, jobs, nodes_of
from workloads.contract import STAGES, Stage

LEAST_RUNS: Final = 5
_MANY_RUNS: Final = 20
"""Of fewer runs the highest is as far as the 95th percentile can be seen."""
_MOST_BEYOND: Final = 2.0
"""A line may ask for so many times the most that a run has used, and for no more: what no run came
near is the line's invention.
"""
_STEP_MIB: Final = 256
_LEAST_MIB: Final = 512
_IDLE_GPU_PERCENT: Final = 30
_AFTER_NO_MEMORY: Final = 1.5


@dataclass(frozen=True, kw_only=True)
class Need:
    """One resource of a stage: what the job asks for, what runs used, what it should ask for."""

    field: str
    """Of the stage in the stack file: `memory_mib` or `vcpus`."""
    asks: float
    used_most: float
    used_high: float
    """The quantile at the largest input that was seen."""
    model: str
    """In words, and why this one."""
    suggests: float
    """At least the most that a run used and the margin."""


@dataclass(frozen=True, kw_only=True)
class Advice:
    """A stage."""

    stage: Stage
    runs: int
    largest_mb: float
    """Input, 10^6 bytes."""
    seconds: float
    """Median."""
    needs: tuple[Need, ...]
    notes: tuple[str, ...]

    @property
    def changes(self) -> dict[str, float]:
        """Dotted path in the stack file -> new value."""
        return {
            f"jobs.{self.stage}.{need.field}": need.suggests
            for need in self.needs
            if need.suggests != need.asks
        }


def advise(config: StackConfig, past: Past, *, margin: float) -> list[Advice]:
    """Advice on each stage.

    Args:
        config: what the stages ask for today.
        past: what they used.
        margin: share that is added to what was used, 0.2 for 20 %.
    """
    return [_stage(config, stage, past, margin) for stage in STAGES]


def _stage(config: StackConfig, stage: Stage, past: Past, margin: float) -> Advice:
    points, job = past.points[stage], jobs(config)[stage]
    notes = _notes(stage, past, points)
    largest = max((point.input_mb for point in points), default=0.0)
    seconds = sorted(point.seconds for point in points)
    needs: tuple[Need, ...] = ()
    if len(points) >= LEAST_RUNS:
        notes += _reach(points)
        needs = _needs(config, stage, past, points, margin)
        if nodes_of(job) > 1:
            notes.append(
                "a multi-node job has its instances whole: asking for less saves "
                "nothing, a smaller "
                "instance_type of its environment would"
            )
    return Advice(
        stage=stage,
        runs=len(points),
        largest_mb=round(largest, 3),
        seconds=seconds[len(seconds) // 2] if seconds else 0.0,
        needs=needs,
        notes=tuple(notes),
    )


def _notes(stage: Stage, past: Past, points: Sequence[Point]) -> list[str]:
    notes = []
    if len(points) < LEAST_RUNS:
        old = past.unmeasured[stage]
        more = f", {old} more were not measured" if old else ""
        notes.append(f"{len(points)} runs were measured{more}: {LEAST_RUNS} are needed for advice")
    if past.without_memory[stage]:
        notes.append(f"{past.without_memory[stage]} runs ended here for want of memory")
    busy = [p.used.gpu_percent for p in points if p.used.gpu_percent is not None]
    if busy and sum(busy) / len(busy) < _IDLE_GPU_PERCENT:
        notes.append(
            f"its GPUs are busy {sum(busy) / len(busy):.0f} % of the time: fewer or "
            "smaller ones, or CPUs "
            "(array_backend: numpy), may do"
        )
    return notes


def _needs(
    config: StackConfig, stage: Stage, past: Past, points: Sequence[Point], margin: float
) -> tuple[Need, ...]:
    job = jobs(config)[stage]
    # a size that is not known is none: as zero it would bend the line
    known = all(point.input_mb > 0 for point in points)
    sizes = [point.input_mb if known else 0.0 for point in points]
    memory, cpus = (
        [float(point.used.memory_mib) for point in points],
        [point.used.peak_cpus for point in points],
    )
    memory_fit, cpu_fit = fit(sizes, memory), fit(sizes, cpus)
    largest = max(sizes)
    mib = _with_margin(memory_fit.at(largest), max(memory), margin)
    if past.without_memory[stage]:
        mib = max(mib, job.memory_mib * _AFTER_NO_MEMORY)
    mib = max(_LEAST_MIB, math.ceil(mib / _STEP_MIB) * _STEP_MIB)
    busiest = _with_margin(cpu_fit.at(largest), max(cpus), margin)
    vcpus = _whole(busiest)
    if nodes_of(job) > 1:
        vcpus = job.vcpus  # of an instance that nobody shares; ranks and threads follow from it
    environments = environments_of(config, job.queue).values()
    if any(isinstance(each, FargateEnvironment) for each in environments):
        vcpus, mib = _of_fargate(busiest, mib)
    return (
        _need("memory_mib", job.memory_mib, memory, memory_fit, largest, mib),
        _need("vcpus", job.vcpus, cpus, cpu_fit, largest, vcpus),
    )


def _need(
    field: str,
    asks: float,
    values: Sequence[float],
    found: Fit,
    largest: float,
    suggests: float,
) -> Need:
    return Need(
        field=field,
        asks=asks,
        used_most=round(max(values), 2),
        used_high=round(found.at(largest), 2),
        model=_model(found),
        suggests=suggests,
    )


def _model(found: Fit) -> str:
    """What the model says, and how it was chosen."""
    share = f"{QUANTILE:.0%} of the runs"
    says = (
        f"{share} stay below {found.intercept:.0f} + {found.slope:.3g} per MB of input"
        if found.by_size
        else f"{share} stay below {found.intercept:.4g}, whatever the size of the input"
    )
    if found.losses is None:
        return f"{says}; too few runs or sizes to try a line"
    constant, line = (f"{loss:.3g}" for loss in found.losses)
    why = (
        f"the line missed runs that it had not seen by {line}, a constant by {constant}"
        if found.by_size
        else f"a line missed runs that it had not seen by {line}, the constant by {constant}"
    )
    return f"{says}; {why}"


def _reach(points: Sequence[Point]) -> list[str]:
    """How far the advice carries."""
    sizes = [point.input_mb for point in points]
    notes = []
    if len(points) < _MANY_RUNS:
        notes.append(
            f"{len(points)} runs say little of the one in {_MANY_RUNS} that needs most; the most"
            " that one of them used counts"
        )
    if min(sizes) > 0:
        notes.append(
            f"good for files of {min(sizes):g} to {max(sizes):g} MB; of larger ones nobody has"
            " measured anything"
        )
    else:
        notes.append("some records do not say how large the file was: sizes are left out")
    return notes


def _with_margin(high: float, most: float, margin: float) -> float:
    """The margin on what the model says, within what was seen: never below the most that a run has
    used, and not far above it.
    """
    return min(max(high, most), most * _MOST_BEYOND) * (1 + margin)


def _whole(vcpus: float) -> float:
    return float(max(1, math.ceil(vcpus)))


def _of_fargate(vcpus: float, mib: float) -> tuple[float, int]:
    """The smallest size of Fargate that holds both."""
    fitting = [
        (size, memory)
        for size, memories in FARGATE_MEMORY_MIB.items()
        for memory in memories
        if size >= min(vcpus, max(FARGATE_MEMORY_MIB)) and memory >= mib
    ]
    size, memory = min(fitting, default=(max(FARGATE_MEMORY_MIB), int(mib)))
    return size, memory
