"""One MPI rank of the analysis: `mpirun ... python -m mpi4py -m workloads.analysis.program`.

Profile first, then the search for remote rows; rank 0 writes `_SUCCESS.json` last. A rank that fails says so in one log line, which the
launcher on the main node reads, and ends all others. Asked to end (SIGTERM), the ranks store what they have and end together.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

from mpi4py import MPI

from workloads.analysis import backend as backends
from workloads.analysis import plan as plans
from workloads.analysis.anomaly.pairs import PairBackend
from workloads.analysis.anomaly_result import AnomalyRecord, combined_digest
from workloads.analysis.anomaly_stage import AnomalyStage
from workloads.analysis.checkpoint.cadence import Cadence
from workloads.analysis.checkpoint.cooperation import Cooperation, Saved
from workloads.analysis.checkpoint.store import Arrays, Attempt, CheckpointStore, as_bytes, from_bytes
from workloads.analysis.plan import Machine, ModePlan, Shape
from workloads.analysis.profile.node import ProfileNode
from workloads.analysis.profile.partials import Partial, Success
from workloads.analysis.profile.result import Profile
from workloads.analysis.profile_stage import ProfileStage
from workloads.analysis.progress import Progress, Stop, StoppedError
from workloads.analysis.rank_failure import RankFailure
from workloads.analysis.settings import Settings
from workloads.analysis.table import Table
from workloads.contract import ContractError
from workloads.records import Manifest
from workloads.runtime import logs, s3
from workloads.runtime.batch_env import BatchEnv
from workloads.runtime.errors import EXIT_INTERNAL, EXIT_REFUSED, EXIT_TERMINATED, StageError
from workloads.runtime.memory import peak_rss_mib

log = logging.getLogger(__name__)


class Analysis:
    """The whole stage on one rank.

    Args:
        comm: All ranks.
        settings: Of the job.
        progress: Is told what is done.
        stop: Is asked between units.
    """

    def __init__(self, comm: MPI.Intracomm, settings: Settings, progress: Progress, stop: Stop) -> None:
        self._start = time.perf_counter()
        self._comm, self._settings, self._progress, self._stop = comm, settings, progress, stop
        # by the index that Batch gave to the nodes: Split_type asks Open MPI's shared-memory layer, and processes of one machine that
        # play several nodes deadlock there
        self._nodes_of_ranks: list[int] = comm.allgather(settings.batch.node_index)
        local_rank = self._nodes_of_ranks[: comm.rank].count(self._nodes_of_ranks[comm.rank])
        self._backend = backends.choose(settings.backend, local_rank)

    def run(self) -> Success | None:
        """Rank 0 returns what it wrote as `_SUCCESS.json`.

        Raises:
            StoppedError: This rank or another was asked to end.
            StageError, ContractError: Something that a person can act on.
        """
        with self._progress.timed("open"):
            manifest_bytes: bytes = self._comm.bcast(self._read_manifest() if self._comm.rank == 0 else None)
            self._manifest_sha256 = hashlib.sha256(manifest_bytes).hexdigest()
            table = _open(self._settings, Manifest.from_json(manifest_bytes))
        profiling = ProfileStage(self._comm, self._settings, self._backend, table, self._progress, self._stop)
        if self._settings.anomaly.mode == "off":
            return self._finish(table, profiling.run(), None, {}, None, None)
        pairs = backends.choose_pairs(self._backend.name, self._settings.threads)
        machine, plan = self._plan(table, pairs)
        cooperation = self._cooperation()
        cooperation.resume()
        found_objects = len(cooperation.found)
        profiled = self._profile(table, profiling, cooperation)
        stage = AnomalyStage(self._comm, self._settings, pairs, table, cooperation)
        record = stage.run(profiled[0] if profiled is not None else None)
        success = self._finish(table, profiled, record, plan, machine, cooperation, found_objects)
        if success is not None:
            cooperation.store.clear()
        return success

    def _read_manifest(self) -> bytes:
        return s3.get_bytes(self._settings.intermediate_bucket, self._settings.run.manifest_key)

    def _plan(self, table: Table, pairs: PairBackend) -> tuple[Machine, dict[str, ModePlan]]:
        """Predict both modes, and refuse the one that is too dear."""
        with self._progress.timed("plan"):
            measured = self._comm.allgather(plans.calibrate(pairs, len(table.columns)))
        machine = plans.slowest(measured)
        manifest = table.manifest
        shape = Shape(
            rows=manifest.rows,
            columns=len(table.columns),
            unit_rows=manifest.unit_rows,
            ranks=self._comm.size,
            unit_bytes=max((unit.byte_length for unit in manifest.units), default=0),
        )
        settings = self._settings.anomaly
        plan = {mode: plans.predict(mode, shape, settings, machine, peak_rss_mib() << 20) for mode in ("top", "full")}
        if self._comm.rank == 0:
            log.info("plan", extra={"fields": {"mode": settings.mode, **{mode: asdict(one) for mode, one in plan.items()}}})
        plans.admit(settings, shape, plan["full"])
        return machine, plan

    def _cooperation(self) -> Cooperation:
        settings, nodes = self._settings, len(set(self._nodes_of_ranks))
        identity = {
            "manifest_sha256": self._manifest_sha256,
            "mode": settings.anomaly.mode,
            "neighbours": settings.anomaly.neighbours,
            "top": settings.anomaly.top,
            "scaling": settings.anomaly.scaling,
            "metric": settings.anomaly.metric,
            "code_version": code_version(),
        }
        attempt = Attempt(job_id=settings.batch.job_id, number=settings.batch.attempt)
        return Cooperation(
            comm=self._comm,
            store=CheckpointStore(settings.results_bucket, settings.run, identity, attempt),
            cadence=Cadence(
                nodes=nodes,
                floor_seconds=settings.anomaly.checkpoint_floor_seconds,
                node_mtbf_hours=settings.anomaly.node_mtbf_hours,
            ),
            stop=self._stop,
            progress=self._progress,
        )

    def _profile(self, table: Table, profiling: ProfileStage, cooperation: Cooperation) -> tuple[Profile, tuple[Partial, ...]] | None:
        """From the checkpoint or anew; on rank 0."""
        if "profile" in cooperation.found:
            loaded = cooperation.load(("profile",) if self._comm.rank == 0 else ())
            if cooperation.found:
                return _unpacked(loaded["profile"], table) if loaded else None
        profiled = profiling.run()
        objects = {}
        if profiled is not None:
            profile, partials = profiled
            arrays = ProfileNode(moments=profile.moments, sketch=profile.sketch).arrays()
            objects["profile"] = {**arrays, "partials": as_bytes([asdict(partial) for partial in partials])}
        cooperation.save(Saved(objects=objects))
        return profiled

    def _finish(
        self,
        table: Table,
        profiled: tuple[Profile, tuple[Partial, ...]] | None,
        anomaly: AnomalyRecord | None,
        plan: dict[str, ModePlan],
        machine: Machine | None,
        cooperation: Cooperation | None,
        found_objects: int = 0,
    ) -> Success | None:
        progress = self._progress
        checkpoint_bytes = cooperation.cost.bytes if cooperation else 0
        figures = self._comm.gather((progress, peak_rss_mib() << 20, self._backend.peak_device_bytes(), checkpoint_bytes))
        if figures is None or profiled is None or self._comm.rank > 0:
            return None
        profile, partials = profiled
        stages = sorted({stage for one, *_ in figures for stage in one.seconds})
        seconds = {stage: max(one.seconds.get(stage, 0.0) for one, *_ in figures) for stage in stages}
        seconds["total"] = time.perf_counter() - self._start
        moved = {stage: sum(one.bytes.get(stage, 0) for one, *_ in figures) for stage in ("read", "exchange", "checkpoint")}
        limits: dict[str, float] = {}
        if machine is not None and anomaly is not None:
            busy = {stage: sum(one.seconds.get(stage, 0.0) for one, *_ in figures) for stage in ("pairs", "panels", "profile")}
            values = len(table.columns) * table.manifest.rows
            products = anomaly.evaluations * len(anomaly.columns)
            limits = plans.percent_of_limit(machine, busy, products, 4 * values if self._backend.name == "numpy" else 0)
        success = Success(
            run_id=self._settings.run.run_id,
            manifest_sha256=self._manifest_sha256,
            digest=combined_digest(profile.digest, anomaly),
            columns=table.columns,
            partials=partials,
            unit_rows=table.manifest.unit_rows,
            units=len(table.manifest.units),
            rows=profile.rows,
            complete_rows=profile.complete_rows,
            ranks=self._comm.size,
            nodes=len(set(self._nodes_of_ranks)),
            backend=self._backend.name,
            precision=self._backend.precision,
            seconds={stage: round(value, 4) for stage, value in seconds.items()},
            bytes_read=moved["read"],
            peak_memory_bytes=max(peak for _, peak, _, _ in figures),
            code_version=code_version(),
            anomaly=anomaly,
            bytes_moved=moved,
            percent_of_limit=limits,
            peak_device_bytes=max(peak for _, _, peak, _ in figures),
            plan={mode: asdict(one) for mode, one in plan.items()},
            checkpoint={}
            if cooperation is None
            else {
                "count": cooperation.cost.count,
                "seconds": round(cooperation.cost.seconds, 4),
                "bytes": sum(count for *_, count in figures),
                "objects_resumed": found_objects,
            },
        )
        s3.put_bytes(self._settings.results_bucket, self._settings.run.success_key, success.to_json(), content_type="application/json")
        return success


def _unpacked(arrays: Arrays, table: Table) -> tuple[Profile, tuple[Partial, ...]]:
    node = ProfileNode.from_arrays(arrays)
    profile = Profile(columns=table.columns, moments=node.moments, sketch=node.sketch)
    return profile, tuple(Partial(**one) for one in from_bytes(arrays["partials"]))


def _open(settings: Settings, manifest: Manifest) -> Table:
    if manifest.run_id != settings.run.run_id:
        raise ContractError(f"{settings.run.manifest_key} is of run {manifest.run_id}, not of {settings.run.run_id}; run preprocess again")

    return Table(manifest, functools.partial(s3.read_range, settings.intermediate_bucket, manifest.table_key))


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
    progress, stop = Progress(), Stop()
    stop.listen()
    try:
        settings = Settings.read()
        logs.configure(stage="analysis", run_id=settings.run.run_id, batch=settings.batch)
        success = Analysis(comm, settings, progress, stop).run()
        if success is not None:
            log.info("analysis stored", extra={"fields": {"digest": success.digest, "rows": success.rows, "seconds": success.seconds}})
    except StoppedError:
        _stopped(comm, progress)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other ranks wait for this one
        _fail(comm, error, progress)


def _stopped(comm: MPI.Intracomm, progress: Progress) -> NoReturn:
    """Asked to end, as all other ranks are; one line for the launcher, from whichever rank is first."""
    stored = (
        "what it has is stored, and the next attempt goes on from there" if progress.seconds.get("checkpoint") else "nothing is stored yet"
    )
    sentence = f"stopped by SIGTERM; {stored}"
    sys.stdout.write(RankFailure(sentence=sentence, hint="", exit_code=EXIT_TERMINATED).to_line())
    sys.stdout.flush()
    comm.Abort(EXIT_TERMINATED)
    raise SystemExit(EXIT_TERMINATED)


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
