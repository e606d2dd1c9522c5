"""Takes every single action of every role away, one at a time, and runs the pipeline: which of them does somebody miss?

    python -m bench.permissions [--orchestrator step-functions] [--roles submit,notify] [--most 5]

One run that succeeds, one that fails, and a beat of all clocks for each. Prints a line for each action: `denied` (a call was refused that
names it), `log lost` (a function that ran has written no log, which `preflight` and alarms tell), why nothing was to be expected, or
`unseen`. Ends with 1 where something is unseen.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.follow import RunNotStartedError, follow
from cli.paths import ROOT
from cli.rehearsal import Rehearsal, rehearsal
from localcloud.stackfile import read_stack
from workloads.contract import Run, Upload

GOOD: Final = b"id,height,weight\n" + b"".join(b"r%d,%d.5,%d\n" % (i, 150 + i % 50, 50 + i % 37) for i in range(200))
BAD: Final = b"name,town\nann,rome\nbob,oslo\n"
LOGS: Final = frozenset({"logs:CreateLogStream", "logs:PutLogEvents"})
EXPLAINED: Final = {
    "sqs:SendMessage": "dead letters only: no event was given up",
    "sqs:DeleteMessage": "dead letters only",
    "sqs:ChangeMessageVisibility": "dead letters only",
    "s3:AbortMultipartUpload": "only where a large upload fails in the middle",
    "s3:DeleteObject": "only where a checkpoint is left behind",
    "batch:TerminateJob": "only at a deadline, or by the guard",
    "batch:UpdateJobQueue": "only by the guard",
    "batch:ListJobs": "only after an answer to SubmitJob was lost, or for arrays",
    "events:PutEvents": "only where Slack is down",
    "dynamodb:PutItem": "only by the guard, or once a day",
    "iam:AttachRolePolicy": "only where the budget is used up",
    "iam:DetachRolePolicy": "only where the budget's stop is lifted",
    "s3:GetObjectVersion": "only where the event names a version",
    "logs:DeleteLogDelivery": "moto delivers no logs of state machines",
}


def actions(iam: Any, wanted: list[str]) -> Iterator[tuple[str, str, str, str, dict[str, Any]]]:
    """Role, policy, Sid, action and the policy's document without it."""
    for role in [each["RoleName"] for page in iam.get_paginator("list_roles").paginate() for each in page["Roles"]]:
        if wanted and not any(part in role for part in wanted):
            continue
        for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]:
            document = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
            for index, statement in enumerate(document["Statement"]):
                for action in statement["Action"]:
                    kept = [each for each in statement["Action"] if each != action]
                    others = [each for number, each in enumerate(document["Statement"]) if number != index]
                    without = [*others, {**statement, "Action": kept}] if kept else others
                    yield role, policy, statement["Sid"], action, {**document, "Statement": without}


@contextmanager
def removed(iam: Any, role: str, policy: str, document: dict[str, Any]) -> Iterator[None]:
    """The role without the action for the time of the block."""
    before = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
    iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=json.dumps(document))
    try:
        yield
    finally:
        iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=json.dumps(before))


def once(ready: Rehearsal, number: int) -> None:
    """A run that succeeds, one that fails, and a beat of the clocks."""
    bucket = ready.outputs["ingest_bucket"]
    for body in (GOOD, BAD):
        key = f"data/20260101/drill-{number}-{len(body)}.csv"
        reply = ready.client("s3").put_object(Bucket=bucket, Key=key, Body=body + b"# %d\n" % number if body is GOOD else body)
        run = Run(Upload(bucket=bucket, key=key, etag=reply["ETag"], version_id=reply["VersionId"]).run_id)
        try:
            for status in follow(ready.client("dynamodb"), ready.client("batch"), ready.outputs["table"], run, start_seconds=10.0):
                if status.state in {"SUCCEEDED", "FAILED"}:
                    break
        except RunNotStartedError:
            pass
    ready.cloud.tick()
    time.sleep(1.0)


def main() -> int:
    """Prints the table; see above."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orchestrator", choices=["batch", "step-functions"], default="batch")
    parser.add_argument("--roles", default="", help="parts of role names, separated by commas; all without it")
    parser.add_argument("--most", type=int, default=0, help="so many actions at most; all without it")
    asked = parser.parse_args()
    console, table = Console(), Table("role", "statement", "action", "what happens")
    pipeline = json.loads(read_stack(ROOT, "local", {}, {}).config.get("batch-reference:pipeline", "{}"))
    config = {"batch-reference:pipeline": json.dumps({**pipeline, "orchestrator": asked.orchestrator})}
    unexplained = 0
    with tempfile.TemporaryDirectory() as folder, rehearsal("local", Path(folder) / "files", config=config, say=lambda _: None) as ready:
        iam, cloud = ready.client("iam"), ready.cloud
        once(ready, 0)
        if cloud.denials:
            raise SystemExit(f"refused before anything was taken away: {cloud.denials[0].sentence}")
        wanted = [part for part in asked.roles.split(",") if part]
        for number, (role, policy, sid, action, document) in enumerate(actions(iam, wanted), 1):
            if asked.most and number > asked.most:
                break
            before = len(cloud.denials)
            with removed(iam, role, policy, document):
                once(ready, number)
            denied = [denial for denial in cloud.denials[before:] if denial.action == action]
            said = "denied" if denied else "log lost" if action in LOGS else EXPLAINED.get(action, "unseen")
            unexplained += said == "unseen"
            table.add_row(Text(role), sid, action, said)
    console.print(table)
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
