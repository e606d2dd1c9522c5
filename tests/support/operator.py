"""The command line as an operator uses it, in this process, on a stack that is deployed here."""

from __future__ import annotations

import functools
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest
import typer.testing
from typer.testing import CliRunner

from cli import service
from cli.app import app
from cli.errors import CliError, of_aws
from cli.rehearsal import Rehearsal
from cli.serving import endpoint_of
from tests.support.documents import validated

# the runner makes the commands anew, with all that their signatures say, each time that one is run
setattr(typer.testing, "_get_command", functools.cache(typer.main.get_command))  # noqa: B010


@dataclass(frozen=True, kw_only=True)
class Said:
    """How a command ended."""

    code: int
    text: str
    """Standard output, or the sentence of the error."""


@dataclass(frozen=True)
class Operator:
    """Somebody at a terminal of a width."""

    width: int = 100

    def __call__(self, *words: str) -> Said:
        """Runs a command."""
        done = CliRunner(env={"COLUMNS": str(self.width)}).invoke(app, list(words))
        error = done.exception
        if isinstance(error, SystemExit) or error is None:
            return Said(code=done.exit_code, text=done.output)
        said = error if isinstance(error, CliError) else of_aws(error)  # type: ignore[arg-type]
        if said is None:
            raise error
        return Said(code=said.code, text=str(said))

    def json(self, command: str, *words: str) -> Any:
        """Runs a command with --json; what it prints, which its schema allows."""
        said = self(command, *words, "--json")
        texts = said.text.splitlines() if command == "logs" else [said.text]
        documents = [validated(command, text) for text in texts]
        return documents if command == "logs" else documents[0]


def at_terminal(ready: Rehearsal, directory: Path, patch: pytest.MonkeyPatch) -> Operator:
    """An operator whose commands find this stack as that of `up`."""
    file = directory / "endpoint.json"
    file.write_text(json.dumps(asdict(endpoint_of(ready))))
    patch.setattr(service, "ENDPOINT", file)
    patch.delenv("BATCHREF_STACK", raising=False)
    return Operator()
