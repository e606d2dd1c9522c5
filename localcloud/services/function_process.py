"""Processes of Lambda functions, as the cloud sees them: forks of one server, which is started when
the first of them is, and ends with this process.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_PROGRAM: Final = Path(__file__).with_name("function_worker.py")
_SETTINGS: Final = {"LANG": "C.UTF-8", "HOME": os.devnull}
"""Environment of the server: what Python reads at its start, as functions have it unless they say
otherwise; and no folder in which the AWS SDK finds settings of whoever runs this."""


class FunctionProcess:
    """A process that runs a function, and the ends of its pipes.

    Args:
        handler: `module.function`.
        code: Working directory.
        environment: The whole environment; PYTHONPATH names the folder of the code.

    Attributes:
        stdin: Takes requests.
        log: What it prints.
        results: Its answers.

    Raises OSError where there can be no process.
    """

    def __init__(self, *, handler: str, code: Path, environment: Mapping[str, str]) -> None:
        pipes = [os.pipe() for _ in range(4)]
        (given, stdin), (log, output), (results, answers), (ended, end) = pipes
        try:
            _SERVER.fork([given, output, answers, end])
        except OSError:
            for each in (stdin, log, results, ended):
                os.close(each)
            raise
        finally:
            for each in (given, output, answers, end):
                os.close(each)
        self.stdin = os.fdopen(stdin, "wb")
        self.log = os.fdopen(log, "rb")
        self.results = os.fdopen(results, encoding="utf-8")
        self._ended = os.fdopen(ended, "rb", 0)
        self._exit_code: int | None = None
        self._waiting = threading.Lock()
        order = {"handler": handler, "cwd": str(code), "environment": dict(environment)}
        with contextlib.suppress(OSError):
            self.stdin.write(json.dumps(order).encode() + b"\n")
            self.stdin.flush()
        first = self.results.readline()
        if not first:
            for pipe in (self.stdin, self.log, self.results, self._ended):
                with contextlib.suppress(OSError):
                    pipe.close()
            raise ChildProcessError("no process for the function: the fork server has ended")
        self._pid = int(first)

    @property
    def exit_code(self) -> int | None:
        """None while it lives; minus the signal that ended it."""
        with self._waiting:
            has_ended = self._exit_code is not None or select.select([self._ended], [], [], 0)[0]
        if has_ended:
            self.wait()
        return self._exit_code

    def wait(self) -> None:
        """Returns when it has ended. Thread safe: who invokes it and who ends the cloud may both
        wait.
        """
        with self._waiting:
            if self._exit_code is None:
                # without a server nobody knows how it ends
                self._exit_code = int(self._ended.read() or -signal.SIGKILL)
                self._ended.close()

    def kill(self) -> None:
        """Kills it and all that it started in its session."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)
        self.wait()
        for pipe in (self.stdin, self.results):
            with contextlib.suppress(OSError):
                pipe.close()


class _Server:
    """The fork server; a new one where it was killed. Thread safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def fork(self, descriptors: list[int]) -> None:
        """Hands the descriptors to a new worker. Raises OSError."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._start()
            socket.send_fds(self._running(), [b"\0"], descriptors)

    def _running(self) -> socket.socket:
        assert self._control is not None  # noqa: S101 - _start has made it
        return self._control

    def _start(self) -> None:
        self.end()
        self._control, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-u", "-P", str(_PROGRAM), "serve", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                cwd=_PROGRAM.parent,
                env=_SETTINGS,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    def end(self) -> None:
        """Lets it go; it ends by itself."""
        if self._control is not None and self._process is not None:
            self._control.close()
            self._process.wait()


_SERVER: Final = _Server()
atexit.register(_SERVER.end)
