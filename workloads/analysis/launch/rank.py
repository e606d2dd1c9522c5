"""What mpirun starts in place of a rank: `rank.py PROGRAM...`, which becomes the program.

mpirun and its daemons end their ranks, but not where they are ended themselves at a bad moment: on
a busy machine a rank of a killed main node was there for minutes after. So the kernel kills a rank
whose parent is gone (PR_SET_PDEATHSIG, prctl(2), which an execve keeps). Run as a file with the
standard library alone, because every rank begins with it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_ORPHANED: Final = 1
"""Process id of the parent where the own one ended before the kernel was asked."""


def main(program: list[str]) -> None:
    """Does not return."""
    if Path("/proc/self/stat").exists():  # Linux; elsewhere there is nothing like it
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == _ORPHANED:
            raise SystemExit(128 + signal.SIGKILL)
    os.execvp(program[0], program)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main(sys.argv[1:])
