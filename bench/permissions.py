"""Takes every single action of every role away, one after the other, and looks what happens: who
misses it, and who says so?

    python -m bench.permissions [--orchestrator step-functions] [--roles submit,notify]

The local stack is deployed with everything that has a role of its own. Walks
(`bench.permission_walks`) are gone with all permissions, and of each action is kept which walk had
a call that needs it. Then each action is really taken away, and that walk is gone again. Prints a
line for each action: whether the call was refused, and where somebody learns of it by the action's
name: Slack, the answer to whoever deploys, or a log with the alarm that sends somebody there. `log
lost`: the function wrote nothing, and `preflight` names it. Ends with 1 where nobody missed an
action or two statements allow it (it should go), or where nobody is told.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.permission_scene import Scene, config, setting
from bench.permission_telling import Telling
from bench.permission_walks import Walk, budget_settled, guard_settled, later_walks, walks
from cli import stack_files
from cli.check import valid
from cli.log_checks import of_functions
from cli.paths import ROOT
from cli.questions import Questions
from cli.rehearsal import rehearsal
from localcloud.deployment.stack_file import read_stack
from localcloud.iam.access import Asked
from localcloud.iam.policy_evaluation import decide

LOGS: Final = frozenset({"logs:CreateLogStream", "logs:PutLogEvents"})
TELLING_SECONDS: Final = 30.0
EXPLAINED: Final = {
    "states:StopExecution": "documented by AWS for a map run that is ended early",
}


@dataclass(frozen=True, kw_only=True)
class Removal:
    """One action of one statement of a role's policy."""

    role: str
    policy: str
    action: str
    statement: dict[str, Any]
    """With this action alone."""
    before: dict[str, Any]
    """The policy's document."""
    without: dict[str, Any]
    """It without the action; no statement where it was the only one."""


def removals(iam: Any, wanted: list[str]) -> Iterator[Removal]:
    """Every action of every inline policy of the roles."""
    pages = iam.get_paginator("list_roles").paginate()
    for role in sorted(each["RoleName"] for page in pages for each in page["Roles"]):
        if wanted and not any(part in role for part in wanted):
            continue
        for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]:
            document = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
            for index, statement in enumerate(document["Statement"]):
                others = [s for n, s in enumerate(document["Statement"]) if n != index]
                for action in statement["Action"]:
                    kept = [each for each in statement["Action"] if each != action]
                    rest = [{**statement, "Action": kept}] if kept else []
                    yield Removal(
                        role=role,
                        policy=policy,
                        action=action,
                        statement={**statement, "Action": [action]},
                        before=document,
                        without={**document, "Statement": [*others, *rest]},
                    )


def documents(iam: Any, removal: Removal) -> list[dict[str, Any]]:
    """All policies of the role, without the action."""
    found = [removal.without] if removal.without["Statement"] else []
    for name in iam.list_role_policies(RoleName=removal.role)["PolicyNames"]:
        if name != removal.policy:
            policy = iam.get_role_policy(RoleName=removal.role, PolicyName=name)
            found += [policy["PolicyDocument"]]
    for attached in iam.list_attached_role_policies(RoleName=removal.role)["AttachedPolicies"]:
        version = iam.get_policy(PolicyArn=attached["PolicyArn"])["Policy"]["DefaultVersionId"]
        policy = iam.get_policy_version(PolicyArn=attached["PolicyArn"], VersionId=version)
        found.append(policy["PolicyVersion"]["Document"])
    return found


def needing(iam: Any, removal: Removal, asked: Mapping[str, list[Asked]]) -> str | None:
    """The first walk with a call that the action allows: `allowed twice` where other statements
    allow all of them as well.
    """
    left, found = documents(iam, removal), None
    alone = [{"Statement": [removal.statement]}]
    for walk, calls in asked.items():
        for call in calls:
            question = (call.action, call.resource, call.context)
            of_role = call.role_arn.endswith(f"/{removal.role}")
            if of_role and decide(alone, *question) == "allowed":
                if decide(left, *question) != "allowed":
                    return walk
                found = "allowed twice"
    return found


@contextmanager
def removed(iam: Any, removal: Removal) -> Iterator[None]:
    """The role without the action for the time of the block."""
    where = {"RoleName": removal.role, "PolicyName": removal.policy}
    if removal.without["Statement"]:
        iam.put_role_policy(**where, PolicyDocument=json.dumps(removal.without))
    else:
        iam.delete_role_policy(**where)
    try:
        yield
    finally:
        iam.put_role_policy(**where, PolicyDocument=json.dumps(removal.before))


def go(scene: Scene, found: Mapping[str, Walk]) -> dict[str, list[Asked]]:
    """Walks with all permissions: what each needed. Ends the program where a call is refused."""
    cloud, iam, needed = scene.ready.cloud, scene.client("iam"), dict[str, list[Asked]]()
    harmless = next(removals(iam, []))
    for name, walk in found.items():
        with removed(iam, replace(harmless, without=harmless.before)):
            pass  # after a change of IAM what was asked before is asked again
        began, asked, denials = time.monotonic(), len(cloud.asked), len(cloud.denials)
        walk(scene)
        needed[name] = [each for each in cloud.asked[asked:] if each.decision == "allowed"]
        said = f"{name}: {len(needed[name])} permissions, {time.monotonic() - began:.1f} s"
        print(said, file=sys.stderr, flush=True)
        if refused := cloud.denials[denials:]:
            raise SystemExit(f"{name}: refused with all permissions: {refused[0].sentence}")
    return needed


def drill(scene: Scene, removal: Removal, walk: Walk) -> tuple[str, str]:
    """Takes the action away and goes the walk: what happened, and where it is told."""
    cloud = scene.ready.cloud
    before, telling = len(cloud.denials), Telling(scene, removal.role, removal.action)

    def refused() -> bool:
        return any(
            denial.action == removal.action and f"/{removal.role}/" in denial.principal
            for denial in cloud.denials[before:]
        )

    with removed(scene.client("iam"), removal):
        scene.enough = refused
        try:
            walk(scene)
        finally:
            scene.enough = lambda: False
        missed = refused()
        told = telling.wait(TELLING_SECONDS) if missed else ""
    budget_settled(scene)
    if "guard" in removal.role:
        guard_settled(scene)
    return "refused" if missed else "not refused", told


def log_lost(scene: Scene, removal: Removal) -> tuple[str, str]:
    """Takes the action away from a function, whose log then stays empty: whether `preflight` names
    both.
    """
    function = next(each for each in scene.functions.values() if each["role"] == removal.role)
    logs, group = scene.client("logs"), function["group"]
    call = partial(scene.client("lambda").invoke, FunctionName=function["name"], Payload=b"{}")
    file = stack_files.read("local")
    asked = Questions(valid(Console(), file), scene.ready.cloud.region, scene.client)
    with (
        removed(scene.client("iam"), removal),
        setting(scene, function["name"], "DRILL", removal.action),  # so that it starts anew
    ):
        logs.delete_log_group(logGroupName=group)
        logs.create_log_group(logGroupName=group)
        call()
        found = list(of_functions(asked, lag=-timedelta(minutes=1)))
    named = any(function["name"] in what and removal.action in fix for what, _, fix in found)
    return "log lost", "preflight" if named else ""


def lines(scene: Scene, wanted: list[str]) -> Iterator[tuple[Removal, str, str]]:
    """Each action that is taken away, what happened, and where it is told."""
    iam = scene.client("iam")
    functions = {each["role"] for each in scene.functions.values()}
    left = list(removals(iam, wanted))
    for phase in (walks(scene), later_walks()):
        asked, plan = go(scene, phase), list[tuple[str, Removal]]()
        for removal in left:
            if removal.role in functions and removal.action in LOGS:
                plan.append(("", removal))
            elif (walk := needing(iam, removal, asked)) is not None:
                plan.append((walk, removal))
        done = [id(removal) for _, removal in plan]
        left = [removal for removal in left if id(removal) not in done]
        order = {walk: number for number, walk in enumerate(asked)}
        for walk, removal in sorted(plan, key=lambda each: order.get(each[0], -1)):
            if walk in asked:
                yield removal, *drill(scene, removal, phase[walk])
            else:
                yield removal, *((walk, "") if walk else log_lost(scene, removal))
    for removal in left:
        yield removal, "unseen", EXPLAINED.get(removal.action, "")


def main() -> int:
    """Prints the table; see above."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--orchestrator", choices=["batch", "step-functions"], default="batch")
    parser.add_argument(
        "--roles", default="", help="parts of role names, separated by commas; all without it"
    )
    options = parser.parse_args()
    console, table = Console(), Table("role", "statement", "action", "what happens", "told by")
    stack = read_stack(ROOT, "local", {}, {}).config
    sections = {
        name.partition(":")[2]: json.loads(text)
        for name, text in stack.items()
        if text.startswith("{")
    }
    settings = config(options.orchestrator, sections)
    counts, wrong, began = Counter[str](), 0, time.monotonic()
    with (
        tempfile.TemporaryDirectory() as folder,
        rehearsal("local", Path(folder) / "files", config=settings, say=lambda _: None) as ready,
    ):
        scene = Scene(ready)
        scene.shorten()
        for removal, what, told in lines(scene, [p for p in options.roles.split(",") if p]):
            counts[what if told else f"{what}, told by nobody"] += 1
            wrong += not told
            line = (removal.role, removal.statement["Sid"], removal.action, what, told)
            print(" | ".join(line), file=sys.stderr, flush=True)
            table.add_row(*map(Text, line))
    console.print(table)
    found = ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))
    console.print(Text(f"{found}; {time.monotonic() - began:.0f} s"))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
