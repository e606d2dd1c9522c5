"""What holds for the whole suite: its order, its garbage collector, its second chance, its drills."""

from __future__ import annotations

import gc

import pytest
from hypothesis import HealthCheck, settings

from tests.support import units
from tests.support.flakes import OPTION, SecondChance

# Parsed service models and SDK modules are millions of objects that live as long as the process:
# collecting them again and again was a sixth of the time of the tests that deploy.
gc.set_threshold(200_000, 50, 1000)

# How long an example or its generation takes depends on the machine and on what else it does.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("suite")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the options of the suite."""
    group = parser.getgroup("suite")
    group.addoption(OPTION, action="store_true", help="name the tests that pass, for they have failed before")
    group.addoption("--record-seconds", action="store_true", help="note what each file took, in tests/seconds.json")


def pytest_configure(config: pytest.Config) -> None:
    """Notes flakes where this is the second run, and seconds where that was asked for."""
    if hasattr(config, "workerinput"):
        return
    if config.getoption(OPTION):
        config.pluginmanager.register(SecondChance())
    if config.getoption("--record-seconds"):
        config.pluginmanager.register(units.Recorder())


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves drills out unless they are asked for, and puts the longest units first."""
    if "drill" not in config.option.markexpr:
        drills = [item for item in items if item.get_closest_marker("drill")]
        if drills:
            config.hook.pytest_deselected(items=drills)
            items[:] = [item for item in items if not item.get_closest_marker("drill")]
    items[:] = units.arrange(items, units.recorded())


def pytest_collection_finish() -> None:
    """Takes all that is loaded so far from the garbage collector."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Gives a test its own name back before anybody notes or shows it."""
    report.nodeid = units.without_unit(report.nodeid)
