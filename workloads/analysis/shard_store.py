"""What the shards of an array job leave for one another in S3: the profile, and each shard's part of the result.

Objects have keys of what they are a function of (table, parameters, code, query units), never of the job or the machine. So a shard that
is run again, in this launch or in a later one of the same run, takes what is there. The first to write an object wins, and all others take
it as it is: whichever shard combines the parts, it combines the same ones. Each object begins with the sha256 of the rest.

S3 is strongly consistent: of the shards that list the parts after they have written their own, the last one sees all of them.
"""

from __future__ import annotations

import hashlib
import json
import logging
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from workloads.analysis.anomaly.top import Top
from workloads.analysis.arrays import digest, pack, unpack
from workloads.analysis.checkpoint.store import Arrays, as_bytes, from_bytes
from workloads.analysis.figures import Figures
from workloads.analysis.found import Found
from workloads.contract import Run
from workloads.runtime import s3
from workloads.runtime.errors import StageError

log = logging.getLogger(__name__)

_FORMAT: Final = 2
_SHA256_BYTES: Final = 32
_WRITER: Final = "writer"
"""Of the stored profile's arrays, the machine that it is from."""
_CPUINFO: Final = Path("/proc/cpuinfo")


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
        text = json.dumps({**identity, "format": _FORMAT}, sort_keys=True)
        self._bucket, self._run = bucket, run
        self._prefix = f"{run.shards_prefix}{hashlib.sha256(text.encode()).hexdigest()[:16]}/"

    def profile(self) -> dict[str, Any] | None:
        """Arrays of the profile that a shard has stored; None where none has, or where the object is damaged."""
        found = self._get("profile.npz")[0]
        return None if found is None else _without_writer(found)

    def offer_profile(self, arrays: Arrays) -> dict[str, Any]:
        """Store the profile unless another shard has; what counts from now on.

        Raises StageError where another shard has stored one with other figures: one of the two machines does not compute as IEEE 754 says.
        """
        found = self._offer("profile.npz", {**arrays, _WRITER: as_bytes(this_machine())})
        mine, theirs = (
            digest({name: some[name] for name in arrays if name != "facts"})
            for some in (arrays, found)
        )
        if mine != theirs:
            raise StageError(
                f"{self._prefix}profile.npz is another profile of the same table: {from_bytes(found[_WRITER])} found {theirs[:12]}, and"
                f" {this_machine()} found {mine[:12]}",
                hint="results do not depend on the machine, so one of the two computes wrongly: take it out, and run the analysis again",
            )
        return _without_writer(found)

    def part(self, queries: range) -> Part | None:
        """The part of some query units; None where it is not stored, or damaged."""
        arrays, _ = self._get(_name(queries))
        return None if arrays is None else _part(arrays)

    def parts(self, shards: Sequence[range]) -> list[Part] | None:
        """The parts of all shards; None where one is not there: its shard comes later, or another one has combined and cleared them.

        Raises StageError where one is damaged: its shard has ended, and only another launch computes it again.
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
                    f"s3://{self._bucket}/{self._prefix}{_name(queries)}, a shard's part of the result, is damaged (its sha256 differs)",
                    hint="run the analysis again: the other parts are kept, and this one is computed anew",
                )
            parts.append(_part(arrays))
        return parts

    def offer_part(self, queries: range, part: Part) -> None:
        """Store this shard's part; an earlier attempt's stays if there is one."""
        first = {f"first_{name}": value for name, value in vars(part.found.first).items()}
        facts = {"found": part.found.to_json(), "figures": part.figures.to_json()}
        self._offer(_name(queries), {**first, "facts": as_bytes(facts)})

    def clear(self) -> None:
        """Delete all that is stored below the run's checkpoints, when the result of the table is."""
        s3.delete(self._bucket, s3.keys(self._bucket, self._run.checkpoints_prefix))

    def _get(self, name: str) -> tuple[dict[str, Any] | None, str | None]:
        """Arrays and ETag; no arrays where the object is damaged."""
        stored = s3.get_with_etag(self._bucket, self._prefix + name)
        if stored is None:
            return None, None
        data, etag = stored
        if hashlib.sha256(data[_SHA256_BYTES:]).digest() != data[:_SHA256_BYTES]:
            log.warning(
                "%s%s is damaged (its sha256 differs); what it holds is computed again",
                self._prefix,
                name,
            )
            return None, etag
        return unpack(data[_SHA256_BYTES:]), etag

    def _offer(self, name: str, arrays: Arrays) -> dict[str, Any]:
        data = pack(arrays)
        sealed = hashlib.sha256(data).digest() + data
        while True:
            found, etag = self._get(name)
            if found is not None:
                return found
            try:
                s3.put_if_unchanged(self._bucket, self._prefix + name, sealed, etag=etag)
            except s3.ConflictError:
                continue
            return dict(arrays)


def this_machine() -> str:
    """Host name and processor, for people."""
    lines = _CPUINFO.read_text().splitlines() if _CPUINFO.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{platform.node()} ({models[0] if models else platform.machine()})"


def _without_writer(found: Arrays) -> dict[str, Any]:
    return {name: array for name, array in found.items() if name != _WRITER}


def _name(queries: range) -> str:
    return f"part-{queries.start:06}-{queries.stop:06}.npz"


def _part(arrays: Mapping[str, Any]) -> Part:
    facts = from_bytes(arrays["facts"])
    first = Top(**{field.name: arrays[f"first_{field.name}"] for field in fields(Top)})
    return Part(found=Found.from_json(facts["found"], first), figures=Figures(**facts["figures"]))
