"""The rehearsal that stays: the background process, and the file by which other commands find
it.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import psutil

from cli.errors import CliError, ExitCode
from cli.paths import ROOT, STATE

DIRECTORY: Final = STATE / "up"
ENDPOINT: Final = DIRECTORY / "endpoint.json"
_LOG: Final = STATE / "up.log"
_LOCK: Final = STATE / "up.lock"
_START_SECONDS: Final = 120
_STOP_SECONDS: Final = 30


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A running rehearsal."""

    pid: int
    started: float
    """Creation time of the process; a process id alone may have been given to another process
    since.
    """
    stack: str
    url: str
    access_key: str
    secret: str = field(repr=False)
    """Secret key of the deployer, who may do everything; new with each start."""
    account_id: str
    job_path: str
    """PATH of jobs."""
    images: Sequence[str]
    """Patterns of the images that stand for this checkout."""
    containers: str
    """The engine that runs containers of other images; empty where they are refused."""
    limits_not_enforced: Sequence[str]
    """Flags of the limits that the engine cannot set on this machine."""
    roles: Mapping[str, Mapping[str, str]]
    """Roles by stage, `job` and `execution`, empty where its definition has none."""
    outputs: Mapping[str, Any]
    pulumi: Mapping[str, str]
    """For the Pulumi CLI: `program` folder, `provider` port, `state` folder, `checkpoint` file or
    nothing, `slack` URL or nothing.
    """

    @property
    def credentials(self) -> dict[str, str]:
        """The deployer's, as boto3's clients take them."""
        return {"aws_access_key_id": self.access_key, "aws_secret_access_key": self.secret}

    @property
    def alive(self) -> bool:
        """Whether the process that wrote the file still runs."""
        try:
            return psutil.Process(self.pid).create_time() == self.started
        except psutil.NoSuchProcess:
            return False


def running() -> Endpoint | None:
    """The rehearsal that `up` started, if it runs."""
    try:
        endpoint = Endpoint(**json.loads(ENDPOINT.read_bytes()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return endpoint if endpoint.alive else None


def write_private(path: Path, text: str) -> None:
    """Writes a new file that is its owner's alone before a secret is in it.

    Raises FileExistsError.
    """
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def start(
    stack: str, port: int, engine: Literal["own", "pulumi"], containers: str | None = None
) -> Endpoint:
    """Starts the rehearsal in the background and waits until it is ready.

    Raises CliError with the end of its log where it fails, and where another one is being started.
    """
    STATE.mkdir(exist_ok=True)
    with _locked() as lock:
        return _start(stack, port, engine, containers, lock)


@contextmanager
def _locked() -> Iterator[int]:
    """The right to empty the rehearsal's folder and to deploy; a process that inherits the file
    descriptor keeps it until it ends, however it ends.
    """
    with _LOCK.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise CliError(
                f"another `up` of this checkout is at work (process {file.read().strip()}); wait"
                " until it is ready, or end that process",
                ExitCode.USAGE,
            ) from error
        file.truncate(0)
        yield file.fileno()


def _start(
    stack: str, port: int, engine: Literal["own", "pulumi"], containers: str | None, lock: int
) -> Endpoint:
    command = [sys.executable, "-m", "cli", "serve", "--stack", stack]
    command += ["--port", str(port), "--engine", engine]
    command += ["--containers", containers] if containers else []
    with _LOG.open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=(lock,),
        )
    os.write(lock, str(process.pid).encode())
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        endpoint = running()
        if endpoint is not None and endpoint.pid == process.pid:
            return endpoint
        if process.poll() is not None:
            raise CliError(
                _tail(_LOG),
                (
                    ExitCode(process.returncode)
                    if process.returncode in set(ExitCode)
                    else ExitCode.REHEARSAL_FAILED
                ),
            )
        time.sleep(0.1)
    process.terminate()
    raise CliError(
        f"the rehearsal was not ready after {_START_SECONDS} s; its log is {_LOG}",
        ExitCode.REHEARSAL_FAILED,
    )


def stop(endpoint: Endpoint) -> None:
    """Ends the rehearsal with all of its jobs."""
    process = psutil.Process(endpoint.pid)
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except psutil.TimeoutExpired:
        process.kill()
        process.wait(_STOP_SECONDS)


def _tail(path: Path) -> str:
    return (
        path.read_text(errors="replace").strip()[-4000:]
        or f"the rehearsal ended without a word; its log is {path}"
    )
