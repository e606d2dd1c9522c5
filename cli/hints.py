"""Commands for the ordinary aws CLI against a running rehearsal, ready to paste."""

from __future__ import annotations

import json
import re
import secrets
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from cli import pulumi
from cli.paths import ROOT, SAMPLE
from cli.service import Endpoint
from workloads import contract
from workloads.variables import ENV_INPUT_KEY, ENV_RUN_ID


def show(console: Console, endpoint: Endpoint) -> None:
    """Prints the commands."""
    console.print(
        f"\nAWS in memory: {endpoint.url}   stack {endpoint.stack}   end it with: make down\n",
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=True,
    )
    # printed, not rendered: the lines must survive the clipboard whatever the width of the terminal
    print(text(endpoint))


def facts(endpoint: Endpoint) -> dict[str, Any]:
    """All that a client of one's own needs to know, for programs; `docs/bring-your-own.md` explains
    it.
    """
    out = dict(endpoint.outputs)
    port = endpoint.url.rpartition(":")[2]
    return {
        "stack": endpoint.stack,
        "pid": endpoint.pid,
        "environment": _environment(endpoint),
        "account_id": endpoint.account_id,
        "s3": {"path_style": endpoint.url, "virtual_hosts": f"http://<bucket>.localhost:{port}"},
        "jobs": {
            "path": endpoint.job_path,
            "images": list(endpoint.images),
            "containers": endpoint.containers or None,
            "limits_not_enforced": list(endpoint.limits_not_enforced),
            "queues": out["queues"],
            "log_groups": out["log_groups"],
            "roles": endpoint.roles,
        },
        "outputs": out,
        "pulumi": {
            "environment": pulumi.variables(
                Path(endpoint.pulumi["state"]), int(endpoint.pulumi["provider"])
            ),
            "program": endpoint.pulumi["program"],
            "commands": [line for line in _own_pulumi(endpoint) if line.startswith("pulumi ")],
        },
    }


def _environment(endpoint: Endpoint) -> dict[str, str]:
    """The variables by which every AWS SDK and the aws CLI find the endpoint."""
    return {
        "AWS_ENDPOINT_URL": endpoint.url,
        "AWS_DEFAULT_REGION": str(endpoint.outputs["region"]),
        "AWS_REGION": str(endpoint.outputs["region"]),
        "AWS_ACCESS_KEY_ID": endpoint.access_key,
        "AWS_SECRET_ACCESS_KEY": endpoint.secret,
        # of clients in Rust, which refuse endpoints without TLS otherwise
        "AWS_ALLOW_HTTP": "true",
    }


def _other_images(endpoint: Endpoint) -> str:
    """What happens to jobs with images that do not stand for this checkout."""
    if not endpoint.containers:
        return "refused; make up CONTAINERS=docker runs them in containers"
    unset = ", ".join(endpoint.limits_not_enforced)
    return f"run by {endpoint.containers}" + (f", which cannot set {unset} here" if unset else "")


def _own_pulumi(endpoint: Endpoint) -> list[str]:
    """What makes a Pulumi CLI of one's own go on with the stack."""
    told, stack = endpoint.pulumi, endpoint.stack
    settings = pulumi.variables(Path(told["state"]), int(told["provider"]))
    lines = [
        "# your own Pulumi CLI: docs/pulumi-cli.md; or: . .local/up/pulumi.sh",
        "export " + " ".join(f"{name}={value}" for name, value in settings.items()),
        f"cd {shlex.quote(told['program'])}",
    ]
    if told["checkpoint"]:
        lines.append(f"pulumi stack init {stack}")
        if told["slack"]:
            lines.append(f"pulumi config set --secret {pulumi.SLACK} {told['slack']}")
        lines.append(f"pulumi stack import --file {shlex.quote(told['checkpoint'])}")
    else:
        lines.append(f"pulumi stack select {stack}")
    return [*lines, "pulumi preview --diff"]


def pulumi_script(endpoint: Endpoint) -> str:
    """The same, and the aws CLI's variables, as a file to be read by a shell: `.
    .local/up/pulumi.sh`.
    """
    script = ROOT / "scripts" / "pulumi.sh"
    path = f'export PATH="{ROOT}/.venv/bin:$(sh {shlex.quote(str(script))} --ready):$PATH"'
    names = {**_environment(endpoint), "PULUMI_SKIP_UPDATE_CHECK": "true"}
    aws = "export " + " ".join(f"{name}={value}" for name, value in names.items())
    return "\n".join([path, aws, *_own_pulumi(endpoint)[1:-1], ""])


def _own_client(endpoint: Endpoint) -> list[str]:
    """What people need who bring their own client, image or job definition, as comments of a
    shell.
    """
    roles = endpoint.roles["preprocess"]
    known = {
        "S3": (
            f"path style at {endpoint.url}; buckets as hosts at"
            f" http://<bucket>.localhost:{endpoint.url.rpartition(':')[2]}"
        ),
        "jobs find programs on": endpoint.job_path,
        "images that are known": ", ".join(endpoint.images),
        "other images": _other_images(endpoint),
        "a queue": endpoint.outputs["stage_queues"]["preprocess"],
        "a log group for logConfiguration": endpoint.outputs["log_groups"]["preprocess"],
        "an execution role": roles["execution"],
        "a job role": roles["job"],
    }
    return [
        "# your own client: docs/bring-your-own.md; `up --json` prints all of this for programs"
    ] + [f"#   {name}: {value}" for name, value in known.items() if value]


def text(endpoint: Endpoint) -> str:
    """The commands as one text that a shell takes."""
    out: dict[str, Any] = dict(endpoint.outputs)
    sample = next(SAMPLE.glob("*.csv")).relative_to(ROOT)
    key = f"data/20260101/{sample.name}"
    run = (
        f"20260102-{contract.Upload(bucket='-', key=key, etag='-').dataset}-{secrets.token_hex(6)}"
    )
    by_hand = {ENV_RUN_ID: run, ENV_INPUT_KEY: key}
    environment = [{"name": name, "value": value} for name, value in by_hand.items()]
    container = json.dumps({"environment": environment})
    nodes = json.dumps(
        {
            "nodePropertyOverrides": [
                {
                    "targetNodes": contract.ANALYSIS_TARGET_NODES,
                    "containerOverrides": {"environment": environment},
                }
            ]
        }
    )
    queues, definitions = out["stage_queues"], out["stage_job_definitions"]
    multi_node, shards, logs = (
        out["analysis_is_multi_node"],
        out["analysis_shards"],
        out["log_groups"]["analysis"],
    )
    analysis = (
        f"--node-overrides '{nodes}'" if multi_node else f"--container-overrides '{container}'"
    )
    if shards > 1:
        analysis += f" --array-properties size={shards}"
    parts = "--multi-node-job-id" if multi_node else "--array-job-id" if shards > 1 else ""

    def submit(stage: contract.Stage, overrides: str, after: str) -> str:
        depends = f" --depends-on jobId={after}" if after else ""
        return (
            f"{stage.upper()}=$(aws batch submit-job --job-name by-hand-{stage} --job-queue"
            f" {queues[stage]} --job-definition {definitions[stage]}{depends} {overrides} --query"
            " jobId --output text)"
        )

    return "\n".join(
        [
            "export "
            + " ".join(f"{name}={value}" for name, value in _environment(endpoint).items()),
            f'export PATH="{ROOT}/.venv/bin:$PATH"   # an aws CLI, if you have none',
            "",
            "# an upload starts a run",
            f"aws s3 cp {sample} s3://{out['ingest_bucket']}/{key}",
            (
                f"aws dynamodb scan --table-name {out['table']} --query 'Items[].[sk.S,state.S]'"
                " --output text"
            ),
            "",
            "# the same by hand: three jobs, each after the one before",
            submit("preprocess", f"--container-overrides '{container}'", ""),
            submit("analysis", analysis, "$PREPROCESS"),
            submit("postprocess", f"--container-overrides '{container}'", "$ANALYSIS"),
            (
                "aws batch describe-jobs --jobs $PREPROCESS $ANALYSIS $POSTPROCESS --query"
                " 'jobs[].[jobName,status]' --output table"
            ),
            *([f"aws batch list-jobs {parts} $ANALYSIS --job-status SUCCEEDED"] if parts else []),
            (
                f"aws logs describe-log-streams --log-group-name {logs} --query"
                " 'logStreams[].logStreamName'   # one for each node"
            ),
            (
                f"aws logs filter-log-events --log-group-name {logs} --query 'events[].message'"
                " --output text"
            ),
            f"aws s3 cp s3://{out['results_bucket']}/runs/{run}/report.html report.html",
            "",
            (
                "# what a run leaves, by pandas, polars and DuckDB; statements for Athena:"
                f" runs/{run}/athena.sql; more in docs/data.md"
            ),
            *reading(
                {
                    "RESULTS": out["results_bucket"],
                    "INTERMEDIATE": out["intermediate_bucket"],
                    "DATE": run[:8],
                    "RUN": run,
                }
            ),
            "",
            *_own_pulumi(endpoint),
            "",
            *_own_client(endpoint),
        ]
    )


def reading(names: Mapping[str, str]) -> list[str]:
    """The examples of docs/data.md as commands, with names in place of its words in capitals."""
    commands = []
    for block in re.findall(
        r"```python\n(.*?)```", (ROOT / "docs" / "data.md").read_text(), re.DOTALL
    ):
        filled = re.sub(rf"\b({'|'.join(names)})\b", lambda match: names[match[1]], block)
        commands.append(f"python - <<'END'\n{filled}END")
    return commands
