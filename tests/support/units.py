"""In which units, and in which order, the suite's tests go to the workers of pytest-xdist.

A unit is what runs in one worker, in a row: the tests of a file, or those of all files that share
an `xdist_group` mark. The longest come first, so that no worker begins a long one when the others
have nothing left.

pytest-xdist's own `--dist loadgroup` writes the group behind the name of each test, and pytest 9.2
takes no notice of that: the marks do nothing. So the workers, which know the marks, write down the
unit of each test, and the scheduler, in the process that knows none, reads it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import pytest

RECORDED: Final = Path(__file__).parents[1] / "seconds.json"
"""File -> seconds that its tests took when they were last recorded: `make record`."""
UNKNOWN_SECONDS: Final = 5.0
"""Of a file that has not been recorded."""


def recorded() -> dict[str, float]:
    """Seconds by file."""
    found: dict[str, float] = json.loads(RECORDED.read_text())
    return found


def file_of(node_id: str) -> str:
    """The file of a test."""
    return node_id.partition("::")[0]


def unit_of(item: pytest.Item) -> str:
    """The name of a test's unit; a file that has no mark is a unit of its own."""
    mark = item.get_closest_marker("xdist_group")
    if mark is None:
        return file_of(item.nodeid)
    return str(mark.kwargs.get("name") or mark.args[0])


def arrange(items: Sequence[pytest.Item], seconds: Mapping[str, float]) -> list[pytest.Item]:
    """The tests in the order in which they run: unit by unit."""
    units: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        units[unit_of(item)].append(item)
    longest_first = sorted(units.values(), key=lambda unit: -_seconds(unit, seconds))
    return [item for unit in longest_first for item in unit]


def _seconds(unit: Iterable[pytest.Item], seconds: Mapping[str, float]) -> float:
    files = {file_of(item.nodeid) for item in unit}
    return sum(seconds.get(file, UNKNOWN_SECONDS) for file in files)


def write_down(items: Iterable[pytest.Item], path: Path, worker: str) -> None:
    """In a worker: name of each test -> its unit.

    Every worker writes the same, each at one stroke.
    """
    own = path.with_suffix(f".{worker}")
    own.write_text(json.dumps({item.nodeid: unit_of(item) for item in items}))
    own.replace(path)


def scheduler(config: Any, log: Any, path: Path) -> Any:
    """A scheduler of pytest-xdist that gives out whole units, in the order of the tests."""
    from xdist.scheduler import LoadScopeScheduling

    class UnitScheduling(LoadScopeScheduling):  # type: ignore[misc]
        @cached_property
        def _units(self) -> dict[str, str]:
            units: dict[str, str] = json.loads(path.read_text())
            return units

        def _split_scope(self, nodeid: str) -> str:
            return self._units[nodeid]

    config.option.loadscopereorder = False  # by number of tests
    return UnitScheduling(config, log)


class Recorder:
    """Notes what each file took; files that did not run keep what is known of them."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = defaultdict(float)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Adds a phase of a test."""
        self._seconds[file_of(report.nodeid)] += report.duration

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Writes all of it."""
        now = {**recorded(), **self._seconds}
        known = {
            file: round(seconds, 1)
            for file, seconds in now.items()
            if (session.config.rootpath / file).is_file()
        }
        RECORDED.write_text(
            json.dumps(dict(sorted(known.items(), key=lambda item: -item[1])), indent=1) + "\n"
        )
