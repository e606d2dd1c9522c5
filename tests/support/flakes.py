"""Names the tests that failed beside others and pass alone: flakes, which are faults too.

`make unit` gives what failed a second run, alone, with `--second-chance`. That run says which
tests passed now. Where the variable FLAKES_FAIL is 1, as in the checks of the main branch, a flake
fails the run; elsewhere it is reported only, for a busy machine is no reason to hold up a change.
"""

from __future__ import annotations

import os
from typing import Final

import pytest

OPTION: Final = "--second-chance"
FAIL_VARIABLE: Final = "FLAKES_FAIL"


class SecondChance:
    """The plugin of a second run."""

    def __init__(self) -> None:
        self._failed: set[str] = set()
        self._passed: set[str] = set()

    @property
    def flakes(self) -> list[str]:
        """The tests that passed this time."""
        return sorted(self._passed - self._failed)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Notes how a test went: it has passed where no phase of it failed."""
        if report.failed:
            self._failed.add(report.nodeid)
        elif report.when == "call" and report.passed:
            self._passed.add(report.nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fails the run where flakes have to."""
        if (
            self.flakes
            and os.environ.get(FAIL_VARIABLE) == "1"
            and session.exitstatus == pytest.ExitCode.OK
        ):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Says their names, on GitHub as annotations of the run too."""
        for name in self.flakes:
            terminalreporter.write_line(
                f"FLAKE {name}: failed beside others, passed alone", yellow=True
            )
            if os.environ.get("GITHUB_ACTIONS") == "true":
                terminalreporter.write_line(
                    f"::warning title=flake::{name} failed beside others, passed alone"
                )
