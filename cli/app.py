"""The command line: all commands, and how their errors reach a person."""

from __future__ import annotations

import io
import sys

from cli.commands import files, operate, rehearsal, runs, understand
from cli.errors import CliError, of_aws
from cli.frame import app, err

__all__ = ["app", "files", "main", "operate", "rehearsal", "runs", "understand"]


def main() -> None:
    """Runs the command line; a CliError, and what AWS refuses, becomes a sentence and an exit
    code.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a character that it lacks is no reason to fail
            stream.reconfigure(errors="backslashreplace")
    try:
        app(prog_name="batchref")
    except Exception as error:
        said = error if isinstance(error, CliError) else of_aws(error)
        if said is None:
            raise
        err.print(
            f"error: {said}",
            style="red",
            highlight=False,
            markup=False,
            emoji=False,
            soft_wrap=True,
        )
        sys.exit(said.code)
