"""Processes that must not outlive this one."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from workloads import contract

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_TERMINATE_SECONDS: Final = 3.0
STORE_SECONDS: Final = 18.0
"""What ranks have for storing after a SIGTERM.

With all else this stays below the 30 s after which a container is killed.
"""
_RECLAIM_STORE_SECONDS: Final = 80.0
"""The same where EC2 takes the machine back, of the two minutes that it leaves."""


def store_seconds(exit_code: int) -> float:
    """What ranks have for storing where the node leaves with this exit code; Fargate, which gives a
    container no more time than after any SIGTERM, ends it before that.
    """
    return _RECLAIM_STORE_SECONDS if exit_code == contract.RECLAIMED_EXIT else STORE_SECONDS


def _prctl(option: int, value: int) -> None:
    """Linux only, see prctl(2); elsewhere there is nothing like it and orphans are possible."""
    if _LIBC is not None:
        _LIBC.prctl(option, value, 0, 0, 0)


_LIBC: Final = (
    ctypes.CDLL(None) if Path("/proc/self/stat").exists() else None
)  # loaded here: not between fork and exec


def adopt_orphans() -> None:
    """Make this process the parent of every descendant whose parent ends, so that end_descendants
    finds all of them.
    """
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def start(
    command: Sequence[str],
    *,
    environ: Mapping[str, str],
    cwd: Path,
    stdout: int | None = None,
    stderr: int | None = None,
) -> subprocess.Popen[str]:
    """Start a process that gets SIGTERM when the calling thread ends, however that happens. Call
    from the main thread.

    SIGTERM and not SIGKILL, because mpirun and its daemons then end their ranks, which the kernel
    would not. In a process group of its own: a SIGTERM for this one's group is for this process to
    hand on, after the ranks had time to store what they have.

    Raises OSError where there is no such program.
    """
    return subprocess.Popen(
        command,
        env=dict(environ),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        text=True,
        errors="replace",
        process_group=0,
        # SIGPIPE stays ignored: mpirun has to outlive the readers of its pipes to end its ranks
        restore_signals=False,
        preexec_fn=_die_with_parent,  # noqa: PLW1509 - one system call and no lock, so the other threads do not matter
    )


def _die_with_parent() -> None:
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def ask_to_store(process: subprocess.Popen[Any]) -> None:
    """Tell ranks to store what they have and to end: mpirun hands on SIGUSR1, whereas a SIGTERM
    makes it kill them within a second.
    """
    if process.poll() is None:
        process.send_signal(signal.SIGUSR1)


def stop(process: subprocess.Popen[Any]) -> None:
    """SIGTERM, a few seconds, SIGKILL."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(_TERMINATE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def end_descendants() -> None:
    """SIGKILL for all that is left below this process.

    Call when every process that was started here has been waited for.
    """
    deadline = time.monotonic() + _TERMINATE_SECONDS
    while (found := descendants(os.getpid())) and time.monotonic() < deadline:
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.01)


def descendants(root: int) -> list[int]:
    """Processes below `root`, from /proc; empty on systems without it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = (
                entry.read_text(errors="replace").rpartition(")")[2].split()
            )  # after the name: state, parent, ...
            children.setdefault(int(fields[1]), []).append(int(entry.parent.name))
    found, todo = [], [root]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found
