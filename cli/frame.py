"""The frame of the command line: the application that commands join, the options that they share,
how they write.

A module of `cli.commands` decorates its commands with `app.command(rich_help_panel=<section>)`,
where the section is one of SECTIONS. Commands import what they need when they are called, so that
`--help`, completion and a look at a stack file need neither boto3 nor the AWS in memory.
"""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from typer.core import TyperGroup

from cli import completion
from cli.errors import ExitCode

REHEARSAL: Final = "The whole system on one machine"
STACK_FILES: Final = "Stack files"
RUNS: Final = "See and understand runs"
OPERATE: Final = "Begin, stop and repeat runs"
DEPLOYED: Final = "Deployed stacks"
SECTIONS: Final = (RUNS, OPERATE, DEPLOYED, STACK_FILES, REHEARSAL)
"""Sections of the help, in order."""


_WHOLE: Final = 500
"""Characters that no first sentence has: none is cut."""


class _Manual(TyperGroup):
    """Help with the commands by section, each with its whole first sentence."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Writes the sections."""
        shown = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        for section in SECTIONS:
            rows = [
                (name, command.get_short_help_str(_WHOLE))
                for name, command in shown
                if command is not None
                and not command.hidden
                and getattr(command, "rich_help_panel", None) == section
            ]
            if rows:
                with formatter.section(section):
                    formatter.write_dl(rows)


app = typer.Typer(
    cls=_Manual,
    help=(
        "Batch Reference: the operator's commands, and the whole system on one machine.\n\nRUN is a"
        " run id, the beginning of one, `last`, or the key of an upload (data/20260131/sales.csv)."
        " Commands work on the rehearsal of `up`, or with --stack (or BATCHREF_STACK) on a deployed"
        " stack."
    ),
    epilog="\b\n"
    + "\n".join(["Exit codes:", *(f"  {code.value}  {code.meaning}" for code in ExitCode)]),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
out: Final = Console(markup=False, emoji=False)
"""Standard output. What stands in brackets is text, whoever wrote it: a console that reads markup
would take the colour, or the link, that a file name or AWS's reason asks for.
"""
err: Final = Console(stderr=True, markup=False, emoji=False)
"""Standard error, likewise."""

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Deployed = Annotated[
    str,
    typer.Option(
        "--stack",
        envvar="BATCHREF_STACK",
        help="A stack deployed by the Pulumi CLI; the rehearsal of `up` without it.",
        autocompletion=completion.stacks,
    ),
]
Watch = Annotated[
    bool,
    typer.Option("--watch", "-w", help="Look again and again, and show what changes; end by ^C."),
]
RunName = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="A run id or the beginning of one, `last`, or the key of an upload.",
        autocompletion=completion.runs,
    ),
]
StageName = Annotated[
    str,
    typer.Option(
        "--stage", help="preprocess, analysis or postprocess.", autocompletion=completion.stages
    ),
]


def examples(*lines: str) -> str:
    """The end of a command's help: command lines that may be pasted, each on its line."""
    return "\b\n" + "\n".join(["Examples:", *(f"  batchref {line}" for line in lines)])


def say(text: str) -> None:
    """A line on standard output, as it is: no markup, no colours of numbers, never cut."""
    out.print(text, highlight=False, markup=False, emoji=False, soft_wrap=True)


def print_json(data: Any, *, line: bool = False) -> None:
    """A document for programs on standard output; no terminal width and no colour changes it.

    Args:
        data: what json takes; what else there is in it becomes text.
        line: as one line, of which more follow.
    """
    # in another encoding than Unicode's a character that it lacks would be no JSON any more
    lacks = not (sys.stdout.encoding or "").lower().startswith("utf")
    text = json.dumps(data, indent=None if line else 1, default=str, ensure_ascii=lacks)
    print(text, flush=True)
