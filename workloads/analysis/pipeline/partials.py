"""The objects that an analysis leaves behind, and how a reader makes sure that they belong
together.

Partial results are tree nodes, named by the data they cover and by their content. `_SUCCESS.json`
is written last: it names the nodes that make up the whole table, with the sha256 of each, and the
digest of the merged profile. Nodes of an earlier run with another number of ranks may lie beside
them and do no harm, since they are not named.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from workloads.analysis.arrays import pack, unpack
from workloads.analysis.outliers.record import Stored
from workloads.analysis.outliers.result import checked, combined_digest
from workloads.analysis.pipeline.success import Partial, Success
from workloads.analysis.profile import node as nodes
from workloads.analysis.profile.exact import ExactQuantiles
from workloads.analysis.profile.node import ProfileNode
from workloads.analysis.profile.result import Profile
from workloads.analysis.tree import Forest, NodeId
from workloads.contract import ContractError, Run


@dataclass(frozen=True, kw_only=True)
class Profiled:
    """The outcome of the profile on rank 0."""

    profile: Profile
    partials: tuple[Partial, ...]
    """The stored nodes that make it up."""
    quantiles: Stored | None = None
    """The stored exact quantiles, where they were asked for."""


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
