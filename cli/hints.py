"""Commands for the ordinary aws CLI against a running rehearsal, ready to paste."""

from __future__ import annotations

import json
import secrets
from typing import Any

from rich.console import Console

from cli.paths import ROOT, SAMPLE
from cli.service import Endpoint
from workloads import contract


def show(console: Console, endpoint: Endpoint) -> None:
    """Prints the commands."""
    console.print(
        f"\nAWS in memory: {endpoint.url}   stack {endpoint.stack}   end it with: make down\n", highlight=False, markup=False, emoji=False
    )
    # printed, not rendered: the lines must survive the clipboard whatever the width of the terminal
    print(text(endpoint))


def text(endpoint: Endpoint) -> str:
    """The commands as one text that a shell takes."""
    out: dict[str, Any] = dict(endpoint.outputs)
    sample = next(SAMPLE.glob("*.csv")).relative_to(ROOT)
    key = f"data/20260101/{sample.name}"
    run = f"20260102-{contract.Upload(bucket='-', key=key, etag='-').dataset}-{secrets.token_hex(6)}"
    by_hand = {contract.ENV_RUN_ID: run, contract.ENV_INPUT_KEY: key}
    environment = [{"name": name, "value": value} for name, value in by_hand.items()]
    container = json.dumps({"environment": environment})
    nodes = json.dumps(
        {"nodePropertyOverrides": [{"targetNodes": contract.ANALYSIS_TARGET_NODES, "containerOverrides": {"environment": environment}}]}
    )
    queues, definitions = out["stage_queues"], out["stage_job_definitions"]
    multi_node, shards, logs = out["analysis_is_multi_node"], out["analysis_shards"], out["log_groups"]["analysis"]
    analysis = f"--node-overrides '{nodes}'" if multi_node else f"--container-overrides '{container}'"
    if shards > 1:
        analysis += f" --array-properties size={shards}"
    parts = "--multi-node-job-id" if multi_node else "--array-job-id" if shards > 1 else ""

    def submit(stage: contract.Stage, overrides: str, after: str) -> str:
        depends = f" --depends-on jobId={after}" if after else ""
        return (
            f"{stage.upper()}=$(aws batch submit-job --job-name by-hand-{stage} --job-queue {queues[stage]} "
            f"--job-definition {definitions[stage]}{depends} {overrides} --query jobId --output text)"
        )

    return "\n".join(
        [
            f"export AWS_ENDPOINT_URL={endpoint.url} AWS_DEFAULT_REGION={out['region']}",
            f"export AWS_ACCESS_KEY_ID={endpoint.access_key} AWS_SECRET_ACCESS_KEY={endpoint.secret}",
            f'export PATH="{ROOT}/.venv/bin:$PATH"   # an aws CLI, if you have none',
            "",
            "# an upload starts a run",
            f"aws s3 cp {sample} s3://{out['ingest_bucket']}/{key}",
            f"aws dynamodb scan --table-name {out['table']} --query 'Items[].[sk.S,state.S]' --output text",
            "",
            "# the same by hand: three jobs, each after the one before",
            submit("preprocess", f"--container-overrides '{container}'", ""),
            submit("analysis", analysis, "$PREPROCESS"),
            submit("postprocess", f"--container-overrides '{container}'", "$ANALYSIS"),
            "aws batch describe-jobs --jobs $PREPROCESS $ANALYSIS $POSTPROCESS --query 'jobs[].[jobName,status]' --output table",
            *([f"aws batch list-jobs {parts} $ANALYSIS --job-status SUCCEEDED"] if parts else []),
            f"aws logs describe-log-streams --log-group-name {logs} --query 'logStreams[].logStreamName'   # one for each node",
            f"aws logs filter-log-events --log-group-name {logs} --query 'events[].message' --output text",
            f"aws s3 cp s3://{out['results_bucket']}/runs/{run}/report.html report.html",
        ]
    )
