"""The suite itself: its units and their order, its flakes, its drills."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import units
from tests.support.flakes import FAIL_VARIABLE

ROOT = Path(__file__).resolve().parents[1]
TESTS = """
import os
import pytest

def test_fine():
    pass

def test_flaky():
    assert "ALONE" in os.environ

def test_broken():
    assert "MENDED" in os.environ

@pytest.mark.drill
def test_drill():
    print("at full scale")
"""


class Item:
    """As much of a pytest.Item as `units` looks at."""

    def __init__(self, nodeid: str, group: str = "") -> None:
        self.nodeid = nodeid
        self.marks = [pytest.mark.xdist_group(group).mark] if group else []

    def get_closest_marker(self, name: str) -> Any:
        return next((mark for mark in self.marks if mark.name == name), None)


def test_units_are_files_or_groups_whole_and_the_longest_first() -> None:
    items: list[Any] = [
        Item("a.py::one"),
        Item("b.py::one", "shared"),
        Item("c.py::one"),
        Item("d.py::one", "shared"),
        Item("a.py::two"),
        Item("new.py::one"),
    ]
    found = units.arrange(items, {"a.py": 3.0, "b.py": 40.0, "c.py": 50.0, "d.py": 20.0})
    assert [item.nodeid for item in found] == [
        "b.py::one",
        "d.py::one",
        "c.py::one",
        "new.py::one",
        "a.py::one",
        "a.py::two",
    ]
    assert [units.unit_of(item) for item in found] == [
        "shared",
        "shared",
        "c.py",
        "new.py",
        "a.py",
        "a.py",
    ]


class Suite:
    """Runs pytest with the hooks of this suite on a folder with four tests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PYTEST_", "GITHUB_", "FLAKES_"))
        }
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "tests.conftest", *arguments],
            cwd=self.folder,
            env={**clean, "PYTHONPATH": str(ROOT), **environ},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def beside_others(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder in which the tests have run on two workers, and what that run said."""
    folder = tmp_path_factory.mktemp("suite")
    (folder / "test_it.py").write_text(TESTS)
    (folder / "pytest.ini").write_text(
        "[pytest]\nmarkers =\n  drill: all of it\n  xdist_group(name): of units\n"
    )
    done = Suite(folder).run("-n", "2", "--dist", "loadgroup")
    assert done.returncode == 1, done.stdout + done.stderr
    return folder, done.stdout


@pytest.fixture
def suite(beside_others: tuple[Path, str], tmp_path: Path) -> Suite:
    """The folder after that run, for one test."""
    return Suite(Path(shutil.copytree(beside_others[0], tmp_path / "suite")))


ALONE = ("-n0", "--second-chance", "--last-failed", "--last-failed-no-failures", "none")


def test_what_fails_beside_others_and_passes_alone_is_named(
    beside_others: tuple[Path, str], suite: Suite
) -> None:
    assert "2 failed, 1 passed" in beside_others[1]
    assert "FAILED test_it.py::test_flaky - " in beside_others[1]

    second = suite.run(*ALONE, ALONE="1", GITHUB_ACTIONS="true")
    assert second.returncode == 1, second.stdout
    flakes = [
        line for line in second.stdout.splitlines() if line.startswith(("FLAKE", "::warning"))
    ]
    assert flakes == [
        "FLAKE test_it.py::test_flaky: failed beside others, passed alone",
        "::warning title=flake::test_it.py::test_flaky failed beside others, passed alone",
    ]


def test_the_tests_of_a_unit_run_in_one_worker_in_a_row(tmp_path: Path) -> None:
    test = (
        "def test_it(number):\n    with open('ran.txt', 'a') as file:"
        " print(os.environ['PYTEST_XDIST_WORKER'], UNIT, file=file)\n"
    )
    each = f"@pytest.mark.parametrize('number', range(6))\n{test}"
    for name, unit in (("a", "shared"), ("b", "b"), ("c", "shared"), ("d", "d")):
        mark = f"pytestmark = pytest.mark.xdist_group({unit!r})\n" if unit == "shared" else ""
        (tmp_path / f"test_{name}.py").write_text(
            f"import os\nimport pytest\nUNIT = {unit!r}\n{mark}\n{each}"
        )
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = xdist_group(name): of units\n")
    done = Suite(tmp_path).run("-n", "2", "--dist", "loadgroup")
    assert "24 passed" in done.stdout, done.stdout
    ran = [line.split() for line in (tmp_path / "ran.txt").read_text().splitlines()]
    assert len({tuple(line) for line in ran}) == 3, "each unit in one worker"
    for worker in {worker for worker, _ in ran}:
        row = [unit for each_worker, unit in ran if each_worker == worker]
        assert len([unit for unit, _ in itertools.groupby(row)]) == len(set(row)), (
            f"{worker} went to and fro: {row}"
        )


@pytest.mark.parametrize(
    ("environ", "status"), [({}, 0), ({FAIL_VARIABLE: ""}, 0), ({FAIL_VARIABLE: "1"}, 1)]
)
def test_a_flake_fails_the_run_where_it_has_to(
    suite: Suite, environ: dict[str, str], status: int
) -> None:
    second = suite.run(*ALONE, ALONE="1", MENDED="1", **environ)
    assert "FLAKE test_it.py::test_flaky" in second.stdout
    assert second.returncode == status, second.stdout


def test_drills_run_only_when_they_are_asked_for(
    beside_others: tuple[Path, str], suite: Suite
) -> None:
    assert "drill" not in beside_others[1]
    assert "1 passed, 3 deselected" in suite.run("-n0", "-m", "drill").stdout
