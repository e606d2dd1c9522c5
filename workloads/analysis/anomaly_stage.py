"""The search for remote rows over all ranks, from the merged profile to the stored result."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from mpi4py import MPI

from workloads.analysis import anomaly_result as results
from workloads.analysis.anomaly.neighbours import NOBODY
from workloads.analysis.anomaly.pairs import PairBackend
from workloads.analysis.anomaly_result import AnomalyRecord, Stored, TopRows
from workloads.analysis.checkpoint.cooperation import Cooperation
from workloads.analysis.distribution.blocks import BlockSource
from workloads.analysis.full_search import FullSearch, UnitScores
from workloads.analysis.profile.moments import Integers
from workloads.analysis.profile.result import Profile
from workloads.analysis.rotate.scaling import Scaling, scaling
from workloads.analysis.rotate.space import Space
from workloads.analysis.settings import Settings
from workloads.analysis.table import Table
from workloads.analysis.top_search import TopSearch
from workloads.analysis.tree import share
from workloads.runtime import s3

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, eq=False)
class _First:
    """The first rows, the same on all ranks."""

    ids: Integers
    scores: npt.NDArray[np.float64]
    kth_ids: Integers


class AnomalyStage:
    """One rank's part.

    Args:
        comm: All ranks.
        settings: Of the job; the mode is not `off`.
        pairs: What compares.
        table: The cleaned table.
        cooperation: Of all ranks.
    """

    def __init__(self, comm: MPI.Intracomm, settings: Settings, pairs: PairBackend, table: Table, cooperation: Cooperation) -> None:
        self._comm, self._settings, self._pairs, self._table = comm, settings, pairs, table
        self._cooperation, self._progress = cooperation, cooperation.progress

    def run(self, profile: Profile | None) -> AnomalyRecord | None:
        """Search and store; `profile` is rank 0's, and so is what is returned. Collective.

        Raises StoppedError where a rank was asked to end, StageError.
        """
        chosen, space = self._comm.bcast(self._space(profile) if profile is not None else None)
        half = self._settings.anomaly.block_memory_bytes // 2
        source = BlockSource(self._table, space, half, self._progress)
        scores: tuple[Stored, ...] = ()
        digests: tuple[str, ...] = ()
        if self._settings.anomaly.mode == "full":
            search = FullSearch(
                comm=self._comm,
                cooperation=self._cooperation,
                source=source,
                pairs=self._pairs,
                units=len(self._table.manifest.units),
                k=self._settings.anomaly.neighbours,
                budget=half,
            )
            search.run()
            finished = {unit: replace(found, scores=space.score(found.scores)) for unit, found in search.finished.items()}
            first = self._first_of_scores(finished)
            scores, digests = self._store_scores(finished)
            rows = self._comm.allreduce(sum(unit.ids.size for unit in search.finished.values()))
            fallback = self._comm.allreduce(sum(unit.fallback_rows for unit in search.finished.values()))
            left = 0
        else:
            top_search = TopSearch(
                comm=self._comm,
                cooperation=self._cooperation,
                source=source,
                pairs=self._pairs,
                units=len(self._table.manifest.units),
                count=self._settings.anomaly.top,
                k=self._settings.anomaly.neighbours,
                budget=half,
            )
            found = top_search.run()
            first = self._first(found.block.ids, space.score(found.neighbours.scores), found.neighbours.ids[:, -1])
            rows, left = top_search.rows, top_search.rows_left
            fallback = int(found.neighbours.recomputed.sum())
        undirected = self._comm.allreduce(source.undirected(share(self._comm.rank, self._comm.size, len(self._table.manifest.units))))
        evaluations = self._comm.allreduce(self._progress.evaluations)
        with self._progress.timed("explain"):
            top = self._with_values(first, source)
        if top is None:
            return None
        stored, data = results.encode_top(top)
        s3.put_bytes(self._settings.results_bucket, self._settings.run.partials_prefix + stored.name, data)
        asked = self._settings.anomaly
        record = AnomalyRecord(
            mode=asked.mode,
            neighbours=asked.neighbours,
            wanted=asked.top,
            scaling=asked.scaling,
            metric=asked.metric,
            columns=chosen.columns,
            excluded={one.column: one.reason for one in chosen.excluded},
            complete_rows=rows,
            incomplete_rows=self._table.manifest.rows - rows - undirected,
            undirected_rows=undirected,
            certified_fraction=1.0 - fallback / rows if rows else 1.0,
            fallback_rows=fallback,
            evaluations=evaluations,
            rows_left=left,
            precision=self._pairs.precision,
            top=stored,
            scores=scores,
            digest="",
        )
        return replace(record, digest=results.result_digest(results.parameters_of(record), top, digests))

    def _space(self, profile: Profile) -> tuple[Scaling, Space]:
        chosen = scaling(profile, self._settings.anomaly.scaling)
        return chosen, Space.of(profile, chosen, self._settings.anomaly.metric)

    def _first(self, ids: Integers, scores: npt.NDArray[np.float64], kth_ids: Integers) -> _First:
        order = np.lexsort((ids, -scores))[: self._settings.anomaly.top]
        return _First(ids=ids[order], scores=scores[order], kth_ids=kth_ids[order])

    def _first_of_scores(self, finished: dict[int, UnitScores]) -> _First:
        nothing = _First(ids=np.zeros(0, np.int64), scores=np.zeros(0), kth_ids=np.zeros(0, np.int64))
        own = self._joined([nothing, *(self._first(unit.ids, unit.scores, unit.kth_ids) for unit in finished.values())])
        return self._joined(self._comm.allgather(own))

    def _joined(self, parts: list[_First]) -> _First:
        ids, scores, kth_ids = (np.concatenate([getattr(part, name) for part in parts]) for name in ("ids", "scores", "kth_ids"))
        return self._first(ids, scores, kth_ids)

    def _store_scores(self, finished: dict[int, UnitScores]) -> tuple[tuple[Stored, ...], tuple[str, ...]]:
        """Each rank writes the scores of its units; entries and digests of all units on all ranks."""
        mine = {}
        with self._progress.timed("store"):
            for unit, found in finished.items():
                data = results.encode_scores(found.ids, found.scores, found.kth_ids)
                name = results.scores_name(unit)
                s3.put_bytes(self._settings.results_bucket, self._settings.run.scores_prefix + name, data)
                digest = results.scores_digest(found.ids, found.scores, found.kth_ids)
                mine[unit] = Stored(name=name, sha256=hashlib.sha256(data).hexdigest()), digest
        everybody = sorted((unit, entry) for some in self._comm.allgather(mine) for unit, entry in some.items())
        return tuple(stored for _, (stored, _) in everybody), tuple(digest for _, (_, digest) in everybody)

    def _with_values(self, first: _First, source: BlockSource) -> TopRows | None:
        """The first rows with their values and their neighbours', on rank 0."""
        wanted = np.unique(np.concatenate((first.ids, first.kth_ids[first.kth_ids != NOBODY])))
        own = source.raw(wanted, share(self._comm.rank, self._comm.size, len(self._table.manifest.units)))
        everybody = self._comm.gather(own)
        if everybody is None:
            return None
        values = np.concatenate(everybody)
        missing = np.full((1, values.shape[1]), np.nan, np.float32)
        place = np.where(first.kth_ids == NOBODY, wanted.size, np.searchsorted(wanted, first.kth_ids))
        return TopRows(
            ids=first.ids,
            scores=first.scores,
            kth_ids=first.kth_ids,
            values=values[np.searchsorted(wanted, first.ids)],
            neighbour_values=np.concatenate((values, missing))[place],
        )
