"""The command `drift`: what differs between a deployed stack and the program, by the Pulumi CLI.

Of the rehearsal that the CLI did not deploy, its own engine says what differs from what it
deployed.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from cli.check import hanging
from cli.errors import CliError, ExitCode
from cli.frame import print_json
from cli.paths import ROOT
from workloads.runtime.quoting import escaped

_UNCHANGED: Final = frozenset({"same", "read", "refresh"})
_SHOWN: Final = 4
_STYLES: Final = {"create": "green", "delete": "red", "replace": "magenta", "update": "yellow"}
_WORDS: Final = {
    "create": "is missing in AWS",
    "delete": "is no longer in the program",
    "update": "differs",
    "replace": "differs, and would be replaced",
}


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A resource that is not as the program says."""

    operation: str
    """What `pulumi up` would do: create, update, replace, delete."""
    type: str
    name: str
    properties: tuple[str, ...]
    """That differ, where Pulumi names them."""


def show(console: Console, stack: str, *, as_json: bool) -> ExitCode:
    """Prints the differences; NOT_READY where there are any.

    Raises CliError where Pulumi cannot say.
    """
    found = list(differences(_preview(stack, ROOT, None)) if stack else _of_rehearsal())
    if as_json:
        print_json({"stack": stack, "differences": [asdict(each) for each in found]})
    else:
        _print(console, stack, found)
    return ExitCode.NOT_READY if found else ExitCode.OK


def _of_rehearsal() -> Iterator[Difference]:
    """Of the stack that `up` keeps; nothing is written, as `refresh` does."""
    from cli import pulumi, service

    endpoint = service.running()
    if endpoint is None:
        raise CliError(
            "nothing is up; start it with `up`, or name a deployed stack with --stack",
            ExitCode.NOT_RUNNING,
        )
    if not endpoint.pulumi["checkpoint"]:
        variables = pulumi.environment(
            Path(endpoint.pulumi["state"]), int(endpoint.pulumi["provider"]), pulumi.bin_folder()
        )
        program = Path(endpoint.pulumi["program"])
        yield from differences(_preview(endpoint.stack, program, variables))
        return
    from cli.refresh import read_again

    for each in read_again(endpoint)[1].drift:
        yield Difference(
            operation="create" if each.gone else "update",
            type=each.resource.type,
            name=each.resource.name,
            properties=tuple(each.paths),
        )


def _preview(stack: str, program: Path, variables: Mapping[str, str] | None) -> Mapping[str, Any]:
    """What `pulumi preview --refresh --json` prints: the state is compared with AWS first, and
    nothing is written.

    Args:
        stack: its name.
        program: folder of the program.
        variables: of the environment; None for one's own.
    """
    command = ["pulumi", "preview", "--refresh", "--json", "--non-interactive", "--stack", stack]
    try:
        done = subprocess.run(
            command, cwd=program, env=variables, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise CliError(
            "there is no pulumi CLI on the PATH, which alone knows what was deployed",
            ExitCode.USAGE,
        ) from None
    try:
        found: Mapping[str, Any] = json.loads(done.stdout)
    except ValueError:
        said = " ".join((done.stderr or done.stdout).split())[:500]
        raise CliError(
            f"pulumi does not preview stack {stack}: {said}", ExitCode.NOT_FOUND
        ) from None
    errors = [
        str(each.get("message", "")).strip()
        for each in found.get("diagnostics") or []
        if each.get("severity") == "error"
    ]
    if done.returncode and (errors or not found.get("steps")):
        said = " ".join((errors or [done.stderr])[0].split())[:500]
        raise CliError(f"pulumi does not preview stack {stack}: {said}", ExitCode.REHEARSAL_FAILED)
    return found


def differences(preview: Mapping[str, Any]) -> Iterator[Difference]:
    """From the document that `pulumi preview --json` prints."""
    for step in preview.get("steps") or []:
        operation = str(step.get("op") or "")
        # a replacement has three steps, of which the one called so stands for all
        if operation in _UNCHANGED or operation in {"create-replacement", "delete-replaced"}:
            continue
        urn = str(step.get("urn") or "")
        named = [*(step.get("detailedDiff") or {}), *(step.get("diffReasons") or [])]
        yield Difference(
            operation=operation,
            type=urn.split("::")[2].rpartition("$")[2] if urn.count("::") >= 3 else "",
            name=urn.rpartition("::")[2],
            properties=tuple(dict.fromkeys(str(each) for each in named)),
        )


def _print(console: Console, stack: str, found: Sequence[Difference]) -> None:
    for each in found:
        more = f" and {len(each.properties) - _SHOWN} more" if len(each.properties) > _SHOWN else ""
        named = f": {', '.join(each.properties[:_SHOWN])}{more}" if each.properties else ""
        words = f"{each.name} ({each.type}) {_WORDS.get(each.operation, each.operation)}{named}"
        mark = Text(
            "~" if each.operation in {"update", "replace"} else "!", _STYLES.get(each.operation, "")
        )
        hanging(console, each.operation, escaped(words), mark=mark)
    console.print(
        Text(
            (
                f"{_named(stack)} is as the program says"
                if not found
                else f"{len(found)} difference{'s' * (len(found) > 1)}; {_remedy(stack)}"
            ),
            "bold",
        ),
        soft_wrap=True,
    )


def _named(stack: str) -> str:
    return f"stack {stack}" if stack else "the rehearsal"


def _remedy(stack: str) -> str:
    if stack:
        return f"pulumi up --stack {stack} puts them right"
    return "`down` and `up` make it anew"
