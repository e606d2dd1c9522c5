"""One digest on every kernel: by running them, by a matrix library of other habits, and by reading the source."""

from __future__ import annotations

import ast
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import workloads.analysis
from tests.workloads.analysis import portable
from tests.workloads.analysis.kernels import environments
from tests.workloads.analysis.profile.serial import profile_of

ROOT = Path(__file__).parents[3]
PACKAGE = Path(workloads.analysis.__file__).parent
ROWS, COLUMNS = 10_000, 7


def printed(environ: dict[str, str], threads: int) -> dict[str, str]:
    ended = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.workloads.analysis.portable",
            str(ROWS),
            str(COLUMNS),
            str(threads),
        ],
        env={**os.environ, "OPENBLAS_NUM_THREADS": str(threads), **environ},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    found: dict[str, str] = json.loads(ended.stdout)
    return found


@pytest.mark.timeout(600)  # a process for each kernel, on a machine that may be busy
def test_every_kernel_and_number_of_threads_gives_one_digest():
    found = {
        name: printed(environ, 1 + index % 2)
        for index, (name, environ) in enumerate(environments().items())
    }
    expected = found["as found"]
    assert len(expected) == 2 + 3 * 2 * 2
    for name, digests in found.items():
        assert digests == expected, name


def flipped(real: Callable[..., Any], rng: np.random.Generator) -> Callable[..., Any]:
    """The product with the last bits changed, as another order of additions might, unless all of its sums are exact in any order."""

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


def test_a_matrix_library_with_other_last_bits_gives_the_same_digests(monkeypatch):
    values = portable.table(ROWS, COLUMNS)
    expected = portable.digests(values, 1)
    calls = []
    changed = flipped(np.matmul, np.random.default_rng(0))

    def counted(*arguments, **more):
        calls.append(arguments[0].dtype)
        return changed(*arguments, **more)

    for name in ("matmul", "dot", "vecdot", "inner"):
        monkeypatch.setattr(np, name, counted)
    assert portable.digests(values, 1) == expected
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
    **dict.fromkeys(
        ("exp", "log", "log2", "log10", "log1p", "power", "cbrt", "hypot"),
        "a function of some library",
    ),
    **dict.fromkeys(
        ("sum", "mean", "std", "var", "cumsum", "nansum", "average"),
        "additions in an order of the processor's",
    ),
}
FILTER = "the filter, whose bounds cover its rounding"
ALLOWED = {
    ("profile/joint.py", "matmul"): "products of slices, which are exact",
    ("profile/joint.py", "@"): "the same on a GPU",
    ("profile/joint.py", "sum"): "sums of slices, which are exact, and of int64",
    ("profile/exact.py", "sum"): "counts",
    ("profile/exact.py", "cumsum"): "counts",
    ("profile/sketch.py", "cumsum"): "counts",
    ("profile/leaf_numpy.py", "sum"): "counts",
    ("profile/leaf_cupy.py", "sum"): "counts",
    ("profile/drift.py", "sum"): "not in the digest",
    ("profile/drift.py", "cumsum"): "counts",
    ("profile/drift.py", "log"): "not in the digest",
    ("profile/drift.py", "@"): "not in the digest",
    (
        "rotate/spectrum.py",
        "linalg",
    ): "for people: not in the digest, and no distance comes from it",
    ("anomaly/strip.py", "matmul"): FILTER,
    ("anomaly/strip.py", "sum"): "counts",
    ("anomaly/pairs_numpy.py", "matmul"): "measures the machine's limit",
    ("anomaly/pairs_numpy.py", "**"): "measures the machine's limit",
    ("anomaly/pairs_cupy.py", "matmul"): "measures the machine's limit",
    ("anomaly/pairs_cupy.py", "**"): "measures the machine's limit",
    ("anomaly/kernels_numpy.py", "@"): FILTER,
    ("anomaly/kernels_numpy.py", "sum"): "counts",
    ("anomaly/kernels_numpy.py", "cumsum"): "counts",
    ("anomaly/half_block.py", "sum"): FILTER,
    ("anomaly/search.py", "sum"): "counts",
    ("anomaly/search.py", "cumsum"): "counts",
    ("anomaly/full.py", "sum"): "counts",
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


def test_no_function_whose_last_bits_differ_stands_between_data_and_digest():
    found = set()
    for folder in ("profile", "rotate", "anomaly"):
        for path in (PACKAGE / folder).rglob("*.py"):
            found |= {(str(path.relative_to(PACKAGE)), name) for name in uses(path)}
    new = sorted(
        f"{file}: {name} is {BANNED.get(name, 'not fixed by IEEE 754')}"
        for file, name in found - set(ALLOWED)
    )
    assert (new, sorted(set(ALLOWED) - found)) == ([], [])


@dataclass(frozen=True)
class Truth:
    """With 80 digits."""

    figures: dict[str, Decimal]
    centred: list[Decimal]


def exact(column: np.ndarray) -> Truth:
    values = [Decimal(value) for value in column.tolist()]
    n = len(values)
    mean = sum(values, Decimal(0)) / n
    y = [value - mean for value in values]
    m2, m3, m4 = (sum((one**power for one in y), Decimal(0)) for power in (2, 3, 4))
    skewness, kurtosis = Decimal(n).sqrt() * m3 / (m2 * m2.sqrt()), n * m4 / (m2 * m2) - 3
    return Truth(
        {"mean": mean, "sd": (m2 / (n - 1)).sqrt(), "skewness": skewness, "kurtosis": kurtosis}, y
    )


def two_passes(column: np.ndarray) -> tuple[float, float, float, float]:
    n, mean = column.size, column.mean()
    y = column - mean
    m2 = (y * y).sum()
    return (
        mean,
        math.sqrt(m2 / (n - 1)),
        math.sqrt(n) * (y**3).sum() / m2**1.5,
        n * (y**4).sum() / m2**2 - 3,
    )


def _near_duplicates(rng: np.random.Generator) -> np.ndarray:
    x = rng.standard_normal(1_000)
    return np.stack(
        [
            x,
            x + 1e-9 * rng.standard_normal(1_000),
            x * (1 + 1e-12),
            x + 1e-5 * rng.standard_normal(1_000),
        ]
    )


AWKWARD: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "normal": lambda rng: rng.standard_normal((4, 1_000)),
    "offset 1e9": lambda rng: 1e9 + rng.standard_normal((4, 1_000)),
    "1e-20 to 1e19": lambda rng: 10.0 ** rng.uniform(-20, 19, (4, 1_000)),
    "near-duplicate columns": _near_duplicates,
    "heavy tails": lambda rng: rng.lognormal(0, 4, (4, 1_000)),
}


@pytest.mark.parametrize("unit_rows", [1_000, 170])
@pytest.mark.parametrize("name", AWKWARD)
def test_errors_are_below_those_of_two_passes_in_float64(name, unit_rows):
    values = AWKWARD[name](np.random.default_rng(3))
    profile = profile_of(values, unit_rows)
    with localcontext() as context:
        context.prec = 80
        truth = [exact(column) for column in values]
        peers = [two_passes(column) for column in values]
        for at, figure in enumerate(truth[0].figures):
            true = [one.figures[figure] for one in truth]
            ours = worst(getattr(profile, figure), true)
            assert ours <= Decimal(2) ** -53, f"{figure}: more than half a unit in the last place"
            assert ours <= worst([peer[at] for peer in peers], true), figure
        plain = np.corrcoef(values)
        for i, j in zip(*np.tril_indices(4, -1), strict=True):
            r = correlation(truth[i].centred, truth[j].centred)
            error = abs(Decimal(float(profile.correlation[i, j])) - r)
            assert error <= max(
                abs(Decimal(float(plain[i, j])) - r), Decimal(math.ulp(float(r))) / 2
            )


@pytest.mark.parametrize("name", AWKWARD)
def test_large_units_keep_fifteen_digits_of_the_sums(name):
    """Units of more rows than are worked on in `Double`: the same rows ten times over have the same figures."""
    values = AWKWARD[name](np.random.default_rng(3))
    few, many = profile_of(values, 1_000), profile_of(np.tile(values, 10), 10_000)
    sizes = np.abs(values - values.mean(axis=1)[:, None])
    np.testing.assert_allclose(many.mean, few.mean, rtol=2e-16, atol=2e-17 * sizes.max())
    np.testing.assert_allclose(many.moments.m2, 10 * few.moments.m2, rtol=1e-15)
    np.testing.assert_allclose(many.moments.m4, 10 * few.moments.m4, rtol=1e-15)
    np.testing.assert_allclose(many.correlation, few.correlation, rtol=0, atol=2e-16)


def worst(found, true: list[Decimal]) -> Decimal:
    return max(
        abs((Decimal(float(one)) - other) / other) for one, other in zip(found, true, strict=True)
    )


def correlation(left: list[Decimal], right: list[Decimal]) -> Decimal:
    products = sum((a * b for a, b in zip(left, right, strict=True)), Decimal(0))
    squares = [sum((a * a for a in side), Decimal(0)) for side in (left, right)]
    return products / (squares[0] * squares[1]).sqrt()
