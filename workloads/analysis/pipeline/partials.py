"""The objects that an analysis leaves behind, and how a reader makes sure that they belong
together.

Partial results are tree nodes, named by the data they cover and by their content. `_SUCCESS.json`
is written last: it names the nodes that make up the whole table, with the sha256 of each, and the
digest of the merged profile. Nodes of an earlier run with another number of ranks may lie beside
them and do no harm, since they are not named.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Self

import numpy as np

from workloads.analysis.arrays import pack, unpack
from workloads.analysis.outliers.result import AnomalyRecord, Stored, checked, combined_digest
from workloads.analysis.profile import node as nodes
from workloads.analysis.profile.exact import ExactQuantiles
from workloads.analysis.profile.node import ProfileNode
from workloads.analysis.profile.result import Profile
from workloads.analysis.tree import Forest, NodeId
from workloads.contract import ContractError, Run
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
class Profiled:
    """The outcome of the profile on rank 0."""

    profile: Profile
    partials: tuple[Partial, ...]
    """The stored nodes that make it up."""
    quantiles: Stored | None = None
    """The stored exact quantiles, where they were asked for."""


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


def encode(node: NodeId, value: ProfileNode) -> tuple[Partial, bytes]:
    """A node's entry in `_SUCCESS.json` and the bytes of its object."""
    data = pack(value.arrays())
    sha256 = hashlib.sha256(data).hexdigest()
    return (
        Partial(
            level=node.level, index=node.index, name=nodes.object_name(node, sha256), sha256=sha256
        ),
        data,
    )


def encode_quantiles(exact: ExactQuantiles) -> tuple[Stored, bytes]:
    """The entry of exact quantiles and the bytes of their object, which is named by its content."""
    data = pack(exact.arrays())
    sha256 = hashlib.sha256(data).hexdigest()
    return Stored(name=f"profile/quantiles-{sha256[:16]}.npz", sha256=sha256), data


def load_success(get_bytes: Callable[[str], bytes], run: Run, manifest_sha256: str) -> Success:
    """The record of a finished analysis of this very table.

    Args:
        get_bytes: Reads an object of the results bucket by its key.
        run: The run.
        manifest_sha256: Of the bytes of the manifest that the reader goes by.

    Raises:
        ContractError: The record is of another version or of another table.
    """
    success = Success.from_json(get_bytes(run.success_key))
    if success.manifest_sha256 != manifest_sha256:
        raise ContractError(
            f"{run.success_key} is about the table with manifest {success.manifest_sha256[:12]},"
            f" but the manifest is now {manifest_sha256[:12]}; run the analysis stage again"
        )
    return success


def load_profile(get_bytes: Callable[[str], bytes], run: Run, manifest_sha256: str) -> Profile:
    """Merge the partial results of a run.

    Args:
        get_bytes: Reads an object of the results bucket by its key.
        run: The run.
        manifest_sha256: Of the bytes of the manifest that the reader goes by.

    Raises:
        ContractError: The analysis was of another table, a partial result is damaged, or the merged
            profile has not the digest that the analysis found.
    """
    success = load_success(get_bytes, run, manifest_sha256)
    forest = Forest(success.units, nodes.merge)
    exact = None
    for stored in (*success.partials, success.quantiles):
        if stored is None:
            continue
        key = run.partials_prefix + stored.name
        data = checked(get_bytes, key, stored.sha256)
        try:
            if isinstance(stored, Partial):
                forest.add(
                    NodeId(stored.level, stored.index), ProfileNode.from_arrays(unpack(data))
                )
            else:
                exact = ExactQuantiles.from_arrays(unpack(data))
        except ValueError as error:
            raise ContractError(f"{key}: {error}; run the analysis stage again") from error
    try:
        root = (
            forest.root()
            if success.units
            else ProfileNode.empty(len(success.columns), np.array(success.compared, np.int64))
        )
    except ValueError as error:
        raise ContractError(
            f"{run.success_key} does not name the whole table: {error}; run the analysis stage"
            " again"
        ) from error
    profile = Profile(
        columns=success.columns, moments=root.moments, sketch=root.sketch, exact=exact
    )
    digest = combined_digest(profile.digest, success.anomaly)
    if digest != success.digest:
        raise ContractError(
            f"the partial results of {run.run_id} merge to digest {digest[:12]}, but the analysis"
            f" found {success.digest[:12]}; run the analysis stage again"
        )
    return profile
