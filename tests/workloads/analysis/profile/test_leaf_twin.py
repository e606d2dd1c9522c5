"""The GPU's leaf gives the host's bits: its expressions run on NumPy arrays here. What counts for
the sketch is a kernel, which has a twin test of its own.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from workloads.analysis.profile import compiled
from workloads.analysis.profile.leaf_numpy import NumpyProfile

_LEAF = "workloads.analysis.profile.leaf_cupy"
_ROWS = 20_000


class _NoKernel:
    def __init__(self, *_: object, **__: object) -> None: ...

    def __call__(self, *_: object) -> None: ...


@pytest.fixture
def cupy_profile(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    stand_in = ModuleType("cupy")
    for name in dir(np):
        if not name.startswith("__"):
            setattr(stand_in, name, getattr(np, name))
    stand_in.asnumpy = np.asarray  # type: ignore[attr-defined]
    stand_in.RawKernel = _NoKernel  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "cupy", stand_in)
    monkeypatch.setattr(compiled, "passes", lambda: None)  # a GPU has none
    monkeypatch.delitem(sys.modules, _LEAF, raising=False)
    yield importlib.import_module(_LEAF).CupyProfile
    sys.modules.pop(_LEAF, None)


def _table(name: str) -> npt.NDArray[np.float64]:
    rng = np.random.default_rng(0)
    table = rng.standard_normal((6, _ROWS))
    match name:
        case "one row far away":
            table[2, 5] = 1e6
        case "gaps":
            table[rng.random(table.shape) < 0.02] = np.nan
        case "an infinite value":
            table[0, 3] = np.inf
        case "few rows":
            table = table[:, :3_000]
        case "constants":
            table[2:4] = [[0.0], [3.5]]
        case "tails":
            table = rng.standard_cauchy(table.shape)
        case "more than a block":
            table = np.tile(table, 4) + 1e9
    return table


@pytest.mark.parametrize("compared", [None, np.array([0, 3])], ids=["all", "some"])
@pytest.mark.parametrize(
    "name",
    [
        "ordinary",
        "one row far away",
        "gaps",
        "an infinite value",
        "few rows",
        "constants",
        "tails",
        "more than a block",
    ],
)
def test_both_leaves_give_the_same_bits(
    cupy_profile: Any, name: str, compared: npt.NDArray[np.int64] | None
) -> None:
    table = _table(name)
    found = []
    for leaf in (NumpyProfile(2), cupy_profile()):
        leaf.begin_counting(len(table))
        found.append(leaf.unit(table, compared=compared).arrays())
    host, device = found
    for field, array in host.items():
        np.testing.assert_array_equal(array, device[field], err_msg=field)
