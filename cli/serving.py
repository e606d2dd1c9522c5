"""The process of the rehearsal that stays."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, Literal

import psutil

from cli import service
from cli.rehearsal import IMAGES, Rehearsal, rehearsal
from cli.service import Endpoint
from localcloud.batch.container import JOB_PATH

_BEAT_SECONDS: Final = 60
"""Seconds between two ticks of the cloud's clocks: rules with a schedule, schedules, alarms."""


def endpoint_of(ready: Rehearsal) -> Endpoint:
    """That of a rehearsal in this process."""
    deployer, engine = ready.cloud.deployer, ready.cloud.engine
    return Endpoint(
        pid=os.getpid(),
        started=psutil.Process().create_time(),
        stack=ready.stack,
        url=ready.cloud.endpoint_url,
        access_key=deployer.access_key,
        secret=deployer.secret,
        account_id=ready.cloud.account_id,
        job_path=JOB_PATH,
        images=tuple(IMAGES),
        containers="" if engine is None else engine.name,
        limits_not_enforced=() if engine is None else engine.not_enforced,
        roles={
            stage: _roles(ready.client("batch"), name)
            for stage, name in ready.outputs["stage_job_definitions"].items()
        },
        outputs=ready.outputs,
        pulumi={
            "program": str(ready.program),
            "provider": str(ready.provider),
            "state": str(ready.state),
            "checkpoint": str(_checkpoint()) if ready.checkpoint else "",
            "slack": next(iter(ready.secrets.values()), ""),
        },
    )


def _checkpoint() -> Path:
    """Where the Pulumi CLI takes the stack over from."""
    return service.DIRECTORY / "stack.json"


def serve(
    stack: str,
    port: int,
    engine: Literal["own", "pulumi"],
    containers: str | None = None,
    *,
    say: Callable[[str], None],
) -> None:
    """Runs the rehearsal in this process until SIGTERM or SIGINT."""
    # Blocked before any thread starts, so that every thread inherits the mask and only sigwait
    # below receives them.
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    with rehearsal(
        stack, service.DIRECTORY, port=port, engine=engine, containers=containers, say=say
    ) as ready:
        endpoint = endpoint_of(ready)
        if ready.checkpoint:
            service.write_private(_checkpoint(), ready.checkpoint())
        partial = service.ENDPOINT.with_suffix(".partial")
        service.write_private(partial, json.dumps(asdict(endpoint), indent=1))
        partial.replace(service.ENDPOINT)
        while signal.sigtimedwait(ends, _BEAT_SECONDS) is None:
            ready.cloud.tick()
        service.ENDPOINT.unlink()


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
