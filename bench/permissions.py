"""Takes every single action of every role away and asks which call of a run then is refused: which of them does somebody miss?

    python -m bench.permissions [--orchestrator step-functions] [--roles submit,notify] [--confirm 6] [--seed 1]

One run that succeeds, one that fails, and a beat of all clocks are made with all permissions, and every permission that a call needed is
kept. For each action the evaluation that judged those calls judges them again without it; some, drawn by lot, are really taken away and the
runs made again, which has to end alike. Prints a line for each action: `denied` (a call would be refused that names it), `log lost` (a
function that ran would write no log, which `preflight` and alarms tell), why nothing was to be expected, `allowed twice` or `unseen`. Ends
with 1 where something is unseen, allowed by two statements, or not confirmed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.follow import RunNotStartedError, follow
from cli.paths import ROOT
from cli.rehearsal import Rehearsal, rehearsal
from localcloud.access import Asked
from localcloud.policy_evaluation import decide
from localcloud.stackfile import read_stack
from workloads.contract import Run, Upload

GOOD: Final = b"id,height,weight\n" + b"".join(
    b"r%d,%d.5,%d\n" % (i, 150 + i % 50, 50 + i % 37) for i in range(200)
)
BAD: Final = b"name,town\nann,rome\nbob,oslo\n"
MOST_SECONDS: Final = 60.0
"""For one run, which without a permission may never end."""
SAID: Final = frozenset({"denied", "log lost", "unseen", "allowed twice"})
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


@dataclass(frozen=True, kw_only=True)
class Removal:
    """One action of one statement of a role's policy."""

    role: str
    policy: str
    sid: str
    action: str
    without: dict[str, Any]
    """The policy's document without it."""


def actions(iam: Any, wanted: list[str]) -> Iterator[Removal]:
    """Every action of every inline policy of the roles."""
    for role in [
        each["RoleName"]
        for page in iam.get_paginator("list_roles").paginate()
        for each in page["Roles"]
    ]:
        if wanted and not any(part in role for part in wanted):
            continue
        for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]:
            document = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
            for index, statement in enumerate(document["Statement"]):
                for action in statement["Action"]:
                    kept = [each for each in statement["Action"] if each != action]
                    others = [
                        each for number, each in enumerate(document["Statement"]) if number != index
                    ]
                    without = {
                        **document,
                        "Statement": [*others, {**statement, "Action": kept}] if kept else others,
                    }
                    yield Removal(
                        role=role,
                        policy=policy,
                        sid=statement["Sid"],
                        action=action,
                        without=without,
                    )


def expected(iam: Any, removal: Removal, needed: list[Asked]) -> str:
    """What becomes of the calls that were made and allowed, by the same evaluation that judges them when they are made."""
    of_role = [
        asked
        for asked in needed
        if asked.role_arn.endswith(f"/{removal.role}") and asked.action == removal.action
    ]
    inline = [
        name
        for name in iam.list_role_policies(RoleName=removal.role)["PolicyNames"]
        if name != removal.policy
    ]
    documents = [
        removal.without,
        *(
            iam.get_role_policy(RoleName=removal.role, PolicyName=name)["PolicyDocument"]
            for name in inline
        ),
    ]
    for attached in iam.list_attached_role_policies(RoleName=removal.role)["AttachedPolicies"]:
        version = iam.get_policy(PolicyArn=attached["PolicyArn"])["Policy"]["DefaultVersionId"]
        found = iam.get_policy_version(PolicyArn=attached["PolicyArn"], VersionId=version)
        documents.append(found["PolicyVersion"]["Document"])
    if any(
        decide(documents, asked.action, asked.resource, asked.context) != "allowed"
        for asked in of_role
    ):
        return "denied"
    if of_role:
        return "allowed twice"
    return "log lost" if removal.action in LOGS else EXPLAINED.get(removal.action, "unseen")


@contextmanager
def removed(iam: Any, removal: Removal) -> Iterator[None]:
    """The role without the action for the time of the block."""
    before = iam.get_role_policy(RoleName=removal.role, PolicyName=removal.policy)["PolicyDocument"]
    iam.put_role_policy(
        RoleName=removal.role, PolicyName=removal.policy, PolicyDocument=json.dumps(removal.without)
    )
    try:
        yield
    finally:
        iam.put_role_policy(
            RoleName=removal.role, PolicyName=removal.policy, PolicyDocument=json.dumps(before)
        )


def once(ready: Rehearsal, number: int) -> None:
    """A run that succeeds, one that fails, and a beat of the clocks."""
    bucket = ready.outputs["ingest_bucket"]
    for body in (GOOD, BAD):
        key = f"data/20260101/drill-{number}-{len(body)}.csv"
        reply = ready.client("s3").put_object(
            Bucket=bucket, Key=key, Body=body + b"# %d\n" % number if body is GOOD else body
        )
        run = Run(
            Upload(bucket=bucket, key=key, etag=reply["ETag"], version_id=reply["VersionId"]).run_id
        )
        end = time.monotonic() + MOST_SECONDS
        try:
            for status in follow(
                ready.client("dynamodb"),
                ready.client("batch"),
                ready.outputs["table"],
                run,
                start_seconds=10.0,
            ):
                if status.state in {"SUCCEEDED", "FAILED"} or time.monotonic() > end:
                    break
        except RunNotStartedError:
            pass
    ready.cloud.tick()
    time.sleep(1.0)


def main() -> int:
    """Prints the table; see above."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--orchestrator", choices=["batch", "step-functions"], default="batch")
    parser.add_argument(
        "--roles", default="", help="parts of role names, separated by commas; all without it"
    )
    parser.add_argument(
        "--confirm",
        type=int,
        default=6,
        help="so many of them are really taken away, one by one, drawn by lot",
    )
    parser.add_argument("--seed", type=int, default=1, help="of the lot")
    options = parser.parse_args()
    console, table = Console(), Table("role", "statement", "action", "what happens")
    pipeline = json.loads(
        read_stack(ROOT, "local", {}, {}).config.get("batch-reference:pipeline", "{}")
    )
    config = {
        "batch-reference:pipeline": json.dumps({**pipeline, "orchestrator": options.orchestrator})
    }
    counts: Counter[str] = Counter()
    with (
        tempfile.TemporaryDirectory() as folder,
        rehearsal("local", Path(folder) / "files", config=config, say=lambda _: None) as ready,
    ):
        iam, cloud = ready.client("iam"), ready.cloud
        once(ready, 0)
        if cloud.denials:
            raise SystemExit(f"refused before anything was taken away: {cloud.denials[0].sentence}")
        needed = [asked for asked in cloud.asked if asked.decision == "allowed"]
        wanted = [part for part in options.roles.split(",") if part]
        lot, really = Random(options.seed), list[tuple[Removal, str]]()  # noqa: S311 - no secret
        for removal in actions(iam, wanted):
            said = expected(iam, removal, needed)
            counts[said if said in SAID else "explained"] += 1
            table.add_row(Text(removal.role), removal.sid, removal.action, said)
            really.append((removal, said))
        console.print(table)
        lot.shuffle(really)
        for number, (removal, said) in enumerate(really[: options.confirm], 1):
            before = len(cloud.denials)
            with removed(iam, removal):
                once(ready, number)
            denied = any(denial.action == removal.action for denial in cloud.denials[before:])
            counts["confirmed" if denied == (said == "denied") else "not confirmed"] += 1
            console.print(
                Text(
                    f"taken away: {removal.role} {removal.action}: {'denied' if denied else 'not denied'}, expected: {said}"
                )
            )
    console.print(Text(", ".join(f"{count} {what}" for what, count in sorted(counts.items()))))
    return 1 if any(counts[each] for each in ("unseen", "allowed twice", "not confirmed")) else 0


if __name__ == "__main__":
    sys.exit(main())
