"""One shard of an array job on one rank: the search for its own query units, and whatever shards
leave for one another.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from workloads.analysis.checkpoint.store import NoStore
from workloads.analysis.pipeline.outlier_stage import AnomalyStage
from workloads.analysis.pipeline.partial_result import Found
from workloads.analysis.pipeline.partials import Profiled
from workloads.analysis.pipeline.profile_stage import packed, unpacked
from workloads.analysis.pipeline.run_metrics import Figures
from workloads.analysis.pipeline.shard_store import Part, ShardStore
from workloads.analysis.pipeline.success import Success, launched
from workloads.analysis.pipeline.table_run import Search, WholeTable
from workloads.analysis.table import Table
from workloads.runtime import s3

log = logging.getLogger(__name__)


class OneShard(WholeTable):
    """The same stage for one shard's query units; the shard that finds the parts of all shards
    stored combines them.
    """

    def _analyse(self, table: Table) -> Success | None:
        queries = self._settings.shard.own(len(table.manifest.units))
        if queries is None:
            self._say_nothing_to_do("there are more shards than units")
            return None
        shards = ShardStore(
            self._settings.results_bucket, self._settings.run, self._identity(table)
        )
        stored: bool = self._comm.bcast(self._comm.rank == 0 and shards.part(queries) is not None)
        if (
            not stored and self._concluded()
        ):  # in this order: parts are cleared after the result is stored
            self._say_nothing_to_do("the result of this launch is stored")
            return None
        search = self._prepared(table, queries)
        if not stored:
            search.coordinator.resume()
        profiled = self._shared_profile(table, shards)
        alone = not self._comm.bcast(profiled is not None)
        if alone and stored:
            return self._late(table, search, shards)
        if alone:
            profiled = self._profile(table, search.coordinator)
            if profiled is not None:
                profiled = unpacked(shards.offer_profile(packed(profiled)), table.columns)
        stage = self._stage(table, search, profiled)
        if not stored:
            found = stage.search(queries)
            figures = self._figures(table, search.coordinator, search.figures(found, stage.columns))
            if figures is not None:
                shards.offer_part(queries, Part(found=found, figures=figures))
        return self._conclude(table, profiled, stage, shards)

    def _late(self, table: Table, search: Search, shards: ShardStore) -> Success | None:
        """With the part stored already, and no profile.

        All is left as it is: another shard may be clearing it away at this moment.
        """
        if self._concluded():
            self._say_nothing_to_do("the result of this launch is stored")
            return None
        profiled = self._profile(table, replace(search.coordinator, store=NoStore()))
        return self._conclude(table, profiled, self._stage(table, search, profiled), shards)

    def _shared_profile(self, table: Table, shards: ShardStore) -> Profiled | None:
        """That another shard has stored; on rank 0."""
        arrays = shards.profile() if self._comm.rank == 0 else None
        return None if arrays is None else unpacked(arrays, table.columns)

    def _concluded(self) -> bool:
        """Whether `_SUCCESS.json` is of this launch and this table; the same on all ranks."""
        found = False
        if self._comm.rank == 0:
            stored = s3.get_with_etag(self._settings.results_bucket, self._settings.run.success_key)
            success = (
                launched(stored[0], self._settings.batch.launch) if stored is not None else None
            )
            found = success is not None and success.manifest_sha256 == self._manifest_sha256
        agreed: bool = self._comm.bcast(found)
        return agreed

    def _conclude(
        self, table: Table, profiled: Profiled | None, stage: AnomalyStage, shards: ShardStore
    ) -> Success | None:
        """Two shards may do so at the same time, and write the same."""
        of_all = self._settings.shard.of_all(len(table.manifest.units))
        parts: list[Part] | None = self._comm.bcast(
            shards.parts(of_all) if self._comm.rank == 0 else None
        )
        if parts is None:
            if self._comm.rank == 0:
                log.info(
                    "part stored; the last shard combines all parts",
                    extra={"fields": {"shards": len(of_all)}},
                )
            return None
        record = stage.conclude(
            Found.joined([part.found for part in parts], self._settings.parameters.anomaly_top)
        )
        success = self._finish(
            table, profiled, record, Figures.joined([part.figures for part in parts])
        )
        if success is not None:
            shards.clear()
        return success

    def _say_nothing_to_do(self, why: str) -> None:
        if self._comm.rank == 0:
            log.info("nothing to do: %s", why)
