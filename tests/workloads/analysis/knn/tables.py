"""Rows for the search, and the plain float64 answer."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from workloads.analysis.knn.block import Block
from workloads.analysis.knn.full import Scores, all_pairs, finish
from workloads.analysis.knn.pairs_numpy import NumpyPairs


def blocks(rows: npt.NDArray[np.float64], unit_rows: int) -> dict[int, Block]:
    starts = range(0, len(rows), unit_rows)
    return {
        unit: Block(
            ids=np.arange(start, min(start + unit_rows, len(rows))),
            rows=np.ascontiguousarray(rows[start : start + unit_rows]),
        )
        for unit, start in enumerate(starts)
    }


def full(
    rows: npt.NDArray[np.float64], k: int = 10, unit_rows: int = 1 << 16, threads: int = 1
) -> Scores:
    table = blocks(rows, unit_rows)
    return finish(all_pairs(NumpyPairs(threads), table, units=len(table), k=k))


def plain(
    rows: npt.NDArray[np.float64], k: int, some: npt.NDArray[np.intp] | None = None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Distance and id of the k-th neighbour by the definition, in float64."""
    wide = rows.astype(np.float64)
    chosen = np.arange(len(rows)) if some is None else some
    scores, ids = np.full(chosen.size, np.inf), np.full(chosen.size, -1)
    for place, row in enumerate(chosen):
        squares = np.square(wide - wide[row]).sum(axis=1)
        order = np.lexsort((np.arange(len(rows)), squares))
        order = order[order != row]
        if order.size >= k:
            scores[place], ids[place] = np.sqrt(squares[order[k - 1]]), order[k - 1]
    return scores, ids


def generated(name: str, n: int, d: int, seed: int) -> npt.NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    match name:
        case "clustered":
            centres = rng.standard_normal((12, d)) * 5
            rows = centres[rng.integers(12, size=n)] + rng.standard_normal((n, d))
            rows[rng.integers(n, size=n // 50)] *= 3
        case "heavy tails":
            rows = rng.standard_t(2, (n, d))
        case "uniform":
            rows = rng.random((n, d))
        case "duplicates":
            rows = rng.integers(0, 3, (n, d)).astype(np.float64)
        case "equal rows":
            rows = np.ones((n, d))
        case "far rows":  # beyond what float32 can square
            rows = np.where(rng.random((n, d)) < 2e-3, 1e30, rng.standard_normal((n, d)))
        case "tiny":  # squares underflow float32
            rows = rng.standard_normal((n, d)) * 1e-30
        case "huge":
            rows = rng.standard_normal((n, d)) * 1e30
        case "offset":
            rows = rng.standard_normal((n, d)) + 1e6
        case _:
            raise AssertionError(name)
    return rows.astype(np.float64)


GENERATORS = (
    "clustered",
    "heavy tails",
    "uniform",
    "duplicates",
    "equal rows",
    "far rows",
    "tiny",
    "huge",
    "offset",
)
