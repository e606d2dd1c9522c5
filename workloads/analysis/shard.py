"""One child of an array job: which query units are its own, and whether another child is needed for
the rest.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from workloads.analysis.tree import share
from workloads.runtime import env
from workloads.runtime.batch_env import BatchEnv
from workloads.runtime.errors import EXIT_ENVIRONMENT, StageError
from workloads.variables import ENV_SHARDS

MOST_SHARDS: Final = 10_000
"""Children of an array job that AWS Batch takes (user guide, "Array jobs")."""


@dataclass(frozen=True, kw_only=True)
class Shard:
    """Shard `index` of `count`; the one of one shard where the job is no array job."""

    index: int = 0
    count: int = 1

    @classmethod
    def read(cls, batch: BatchEnv, environ: Mapping[str, str] = os.environ) -> Self:
        """From the environment.

        Raises StageError where the number of shards and the index of the child do not belong
        together.
        """
        count = env.whole(ENV_SHARDS, default=1, low=1, high=MOST_SHARDS, environ=environ)
        index, size = batch.array_index, batch.array_size
        if (count > 1) != (index is not None) or (index or 0) >= count or size not in (None, count):
            child = (
                "this is no child of an array job"
                if index is None
                else f"this is child {index} of an array job"
            )
            child += f" of size {size}" if size is not None else ""
            raise StageError(
                f"environment variable {ENV_SHARDS} says {count}, but {child}",
                hint=(
                    "submit the analysis with an array size of as many children as that variable"
                    " says; without an array size leave it out"
                ),
                exit_code=EXIT_ENVIRONMENT,
            )
        return cls(index=index or 0, count=count)

    @property
    def name(self) -> str:
        """For people; empty where there is one shard."""
        return f"shard {self.index} of {self.count}" if self.count > 1 else ""

    def of_all(self, units: int) -> list[range]:
        """The query units of every shard that has any, in order; those of an empty table are the
        first shard's.
        """
        together = min(self.count, max(units, 1))
        return [share(index, together, units) for index in range(together)]

    def own(self, units: int) -> range | None:
        """The query units of this shard; None where there are more shards than units and this one
        has nothing to do.
        """
        shards = self.of_all(units)
        return shards[self.index] if self.index < len(shards) else None
