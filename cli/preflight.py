"""`preflight`: whether an account can run a stack, asked before anything is deployed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cache
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from rich.console import Console
from rich.text import Text

from cli.account_checks import CHECKS, unsure
from cli.check import hanging, valid
from cli.deployer_checks import state_machine_validation
from cli.errors import CliError, ExitCode
from cli.frame import print_json
from cli.questions import Finding, Questions
from cli.stack_files import read

_MARKS: Final = {"ok": ("✔", "green"), "warning": ("!", "yellow"), "error": ("✘", "bold red")}
_CLIENT_CONFIG: Final = Config(
    retries={"mode": "standard", "max_attempts": 3}, connect_timeout=5, read_timeout=20
)


def show(
    console: Console, errors: Console, source: str, *, endpoint_url: str, as_json: bool
) -> ExitCode:
    """Asks the account and prints the answers.

    Returns OK where nothing is known to be wrong, NOT_READY where something is. Raises CliError
    where the file is not valid, names no region, or where there are no credentials.
    """
    file = read(source)
    config = valid(errors, file)
    region = file.needed_region()
    client = clients(region, endpoint_url)
    account = account_of(client)
    found = examine(Questions(config, region, client))
    if as_json:
        document = {
            "stack": file.stack,
            "account": account,
            "region": region,
            "findings": [asdict(finding) for finding in found],
        }
        print_json(document)
    else:
        print_findings(console, f"{file.label}, account {account}, {region}", found, well="ready")
    return ExitCode.NOT_READY if any(finding.level == "error" for finding in found) else ExitCode.OK


def clients(region: str, endpoint_url: str) -> Callable[[str], Any]:
    """Clients by service name, made once each."""
    make: Any = boto3.Session().client

    @cache
    def client(service: str) -> Any:
        return make(
            service, region_name=region, endpoint_url=endpoint_url or None, config=_CLIENT_CONFIG
        )

    return client


def examine(asked: Questions) -> list[Finding]:
    """All answers; a question that cannot be asked is a warning."""
    found: list[Finding] = []
    for check in (*CHECKS, state_machine_validation):
        try:
            for finding in check(asked):
                found.append(finding)  # noqa: PERF402 - what was found before a failure is kept
        except (BotoCoreError, ClientError) as error:
            name = check.__name__.replace("_", " ")
            found.append(unsure(name.split()[0], name, error))
    return found


def account_of(client: Callable[[str], Any]) -> str:
    """Number of the account.

    Raises CliError where there are no credentials, or AWS does not answer.
    """
    try:
        return str(client("sts").get_caller_identity()["Account"])
    except NoCredentialsError as error:
        raise CliError(
            "there are no AWS credentials; log in, or name another AWS by --endpoint-url",
            ExitCode.USAGE,
        ) from error
    except (BotoCoreError, ClientError) as error:
        raise CliError(f"AWS does not answer: {error}", ExitCode.USAGE) from error


def print_findings(console: Console, title: str, found: Sequence[Finding], *, well: str) -> None:
    """A line for each finding, and how many are no good; `well` is the word for none."""
    levels = Counter(finding.level for finding in found)
    counts = ", ".join(
        f"{number} {level}{'s' if number > 1 else ''}"
        for level in ("error", "warning")
        if (number := levels[level])
    )
    console.print(Text(title, "bold"), soft_wrap=True)
    for finding in found:
        mark, style = _MARKS[finding.level]
        hanging(console, finding.check, finding.what, mark=Text(mark, style))
        if finding.fix:
            hanging(console, "fix", finding.fix)
    console.print(Text(counts or well, "bold"))
