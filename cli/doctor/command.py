"""The command `doctor`."""

from __future__ import annotations

import time
from dataclasses import asdict

from rich.console import Console

from cli.doctor.checks import examine
from cli.doctor.patient import Patient
from cli.errors import ExitCode
from cli.frame import print_json
from cli.preflight import print_findings
from cli.target import Target
from cli.why.account import Account


def show(console: Console, target: Target, *, as_json: bool) -> ExitCode:
    """Examines a deployed stack and prints a line for each finding; NOT_READY where something is
    wrong.
    """
    account = Account(
        client=target.client, outputs=target.outputs, now=time.time, stack=target.stack
    )
    found = examine(Patient(account))
    name = f"stack {target.stack}" if target.stack else "the rehearsal"
    if as_json:
        print_json({"stack": target.stack, "findings": [asdict(finding) for finding in found]})
    else:
        print_findings(console, f"{name}, {target.output('region')}", found, well="healthy")
    return ExitCode.NOT_READY if any(finding.level == "error" for finding in found) else ExitCode.OK
