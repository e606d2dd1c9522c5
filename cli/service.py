"""The rehearsal that stays: a background process, and the file by which other commands find it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, Self

import psutil

from cli.errors import CliError, ExitCode
from cli.paths import ROOT, STATE
from cli.rehearsal import IMAGES, Rehearsal, rehearsal
from localcloud.batch.container import JOB_PATH

DIRECTORY: Final = STATE / "up"
_ENDPOINT: Final = DIRECTORY / "endpoint.json"
_LOG: Final = STATE / "up.log"
_START_SECONDS: Final = 120
_STOP_SECONDS: Final = 30
_BEAT_SECONDS: Final = 60
"""From one beat of the cloud's clocks to the next: rules with a schedule, schedules, alarms."""


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A running rehearsal."""

    pid: int
    started: float
    """Creation time of the process; a process id alone may have been given to another process since."""
    stack: str
    url: str
    access_key: str
    secret: str = field(repr=False)
    """Of the deployer, who may do everything; new with each start."""
    account_id: str
    job_path: str
    """PATH of jobs."""
    images: Sequence[str]
    """Patterns of the images that jobs may name."""
    roles: Mapping[str, Mapping[str, str]]
    """By stage: `job` and `execution` role, empty where its definition has none."""
    outputs: Mapping[str, Any]
    pulumi: Mapping[str, str]
    """For the Pulumi CLI: `program` folder, `provider` port, `state` folder, `checkpoint` file or nothing, `slack` URL or nothing."""

    @classmethod
    def of(cls, ready: Rehearsal) -> Self:
        """That of a rehearsal in this process."""
        deployer = ready.cloud.deployer
        return cls(
            pid=os.getpid(),
            started=psutil.Process().create_time(),
            stack=ready.stack,
            url=ready.cloud.endpoint_url,
            access_key=deployer.access_key,
            secret=deployer.secret,
            account_id=ready.cloud.account_id,
            job_path=JOB_PATH,
            images=tuple(IMAGES),
            roles={
                stage: _roles(ready.client("batch"), name)
                for stage, name in ready.outputs["stage_job_definitions"].items()
            },
            outputs=ready.outputs,
            pulumi={
                "program": str(ready.program),
                "provider": str(ready.provider),
                "state": str(ready.state),
                "checkpoint": str(DIRECTORY / "stack.json") if ready.checkpoint else "",
                "slack": next(iter(ready.secrets.values()), ""),
            },
        )

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


def _roles(batch: Any, definition: str) -> dict[str, str]:
    """The roles of a stage's containers."""
    found = batch.describe_job_definitions(jobDefinitionName=definition, status="ACTIVE")[
        "jobDefinitions"
    ][-1]
    container = (
        found.get("containerProperties")
        or found["nodeProperties"]["nodeRangeProperties"][0]["container"]
    )
    return {
        "job": container.get("jobRoleArn", ""),
        "execution": container.get("executionRoleArn", ""),
    }


def running() -> Endpoint | None:
    """The rehearsal that `up` started, if it runs."""
    try:
        endpoint = Endpoint(**json.loads(_ENDPOINT.read_bytes()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return endpoint if endpoint.alive else None


def serve(
    stack: str, port: int, engine: Literal["own", "pulumi"], say: Callable[[str], None]
) -> None:
    """Runs the rehearsal in this process until SIGTERM or SIGINT."""
    # Blocked before any thread starts, so that every thread inherits the mask and only sigwait below receives them.
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    with rehearsal(stack, DIRECTORY, port=port, engine=engine, say=say) as ready:
        endpoint = Endpoint.of(ready)
        if ready.checkpoint:
            write_private(DIRECTORY / "stack.json", ready.checkpoint())
        partial = _ENDPOINT.with_suffix(".partial")
        write_private(partial, json.dumps(asdict(endpoint), indent=1))
        partial.replace(_ENDPOINT)
        while signal.sigtimedwait(ends, _BEAT_SECONDS) is None:
            ready.cloud.tick()
        _ENDPOINT.unlink()


def write_private(path: Path, text: str) -> None:
    """Writes a new file that is its owner's alone before a secret is in it. Raises FileExistsError."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def start(stack: str, port: int, engine: Literal["own", "pulumi"]) -> Endpoint:
    """Starts the rehearsal in the background and waits until it is ready. Raises CliError with the end of its log where it fails."""
    STATE.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "cli", "serve", "--stack", stack]
    command += ["--port", str(port), "--engine", engine]
    with _LOG.open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        endpoint = running()
        if endpoint is not None and endpoint.pid == process.pid:
            return endpoint
        if process.poll() is not None:
            raise CliError(
                _tail(_LOG),
                ExitCode(process.returncode)
                if process.returncode in set(ExitCode)
                else ExitCode.REHEARSAL_FAILED,
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
