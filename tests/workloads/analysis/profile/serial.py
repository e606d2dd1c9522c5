"""The profile of a table in memory, by the same leaves and the same tree as the ranks, in one
process.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from workloads.analysis.profile import node as nodes
from workloads.analysis.profile.leaf_numpy import NumpyProfile
from workloads.analysis.profile.node import ProfileNode
from workloads.analysis.profile.result import Profile
from workloads.analysis.tree import Forest, NodeId

Values = npt.NDArray[np.float64]


def leaf(values: Values, threads: int = 1) -> ProfileNode:
    backend = NumpyProfile(threads)
    backend.begin_counting(values.shape[0])
    moments = backend.unit(values)
    return ProfileNode(moments=moments, sketch=backend.counted())


def units_of(values: Values, unit_rows: int) -> list[Values]:
    return [
        np.ascontiguousarray(values[:, start : start + unit_rows])
        for start in range(0, values.shape[1], unit_rows)
    ]


def profile_of(values: Values, unit_rows: int) -> Profile:
    units = units_of(values, unit_rows)
    forest = Forest(len(units), nodes.merge)
    for index, unit in enumerate(units):
        forest.add(NodeId(0, index), leaf(unit))
    root = forest.root()
    return Profile(
        columns=tuple(f"c{index}" for index in range(values.shape[0])),
        moments=root.moments,
        sketch=root.sketch,
    )
