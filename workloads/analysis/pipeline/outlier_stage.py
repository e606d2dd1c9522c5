"""The search for remote rows over all ranks, from the merged profile to the stored result."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Final

import numpy as np
from mpi4py import MPI

from workloads.analysis.checkpoint.coordinator import CheckpointCoordinator
from workloads.analysis.distributed.blocks import BlockSource
from workloads.analysis.distributed.transport.exchange import Exchange
from workloads.analysis.knn.neighbours import NO_NEIGHBOUR
from workloads.analysis.knn.pairs import PairBackend
from workloads.analysis.knn.top import Top
from workloads.analysis.outliers import result as results
from workloads.analysis.outliers.full_search import FullSearch, UnitScores
from workloads.analysis.outliers.record import AnomalyRecord, Stored
from workloads.analysis.outliers.result import TopRows
from workloads.analysis.outliers.score_files import ScoreFiles
from workloads.analysis.outliers.top_search import TopSearch
from workloads.analysis.pipeline.partial_result import Found
from workloads.analysis.profile.result import Profile
from workloads.analysis.settings import Settings
from workloads.analysis.space.scaling import Scaling, scaling
from workloads.analysis.space.space import Space
from workloads.analysis.table import Table
from workloads.analysis.tree import share, share_of
from workloads.lines import Lines
from workloads.runtime import s3

log = logging.getLogger(__name__)

_NO_LINES: Final = Lines(rows=np.zeros(0, np.int64), lines=np.zeros(0, np.int64))


class AnomalyStage:
    """One rank's part. All methods without an underscore, and the constructor, are collective.

    Args:
        comm: All ranks.
        settings: Of the job; the mode is not `off`.
        pairs: What compares.
        exchange: What carries rows between ranks.
        table: The cleaned table.
        coordinator: Of all ranks.
        score_files: Where the scores of units go.
        profile: Of the table; rank 0's.
    """

    def __init__(
        self,
        comm: MPI.Intracomm,
        settings: Settings,
        pairs: PairBackend,
        exchange: Exchange,
        table: Table,
        coordinator: CheckpointCoordinator,
        score_files: ScoreFiles,
        profile: Profile | None,
    ) -> None:
        self._score_files = score_files
        self._comm, self._settings, self._pairs, self._exchange, self._table = (
            comm,
            settings,
            pairs,
            exchange,
            table,
        )
        self._cooperation, self._progress = coordinator, coordinator.progress
        self._scaling: Scaling
        self._scaling, self._space = comm.bcast(
            _space(profile, settings) if profile is not None else None
        )
        self._budget = settings.means.block_memory_bytes // 2
        self._source = BlockSource(table, self._space, self._budget, self._progress)
        self._neighbours = self._reachable(
            comm.bcast(profile.complete_rows if profile is not None else None)
        )

    @property
    def columns(self) -> int:
        """By how many rows are compared."""
        return self._source.columns

    def search(self, queries: range) -> Found:
        """Search for some query units, store their scores, and return the same on all ranks.

        Raises StoppedError where a rank was asked to end, StageError.
        """
        full = self._settings.parameters.anomaly_mode == "full"
        return self._full(queries) if full else self._top(queries)

    def _full(self, queries: range) -> Found:
        search = FullSearch(
            comm=self._comm,
            coordinator=self._cooperation,
            source=self._source,
            pairs=self._pairs,
            exchange=self._exchange,
            units=len(self._table.manifest.units),
            queries=queries,
            k=self._neighbours,
            budget=self._budget,
        )
        search.run()
        wanted = self._settings.parameters.anomaly_top
        finished = {
            unit: replace(found, scores=self._space.score(found.scores))
            for unit, found in search.finished.items()
        }
        own = Top.joined(
            [
                Top.of(
                    unit.ids,
                    unit.scores,
                    kth_ids=unit.kth_ids,
                    nearest_ids=unit.nearest_ids,
                    count=wanted,
                )
                for unit in finished.values()
            ],
            wanted,
        )
        scores, digests = self._store_scores(finished)
        return Found(
            first=Top.joined(self._comm.allgather(own), wanted),
            rows=self._comm.allreduce(sum(unit.ids.size for unit in finished.values())),
            undirected_rows=self._undirected(queries),
            fallback_rows=self._comm.allreduce(
                sum(unit.fallback_rows for unit in finished.values())
            ),
            evaluations=self._comm.allreduce(self._progress.evaluations),
            rows_left=0,
            scores=scores,
            digests=digests,
        )

    def _top(self, queries: range) -> Found:
        search = TopSearch(
            comm=self._comm,
            coordinator=self._cooperation,
            source=self._source,
            pairs=self._pairs,
            units=len(self._table.manifest.units),
            queries=queries,
            count=self._settings.parameters.anomaly_top,
            k=self._neighbours,
            budget=self._budget,
        )
        found = search.run()
        neighbours = found.neighbours
        return Found(
            first=Top.of(
                found.block.ids,
                self._space.score(neighbours.scores),
                kth_ids=neighbours.kth_ids,
                nearest_ids=neighbours.nearest_ids,
                count=self._settings.parameters.anomaly_top,
            ),
            rows=search.query_rows,
            undirected_rows=self._undirected(queries),
            fallback_rows=int(neighbours.recomputed.sum()),
            evaluations=self._comm.allreduce(self._progress.evaluations),
            rows_left=search.rows_left,
        )

    def _reachable(self, complete_rows: int) -> int:
        """How many neighbours a score can go by: as many as are asked for, or all other rows where
        there are fewer.
        """
        asked = self._settings.parameters.neighbours(self._table.manifest.rows)
        if complete_rows > asked and self._space.metric != "cosine":
            return asked  # columns that are left out can only add complete rows
        with self._progress.timed("open"):
            own = share(self._comm.rank, self._comm.size, len(self._table.manifest.units))
            rows: int = self._comm.allreduce(
                sum(block.ids.size for block in self._source.blocks(own))
            )
        return max(min(asked, rows - 1), 1)

    def _undirected(self, queries: range) -> int:
        own = share_of(self._comm.rank, self._comm.size, queries)
        return int(self._comm.allreduce(self._source.zero_norm(own)))

    def conclude(self, found: Found) -> AnomalyRecord | None:
        """Store the result of the whole table, of which all units have been query units; returned
        by rank 0.
        """
        with self._progress.timed("explain"):
            top = self._with_values(found.first)
        if top is None:
            return None
        stored, data = results.encode_top(top)
        s3.put_bytes(
            self._settings.results_bucket, self._settings.run.partials_prefix + stored.name, data
        )
        record = AnomalyRecord(
            asked=self._settings.parameters,
            neighbours_used=self._neighbours,
            columns=self._scaling.columns,
            excluded={one.column: one.reason for one in self._scaling.excluded},
            complete_rows=found.rows,
            incomplete_rows=self._table.manifest.rows - found.rows - found.undirected_rows,
            undirected_rows=found.undirected_rows,
            certified_fraction=1.0 - found.fallback_rows / found.rows if found.rows else 1.0,
            fallback_rows=found.fallback_rows,
            evaluations=found.evaluations,
            rows_left=found.rows_left,
            precision=self._pairs.precision,
            top=stored,
            scores=found.scores,
            digest="",
            nothing=self._nothing(found.rows),
        )
        return replace(
            record, digest=results.result_digest(results.parameters_of(record), top, found.digests)
        )

    def _nothing(self, rows: int) -> str:
        """Why no rows were compared; empty where some were."""
        if not self._table.compared.size:
            return "no column of the table holds quantities to compare rows by"
        if not self._scaling.columns:
            return (
                "no column that rows could be compared by is left: each has one value only, or too"
                " few values"
            )
        if rows < 2:
            return (
                f"{rows} rows have a value in every column that rows are compared by; two are"
                " needed"
            )
        return ""

    def _store_scores(
        self, finished: dict[int, UnitScores]
    ) -> tuple[tuple[Stored, ...], tuple[str, ...]]:
        """Each rank writes the scores of its units; entries and digests of all units on all
        ranks.
        """
        mine = {}
        with self._progress.timed("store"):
            key = self._table.manifest.lines_key
            lines = (
                Lines.from_parquet(s3.get_bytes(self._settings.intermediate_bucket, key))
                if finished
                else _NO_LINES
            )
            for unit, found in finished.items():
                mine[unit] = self._score_files.store(unit, found, lines)
        everybody = sorted(
            (unit, entry) for some in self._comm.allgather(mine) for unit, entry in some.items()
        )
        return tuple(stored for _, (stored, _) in everybody), tuple(
            digest for _, (_, digest) in everybody
        )

    def _with_values(self, first: Top) -> TopRows | None:
        """The first rows with their values, their nearest rows' and their k-th neighbours', on rank
        0.
        """
        everyone = np.concatenate((first.ids, first.nearest_ids, first.kth_ids))
        wanted = np.unique(everyone[everyone != NO_NEIGHBOUR])
        own = self._source.raw(
            wanted, share(self._comm.rank, self._comm.size, len(self._table.manifest.units))
        )
        everybody = self._comm.gather(own)
        if everybody is None:
            return None
        values, rests = (np.concatenate(some) for some in zip(*everybody, strict=True))
        missing = np.full((1, values.shape[1]), np.nan)
        values = np.concatenate((values, missing))
        rests = np.concatenate((rests, np.zeros_like(missing)))
        places = {  # NO_NEIGHBOUR sorts behind all rows
            "": np.searchsorted(wanted, first.ids),
            "nearest_": np.searchsorted(wanted, first.nearest_ids),
            "kth_": np.searchsorted(wanted, first.kth_ids),
        }
        return TopRows(
            **vars(first),
            **{f"{whose}values": values[place] for whose, place in places.items()},
            **{f"{whose}rests": rests[place] for whose, place in places.items()},
        )


def _space(profile: Profile, settings: Settings) -> tuple[Scaling, Space]:
    chosen = scaling(profile, settings.parameters.anomaly_scaling)
    return chosen, Space.of(profile, chosen, settings.parameters.anomaly_metric)
