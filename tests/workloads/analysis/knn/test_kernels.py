"""The CUDA kernels of the search compile for every inner length, and agree with the Python around
them in figures that stand in both.
"""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.workloads.analysis.nvrtc import compile_for
from workloads.analysis import kernels
from workloads.analysis.knn import bounds_fp16, half_block, half_search

SHARED_MEMORY = {"sm_80": 163 * 1024, "sm_90": 227 * 1024, "sm_100": 227 * 1024}
"""Most that one block can have (CUDA C++ Programming Guide, table of technical specifications)."""
RESERVED = 1024
DEPTHS = sorted({bounds_fp16.depth(columns) for columns in range(1, 513)})


@pytest.mark.parametrize("architecture", SHARED_MEMORY)
@pytest.mark.parametrize("depth", [16, 32, 48, 64, 96, 128, 224, 256, 384, 512])
def test_the_filter_compiles_without_spills_and_fits(depth, architecture):
    assert depth in DEPTHS
    compiled = compile_for(
        kernels.source("knn_filter"), architecture, (*kernels.OPTIONS, f"-DDEPTH={depth}")
    )
    assert compiled.spill_bytes == 0
    assert 0 < compiled.registers <= (128 if depth <= 256 else 255)
    shared = (
        half_block.TILE * (depth + 8) * 2
        + 3 * half_block.TILE * (chunk(depth) + 8) * 2
        + 2 * half_block.TILE * 4
    )
    assert shared + RESERVED <= SHARED_MEMORY[architecture]


def chunk(depth: int) -> int:
    """As pairs_cupy.filter_shared_bytes, which cannot be imported without CuPy, and as the kernel
    has it.
    """
    return (
        64
        if depth % 64 == 0 and depth <= 384
        else 48
        if depth == 48
        else 32
        if depth % 32 == 0
        else 16
    )


def test_every_inner_length_is_a_whole_number_of_pieces():
    assert DEPTHS[0] == 16
    assert DEPTHS[-1] == 512
    assert len(DEPTHS) == 14
    assert all(depth % 16 == 0 and depth % chunk(depth) == 0 for depth in DEPTHS)
    assert all(bounds_fp16.depth(columns) >= columns for columns in range(1, 513))


@pytest.mark.parametrize(
    ("name", "figure", "value"),
    [
        ("knn_filter", "TILE", half_block.TILE),
        ("knn_select", "CAPACITY", half_search.CAPACITY),
        ("rerank", "CAPACITY", half_search.CAPACITY),
        ("knn_merge", "CAPACITY", half_search.CAPACITY),
        *[(name, "THREADS", 256) for name in ("knn_filter", "knn_select", "rerank", "knn_merge")],
        *[(name, "SCALE", bounds_fp16.SCALE) for name in ("rerank", "knn_merge")],
        *[
            (name, figure, value)
            for name in ("knn_select", "rerank", "knn_merge")
            for figure, value in (
                ("LAMBDA", bounds_fp16.LAMBDA),
                ("TINY", bounds_fp16.TINY),
                ("GUARD", bounds_fp16.GUARD),
            )
        ],
        *[(name, "UNBOUNDED", bounds_fp16.UNBOUNDED) for name in ("knn_select", "knn_merge")],
    ],
)
def test_figures_agree(name, figure, value):
    found = re.search(
        rf"constexpr (?:int|double) [^;]*?\b{figure} = ([^,;]+)[,;]", kernels.source(name)
    )
    assert found is not None
    expression = re.sub(r"(?<=\d)LL", "", found[1])
    assert eval(expression) == value  # noqa: S307 - arithmetic from our own source


def test_the_gpu_backend_says_in_one_sentence_that_cupy_is_missing():
    script = "import sys; sys.modules['cupy'] = None\nimport workloads.analysis.knn.pairs_cupy"
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert ended.returncode != 0
    assert (
        "StageError: the float16 search needs CuPy, which is not installed"
        in ended.stderr.splitlines()[-1]
    )
