"""The digests of one table's analysis in this process: what no kernel, thread count or library may change.

`python -m tests.workloads.analysis.portable ROWS COLUMNS THREADS` prints them as JSON.
"""

from __future__ import annotations

import json
import sys

import numpy as np
import numpy.typing as npt

from workloads.analysis.anomaly.block import prepare
from workloads.analysis.anomaly.full import all_pairs, finish
from workloads.analysis.anomaly.pairs_numpy import NumpyPairs
from workloads.analysis.anomaly.top import top_rows
from workloads.analysis.arrays import digest
from workloads.analysis.profile.leaf_numpy import NumpyProfile
from workloads.analysis.profile.node import ProfileNode, merge
from workloads.analysis.profile.result import Profile
from workloads.analysis.rotate.scaling import scaling
from workloads.analysis.rotate.space import METRICS, Space
from workloads.analysis.tree import Forest, NodeId

UNIT_ROWS = 9_000
"""More than the rows of a unit that is worked on in `Double`."""
SEARCHED, SEARCHED_UNIT_ROWS = 1_500, 600
"""Rows that are compared, the first ones."""


def table(rows: int, columns: int) -> npt.NDArray[np.float64]:
    """(columns, rows) of every kind that arithmetic could be unsure of: offsets, heavy tails, far apart sizes, near-duplicates, gaps."""
    rng = np.random.default_rng(7)
    values = np.ldexp(rng.standard_t(3, (columns, rows)), rng.integers(-30, 30, (columns, 1)))
    values[0] += 1e9
    values[1] = np.ldexp(
        1.0 + rng.random(rows), rng.integers(-66, 63, rows)
    )  # powers of ten would differ between NumPy's kernels
    values[2] = values[0] + 1e-7 * rng.standard_normal(rows)
    values[3, rng.random(rows) < 0.01] = np.nan
    values[:, 1::10] = values[:, ::10][:, : values[:, 1::10].shape[1]]
    return values


def digests(values: npt.NDArray[np.float64], threads: int) -> dict[str, str]:
    """By name: of the profile, of its figures, and for each metric of `full` and `top`."""
    units = [
        np.ascontiguousarray(values[:, start : start + UNIT_ROWS])
        for start in range(0, values.shape[1], UNIT_ROWS)
    ]
    forest = Forest(len(units), merge)
    for index, unit in enumerate(units):
        backend = NumpyProfile(threads)
        backend.begin_counting(len(values))
        moments = backend.unit(unit)
        forest.add(NodeId(0, index), ProfileNode(moments=moments, sketch=backend.counted()))
    root = forest.root()
    profile = Profile(
        columns=tuple(f"c{place}" for place in range(len(values))),
        moments=root.moments,
        sketch=root.sketch,
    )
    figures = {
        name: getattr(profile, name)
        for name in ("mean", "sd", "skewness", "kurtosis", "correlation", "complete_sd")
    }
    found = {"profile": profile.digest, "figures": digest(figures)}
    for metric in METRICS:
        for name in ("robust", "standard"):
            space = Space.of(
                profile, scaling(profile, "robust" if name == "robust" else "standard"), metric
            )
            starts = range(0, SEARCHED, SEARCHED_UNIT_ROWS)
            parts = {
                start: np.ascontiguousarray(
                    values[:, start : min(start + SEARCHED_UNIT_ROWS, SEARCHED)]
                )
                for start in starts
            }
            blocks = {
                index: prepare(space, start, part).block
                for index, (start, part) in enumerate(parts.items())
            }
            scores = finish(all_pairs(NumpyPairs(threads), blocks, units=len(blocks), k=5))
            found[f"full {metric} {name}"] = digest(
                {"scores": scores.scores, "neighbours": scores.kth_ids}
            )
            top, _ = top_rows(NumpyPairs(threads), blocks, count=20, k=5)
            found[f"top {metric} {name}"] = digest(
                {"rows": top.ids, "scores": top.scores, "neighbours": top.kth_ids}
            )
    return found


if __name__ == "__main__":
    rows, columns, threads = (int(text) for text in sys.argv[1:])
    sys.stdout.write(json.dumps(digests(table(rows, columns), threads)))
