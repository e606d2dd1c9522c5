"""One digest on every kernel: by running them, by libraries of other habits, and by reading the
source.
"""

from __future__ import annotations

import ast
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import workloads.analysis
from tests.workloads.analysis import portable
from tests.workloads.analysis.kernels import environments
from workloads.analysis.profile import compiled

ROOT = Path(__file__).parents[3]
PACKAGE = Path(workloads.analysis.__file__).parent
FOUND_BY_KERNELS = ("every kind", "small and large", "gaps")


def checked(environ: dict[str, str], threads: int, *tables: str) -> None:
    """The kept digests, in a process of its own."""
    named = [word for name in tables for word in ("--table", name)]
    ended = subprocess.run(
        [
            sys.executable,
            *("-m", "tests.workloads.analysis.portable", "--check"),
            *("--threads", str(threads), *named),
        ],
        env={**os.environ, "OPENBLAS_NUM_THREADS": str(threads), **environ},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, f"{environ}: {ended.stdout} {ended.stderr}"


@pytest.mark.timeout(600)  # a process for each kernel, on a machine that may be busy
def test_every_kernel_and_number_of_threads_gives_the_kept_digests():
    as_found, *others = environments().values()
    checked(as_found, 1)
    for index, environ in enumerate(others):
        checked(environ, 2 - index % 2, *FOUND_BY_KERNELS)


def test_a_digest_that_differs_is_named():
    kept = json.loads(portable.GOLDEN.read_text())
    assert list(kept) == list(portable.TABLES)
    assert portable.differences(kept, kept) == []
    other = {**kept, "gaps": {**kept["gaps"], "spectrum": "0", "new": "1"}}
    assert portable.differences(other, kept) == ["gaps: new", "gaps: spectrum"]
    assert portable.differences({"gaps": kept["gaps"]}, other) == ["gaps: new", "gaps: spectrum"]


def flipped(real: Callable[..., Any], rng: np.random.Generator) -> Callable[..., Any]:
    """The product with the last bits changed, as another order of additions might, unless all of
    its sums are exact in any order.
    """

    def product(left: Any, right: Any, out: Any = None, **_: object) -> Any:
        found = real(left, right)
        whole = np.array_equal(left, np.rint(left)) and np.array_equal(right, np.rint(right))
        largest = (
            float(np.abs(left).max(initial=0))
            * float(np.abs(right).max(initial=0))
            * left.shape[-1]
        )
        if not (whole and found.dtype == np.float64 and largest <= 2.0**53):
            steps = rng.integers(-1, 2, found.shape).astype(found.dtype)
            found = np.where(
                np.isfinite(found),
                found + steps * np.spacing(np.where(np.isfinite(found), np.abs(found), 0)),
                found,
            )
        if out is None:
            return found
        out[...] = found
        return out

    return product


def nudged(real: Callable[..., Any], rng: np.random.Generator) -> Callable[..., Any]:
    """A function whose results are off by a last bit now and then."""

    def function(*arguments: Any, **more: Any) -> Any:
        found = real(*arguments, **more)
        return found + rng.integers(-1, 2, np.shape(found)) * np.spacing(np.abs(found))

    return function


TRANSCENDENTAL = (
    *("exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "power", "sin", "cos", "tan"),
    *("arctan", "sinh", "tanh", "cbrt", "hypot"),
)


@pytest.mark.parametrize("name", ["every kind", "gaps", "near-duplicates"])
def test_libraries_with_other_last_bits_give_the_same_digests(name, monkeypatch):
    rng, calls = np.random.default_rng(0), []
    changed = flipped(np.matmul, rng)

    def counted(*arguments, **more):
        calls.append(arguments[0].dtype)
        return changed(*arguments, **more)

    # else it is their compiled code that multiplies slices
    monkeypatch.setattr(compiled, "passes", lambda: None)
    for product in ("matmul", "dot", "vecdot", "inner"):
        monkeypatch.setattr(np, product, counted)
    for function in TRANSCENDENTAL:
        monkeypatch.setattr(np, function, nudged(getattr(np, function), rng))
    for function in ("exp", "log", "log2", "log10", "log1p", "pow", "sin", "cos", "hypot", "cbrt"):
        monkeypatch.setattr(math, function, nudged(getattr(math, function), rng))
    for function in ("eigh", "eigvalsh", "svd", "inv", "solve", "cholesky", "norm", "qr"):
        monkeypatch.setattr(np.linalg, function, nudged(getattr(np.linalg, function), rng))
    kept = json.loads(portable.GOLDEN.read_text())[name]
    assert portable.digests(portable.TABLES[name](), 1) == kept
    assert {np.dtype(np.float32), np.dtype(np.float64)} <= set(calls), (
        "the filter's products and the co-moments' went through it"
    )


BANNED = {
    "matmul": "a matrix product",
    "dot": "a matrix product",
    "vdot": "a matrix product",
    "vecdot": "a matrix product",
    "inner": "a matrix product",
    "tensordot": "a matrix product",
    "einsum": "a matrix product",
    "linalg": "LAPACK",
    **dict.fromkeys((*TRANSCENDENTAL, "pow"), "a function of some library"),
    "interp": "a product that a compiler may fuse with a sum",
    **dict.fromkeys(
        ("sum", "mean", "std", "var", "cumsum", "nansum", "average", "trace", "cov", "corrcoef"),
        "additions in an order of the processor's",
    ),
}
FILTER = "the filter, whose bounds cover its rounding"
ALLOWED = {
    ("profile/joint.py", "matmul"): "products and sums of slices, which are exact",
    ("profile/joint.py", "@"): "the same on a GPU",
    ("profile/exact.py", "sum"): "counts",
    ("profile/exact.py", "cumsum"): "counts",
    ("profile/sketch.py", "cumsum"): "counts",
    ("profile/sketch.py", "sum"): "counts",
    ("profile/leaf_numpy.py", "sum"): "counts",
    ("profile/leaf_cupy.py", "sum"): "counts",
    ("profile/powers.py", "sum"): "whole numbers, whose sum is exact",
    ("profile/folds.py", "sum"): "whole numbers, whose sum is exact",
    ("profile/drift.py", "sum"): "counts",
    ("profile/drift.py", "cumsum"): "counts",
    ("knn/strip.py", "matmul"): FILTER,
    ("knn/strip.py", "sum"): "counts",
    ("knn/pairs_numpy.py", "matmul"): "measures the machine's limit",
    ("knn/pairs_numpy.py", "**"): "measures the machine's limit",
    ("knn/pairs_cupy.py", "matmul"): "measures the machine's limit",
    ("knn/pairs_cupy.py", "**"): "measures the machine's limit",
    ("knn/kernels_numpy.py", "@"): FILTER,
    ("knn/kernels_numpy.py", "sum"): "counts",
    ("knn/kernels_numpy.py", "cumsum"): "counts",
    ("knn/half_block.py", "sum"): FILTER,
    ("knn/search.py", "sum"): "counts",
    ("knn/search.py", "cumsum"): "counts",
    ("knn/full.py", "sum"): "counts",
    ("postprocess/charts.py", "cumsum"): "counts",
    ("postprocess/findings.py", "sum"): "counts",
    ("postprocess/findings.py", "cumsum"): "one after the other, as each is a result",
}


def uses(path: Path) -> Iterator[str]:
    """Names of functions that are called, and operators, whose last bits nothing fixes."""
    for node in ast.walk(ast.parse(path.read_text())):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in BANNED
        ):
            yield node.func.attr
        if isinstance(node, ast.Attribute) and node.attr == "linalg":
            yield node.attr
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
            yield "@"
        if (
            isinstance(node, ast.BinOp)
            and isinstance(node.op, ast.Pow)
            and not isinstance(node.left, ast.Constant)
        ):
            yield "**"


def test_no_function_whose_last_bits_differ_stands_between_data_and_what_is_told():
    found = set()
    folders = [PACKAGE / name for name in ("profile", "space", "knn")]
    for folder in (*folders, PACKAGE.with_name("postprocess")):
        for path in folder.rglob("*.py"):
            found |= {(f"{folder.name}/{path.name}", name) for name in uses(path)}
    new = sorted(
        f"{file}: {name} is {BANNED.get(name, 'not fixed by IEEE 754')}"
        for file, name in found - set(ALLOWED)
    )
    assert (new, sorted(set(ALLOWED) - found)) == ([], [])
