"""Runs one container of Docker or podman, and sees to it that it ends with whoever asked for it.

Started as a program of its own: `python -I container_supervisor.py <grace seconds> <status fd>
<memory MiB> <engine> <container>`, with a container that has been made, with its limit of memory,
and not started. Standard input is the life line, with the orders of supervisor.py: a `T` means the
image's stop signal (SIGTERM, where it names none), then SIGKILL after the grace period; `K` means
SIGKILL; a byte from 128 on means the signal of its lower bits; its end means that the parent is
gone: the container is removed. The container's output goes to this program's. On the status
descriptor it writes `started 0`, `exit <code> <reason>` or `error <sentence>`, one per line.
"""

from __future__ import annotations

import math
import os
import select
import signal
import subprocess
import sys
import threading

_REST_SECONDS = 30
"""For the rest of the log, after the container has ended."""
_BLOCK = 1 << 16
_IDLE = "failed to start containers"
"""Docker's last line, which names the container alone."""
_OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage"


def main(arguments: list[str]) -> int:
    """Runs the container to its end and reports on the status descriptor."""
    grace, status_fd = float(arguments[0]), int(arguments[1])
    engine, container = arguments[3:5]
    os.set_inheritable(status_fd, False)  # noqa: FBT003 - the standard library's signature
    # podman starts containers below itself, and none may begin with what the cloud has blocked
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    report = _run(engine, container, grace, status_fd)
    os.write(status_fd, f"{report}\n".encode())
    return 0


def _run(engine: str, container: str, grace: float, status_fd: int) -> str:
    started = subprocess.run(
        [engine, "start", container], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    if started.returncode:
        said = started.stderr.decode("utf-8", "replace").splitlines()
        reason = " ".join(line for line in said if line.strip() and _IDLE not in line)
        return f"error CannotStartContainerError: {reason.removeprefix('Error: ')}"
    os.write(status_fd, b"started 0\n")
    log = _Log(engine, container)
    log.start()
    wait = subprocess.Popen(
        [engine, "wait", container],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    code = _wait(wait, engine, container, grace)
    log.join(_REST_SECONDS)
    if code is None:
        return f"error CannotInspectContainerError: {engine} does not say how {container} ended"
    seen = subprocess.run(
        [engine, "inspect", "--format", "{{.State.OOMKilled}}", container],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    return f"exit {code} {_OUT_OF_MEMORY if seen.stdout.strip() == b'true' else ''}"


class _Log(threading.Thread):
    """Writes the container's output as it comes, stdout and stderr in the order of the engine."""

    def __init__(self, engine: str, container: str) -> None:
        super().__init__(daemon=True)
        self._engine, self._container = engine, container

    def run(self) -> None:
        """Until the container has ended."""
        written = self._copy("--follow")
        # a daemon that follows may stop at the end of the container, before the end of its log
        self._copy(after=written)

    def _copy(self, *options: str, after: int = 0) -> int:
        """Writes what comes after so many bytes; how many came."""
        reader = subprocess.Popen(
            [self._engine, "logs", *options, self._container],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        seen, source = 0, reader.stdout.fileno()  # type: ignore[union-attr]
        while data := os.read(source, _BLOCK):
            new = data[max(0, after - seen) :]
            seen += len(data)
            while new:
                new = new[os.write(sys.stdout.fileno(), new) :]
        reader.wait()
        return seen


def _wait(wait: subprocess.Popen[bytes], engine: str, container: str, grace: float) -> int | None:
    """Obeys orders until the container has ended; its exit code, None where it is not to be had."""
    answer, lifeline = wait.stdout.fileno(), sys.stdin.fileno()  # type: ignore[union-attr]
    watched = [lifeline, answer]
    while answer not in select.select(watched, [], [])[0]:
        order = os.read(lifeline, 1)
        if order == b"T":
            seconds = str(math.ceil(grace))
            _tell([engine, "stop", "-t", seconds, container])
        elif order >= b"\x80":
            _tell([engine, "kill", "--signal", str(order[0] & 0x7F), container])
        elif order == b"K":
            _tell([engine, "kill", container])
        else:
            watched.remove(lifeline)
            _tell([engine, "rm", "--force", "--volumes", container])
    said = wait.communicate()[0].strip()
    return int(said) if said.isdigit() else None


def _tell(command: list[str]) -> None:
    """Gives the engine an order without waiting for it: the next one may be more urgent."""
    subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
