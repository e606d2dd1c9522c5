"""What holds for the whole suite: its order, its garbage collector, its second chance, its
drills.
"""

from __future__ import annotations

import functools
import gc
import os
import tempfile
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from hypothesis import HealthCheck, settings

from tests.support import units
from tests.support.flakes import OPTION, SecondChance

# Before NumPy is loaded: as in every job that multiplies (mpirun.environment). Threads of OpenBLAS
# that wait for the next product take a processor for it, from the tests beside this one.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# and where a test asks for two of them, they turn for 2^4 cycles, the fewest, before they sleep
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")

# As in the ranks of one node (mpirun.on_one_node): this transport opens with a sleep of one second.
os.environ.setdefault("OMPI_MCA_btl", "^ofi")

# A loader keeps what it has parsed: one for all sessions, of which each test makes some. The models
# of the AWS SDK were half of the time of the tests that call it.
botocore.session.create_loader = functools.cache(botocore.session.create_loader)

# Parsed service models and SDK modules are millions of objects that live as long as the process:
# collecting them again and again was a sixth of the time of the tests that deploy.
gc.set_threshold(200_000, 50, 1000)

# How long an example or its generation takes depends on the machine and on what else it does.
settings.register_profile(
    "suite", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("suite")

_UNITS = pytest.StashKey[Path]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the options of the suite."""
    group = parser.getgroup("suite")
    group.addoption(
        OPTION, action="store_true", help="name the tests that pass, for they have failed before"
    )
    group.addoption(
        "--record-seconds",
        action="store_true",
        help="note what each file took, in tests/seconds.json",
    )


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


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Takes all that is loaded so far from the garbage collector; a worker tells the units."""
    gc.collect()
    gc.freeze()
    told = getattr(session.config, "workerinput", {})
    if "units" in told:
        units.write_down(session.items, Path(told["units"]), told["workerid"])


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    """Collects what the tests have left once: pytest looks for errors in finalizers five times,
    each time through all that is loaded.
    """
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tells a worker where to write the units."""
    node.workerinput["units"] = str(_units_path(node.config))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Units in place of `--dist loadgroup`; None leaves the other ways to pytest-xdist."""
    return (
        units.scheduler(config, log, _units_path(config))
        if config.getoption("dist") == "loadgroup"
        else None
    )


def _units_path(config: pytest.Config) -> Path:
    if _UNITS not in config.stash:
        folder = tempfile.TemporaryDirectory(prefix="units-")
        config.add_cleanup(folder.cleanup)
        config.stash[_UNITS] = Path(folder.name) / "units.json"
    return config.stash[_UNITS]
