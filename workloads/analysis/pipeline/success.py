"""`_SUCCESS.json`: the record of a finished analysis.

It loads no library for arrays: the launcher reads it too, and would take a quarter of a second of a
processor longer for them.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Self

from workloads.analysis.outliers.record import AnomalyRecord, Stored
from workloads.contract import ContractError
from workloads.reading import record


@dataclass(frozen=True, kw_only=True)
class Partial:
    """One stored tree node."""

    level: int
    index: int
    name: str
    """Key below `Run.partials_prefix`."""
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Success:
    """`_SUCCESS.json`: what was computed from which table, and at what cost."""

    run_id: str
    manifest_sha256: str
    """SHA-256 of the manifest's bytes: the identity of the table."""
    digest: str
    """Digest of the result, see `anomaly_result.combined_digest`: Profile.digest of the merged
    partial results, and the anomalies' where they were looked for.
    """
    columns: tuple[str, ...]
    compared: tuple[int, ...]
    """Places among these of the columns that rows may be compared by."""
    partials: tuple[Partial, ...]
    unit_rows: int
    units: int
    rows: int
    complete_rows: int
    ranks: int
    nodes: int
    backend: str
    precision: str
    """Precision of moments and co-moments."""
    seconds: dict[str, float]
    """Stage -> seconds; the slowest rank where ranks differ."""
    bytes_read: int
    peak_memory_bytes: int
    """Largest resident size of any rank."""
    code_version: str
    quantiles: Stored | None = None
    """Exact quantiles; None where they were not asked for."""
    anomaly: AnomalyRecord | None = None
    """Record of the search, None where the mode is `off`."""
    bytes_moved: dict[str, int] = field(default_factory=dict)
    """Stage -> bytes, all ranks together."""
    percent_of_limit: dict[str, float] = field(default_factory=dict)
    """Stage -> what it reached of a limit that was measured in the same run; stages without such a
    limit are left out.
    """
    peak_device_bytes: int = 0
    exchange: dict[str, str] = field(default_factory=dict)
    """How ranks handed rows to one another: `used`, `asked`, and where these differ `refused`,
    which says why.
    """
    plan: dict[str, dict[str, float | None]] = field(default_factory=dict)
    """Mode -> what was predicted before it began: see `plan.ModePlan`."""
    checkpoint: dict[str, float] = field(default_factory=dict)
    """What the checkpoints of this attempt cost: count, seconds, bytes; and how many objects of an
    earlier one were found.
    """
    shard_seconds: tuple[float, ...] = ()
    """Seconds of each shard of an array job up to its part of the result; `ranks`, `nodes` and what
    adds up are of all shards.
    """
    launch: str = ""
    """Batch job that computed it; of an array job the parent."""

    def to_json(self) -> bytes:
        """The object's bytes."""
        return json.dumps(asdict(self), indent=1, sort_keys=True).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """What to_json wrote. Raises ContractError where it is something else."""
        return record(cls, data, what="_SUCCESS.json", again="run the analysis stage again")


def launched(data: bytes, launch: str) -> Success | None:
    """The record, if it is that of a launch (see `BatchEnv.launch`); None where it is an earlier
    one's, which may be of another version.
    """
    try:
        success = Success.from_json(data)
    except ContractError:
        return None
    return success if success.launch == launch else None


def digest_of(data: bytes) -> str | None:
    """The digest that a record names; None where it is damaged or of another version."""
    try:
        return Success.from_json(data).digest
    except ContractError:
        return None
