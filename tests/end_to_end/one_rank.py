"""What shards are compared with: the same table, analysed by one job of one rank."""

from __future__ import annotations

import json
from typing import Final

from tests.end_to_end.conftest import Stack
from tests.localcloud.conftest import until
from workloads.contract import Run
from workloads.variables import ENV_RANKS_PER_NODE, ENV_RUN_ID, ENV_SHARDS

_SECONDS: Final = 900.0  # the table of a drill takes one rank minutes
_KNOWN: dict[str, str] = {}


def digest_of_one_rank(stack: Stack, run: Run, table: str) -> str:
    """Found once for each table, since every orchestrator has to come to the same. What the shards
    have written is written over.
    """
    if table not in _KNOWN:
        _KNOWN[table] = _digest(stack, run)
    return _KNOWN[table]


def _digest(stack: Stack, run: Run) -> str:
    batch, outputs = stack.ready.client("batch"), stack.ready.outputs
    variables = {ENV_RUN_ID: run.run_id, ENV_SHARDS: "1", ENV_RANKS_PER_NODE: "1"}
    job = batch.submit_job(
        jobName="one-rank",
        jobQueue=outputs["stage_queues"]["analysis"],
        jobDefinition=outputs["stage_job_definitions"]["analysis"],
        containerOverrides={
            "environment": [{"name": name, "value": value} for name, value in variables.items()]
        },
    )["jobId"]

    def end() -> str | None:
        status = str(batch.describe_jobs(jobs=[job])["jobs"][0]["status"])
        return status if status in {"SUCCEEDED", "FAILED"} else None

    assert until(end, seconds=_SECONDS, pause=0.02) == "SUCCEEDED"
    return str(json.loads(stack.result(run.success_key))["digest"])
