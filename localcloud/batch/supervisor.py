"""Runs one job process and sees to it that nothing of it is left, whatever happens to the process
that asked for it.

Started as a program of its own:
`python -I supervisor.py <grace seconds> <status fd> <memory MiB> <command...>`, with the
environment and the working directory of the job; standard input is the life line. A `T` on the life
line means SIGTERM, then SIGKILL after the grace period; `K` means SIGKILL; a byte from 128 on
means the signal of its lower bits, for the first process alone; its end means that the
parent is gone: SIGKILL. On the status descriptor it writes `started <process group>`,
`exit <code> <reason>` or `error <reason>`, one per line.

Where the processes together use more memory than they may, the largest is killed, as the kernel
does in a container, and the reason says so as ECS does; the exit code is the command's. Looked at
is four times a second, so that a need which is over sooner may pass.

The job gets no signal blocked or ignored, whatever the process that started this one has done to
its own: a container begins like that.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36  # <linux/prctl.h>
_LOOK_SECONDS = 0.25
_OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage"
_NO_START = "CannotStartContainerError: Error response from daemon: failed to create task: exec: "


def main(arguments: list[str]) -> int:
    """Runs the command to its end and reports on the status descriptor."""
    grace, status_fd, memory_mib = float(arguments[0]), int(arguments[1]), int(arguments[2])
    command = arguments[3:]
    os.set_inheritable(status_fd, False)  # noqa: FBT003 - the standard library's signature
    on_linux = sys.platform == "linux"
    if on_linux:
        # daemons that the job leaves behind become our children, so that they can be found
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    _forget_signals()
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    except OSError as error:
        os.write(status_fd, f"error {_NO_START}{error.strerror}: {command[0]}\n".encode())
        return 0
    os.write(status_fd, f"started {process.pid}\n".encode())
    memory = _Memory(memory_mib << 20) if on_linux else None
    code = _wait(process, grace, wake_read, memory)
    _kill_rest(process.pid, on_linux=on_linux)
    reason = _OUT_OF_MEMORY if memory is not None and memory.exceeded else ""
    os.write(status_fd, f"exit {code if code >= 0 else 128 - code} {reason}\n".encode())
    return 0


def _forget_signals() -> None:
    """Nothing blocked, nothing ignored; subprocess puts those back by itself that Python
    ignores.
    """
    for number in signal.valid_signals():
        if signal.getsignal(number) == signal.SIG_IGN and number not in (
            signal.SIGPIPE,
            getattr(signal, "SIGXFSZ", None),
        ):
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


class _Memory:
    """What the processes below this one may use together."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self.exceeded = False
        """Whether a process was killed for it."""

    def look(self) -> None:
        """Kills the largest process where all of them use too much."""
        used = {pid: _resident(pid) for pid in _children_of(os.getpid())}
        if sum(used.values()) <= self._most:
            return
        # pages that processes share since a fork count once: dear to read, so only now
        used = {pid: _proportional(pid) for pid in used}
        if sum(used.values()) > self._most:
            self.exceeded = True
            with contextlib.suppress(ProcessLookupError):
                os.kill(max(used, key=lambda pid: used[pid]), signal.SIGKILL)


def _resident(pid: int) -> int:
    """Bytes in memory that are no file's (proc(5), statm); 0 for a process that has ended."""
    with contextlib.suppress(OSError, IndexError):
        words = Path(f"/proc/{pid}/statm").read_text().split()
        return (int(words[1]) - int(words[2])) * os.sysconf("SC_PAGE_SIZE")
    return 0


def _proportional(pid: int) -> int:
    """The same, each page divided by the number of processes that share it (proc(5),
    smaps_rollup).
    """
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss_Anon:"):
                return int(line.split()[1]) << 10
    return 0


def _children_of(root: int) -> list[int]:
    """All processes below one."""
    found, queue = [], [root]
    while queue:
        pid = queue.pop()
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{pid}/task").iterdir():
                children = [int(each) for each in (task / "children").read_text().split()]
                found += children
                queue += children
    return found


def _wait(
    process: subprocess.Popen[bytes], grace: float, wake_read: int, memory: _Memory | None
) -> int:
    deadline = None
    watched = [sys.stdin.fileno(), wake_read]
    while (code := process.poll()) is None:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        if memory is not None:
            left = _LOOK_SECONDS if left is None else min(left, _LOOK_SECONDS)
            memory.look()
        ready, _, _ = select.select(watched, [], [], left)
        if wake_read in ready:
            os.read(wake_read, 512)
        if sys.stdin.fileno() in ready:
            order = os.read(sys.stdin.fileno(), 1)
            if order == b"T":
                deadline = time.monotonic() + grace
                _signal_group(process.pid, signal.SIGTERM)
                continue
            if order >= b"\x80":
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, order[0] & 0x7F)
                continue
            _signal_group(process.pid, signal.SIGKILL)
            if not order:
                watched.remove(sys.stdin.fileno())
        if deadline is not None and time.monotonic() >= deadline:
            deadline = None
            _signal_group(process.pid, signal.SIGKILL)
    return code


def _signal_group(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _kill_rest(group: int, *, on_linux: bool) -> None:
    _signal_group(group, signal.SIGKILL)
    while on_linux and (children := _descendants(os.getpid())):
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.002)


def _descendants(root: int) -> list[int]:
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                # the name in parentheses may hold anything; the parent is the second field after it
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                parents.setdefault(parent, []).append(int(entry.name))
    found, queue = [], [root]
    while queue:
        for child in parents.get(queue.pop(), []):
            found.append(child)
            queue.append(child)
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
