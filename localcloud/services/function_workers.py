"""Warm worker processes of Lambda functions: started when none is idle, one invocation at a time
each, killed when they are outdated.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from localcloud.services.function_process import FunctionProcess

_PROCESSORS: Final = os.cpu_count() or 1
_PATIENCE_SECONDS: Final = 1.0
_LOG_SECONDS: Final = 1.0
"""How long an invocation's end waits for the last line that its handler printed."""


class Worker:
    """One process that runs a function.

    Args:
        key: Identity of code and configuration.
        handler: `module.function`.
        code: Working directory, on PYTHONPATH.
        environment: The process's whole environment.
        write_line: Takes a line for the function's log.
    """

    def __init__(
        self,
        *,
        key: str,
        handler: str,
        code: Path,
        environment: Mapping[str, str],
        write_line: Callable[[str], None],
    ) -> None:
        self.key = key
        self.tail: list[str] = []
        self._write_line = write_line
        self._log_complete = threading.Event()
        self._process = FunctionProcess(handler=handler, code=code, environment=environment)
        threading.Thread(target=self._read_log, daemon=True, name="function-log").start()

    @property
    def exit_code(self) -> int | None:
        """None while it lives."""
        return self._process.exit_code

    def exchange(self, request: dict[str, Any], seconds: float) -> dict[str, Any] | None:
        """Sends one invocation and waits for its answer; None where the time is over or the process
        has died.
        """
        self._log_complete.clear()
        with contextlib.suppress(OSError):
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
            if select.select([self._process.results], [], [], seconds)[0]:
                line = self._process.results.readline()
                if line:
                    self._log_complete.wait(_LOG_SECONDS)
                    return dict(json.loads(line))
                self._process.wait()  # it closed the pipe by dying
        return None

    def log(self, line: str) -> None:
        """Adds a line to the function's log and to the tail that an invocation may ask for."""
        self.tail.append(line)
        self._write_line(line)

    def _read_log(self) -> None:
        for raw in self._process.log:
            # the worker ends what an invocation printed with a NUL
            text, end, _ = raw.decode("utf-8", "replace").rstrip("\r\n").partition("\0")
            if text or not end:
                self.log(text)
            if end:
                self._log_complete.set()

    def kill(self) -> None:
        """Kills it and all that it started in its session."""
        self._process.kill()


class WorkerPool:
    """Idle and busy workers by function name. Thread safe."""

    def __init__(self) -> None:
        self._idle: dict[str, list[Worker]] = {}
        self._all: dict[int, Worker] = {}
        self._busy: dict[str, int] = {}
        self._given_back = threading.Condition()
        self._closed = False

    def take(self, name: str, key: str, start: Callable[[], Worker]) -> Worker:
        """An idle worker of this configuration, else a new one; idle ones of an older configuration
        are killed.

        Starting takes a processor for a second, so where every processor has a worker of the
        function already, one that is about to be given back is waited for first.
        """
        patience = time.monotonic() + _PATIENCE_SECONDS
        outdated: list[Worker] = []
        with self._given_back:
            while True:
                found = self._usable(name, key, outdated)
                left = patience - time.monotonic()
                if (
                    found is not None
                    or self._busy.get(name, 0) < _PROCESSORS
                    or left <= 0
                    or self._closed
                ):
                    break
                self._given_back.wait(left)
            self._busy[name] = self._busy.get(name, 0) + 1
        for worker in outdated:
            self.discard(worker)
        if found is not None:
            return found
        try:
            worker = start()
        except BaseException:
            self._left(name)
            raise
        with self._given_back:
            self._all[id(worker)] = worker
            closed = self._closed
        if closed:
            worker.kill()
        return worker

    def _usable(self, name: str, key: str, outdated: list[Worker]) -> Worker | None:
        """Takes an idle worker that is alive and of this configuration; moves the others to
        `outdated`.
        """
        idle = self._idle.setdefault(name, [])
        while idle:
            worker = idle.pop()
            if worker.key == key and worker.exit_code is None:
                return worker
            outdated.append(worker)
        return None

    def _left(self, name: str) -> None:
        with self._given_back:
            self._busy[name] -= 1
            self._given_back.notify_all()

    def give_back(self, name: str, worker: Worker) -> None:
        """After an invocation that has left the worker usable."""
        with self._given_back:
            self._idle.setdefault(name, []).append(worker)
        self._left(name)

    def lose(self, name: str, worker: Worker) -> None:
        """After an invocation that has not."""
        self.discard(worker)
        self._left(name)

    def discard(self, worker: Worker) -> None:
        """Kills a worker for good."""
        worker.kill()
        with self._given_back:
            self._all.pop(id(worker), None)

    def close(self) -> None:
        """Kills all of them."""
        with self._given_back:
            self._closed = True
            self._given_back.notify_all()
            workers = list(self._all.values())
        for worker in workers:
            worker.kill()


def lost(exit_code: int | None, request_id: str, timeout: float) -> dict[str, str]:
    """What Lambda says of an invocation without an answer: over time, or the runtime died."""
    if exit_code is None:
        moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
        return {
            "errorType": "Sandbox.Timedout",
            "errorMessage": f"{moment}Z {request_id} Task timed out after {timeout:.2f} seconds",
        }
    message = f"RequestId: {request_id} Error: Runtime exited with error: exit status {exit_code}"
    return {"errorType": "Runtime.ExitError", "errorMessage": message}
