"""Releases that change no result go on from what earlier ones have stored."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import workloads.analysis
from workloads.analysis.code_version import code_version

CHANGES = {
    "a comment": (
        "anomaly/top.py",
        "_PILOTS_PER_ROW: Final = 4",
        "_PILOTS_PER_ROW: Final = 4  # four",
        True,
    ),
    "documentation": (
        "profile/columns.py",
        "Moments of single columns of a unit",
        "Moments of columns",
        True,
    ),
    "a message": ("table.py", "is damaged: its sha256", "is broken: its sha256", True),
    "the launcher": ("launch/mpirun.py", "import", "import sys  # noqa\nimport", True),
    "a comment of a kernel": ("kernels/rerank.cu", "// Squared distances", "// Distances", True),
    "a number": (
        "anomaly/top.py",
        "_PILOTS_PER_ROW: Final = 4",
        "_PILOTS_PER_ROW: Final = 5",
        False,
    ),
    "an operation": ("rotate/space.py", "block /= self.unit", "block *= self.unit", False),
    "a number of a kernel": ("kernels/rerank.cu", "CAPACITY = 256", "CAPACITY = 128", False),
}


@pytest.mark.parametrize("name", CHANGES)
def test_the_version_is_that_of_what_changes_results(tmp_path, name):
    here = Path(workloads.analysis.__file__).parent
    copy = tmp_path / "analysis"
    shutil.copytree(here, copy, ignore=shutil.ignore_patterns("__pycache__"))
    assert code_version(copy) == code_version()
    code_version.cache_clear()
    file, old, new, same = CHANGES[name]
    text = (copy / file).read_text()
    assert old in text
    (copy / file).write_text(text.replace(old, new, 1))
    assert (code_version(copy) == code_version()) is same
