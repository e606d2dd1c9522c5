from __future__ import annotations

import pytest

from tests.workloads.analysis.nvrtc import compile_for
from workloads.analysis import kernels

NAMES = kernels.names()


def test_all_kernels_are_found():
    assert NAMES == ["knn_filter", "knn_merge", "knn_select", "prefix_counts", "rerank"]


@pytest.mark.parametrize("architecture", ["sm_80", "sm_90", "sm_100"])
@pytest.mark.parametrize("name", NAMES)
def test_kernel_compiles_without_spills(name, architecture):
    compiled = compile_for(kernels.source(name), architecture, kernels.OPTIONS)
    assert compiled.cubin.startswith(b"\x7fELF")
    assert name.encode() in compiled.cubin
    assert compiled.spill_bytes == 0
    assert 0 < compiled.registers <= 128
