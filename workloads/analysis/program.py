"""One MPI rank of the analysis: `mpirun ... python -m mpi4py -m workloads.analysis.program`.

Every rank profiles a contiguous run of units, stores whole tree nodes, and sends them to rank 0, which merges all of them in the tree's
order and writes `_SUCCESS.json` last. A rank that fails says so in one log line, which the launcher on the main node reads, and ends all
others.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mpi4py import MPI

from workloads import contract
from workloads.analysis import backend as backends
from workloads.analysis.profile import node as nodes
from workloads.analysis.profile.moments import Moments
from workloads.analysis.profile.moments import merge as merge_moments
from workloads.analysis.profile.node import ProfileNode
from workloads.analysis.profile.partials import Partial, Success, encode
from workloads.analysis.profile.result import Profile
from workloads.analysis.rank_failure import RankFailure
from workloads.analysis.table import Table
from workloads.analysis.tree import Forest, NodeId, decompose, reduce_units, share
from workloads.contract import ContractError, Manifest, Run
from workloads.runtime import env, logs, s3
from workloads.runtime.batch_env import BatchEnv
from workloads.runtime.errors import EXIT_INTERNAL, EXIT_REFUSED, StageError

log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Progress:
    """What this rank is doing: for the figures of the run, and for the sentence when it fails."""

    seconds: dict[str, float] = field(default_factory=dict)
    bytes_read: int = 0
    unit: int | None = None

    @contextlib.contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the time of the block to a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the job's environment asks for."""

    run: Run
    intermediate_bucket: str
    results_bucket: str
    backend: str

    @classmethod
    def read(cls) -> Settings:
        """Raises StageError, ContractError."""
        return cls(
            run=Run.from_env(),
            intermediate_bucket=env.text(contract.ENV_INTERMEDIATE_BUCKET),
            results_bucket=env.text(contract.ENV_RESULTS_BUCKET),
            backend=env.choice(contract.ENV_ARRAY_BACKEND, allowed=backends.BACKENDS, default="numpy"),
        )


def analyse(comm: MPI.Intracomm, settings: Settings, progress: Progress) -> Success | None:
    """The whole stage on one rank; rank 0 returns what it wrote as `_SUCCESS.json`.

    Raises:
        StageError, ContractError: something that a person can act on.
    """
    start = time.perf_counter()
    # by the index that Batch gave to the nodes: Split_type asks Open MPI's shared-memory layer, which processes of one machine that play
    # several nodes deadlock
    nodes_of_ranks: list[int] = comm.allgather(BatchEnv.read().node_index)
    local_rank = nodes_of_ranks[: comm.rank].count(nodes_of_ranks[comm.rank])
    backend = backends.choose(settings.backend, local_rank)
    with progress.timed("open"):
        manifest_bytes: bytes = comm.bcast(
            s3.get_bytes(settings.intermediate_bucket, settings.run.manifest_key) if comm.rank == 0 else None
        )
        table = _open(settings, Manifest.from_json(manifest_bytes))
    stored = [
        _store(settings, node, _profile(backend, table, node, progress), progress)
        for node in decompose(share(comm.rank, comm.size, len(table.manifest.units)))
    ]
    progress.unit = None
    with progress.timed("merge"):
        merged = _merge(comm, stored, table)
    figures = comm.gather((progress.seconds, progress.bytes_read, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024))
    if merged is None or figures is None:
        return None
    profile, partials = merged
    stages = {stage for times, _, _ in figures for stage in times}
    seconds = {stage: max(times.get(stage, 0.0) for times, _, _ in figures) for stage in sorted(stages)}
    seconds["total"] = time.perf_counter() - start
    success = Success(
        run_id=settings.run.run_id,
        manifest_sha256=hashlib.sha256(manifest_bytes).hexdigest(),
        digest=profile.digest,
        columns=table.columns,
        partials=partials,
        unit_rows=table.manifest.unit_rows,
        units=len(table.manifest.units),
        rows=profile.rows,
        complete_rows=profile.complete_rows,
        ranks=comm.size,
        nodes=len(set(nodes_of_ranks)),
        backend=backend.name,
        precision=backend.precision,
        seconds={stage: round(value, 4) for stage, value in seconds.items()},
        bytes_read=sum(count for _, count, _ in figures),
        peak_memory_bytes=max(peak for _, _, peak in figures),
        code_version=code_version(),
    )
    s3.put_bytes(settings.results_bucket, settings.run.success_key, success.to_json(), content_type="application/json")
    return success


def _open(settings: Settings, manifest: Manifest) -> Table:
    if manifest.run_id != settings.run.run_id:
        raise ContractError(f"{settings.run.manifest_key} is of run {manifest.run_id}, not of {settings.run.run_id}; run preprocess again")

    return Table(manifest, functools.partial(s3.read_range, settings.intermediate_bucket, manifest.table_key))


def _profile(backend: backends.ProfileBackend, table: Table, node: NodeId, progress: Progress) -> ProfileNode:
    backend.begin_counting(len(table.columns))
    progress.unit = node.units.start
    arriving = table.units(node.units)

    def leaf(unit: int) -> Moments:
        progress.unit = unit
        with progress.timed("read"):
            data = next(arriving)
        progress.bytes_read += data.unit.byte_length
        with progress.timed("profile"):
            return backend.unit(data.values)

    with contextlib.closing(arriving):
        moments = reduce_units(node, leaf, merge_moments)
    return ProfileNode(moments=moments, sketch=backend.counted())


def _store(settings: Settings, node: NodeId, value: ProfileNode, progress: Progress) -> tuple[Partial, ProfileNode]:
    with progress.timed("store"):
        partial, data = encode(node, value)
        s3.put_bytes(settings.results_bucket, settings.run.partials_prefix + partial.name, data)
    return partial, value


def _merge(comm: MPI.Intracomm, stored: list[tuple[Partial, ProfileNode]], table: Table) -> tuple[Profile, tuple[Partial, ...]] | None:
    """Nodes of all ranks on rank 0, one at a time and in order, so that few are in its memory; None elsewhere."""
    if comm.rank > 0:
        comm.send(len(stored), 0)
        for item in stored:
            comm.send(item, 0)
        return None
    units = len(table.manifest.units)
    forest: Forest[ProfileNode] = Forest(units, nodes.merge)
    partials: list[Partial] = []
    for rank in range(comm.size):
        arriving = iter(stored) if rank == 0 else (comm.recv(source=rank) for _ in range(comm.recv(source=rank)))
        for partial, value in arriving:
            forest.add(NodeId(partial.level, partial.index), value)
            partials.append(partial)
    root = forest.root() if units else ProfileNode.empty(len(table.columns))
    return Profile(columns=table.columns, moments=root.moments, sketch=root.sketch), tuple(partials)


@functools.cache
def code_version() -> str:
    """First 12 hex digits of the sha256 over this package's sources: what computed the result."""
    here = Path(__file__).parent
    total = hashlib.sha256()
    for path in sorted(here.rglob("*")):
        if path.suffix in {".py", ".cu", ".cuh"}:
            total.update(str(path.relative_to(here)).encode() + b"\0" + path.read_bytes())
    return total.hexdigest()[:12]


def main() -> None:
    """Run this rank; on failure end all ranks with the failure's exit code."""
    comm = MPI.COMM_WORLD
    progress = Progress()
    try:
        batch = BatchEnv.read()
        settings = Settings.read()
        logs.configure(stage="analysis", run_id=settings.run.run_id, batch=batch)
        success = analyse(comm, settings, progress)
        if success is not None:
            log.info("profile stored", extra={"fields": {"digest": success.digest, "rows": success.rows, "seconds": success.seconds}})
    except Exception as error:  # noqa: BLE001 - whatever it is, the other ranks wait for this one
        _fail(comm, error, progress)


def _fail(comm: MPI.Intracomm, error: Exception, progress: Progress) -> None:
    place = f"rank {comm.rank} of {comm.size} on node {BatchEnv.read().node_index}"
    if progress.unit is not None:
        place += f", unit {progress.unit}"
    hint = ""
    exit_code = EXIT_REFUSED
    sentence = str(error)
    if isinstance(error, StageError):
        hint, exit_code = error.hint, error.exit_code
    elif not isinstance(error, ContractError):
        log.error("internal error", exc_info=error)
        sentence = f"internal error: {type(error).__name__}: {error}"
        hint, exit_code = "this is a bug of the stage; its log holds the traceback", EXIT_INTERNAL
    failure = RankFailure(sentence=f"{place}: {sentence}", hint=hint, exit_code=exit_code)
    sys.stdout.write(failure.to_line())
    sys.stdout.flush()
    comm.Abort(exit_code)


if __name__ == "__main__":
    main()
