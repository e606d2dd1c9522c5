"""What the shards of an array job leave for one another in S3: the profile, and each shard's part
of the result.

Objects have keys of what they are a function of (table, parameters, code, query units), never of
the job or the machine. So a shard that is run again, in this launch or in a later one of the same
run, takes what is there. The first to write an object wins (`first_writer`), so that whichever
shard combines the parts, it combines the same ones. Each object begins with the sha256 of the rest.

S3 is strongly consistent: of the shards that list the parts after they have written their own, the
last one sees all of them.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

from workloads.analysis import first_writer
from workloads.analysis.arrays import digest, pack, unpack
from workloads.analysis.checkpoint.store import Arrays, as_bytes, from_bytes
from workloads.analysis.knn.top import Top
from workloads.analysis.pipeline.partial_result import Found
from workloads.analysis.pipeline.run_metrics import Figures
from workloads.contract import Run
from workloads.runtime import s3
from workloads.runtime.errors import StageError

log = logging.getLogger(__name__)

_FORMAT: Final = 3
_SHA256_BYTES: Final = 32
_FACTS: Final = "facts"
"""Name among the arrays of what is not compared: who computed which part, what it took."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """One shard's part of the result."""

    found: Found
    figures: Figures


class ShardStore:
    """Of one run and one way to analyse it.

    Args:
        bucket: Results bucket.
        run: The run.
        identity: What the results are functions of, besides the query units. JSON values.
    """

    def __init__(self, bucket: str, run: Run, identity: Mapping[str, Any]) -> None:
        self._bucket, self._run = bucket, run
        self._identity = first_writer.name_of({**identity, "format": _FORMAT})
        self._prefix = f"{run.shards_prefix}{self._identity}/"

    def profile(self) -> dict[str, Any] | None:
        """Arrays of the profile that a shard has stored; None where none has, or where the object
        is damaged.
        """
        return self._get("profile.npz")[0]

    def offer_profile(self, arrays: Arrays) -> dict[str, Any]:
        """Store the profile unless another shard has; what counts from now on.

        Raises StageError where another shard has stored one with other figures.
        """
        return self._offer("profile.npz", arrays)

    def part(self, queries: range) -> Part | None:
        """The part of some query units; None where it is not stored, or damaged."""
        arrays, _ = self._get(_name(queries))
        return None if arrays is None else _part(arrays)

    def parts(self, shards: Sequence[range]) -> list[Part] | None:
        """The parts of all shards; None where one is not there: its shard comes later, or another
        one has combined and cleared them.

        Raises StageError where one is damaged: its shard has ended, and only another launch
        computes it again.
        """
        there = set(s3.keys(self._bucket, self._prefix))
        if not all(self._prefix + _name(queries) in there for queries in shards):
            return None
        parts = []
        for queries in shards:
            arrays, etag = self._get(_name(queries))
            if arrays is None and etag is None:
                return None
            if arrays is None:
                raise StageError(
                    f"s3://{self._bucket}/{self._prefix}{_name(queries)}, a shard's part of the"
                    " result, is damaged (its sha256 differs)",
                    hint=(
                        "run the analysis again: the other parts are kept, and this one is computed"
                        " anew"
                    ),
                )
            parts.append(_part(arrays))
        return parts

    def offer_part(self, queries: range, part: Part) -> None:
        """Store this shard's part; an earlier attempt's stays if there is one.

        Raises StageError where that one has other rows or scores.
        """
        first = {f"first_{name}": value for name, value in vars(part.found.first).items()}
        facts = {"found": part.found.to_json(), "figures": part.figures.to_json()}
        answers = {name: as_bytes(value) for name, value in part.found.answers().items()}
        self._offer(_name(queries), {**first, **answers, _FACTS: as_bytes(facts)})

    def clear(self) -> None:
        """Delete all that is stored below the run's checkpoints, when the result of the table
        is.
        """
        s3.delete(self._bucket, s3.keys(self._bucket, self._run.checkpoints_prefix))

    def _get(self, name: str) -> tuple[dict[str, Any] | None, str | None]:
        """Arrays and ETag; no arrays where the object is damaged."""
        stored = s3.get_with_etag(self._bucket, self._prefix + name)
        if stored is None:
            return None, None
        data, etag = stored
        arrays = _opened(data)
        if arrays is None:
            log.warning(
                "%s%s is damaged (its sha256 differs); what it holds is computed again",
                self._prefix,
                name,
            )
        return arrays, etag

    def _offer(self, name: str, arrays: Arrays) -> dict[str, Any]:
        data = pack(arrays)
        stored = first_writer.offer(
            self._bucket,
            self._prefix + name,
            hashlib.sha256(data).digest() + data,
            identity=self._identity,
            meaning=_meaning,
        )
        return unpack(stored[_SHA256_BYTES:])


def _opened(data: bytes) -> dict[str, Any] | None:
    """The arrays of a stored object; None where it is damaged."""
    sealed = hashlib.sha256(data[_SHA256_BYTES:]).digest() == data[:_SHA256_BYTES]
    return unpack(data[_SHA256_BYTES:]) if sealed else None


def _meaning(data: bytes) -> str | None:
    arrays = _opened(data)
    if arrays is None:
        return None
    return digest({name: array for name, array in arrays.items() if name != _FACTS})


def _name(queries: range) -> str:
    return f"part-{queries.start:06}-{queries.stop:06}.npz"


def _part(arrays: Mapping[str, Any]) -> Part:
    facts = from_bytes(arrays[_FACTS])
    first = Top(**{field.name: arrays[f"first_{field.name}"] for field in fields(Top)})
    return Part(found=Found.from_json(facts["found"], first), figures=Figures(**facts["figures"]))
