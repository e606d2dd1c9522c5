"""The digests of some tables' analysis in this process: what no kernel, thread count or library may
change.

`python -m tests.workloads.analysis.portable [--threads N] [--table NAME]` prints them as JSON; with
`--check` it compares them with those that are kept in digests.json, names what differs, and ends
with 1 where something does; with `--keep` it keeps them. It needs NumPy alone, so that any version
of Python and NumPy can be asked. The tables are made from raw random bits by operations that are
exact or correctly rounded: NumPy's distributions differ between its versions.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from workloads.analysis.arrays import digest
from workloads.analysis.knn.block import prepare
from workloads.analysis.knn.full import all_pairs, finish
from workloads.analysis.knn.pairs_numpy import NumpyPairs
from workloads.analysis.knn.top import top_rows
from workloads.analysis.profile.drift import drift
from workloads.analysis.profile.exact import PROBABILITIES, exact_quantiles
from workloads.analysis.profile.leaf_numpy import NumpyProfile
from workloads.analysis.profile.node import ProfileNode, merge
from workloads.analysis.profile.result import Profile
from workloads.analysis.profile.sketch import Sketch
from workloads.analysis.space.scaling import scaling
from workloads.analysis.space.space import METRICS, Space
from workloads.analysis.space.spectrum import spectrum
from workloads.analysis.tree import Forest, NodeId

Values = npt.NDArray[np.float64]

GOLDEN: Final = Path(__file__).with_name("digests.json")
UNIT_ROWS: Final = 9_000
"""More than the rows of a unit that is worked on in `Double`."""
SEARCHED, SEARCHED_UNIT_ROWS = 1_500, 600
"""Rows that are compared, the first ones."""


class Bits:
    """Random numbers that are functions of the seed alone."""

    def __init__(self, seed: int) -> None:
        self._bits = np.random.PCG64(seed)

    def uniform(self, *shape: int) -> Values:
        """In [0, 1), 53 bits each."""
        raw = self._bits.random_raw(int(np.prod(shape)))
        return np.ldexp((raw >> np.uint64(11)).astype(np.float64), -53).reshape(shape)

    def bell(self, *shape: int) -> Values:
        """Near normal, with mean 0 and variance 1: twelve uniform ones, added in a row."""
        total = np.full(shape, -6.0)
        for _ in range(12):
            total += self.uniform(*shape)
        return total

    def heavy(self, *shape: int) -> Values:
        """With tails in which even the mean has no limit."""
        return self.bell(*shape) / (self.uniform(*shape) + 2.0**-30)

    def whole(self, low: int, high: int, *shape: int) -> npt.NDArray[np.int64]:
        """Whole numbers from low on and below high."""
        return (self.uniform(*shape) * (high - low)).astype(np.int64) + low


def table(rows: int, columns: int) -> Values:
    """(columns, rows) of every kind that arithmetic could be unsure of: offsets, heavy tails, far
    apart sizes, near-duplicates, gaps.
    """
    bits = Bits(7)
    values = np.ldexp(bits.heavy(columns, rows), bits.whole(-30, 30, columns, 1))
    values[0] = 1e9 + bits.bell(rows)
    values[1] = np.ldexp(1.0 + bits.uniform(rows), bits.whole(-66, 63, rows))
    values[2] = values[0] + 1e-7 * bits.bell(rows)
    values[3, bits.uniform(rows) < 0.01] = np.nan
    values[:, 1::10] = values[:, ::10][:, : values[:, 1::10].shape[1]]
    return values


def _small() -> Values:
    """Numbers below the smallest normal one, zeros of both signs, and some that are as large as
    any.
    """
    bits = Bits(11)
    tiny = np.ldexp(bits.bell(3_000), -1060)
    zeros = np.where(bits.uniform(3_000) < 0.5, -0.0, 0.0)
    mixed = np.where(bits.uniform(3_000) < 0.1, tiny, zeros)
    return np.stack((tiny, zeros, mixed, np.ldexp(bits.bell(3_000), 1_000), bits.bell(3_000)))


def _gaps() -> Values:
    """Missing and infinite values, a constant column, and rows far out that are incomplete."""
    bits = Bits(13)
    values = bits.bell(6, 12_000)
    values[0, bits.uniform(12_000) < 0.3] = np.nan
    values[1, ::1_000], values[1, 1::1_000] = np.inf, -np.inf
    values[2] = 0.1
    values[5, np.isnan(values[0])] *= 1e15
    return values


def _empty() -> Values:
    """A column without a value, and one with a single value: no row is complete."""
    values = Bits(37).bell(3, 700)
    values[1], values[2, 1:] = np.nan, np.nan
    return values


TABLES: Final[dict[str, Callable[[], Values]]] = {
    "every kind": lambda: table(10_000, 7),
    "ordinary": lambda: Bits(3).bell(5, 20_000),
    "one unit of most rows": lambda: Bits(5).heavy(3, 70_000),
    "small and large": _small,
    "gaps": _gaps,
    "empty": _empty,
    "whole numbers": lambda: Bits(17).whole(0, 100, 4, 9_500).astype(np.float64),
    "near-duplicates": lambda: (
        Bits(19).bell(1, 4_000) + np.ldexp(Bits(23).bell(6, 4_000), np.arange(-52, 2, 9)[:, None])
    ),
    "one row": lambda: Bits(29).bell(4, 1),
    "two rows": lambda: Bits(31).bell(4, 2),
}
"""By name: (columns, rows)."""


def digests(values: Values, threads: int, unit_rows: int = UNIT_ROWS) -> dict[str, str]:
    """By name: of the profile, of what else is told of the columns, and for each metric of `full`
    and `top`.
    """
    units = [
        np.ascontiguousarray(values[:, start : start + unit_rows])
        for start in range(0, values.shape[1], unit_rows)
    ]
    forest = Forest(len(units), merge)
    first = Sketch.empty(len(values))
    for index, unit in enumerate(units):
        backend = NumpyProfile(threads)
        backend.begin_counting(len(values))
        moments = backend.unit(unit)
        node = ProfileNode(moments=moments, sketch=backend.counted())
        first = first if index else node.sketch
        forest.add(NodeId(0, index), node)
    root = forest.root()
    exact = exact_quantiles(root.sketch, PROBABILITIES, lambda: units, threads)
    profile = Profile(
        columns=tuple(f"c{place}" for place in range(len(values))),
        moments=root.moments,
        sketch=root.sketch,
    )
    return {
        "profile": profile.digest,
        "exact quantiles": digest(exact.arrays()),
        **{name: digest({name: array}) for name, array in _figures(profile, first)},
        **dict(_searched(profile, values, threads)),
    }


def _figures(profile: Profile, first: Sketch) -> Iterator[tuple[str, npt.NDArray[np.float64]]]:
    names = ("mean", "sd", "skewness", "kurtosis", "autocorrelation", "correlation", "complete_sd")
    for name in names:
        yield name, getattr(profile, name)
    yield "quantiles", profile.quantiles((0.01, 0.25, 0.5, 0.75, 0.99)).values
    yield "spectrum", spectrum(profile, scaling(profile)).values
    found = [drift(first, place, profile.sketch, place) for place in range(len(profile.columns))]
    yield "drift", np.array([list(vars(one).values()) for one in found])


def _searched(profile: Profile, values: Values, threads: int) -> Iterator[tuple[str, str]]:
    rows = min(SEARCHED, values.shape[1])
    for metric in METRICS:
        for name in ("robust", "standard"):
            chosen = scaling(profile, "robust" if name == "robust" else "standard")
            space = Space.of(profile, chosen, metric)
            blocks = {
                index: (
                    prepare(
                        space,
                        start,
                        np.ascontiguousarray(
                            values[:, start : min(start + SEARCHED_UNIT_ROWS, rows)]
                        ),
                    ).block
                )
                for index, start in enumerate(range(0, rows, SEARCHED_UNIT_ROWS))
            }
            scores = finish(all_pairs(NumpyPairs(threads), blocks, units=len(blocks), k=5))
            yield (
                f"full {metric} {name}",
                digest({"scores": scores.scores, "neighbours": scores.kth_ids}),
            )
            top, _ = top_rows(NumpyPairs(threads), blocks, count=20, k=5)
            yield (
                f"top {metric} {name}",
                digest({"rows": top.ids, "scores": top.scores, "neighbours": top.kth_ids}),
            )


def differences(found: dict[str, dict[str, str]], kept: dict[str, dict[str, str]]) -> list[str]:
    """`table: name` of each digest of a table found that is another one, or stands on one side
    alone.
    """
    return [
        f"{name}: {one}"
        for name in found
        for one in sorted(found[name].keys() | kept.get(name, {}).keys())
        if found[name].get(one) != kept.get(name, {}).get(one)
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--table", choices=TABLES, action="append")
    what = parser.add_mutually_exclusive_group()
    for flag in ("--check", "--keep"):
        what.add_argument(flag, action="store_true")
    options = parser.parse_args()
    found = {
        name: digests(TABLES[name](), options.threads) for name in options.table or list(TABLES)
    }
    if options.check:
        differing = differences(found, json.loads(GOLDEN.read_text()))
        sys.stdout.write(
            f"Python {platform.python_version()}, NumPy {np.__version__}: {len(found)} tables, "
            f"{'; '.join(differing) + ' differ' if differing else 'all digests are the kept ones'}\n"
        )
        return 1 if differing else 0
    text = json.dumps(found, indent=1) + "\n"
    if options.keep:
        GOLDEN.write_text(text)
    else:
        sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
