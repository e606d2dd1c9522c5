"""Runs ranks.py."""

from __future__ import annotations

import functools
import json
import secrets
from typing import Any, Final

import pytest

from tests.workloads.analysis import mpirun_program
from workloads.analysis.launch import mpirun

RING_OF_RANKS: Final = pytest.mark.xdist_group("ring-of-ranks")
SEED: Final = secrets.randbits(32)
"""Of the tables."""


@functools.cache
def said() -> dict[str, Any]:
    """What rank 0 of four printed, once for all who ask."""
    program = [*mpirun.PROGRAM[:3], "-m", "tests.workloads.analysis.distributed.ranks", str(SEED)]
    printed = mpirun_program.run(4, program, environ={}, timeout_seconds=90)
    found: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return found
