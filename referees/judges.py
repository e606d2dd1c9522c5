"""Runs each referee in its own environment and reads what it found."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from referees.findings import Finding

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = ROOT / ".referees" / "bin"


class RefereeError(RuntimeError):
    """A referee that did not come to a verdict; the message is what it said."""


def cfn_lint(templates: Mapping[str, Path], region: str) -> Iterator[Finding]:
    """cfn-lint's errors and warnings; what it calls information is about templates that
    CloudFormation deploys.
    """
    files = [str(path) for path in templates.values()]
    stacks = {str(path): stack for stack, path in templates.items()}
    rules = ("--regions", region, "--format", "json")
    for each in json.loads(_run("cfn-lint", [*rules, "--template", *files])):
        path = each["Location"]["Path"] or ["", ""]
        where = f"{stacks[each['Filename']]}/{path[1] if len(path) > 1 else ''}"
        yield Finding(
            referee="cfn-lint", check=each["Rule"]["Id"], where=where, text=each["Message"]
        )


def checkov(templates: Mapping[str, Path]) -> Iterator[Finding]:
    """Checkov's failed checks. It is told to download nothing."""
    files = [option for path in templates.values() for option in ("--file", str(path))]
    rules = ("--framework", "cloudformation", "--output", "json", "--compact", "--quiet")
    read = json.loads(_run("checkov", [*rules, "--skip-download", *files]))
    stacks = {path.name: stack for stack, path in templates.items()}
    reports = read if isinstance(read, list) else [read]
    for report in reports:
        if report["summary"]["parsing_errors"]:
            raise RefereeError(f"checkov could not read {report['results'].get('parsing_errors')}")
        judged = report["summary"]["passed"] + report["summary"]["failed"]
        if judged < len(files):
            raise RefereeError(
                f"checkov made {judged} checks over {len(templates)} templates: it has judged"
                " nothing"
            )
        for each in report["results"]["failed_checks"]:
            where = f"{stacks[Path(each['file_path']).name]}/{each['resource'].partition('.')[2]}"
            yield Finding(
                referee="checkov", check=each["check_id"], where=where, text=each["check_name"]
            )


def cdk_nag(templates: Mapping[str, Path]) -> Iterator[Finding]:
    """What the pack AwsSolutions of cdk-nag says of the templates, which AWS CDK reads in
    Node.js.
    """
    script = str(Path(__file__).with_name("nag.py"))
    for each in json.loads(_run("python", [script, *map(str, templates.values())])):
        yield Finding(**each)


def iam(documents: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """What parliament, policy_sentry and cloudsplaining say about policies, each `{where,
    policy}`.
    """
    script = str(Path(__file__).with_name("iam.py"))
    for each in json.loads(_run("python", [script], stdin=json.dumps(documents))):
        yield Finding(**each)


def _run(program: str, arguments: Sequence[str], stdin: str = "") -> str:
    command = [str(ENVIRONMENT / program), *arguments]
    done = subprocess.run(
        command,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    if not done.stdout.lstrip().startswith(("[", "{")):
        raise RefereeError(
            f"{program} ended with {done.returncode}: {done.stderr[-2000:] or done.stdout[-2000:]}"
        )
    return done.stdout
