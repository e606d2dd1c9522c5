"""Releases that change no result go on from what earlier ones have stored."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import workloads.analysis
from workloads.analysis import code_version as code_version_module
from workloads.analysis.code_version import code_version

CHANGES = {
    "a comment": (
        "knn/top.py",
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
    "a sentence of a record": (
        "pipeline/outlier_stage.py",
        "no column of the table holds quantities",
        "the table has no column that holds quantities",
        True,
    ),
    "a sentence with values": (
        "space/scaling.py",
        "constant but for rounding (",
        "rounded (",
        True,
    ),
    "what an error is told with": ("table.py", "do not belong together", "differ", True),
    "a log line": ("pipeline/shard_store.py", "log.warning(", "log.error(", True),
    "a log line more": (
        "pipeline/quantile_stage.py",
        "        loaded = self._cooperation.load(names)",
        "        log.info('loaded')\n        loaded = self._cooperation.load(names)",
        True,
    ),
    "a comment with code in it": (
        "knn/bounds.py",
        "    omega = _omega(columns)\n",
        "    # omega = 3 * _omega(columns)\n    omega = _omega(columns)\n",
        True,
    ),
    "the layout": (
        "knn/exact.py",
        "from __future__ import annotations\n",
        "from __future__ import annotations\n\n\n",
        True,
    ),
    "the plan": (
        "pipeline/plan.py",
        "_PASSES: Final = {",
        "_PASSED: Final = {}\n_PASSES: Final = {",
        True,
    ),
    "the checkpoints' cadence": ("checkpoint/schedule.py", "import", "import os\nimport", True),
    "the twin of the kernels": (
        "knn/kernels_numpy.py",
        "_DEPTH_STEP = 16",
        "_DEPTH_STEP = 32",
        True,
    ),
    "the layout of a kernel": ("kernels/knn_merge.cu", "{", "{\n\n", True),
    "documentation more": (
        "knn/exact.py",
        "from __future__ import annotations\n",
        'from __future__ import annotations\n\n"""More about it."""\n',
        True,
    ),
    "the launcher": ("launch/mpirun.py", "import", "import sys  # noqa\nimport", True),
    "a comment of a kernel": ("kernels/rerank.cu", "// Squared distances", "// Distances", True),
    "a number": (
        "knn/top.py",
        "_PILOTS_PER_ROW: Final = 4",
        "_PILOTS_PER_ROW: Final = 5",
        False,
    ),
    "the name of an array": ("profile/node.py", 'arrays["sketch_keys"]', 'arrays["keys"]', False),
    "a comparison": (
        "knn/top.py",
        "scores > limit.score",
        "scores >= limit.score",
        False,
    ),
    "an option of the compiler": (
        "kernels/__init__.py",
        "OPTIONS: Final = (",
        'OPTIONS: Final = ("-O1",',
        False,
    ),
    "an operation of a kernel": (
        "kernels/knn_select.cu",
        "held[i] >= limit",
        "held[i] > limit",
        False,
    ),
    "a macro of a kernel": (
        "kernels/knn_filter.cu",
        "#define DEPTH 64",
        "#define DEPTH 128",
        False,
    ),
    "an operation": ("space/space.py", "block /= self.unit", "block *= self.unit", False),
    "a comment of a pass": ("profile/passes.c", "// Of a row", "// Of some row", True),
    "an operation of a pass": ("profile/passes.c", "square * y,", "y * square,", False),
    "a number of a kernel": ("kernels/rerank.cu", "CAPACITY = 256", "CAPACITY = 128", False),
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Iterator[Path]:
    here = Path(workloads.analysis.__file__).parent
    copy: Path = tmp_path_factory.mktemp("code") / "copy"
    shutil.copytree(here, copy, ignore=shutil.ignore_patterns("__pycache__"))
    with pytest.MonkeyPatch.context() as patch:
        # a change is in one file; what all others mean is known from the change before
        of_text = functools.cache(code_version_module._python)
        patch.setattr(code_version_module, "_python", of_text)
        assert code_version(copy) == code_version()
        yield copy


@pytest.mark.parametrize("name", CHANGES)
def test_the_version_is_that_of_what_changes_results(copy, name):
    file, old, new, same = CHANGES[name]
    before = (copy / file).read_text()
    assert old in before
    (copy / file).write_text(before.replace(old, new, 1))
    code_version.cache_clear()
    changed = code_version(copy)
    (copy / file).write_text(before)
    assert (changed == code_version()) is same
