"""One container of a job as a process of this machine: start, log lines, stop, exit code."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_log = logging.getLogger(__name__)
OUT_OF_MEMORY: Final = "OutOfMemoryError: Container killed due to memory usage"
"""ECS's reason of a container whose processes the kernel killed."""
SUPERVISOR: Final = Path(__file__).with_name("supervisor.py")
_GATHER_SECONDS: Final = 0.02
_LONGEST_LINE: Final = 256 * 1024 - 26  # of a CloudWatch Logs event, in bytes
_READ: Final = 1 << 16

Program = Callable[[Mapping[str, str], threading.Event], int]
"""Stands for an image whose containers need no process of their own: takes the container's
environment, returns its exit code. It runs in a thread of this process and has to come back soon
after the event is set, which stands for SIGTERM and SIGKILL alike. MemoryError stands for its end
where it used more memory than it may.
"""


@dataclass(frozen=True, kw_only=True)
class Container:
    """All that a process needs."""

    command: list[str]
    environment: dict[str, str]
    directory: Path
    """Working directory; made for the task and removed after it."""
    write_lines: Callable[[list[str]], None]
    """Takes complete lines for the log."""
    memory_mib: int
    """Of all its processes together."""
    program: Program | None = None
    """Runs in place of the command."""
    supervisor: Path = SUPERVISOR
    """The program that runs the command, and speaks the protocol of supervisor.py."""
    remove: Callable[[], None] = lambda: None
    """Called at the end, however it came: removes what the supervisor may have left."""


class StartError(Exception):
    """The container could not be started; the message is the container's reason."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a task ended. No exit code: it never ran, or nobody knows how it ended."""

    exit_code: int | None
    reason: str = ""
    ran: bool = True
    """Whether it had started."""


class Task(threading.Thread):
    """Prepares and runs one container; tells its owner when it runs and when it has ended.

    Args:
        name: For the thread.
        prepare: Makes the container; raises StartError. Runs in the thread, for it reads secrets
            and assumes roles.
        grace_seconds: From SIGTERM to SIGKILL.
        started: Called when the process runs.
        ended: Called once at the end, with the outcome.
    """

    def __init__(
        self,
        *,
        name: str,
        prepare: Callable[[], Container],
        grace_seconds: float,
        started: Callable[[Task], None],
        ended: Callable[[Task, Outcome], None],
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._prepare = prepare
        self._grace_seconds = grace_seconds
        self._started_callback = started
        self._ended_callback = ended
        self._lifeline: int | None = None
        self._lock = threading.Lock()
        self._order: bytes = b""
        self._stopped = threading.Event()

    def stop(self) -> None:
        """SIGTERM, and SIGKILL after the grace period."""
        self._send(b"T")

    def kill(self) -> None:
        """SIGKILL at once, as when the host goes away."""
        self._send(b"K")

    def signal(self, number: int) -> None:
        """What `docker kill --signal` sends; nothing where no process runs yet."""
        with self._lock, contextlib.suppress(OSError):
            if self._lifeline is not None:
                os.write(self._lifeline, bytes([0x80 | number]))

    def _send(self, order: bytes) -> None:
        self._stopped.set()
        with self._lock:
            self._order = order
            if self._lifeline is not None:
                with contextlib.suppress(OSError):
                    os.write(self._lifeline, order)

    def run(self) -> None:
        """The thread: from preparation to the end of the last process."""
        try:
            container = self._prepare()
        except StartError as error:
            self._ended_callback(self, Outcome(exit_code=None, reason=str(error), ran=False))
            return
        try:
            outcome = (
                self._execute(container)
                if container.program is None
                else self._call(container.program, container.environment)
            )
        finally:
            container.remove()
            shutil.rmtree(container.directory, ignore_errors=True)
        self._ended_callback(self, outcome)

    def _call(self, program: Program, environment: Mapping[str, str]) -> Outcome:
        with self._lock:
            if self._order:  # stopped before it began
                return Outcome(exit_code=137 if self._order == b"K" else 143)
        self._started_callback(self)
        try:
            exit_code = program(environment, self._stopped)
        except MemoryError:
            return Outcome(exit_code=137, reason=OUT_OF_MEMORY)
        except Exception:  # noqa: BLE001 - logged below; as a process that ends with a traceback
            _log.exception("the program that stands for the image of %s failed", self.name)
            exit_code = 1
        return Outcome(exit_code=137 if self._was_killed() else exit_code)

    def _was_killed(self) -> bool:
        with self._lock:
            return self._order == b"K"

    def _execute(self, container: Container) -> Outcome:
        if not container.command:
            return Outcome(
                exit_code=None,
                reason=(
                    "CannotStartContainerError: no command specified, and a local image has no"
                    " entry point of its own"
                ),
                ran=False,
            )
        status_read, status_write = os.pipe()
        lifeline_read, lifeline_write = os.pipe()
        with self._lock:
            if self._order:  # stopped before it began
                for each in (status_read, status_write, lifeline_read, lifeline_write):
                    os.close(each)
                return Outcome(exit_code=137 if self._order == b"K" else 143)
            self._lifeline = lifeline_write
        arguments = [
            sys.executable,
            "-I",
            "-S",
            str(container.supervisor),
            str(self._grace_seconds),
            str(status_write),
            str(container.memory_mib),
            *container.command,
        ]
        process = subprocess.Popen(
            arguments,
            stdin=lifeline_read,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=container.directory,
            env=container.environment,
            pass_fds=[status_write],
            # an interrupt at the terminal is for the cloud, which ends its jobs itself
            start_new_session=True,
        )
        os.close(lifeline_read)
        os.close(status_write)
        log = _LineLog(process.stdout.fileno(), container.write_lines)  # type: ignore[union-attr]
        log.start()
        outcome: Outcome | None = None
        group, ran = 0, False
        with os.fdopen(status_read, encoding="utf-8") as status:
            for line in status:
                word, _, rest = line.rstrip("\n").partition(" ")
                if word == "started":
                    group, ran = int(rest), True
                    self._started_callback(self)
                elif word == "error":
                    outcome = Outcome(exit_code=None if ran else 127, reason=rest, ran=ran)
                else:
                    code, _, reason = rest.partition(" ")
                    outcome = Outcome(exit_code=int(code), reason=reason)
        process.wait()
        if outcome is None:  # the supervisor was itself killed, and its job lives on
            outcome = Outcome(exit_code=137)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(group or process.pid, signal.SIGKILL)
        log.join()
        process.stdout.close()  # type: ignore[union-attr]
        with self._lock:
            self._lifeline = None
            os.close(lifeline_write)
        return outcome


class _LineLog(threading.Thread):
    """Reads a pipe and hands complete lines on as they come, as the awslogs driver does; a last
    line without its end comes at the end.
    """

    def __init__(self, descriptor: int, write_lines: Callable[[list[str]], None]) -> None:
        super().__init__(daemon=True, name="job-log")
        self._descriptor = descriptor
        self._write_lines = write_lines

    def run(self) -> None:
        """Until the last writer has closed the pipe."""
        rest = b""
        while data := os.read(self._descriptor, _READ):
            rest += data
            *lines, rest = rest.split(b"\n")
            while len(rest) > _LONGEST_LINE:
                lines.append(rest[:_LONGEST_LINE])
                rest = rest[_LONGEST_LINE:]
            if lines:
                self._write_lines([line.decode("utf-8", "replace").rstrip("\r") for line in lines])
                time.sleep(_GATHER_SECONDS)  # what comes in bursts is written at once
        if rest:
            self._write_lines([rest.decode("utf-8", "replace")])
