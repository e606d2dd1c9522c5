"""Compiled passes give the bits of the NumPy expressions, in all kinds of tables; and what is said
where there is no compiler.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workloads.analysis import portable
from workloads.analysis.profile import compiled, passes_library
from workloads.analysis.profile.leaf_numpy import NumpyProfile, Rests
from workloads.analysis.profile.powers import FEW

Floats = npt.NDArray[np.float64]

needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")


def sources(folder: Path) -> Path:
    for source in passes_library.FOLDER.glob("p*.[ch]"):
        shutil.copy(source, folder)
    return folder


@pytest.fixture(scope="module")
def passes(tmp_path_factory: pytest.TempPathFactory) -> compiled.Passes:
    return compiled.Passes(passes_library.build(sources(tmp_path_factory.mktemp("passes"))))


def found(
    passes: compiled.Passes | None, units: list[Floats], rests: Rests, threads: int = 1
) -> Iterator[tuple[str, Any]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "passes", lambda: passes)
        profile = NumpyProfile(threads)
        profile.begin_counting(len(units[0]))
        for index, unit in enumerate(units):
            for name, array in profile.unit(unit, rests).arrays().items():
                yield f"{name} of unit {index}", array
        for name, array in profile.counted().arrays().items():
            yield name, array


def assert_same_bits(passes: compiled.Passes, *units: Floats, rests: Rests | None = None) -> None:
    with_passes = dict(found(passes, list(units), rests or {}, threads=2))
    for name, array in found(None, list(units), rests or {}):
        assert array.tobytes() == with_passes[name].tobytes(), name


@needs_compiler
@pytest.mark.parametrize("name", portable.TABLES)
def test_the_bits_are_those_of_the_expressions(passes, name):
    values = portable.TABLES[name]()
    assert_same_bits(passes, values, np.ascontiguousarray(values[:, ::-1]))


def _awkward(kind: str, rows: int) -> Floats:
    rng = np.random.default_rng(rows)
    values = rng.standard_normal((3, rows))
    match kind:
        case "one row far away":
            values[1, rows // 2] = 1e9
        case "last and first rows far away":
            values[1, [0, -1]] = -1e7, 1e8
        case "gaps at the ends":
            values[1, [0, -1]] = np.nan
        case "far from zero":
            values[1] += 1e12
        case "tiny":
            values[1] *= 1e-300
        case "huge":
            values[1] *= 1e300
        case "constant":
            values[1] = -7.25
        case "few values":
            values[1] = rng.integers(0, 3, rows) / 10
        case "zeros of both signs":
            values[1] = np.where(values[1] > 0, 0.0, -0.0)
    return values


@needs_compiler
@settings(max_examples=60)
@given(
    kind=st.sampled_from(
        (
            *("ordinary", "one row far away", "last and first rows far away", "gaps at the ends"),
            *("far from zero", "tiny", "huge", "constant", "few values", "zeros of both signs"),
        )
    ),
    rows=st.integers(FEW - 2, 3 * FEW),
    layout=st.sampled_from(["by column", "by row", "part of a table"]),
)
def test_any_number_of_rows_and_layout(passes, kind, rows, layout):
    values = _awkward(kind, rows)
    if layout == "by row":
        values = np.asfortranarray(values)
    if layout == "part of a table":
        values = np.tile(values, 2)[:, 5 : 5 + rows]
    assert_same_bits(passes, values)


@needs_compiler
@pytest.mark.parametrize("lacks", [("avx512f",), ("avx512f", "avx2")])
def test_processors_with_narrower_registers(tmp_path, lacks):
    folder = sources(tmp_path)
    for source in folder.glob("*.c"):
        text = source.read_text()
        for feature in lacks:
            text = text.replace(f'__builtin_cpu_supports("{feature}")', "0")
            text = text.replace(f'target_clones("{feature}", ', "target_clones(")
        source.write_text(text)
    narrower = compiled.Passes(passes_library.build(folder))
    for name in ("gaps", "small and large", "near-duplicates"):
        assert_same_bits(narrower, portable.TABLES[name]())


@needs_compiler
@pytest.mark.parametrize("columns", [1, 2, 4, 5, 6, 16, 41, 130])
@pytest.mark.parametrize("far", [0.0, 1e7])
def test_any_number_of_columns(passes, columns, far):
    values = np.random.default_rng(columns).standard_normal((columns, FEW + 1_100))
    values[-1, 0] += far  # with it, four slices count
    assert_same_bits(passes, values)


@needs_compiler
def test_whole_numbers_beyond_float64(passes):
    rng = np.random.default_rng(0)
    values = np.stack((rng.integers(1, 2**62, 9_000).astype(np.float64), rng.random(9_000)))
    rests = {0: rng.integers(-100, 100, 9_000).astype(np.float64)}
    assert_same_bits(passes, values, rests=rests)


@needs_compiler
def test_a_library_of_another_source_is_never_loaded(tmp_path):
    folder = sources(tmp_path)
    first = passes_library.build(folder)
    assert passes_library.path(folder) == first
    for source in (folder / "passes.c", folder / "products_of_width.h"):
        source.write_text(source.read_text() + "\n// more\n")
        assert passes_library.path(folder) != first
        assert passes_library.build(folder).exists()
        assert not first.exists()
        first = passes_library.path(folder)


@pytest.mark.parametrize(
    ("compiler", "says"),
    [
        (
            "no-such-compiler",
            (
                "the C compiler `no-such-compiler` does not run: No such file or directory. Install"
                " one, or name yours in the variable CC\n"
            ),
        ),
        ("false", "`false` could not compile passes.c: exit code 1\n"),
    ],
)
def test_no_compiler_is_said_in_a_sentence(tmp_path, monkeypatch, capsys, compiler, says):
    monkeypatch.setattr(passes_library, "FOLDER", sources(tmp_path))
    monkeypatch.setenv("CC", compiler)
    assert passes_library.main() == 1
    assert capsys.readouterr().err == says
    assert not list(tmp_path.rglob("passes-*")), "nothing half-built is left"


def test_without_a_library_the_expressions_do_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr(passes_library, "FOLDER", sources(tmp_path))
    compiled.passes.cache_clear()
    assert compiled.passes() is None
    compiled.passes.cache_clear()
