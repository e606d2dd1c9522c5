"""The scores of a unit's rows as one Parquet object: written by whichever attempt or shard comes
first, the same for all.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from workloads.analysis import first_writer
from workloads.analysis.outliers import result as results
from workloads.analysis.outliers.full_search import UnitScores
from workloads.analysis.outliers.record import Stored
from workloads.contract import Run
from workloads.lines import Lines


@dataclass(frozen=True, kw_only=True)
class ScoreFiles:
    """Of one run and one way to analyse it."""

    bucket: str
    """Of the results."""
    run: Run
    identity: str
    """What scores are functions of: see `first_writer.name_of`."""

    def store(self, unit: int, found: UnitScores, lines: Lines) -> tuple[Stored, str]:
        """Store the scores of a unit; the entry of the object that counts, and the digest of what
        it says.

        Another writer's bytes may differ where they say the same, as those of another version of
        Arrow do; its object is then the one that is named. Raises StageError where they say
        something else.
        """
        name = results.scores_name(unit)
        stored = first_writer.offer(
            self.bucket,
            self.run.scores_prefix + name,
            results.encode_scores(found.ids, found.scores, found.nearest_ids, lines),
            identity=self.identity,
            meaning=_meaning,
        )
        digest = results.scores_digest(found.ids, found.scores, found.nearest_ids)
        return Stored(name=name, sha256=hashlib.sha256(stored).hexdigest()), digest


def _meaning(data: bytes) -> str | None:
    try:
        return results.scores_digest(*results.decode_scores(data))
    except ValueError:
        return None
