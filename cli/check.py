"""`check`: everything that is wrong with stack files, at once, without a cloud."""

from __future__ import annotations

import json
import sys
import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.text import Text

from cli.errors import CliError, ExitCode
from cli.frame import print_json
from cli.stack_files import StackFile, all_stacks, read
from config import ConfigError, Problem, StackConfig

_STYLES = {"error": "bold red", "warning": "yellow"}
_FOUND_CHARACTERS = 100
_INDENT = 15


def check(console: Console, sources: Sequence[str], *, as_json: bool) -> ExitCode:
    """Checks stack files, all of the checkout unless some are named.

    Returns OK where there are no errors (there may be warnings), USAGE where there are. Raises
    CliError where a file cannot be read.
    """
    files = [read(source) for source in sources or all_stacks()]
    found = {file.label: problems(file) for file in files}
    if as_json:
        print_json({"files": [_as_json(file, found[file.label]) for file in files]})
    else:
        for file in files:
            _show(console, file, found[file.label])
    return (
        ExitCode.USAGE
        if any(p.level == "error" for each in found.values() for p in each)
        else ExitCode.OK
    )


def problems(file: StackFile) -> tuple[Problem, ...]:
    """All problems of a file, errors and warnings."""
    try:
        return tuple(file.load()[1])
    except ConfigError as error:
        return error.problems


def valid(console: Console, file: StackFile) -> StackConfig:
    """The config of a file that has no errors; otherwise shows them on `console` and raises
    CliError.
    """
    try:
        return file.load()[0]
    except ConfigError as error:
        _show(console, file, error.problems)
        raise CliError(
            f"{file.label} is not valid, so there is nothing more to say about it", ExitCode.USAGE
        ) from None


def count(problems: Sequence[Problem]) -> str:
    """`2 errors, 1 warning`, or `valid`."""
    levels = Counter(problem.level for problem in problems)
    parts = [
        f"{levels[level]} {level}{'s' if levels[level] > 1 else ''}"
        for level in ("error", "warning")
        if levels[level]
    ]
    return ", ".join(parts) or "valid"


def _as_json(file: StackFile, problems: Sequence[Problem]) -> dict[str, Any]:
    levels = Counter(problem.level for problem in problems)
    return {
        "file": file.label,
        "stack": file.stack,
        "errors": levels["error"],
        "warnings": levels["warning"],
        "problems": [{**asdict(problem), "line": file.line(problem.path)} for problem in problems],
    }


def _show(console: Console, file: StackFile, problems: Sequence[Problem]) -> None:
    style = _STYLES[problems[0].level] if problems else "green"
    console.print(
        Text.assemble((f"{file.label}: ", "bold"), (count(problems), style)), soft_wrap=True
    )
    for problem in problems:
        line = file.line(problem.path)
        found = (
            "nothing"
            if problem.found is None
            else json.dumps(problem.found, default=str, ensure_ascii=False)
        )
        found = found if len(found) <= _FOUND_CHARACTERS else f"{found[: _FOUND_CHARACTERS - 1]}…"
        head = Text.assemble(
            "  ",
            (f"{problem.level} {problem.code}", _STYLES[problem.level]),
            "  ",
            (problem.path, "bold"),
        )
        head.append(f"  line {line}" if line else "", "dim")
        console.print(head, soft_wrap=True)
        for label, text in (("found", found), ("but", problem.message), ("fix", problem.fix)):
            hanging(console, label, text)


def hanging(console: Console, label: str, text: str, *, mark: Text | None = None) -> None:
    """A labelled paragraph; on a terminal its further lines stand below its first, elsewhere it is
    one line for grep.
    """
    indent = " " * _INDENT
    width = console.width if console.is_terminal else sys.maxsize
    lines = textwrap.wrap(
        text, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
    ) or [indent]
    head = Text.assemble("  ", mark or " ", " ", (f"{label:<{_INDENT - 5}} ", "dim"))
    console.print(Text.assemble(head, "\n".join(lines)[_INDENT:]), soft_wrap=True)
