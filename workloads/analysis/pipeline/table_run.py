"""The analysis of a table by all ranks together: profile first, then the search for remote rows;
rank 0 writes `_SUCCESS.json` last.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mpi4py import MPI

from workloads.analysis import backend as backends
from workloads.analysis import first_writer
from workloads.analysis.checkpoint.coordinator import CheckpointCoordinator
from workloads.analysis.checkpoint.schedule import CheckpointSchedule
from workloads.analysis.checkpoint.store import Attempt, CheckpointStore
from workloads.analysis.code_version import code_version
from workloads.analysis.distributed.transport import choice as exchanges
from workloads.analysis.distributed.transport.choice import Chosen
from workloads.analysis.knn.pairs import PairBackend
from workloads.analysis.outliers.record import AnomalyRecord
from workloads.analysis.outliers.result import combined_digest
from workloads.analysis.outliers.score_files import ScoreFiles
from workloads.analysis.pipeline import plan as plans
from workloads.analysis.pipeline.outlier_stage import AnomalyStage
from workloads.analysis.pipeline.partial_result import Found
from workloads.analysis.pipeline.partials import Profiled
from workloads.analysis.pipeline.plan import Machine, ModePlan, Shape
from workloads.analysis.pipeline.profile_stage import ProfileStage
from workloads.analysis.pipeline.quantile_stage import QuantileStage
from workloads.analysis.pipeline.run_metrics import Figures, SearchFigures, gathered
from workloads.analysis.pipeline.success import Success, digest_of
from workloads.analysis.progress import Progress, Stop
from workloads.analysis.settings import Settings
from workloads.analysis.table import Table
from workloads.analysis.tree import share
from workloads.analysis.unit_files import UnitFiles
from workloads.contract import ContractError
from workloads.records import Manifest, Unit
from workloads.runtime import disk, s3
from workloads.runtime.memory import peak_rss_mib
from workloads.runtime.places import Bucket, Directory, Place, Ranges

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Search:
    """What a search for remote rows begins with."""

    pairs: PairBackend
    machine: Machine
    plan: dict[str, ModePlan]
    coordinator: CheckpointCoordinator
    exchange: Chosen

    def figures(self, found: Found, columns: int) -> SearchFigures:
        """When it is done; `columns` are those by which rows were compared."""
        return SearchFigures(
            plan=self.plan,
            machine=self.machine,
            products=found.evaluations * columns,
            exchange=self.exchange.record(),
        )


class WholeTable:
    """The whole stage on one rank: all query units here, and the result stored by rank 0.

    Args:
        comm: All ranks.
        settings: Of the job.
        progress: Is told what is done.
        stop: Is asked between units.
    """

    def __init__(
        self, comm: MPI.Intracomm, settings: Settings, progress: Progress, stop: Stop
    ) -> None:
        self._start = time.perf_counter()
        self._comm, self._settings, self._progress, self._stop = comm, settings, progress, stop
        # by the index that Batch gave to the nodes: Split_type asks Open MPI's shared-memory layer,
        # and processes of one machine that play several nodes deadlock there
        self._nodes_of_ranks: list[int] = comm.allgather(settings.batch.node_index)
        local_rank = self._nodes_of_ranks[: comm.rank].count(self._nodes_of_ranks[comm.rank])
        self._backend = backends.choose(settings.backend, local_rank, settings.threads)
        # all ranks run the same image, and reading it takes a fifth of a second of a processor
        self._code_version: str = comm.bcast(code_version() if comm.rank == 0 else None)

    def run(self) -> Success | None:
        """Rank 0 returns what it wrote as `_SUCCESS.json`.

        Raises:
            StoppedError: This rank or another was asked to end.
            StageError, ContractError: Something that a person can act on.
        """
        with self._progress.timed("open"):
            manifest_bytes: bytes = self._comm.bcast(
                self._read_manifest() if self._comm.rank == 0 else None
            )
            self._manifest_sha256 = hashlib.sha256(manifest_bytes).hexdigest()
            manifest = Manifest.from_json(manifest_bytes)
            table = _open(self._settings, manifest, self._kept(manifest))
        return self._analyse(table)

    def _kept(self, manifest: Manifest) -> Sequence[Unit]:
        """The units that this rank keeps on the scratch disk: none where it has no such disk, or
        reads each but once.

        Raises StageError where the units of this node's ranks do not fit there.
        """
        settings = self._settings
        once = settings.parameters.anomaly_mode == "off" and not settings.parameters.exact_quantiles
        if not settings.scratch or once or settings.tables_path is not None:
            return ()
        units = len(manifest.units)
        here = self._nodes_of_ranks[self._comm.rank]
        own = [share(rank, self._comm.size, units) for rank in range(self._comm.size)]
        if self._nodes_of_ranks.index(here) == self._comm.rank:  # the first rank of the node
            ranks = [r for r, node in enumerate(self._nodes_of_ranks) if node == here]
            needed = sum(manifest.units[index].byte_length for r in ranks for index in own[r])
            disk.require(needed, f"the units of {manifest.table_key} that this node reads again")
        mine = own[self._comm.rank]
        return manifest.units[mine.start : mine.stop]

    def _analyse(self, table: Table) -> Success | None:
        queries = range(len(table.manifest.units))
        searching = self._settings.parameters.anomaly_mode != "off"
        search = self._prepared(table, queries) if searching else None
        coordinator = (
            search.coordinator if search is not None else self._cooperation(table, queries)
        )
        coordinator.resume()
        profiled = self._profile(table, coordinator)
        if search is None:
            success = self._finish(table, profiled, None, self._figures(table, coordinator, None))
        else:
            stage = self._stage(table, search, profiled)
            found = stage.search(queries)
            record = stage.conclude(found)
            success = self._finish(
                table,
                profiled,
                record,
                self._figures(table, coordinator, search.figures(found, stage.columns)),
            )
        if success is not None:
            coordinator.store.clear()
        return success

    def _prepared(self, table: Table, queries: range) -> Search:
        pairs = backends.choose_pairs(self._backend.name, self._settings.threads)
        machine, plan = self._plan(table, pairs)
        with self._progress.timed("open"):
            # only `full` hands rows round: nobody waits for a self-test of what is not used
            full = self._settings.parameters.anomaly_mode == "full"
            asked = self._settings.exchange if full else "host"
            exchange = exchanges.choose(exchanges.opener_of(asked), self._comm)
        if self._comm.rank == 0:
            log.info("exchange", extra={"fields": exchange.record()})
        return Search(
            pairs=pairs,
            machine=machine,
            plan=plan,
            coordinator=self._cooperation(table, queries),
            exchange=exchange,
        )

    def _stage(self, table: Table, search: Search, profiled: Profiled | None) -> AnomalyStage:
        profile = profiled.profile if profiled is not None else None
        return AnomalyStage(
            self._comm,
            self._settings,
            search.pairs,
            search.exchange.exchange,
            table,
            search.coordinator,
            self._score_files(table),
            profile,
        )

    def _score_files(self, table: Table) -> ScoreFiles:
        settings = self._settings
        identity = first_writer.name_of(self._identity(table))
        return ScoreFiles(bucket=settings.results_bucket, run=settings.run, identity=identity)

    def _figures(
        self, table: Table, coordinator: CheckpointCoordinator, search: SearchFigures | None
    ) -> Figures | None:
        return gathered(
            self._settings.batch.node_index, self._backend, self._start, table, coordinator, search
        )

    def _read_manifest(self) -> bytes:
        return s3.get_bytes(self._settings.intermediate_bucket, self._settings.run.manifest_key)

    def _plan(self, table: Table, pairs: PairBackend) -> tuple[Machine, dict[str, ModePlan]]:
        """Predict both modes, and refuse the one that is too dear."""
        manifest = table.manifest
        with self._progress.timed("plan"):
            asked = self._settings.parameters
            neighbours = asked.neighbours(manifest.rows)
            measured = self._comm.allgather(
                plans.calibrate(
                    pairs, len(table.columns), min(manifest.unit_rows, manifest.rows), neighbours
                )
            )
        machine = plans.slowest(measured)
        shape = Shape(
            rows=manifest.rows,
            columns=len(table.columns),
            unit_rows=manifest.unit_rows,
            ranks=self._comm.size,
            shards=self._settings.shard.count,
            unit_bytes=max((unit.byte_length for unit in manifest.units), default=0),
            neighbours=neighbours,
            top=asked.anomaly_top,
        )
        means = self._settings.means
        plan = {
            mode: plans.predict(mode, shape, means, machine, peak_rss_mib() << 20)
            for mode in ("top", "full")
        }
        if self._comm.rank == 0:
            log.info(
                "plan",
                extra={
                    "fields": {
                        "mode": asked.anomaly_mode,
                        "neighbours": neighbours,
                        **{mode: asdict(one) for mode, one in plan.items()},
                    }
                },
            )
        if asked.anomaly_mode == "full":
            plans.admit(means, shape, plan["full"])
        return machine, plan

    def _identity(self, table: Table) -> dict[str, Any]:
        """What state and results are functions of, besides the query units."""
        return {
            **self._settings.parameters.identity(table.manifest.rows),
            "manifest_sha256": self._manifest_sha256,
            "code_version": self._code_version,
        }

    def _cooperation(self, table: Table, queries: range) -> CheckpointCoordinator:
        settings, nodes = self._settings, len(set(self._nodes_of_ranks))
        identity, prefix = self._identity(table), settings.run.checkpoints_prefix
        if settings.shard.count > 1:
            identity["queries"] = [queries.start, queries.stop]
            prefix = f"{settings.run.shards_prefix}units-{queries.start:06}-{queries.stop:06}/"
        attempt = Attempt(job_id=settings.batch.job_id, number=settings.batch.attempt)
        return CheckpointCoordinator(
            comm=self._comm,
            store=CheckpointStore(_checkpoints(settings), prefix, identity, attempt),
            schedule=CheckpointSchedule(
                nodes=nodes,
                floor_seconds=settings.means.checkpoint_floor_seconds,
                node_mtbf_hours=settings.means.node_mtbf_hours,
            ),
            stop=self._stop,
            progress=self._progress,
        )

    def _profile(self, table: Table, coordinator: CheckpointCoordinator) -> Profiled | None:
        """From the checkpoint or anew; on rank 0."""
        profiled = ProfileStage(coordinator, self._settings, self._backend, table).run()
        if self._settings.parameters.exact_quantiles:
            profiled = QuantileStage(coordinator, self._settings, table).run(profiled)
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
        profile = profiled.profile
        success = Success(
            run_id=self._settings.run.run_id,
            manifest_sha256=self._manifest_sha256,
            digest=combined_digest(profile.digest, anomaly),
            columns=table.columns,
            compared=tuple(int(place) for place in table.compared),
            partials=profiled.partials,
            quantiles=profiled.quantiles,
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
            code_version=self._code_version,
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
        first_writer.replace(
            self._settings.results_bucket,
            self._settings.run.success_key,
            success.to_json(),
            identity=first_writer.name_of(self._identity(table)),
            meaning=digest_of,
        )
        return success


def _open(settings: Settings, manifest: Manifest, kept: Sequence[Unit]) -> Table:
    if manifest.run_id != settings.run.run_id:
        raise ContractError(
            f"{settings.run.manifest_key} is of run {manifest.run_id}, not of"
            f" {settings.run.run_id}; run preprocess again"
        )

    near = settings.tables_path
    read = functools.partial(s3.read_range, settings.intermediate_bucket, manifest.table_key)
    return Table(
        manifest,
        UnitFiles(read, kept) if kept else read,
        None if near is None else Ranges(near / manifest.table_key, manifest.table_bytes),
    )


def _checkpoints(settings: Settings) -> Place:
    if settings.checkpoints_path is not None:
        return Directory(settings.checkpoints_path)
    return Bucket(settings.results_bucket)
