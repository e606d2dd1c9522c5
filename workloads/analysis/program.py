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
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

from mpi4py import MPI

from workloads.analysis import backend as backends
from workloads.analysis import plan as plans
from workloads.analysis.anomaly.pairs import PairBackend
from workloads.analysis.anomaly_result import AnomalyRecord, combined_digest
from workloads.analysis.anomaly_stage import AnomalyStage
from workloads.analysis.checkpoint.cadence import Cadence
from workloads.analysis.checkpoint.cooperation import Cooperation, Saved
from workloads.analysis.checkpoint.store import Arrays, Attempt, CheckpointStore, as_bytes, from_bytes
from workloads.analysis.distribution import exchange_choice as exchanges
from workloads.analysis.distribution.exchange_choice import Chosen
from workloads.analysis.figures import Figures, SearchFigures, gathered
from workloads.analysis.found import Found
from workloads.analysis.plan import Machine, ModePlan, Shape
from workloads.analysis.profile.node import ProfileNode
from workloads.analysis.profile.partials import Partial, Success, launched
from workloads.analysis.profile.result import Profile
from workloads.analysis.profile_stage import ProfileStage
from workloads.analysis.progress import Progress, Stop, StoppedError
from workloads.analysis.rank_failure import RankFailure
from workloads.analysis.settings import Settings
from workloads.analysis.shard_store import Part, ShardStore
from workloads.analysis.table import Table
from workloads.contract import ContractError
from workloads.records import Manifest
from workloads.runtime import logs, s3
from workloads.runtime.batch_env import BatchEnv
from workloads.runtime.errors import EXIT_INTERNAL, EXIT_REFUSED, EXIT_TERMINATED, StageError
from workloads.runtime.memory import peak_rss_mib

log = logging.getLogger(__name__)


Profiled = tuple[Profile, tuple[Partial, ...]]
"""The merged profile, and the stored nodes that make it up."""


@dataclass(frozen=True, kw_only=True)
class _Search:
    """What a search for remote rows begins with."""

    pairs: PairBackend
    machine: Machine
    plan: dict[str, ModePlan]
    cooperation: Cooperation
    exchange: Chosen

    def figures(self, found: Found, columns: int) -> SearchFigures:
        """When it is done; `columns` are those by which rows were compared."""
        return SearchFigures(
            checkpoint=self.cooperation.cost,
            objects_resumed=self.cooperation.objects_resumed,
            plan=self.plan,
            products=found.evaluations * (columns + 2),
            products_per_second=self.machine.products_per_second,
            exchange=self.exchange.record(),
        )


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
        if self._settings.anomaly.mode == "off":
            profiled = self._profiling(table).run()
            return self._finish(table, profiled, None, self._figures(None))
        return self._whole(table) if self._settings.shard.count == 1 else self._share(table)

    def _whole(self, table: Table) -> Success | None:
        """All query units here."""
        queries = range(len(table.manifest.units))
        search = self._prepared(table, queries)
        search.cooperation.resume()
        profiled = self._profile(table, search.cooperation)
        stage = self._stage(table, search, profiled)
        found = stage.search(queries)
        record = stage.conclude(found)
        success = self._finish(table, profiled, record, self._figures(search.figures(found, stage.columns)))
        if success is not None:
            search.cooperation.store.clear()
        return success

    # ---- one of several shards ---------------------------------------------------------------------------------------------------------

    def _share(self, table: Table) -> Success | None:
        """This shard's query units; the shard that finds all parts stored combines them."""
        queries = self._settings.shard.own(len(table.manifest.units))
        if queries is None:
            self._say_nothing_to_do("there are more shards than units")
            return None
        shards = ShardStore(self._settings.results_bucket, self._settings.run, self._identity())
        stored: bool = self._comm.bcast(self._comm.rank == 0 and shards.part(queries) is not None)
        if not stored and self._concluded():  # in this order: parts are cleared after the result is stored
            self._say_nothing_to_do("the result of this launch is stored")
            return None
        search = self._prepared(table, queries)
        if not stored:
            search.cooperation.resume()
        profiled = self._shared_profile(table, shards)
        if not self._comm.bcast(profiled is not None):
            if stored and self._concluded():
                self._say_nothing_to_do("the result of this launch is stored")
                return None
            # with the part stored already, all is left as it is: another shard may be clearing it away at this moment
            profiled = self._profiling(table).run() if stored else self._profile(table, search.cooperation)
            if profiled is not None and not stored:
                profiled = _unpacked(shards.offer_profile(_packed(*profiled)), table)
        stage = self._stage(table, search, profiled)
        if not stored:
            found = stage.search(queries)
            figures = self._figures(search.figures(found, stage.columns))
            if figures is not None:
                shards.offer_part(queries, Part(found=found, figures=figures))
        return self._conclude(table, profiled, stage, shards)

    def _shared_profile(self, table: Table, shards: ShardStore) -> Profiled | None:
        """That another shard has stored; on rank 0."""
        arrays = shards.profile() if self._comm.rank == 0 else None
        return None if arrays is None else _unpacked(arrays, table)

    def _concluded(self) -> bool:
        """Whether `_SUCCESS.json` is of this launch and this table; the same on all ranks."""
        found = False
        if self._comm.rank == 0:
            stored = s3.get_with_etag(self._settings.results_bucket, self._settings.run.success_key)
            success = launched(stored[0], self._settings.batch.launch) if stored is not None else None
            found = success is not None and success.manifest_sha256 == self._manifest_sha256
        agreed: bool = self._comm.bcast(found)
        return agreed

    def _conclude(self, table: Table, profiled: Profiled | None, stage: AnomalyStage, shards: ShardStore) -> Success | None:
        """Two shards may do so at the same time, and write the same."""
        of_all = self._settings.shard.of_all(len(table.manifest.units))
        parts: list[Part] | None = self._comm.bcast(shards.parts(of_all) if self._comm.rank == 0 else None)
        if parts is None:
            if self._comm.rank == 0:
                log.info("part stored; the last shard combines all parts", extra={"fields": {"shards": len(of_all)}})
            return None
        record = stage.conclude(Found.joined([part.found for part in parts], self._settings.anomaly.top))
        success = self._finish(table, profiled, record, Figures.joined([part.figures for part in parts]))
        if success is not None:
            shards.clear()
        return success

    def _say_nothing_to_do(self, why: str) -> None:
        if self._comm.rank == 0:
            log.info("nothing to do: %s", why)

    # ---- what both need ----------------------------------------------------------------------------------------------------------------

    def _prepared(self, table: Table, queries: range) -> _Search:
        pairs = backends.choose_pairs(self._backend.name, self._settings.threads)
        machine, plan = self._plan(table, pairs)
        with self._progress.timed("open"):
            # only `full` hands rows round: nobody waits for a self-test of what is not used
            asked = self._settings.exchange if self._settings.anomaly.mode == "full" else "host"
            exchange = exchanges.choose(exchanges.opener_of(asked), self._comm)
        if self._comm.rank == 0:
            log.info("exchange", extra={"fields": exchange.record()})
        return _Search(pairs=pairs, machine=machine, plan=plan, cooperation=self._cooperation(queries), exchange=exchange)

    def _stage(self, table: Table, search: _Search, profiled: Profiled | None) -> AnomalyStage:
        profile = profiled[0] if profiled is not None else None
        return AnomalyStage(self._comm, self._settings, search.pairs, search.exchange.exchange, table, search.cooperation, profile)

    def _figures(self, search: SearchFigures | None) -> Figures | None:
        return gathered(self._comm, self._settings.batch.node_index, self._progress, self._backend, self._start, search)

    def _profiling(self, table: Table) -> ProfileStage:
        return ProfileStage(self._comm, self._settings, self._backend, table, self._progress, self._stop)

    def _read_manifest(self) -> bytes:
        return s3.get_bytes(self._settings.intermediate_bucket, self._settings.run.manifest_key)

    def _plan(self, table: Table, pairs: PairBackend) -> tuple[Machine, dict[str, ModePlan]]:
        """Predict both modes, and refuse the one that is too dear."""
        with self._progress.timed("plan"):
            measured = self._comm.allgather(plans.calibrate(pairs, len(table.columns)))
        machine = Machine(
            pairs_per_second=min(one.pairs_per_second for one in measured),
            shared_pairs_per_second=min(one.shared_pairs_per_second for one in measured),
            products_per_second=min(one.products_per_second for one in measured),
        )
        manifest = table.manifest
        ranks = self._comm.size * self._settings.shard.count
        shape = Shape(rows=manifest.rows, columns=len(table.columns), unit_rows=manifest.unit_rows, ranks=ranks)
        settings = self._settings.anomaly
        plan = {mode: plans.predict(mode, shape, settings, machine, peak_rss_mib() << 20) for mode in ("top", "full")}
        if self._comm.rank == 0:
            log.info("plan", extra={"fields": {"mode": settings.mode, **{mode: asdict(one) for mode, one in plan.items()}}})
        plans.admit(settings, shape, plan["full"])
        return machine, plan

    def _identity(self) -> dict[str, Any]:
        """What state and results are functions of, besides the query units."""
        return {
            "manifest_sha256": self._manifest_sha256,
            "mode": self._settings.anomaly.mode,
            "neighbours": self._settings.anomaly.neighbours,
            "top": self._settings.anomaly.top,
            "scaling": self._settings.anomaly.scaling,
            "code_version": code_version(),
        }

    def _cooperation(self, queries: range) -> Cooperation:
        settings, nodes = self._settings, len(set(self._nodes_of_ranks))
        identity, prefix = self._identity(), settings.run.checkpoints_prefix
        if settings.shard.count > 1:
            identity["queries"] = [queries.start, queries.stop]
            prefix = f"{settings.run.shards_prefix}units-{queries.start:06}-{queries.stop:06}/"
        attempt = Attempt(job_id=settings.batch.job_id, number=settings.batch.attempt)
        return Cooperation(
            comm=self._comm,
            store=CheckpointStore(settings.results_bucket, prefix, identity, attempt),
            cadence=Cadence(
                nodes=nodes,
                floor_seconds=settings.anomaly.checkpoint_floor_seconds,
                node_mtbf_hours=settings.anomaly.node_mtbf_hours,
            ),
            stop=self._stop,
            progress=self._progress,
        )

    def _profile(self, table: Table, cooperation: Cooperation) -> Profiled | None:
        """From the checkpoint or anew; on rank 0."""
        if "profile" in cooperation.found:
            loaded = cooperation.load(("profile",) if self._comm.rank == 0 else ())
            if cooperation.found:
                return _unpacked(loaded["profile"], table) if loaded else None
        profiled = self._profiling(table).run()
        cooperation.save(Saved(objects={"profile": _packed(*profiled)} if profiled is not None else {}))
        return profiled

    def _finish(
        self,
        table: Table,
        profiled: Profiled | None,
        anomaly: AnomalyRecord | None,
        figures: Figures | None,
    ) -> Success | None:
        if figures is None or profiled is None or self._comm.rank > 0:
            return None
        profile, partials = profiled
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
            ranks=figures.ranks,
            nodes=figures.nodes,
            backend=self._backend.name,
            precision=self._backend.precision,
            seconds=figures.seconds,
            bytes_read=figures.bytes_moved["read"],
            peak_memory_bytes=figures.peak_memory_bytes,
            code_version=code_version(),
            anomaly=anomaly,
            bytes_moved=figures.bytes_moved,
            percent_of_limit=figures.percent_of_limit,
            peak_device_bytes=figures.peak_device_bytes,
            exchange=figures.exchange,
            plan=figures.plan,
            checkpoint=figures.checkpoint,
            shard_seconds=tuple(figures.shard_seconds),
            launch=self._settings.batch.launch,
        )
        s3.put_bytes(self._settings.results_bucket, self._settings.run.success_key, success.to_json(), content_type="application/json")
        return success


def _packed(profile: Profile, partials: tuple[Partial, ...]) -> Arrays:
    arrays = ProfileNode(moments=profile.moments, sketch=profile.sketch).arrays()
    return {**arrays, "partials": as_bytes([asdict(partial) for partial in partials])}


def _unpacked(arrays: Arrays, table: Table) -> Profiled:
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
