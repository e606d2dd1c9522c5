"""`schema`: what a stack file may say, for editors and for readers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from rich.console import Console

from cli.errors import ExitCode
from cli.paths import ROOT
from config.reference import reference
from config.schema import stack_file_schema

SCHEMA: Final = Path("config/schema/stack.schema.json")
REFERENCE: Final = Path("docs/config.md")


def generated() -> dict[Path, str]:
    """File -> what has to stand in it."""
    return {
        SCHEMA: json.dumps(stack_file_schema(), indent=2, ensure_ascii=False) + "\n",
        REFERENCE: reference(),
    }


def show(console: Console, *, write: bool) -> ExitCode:
    """Prints the JSON Schema, or writes the generated files."""
    files = generated()
    if not write:
        print(files[SCHEMA], end="")
        return ExitCode.OK
    for path, text in files.items():
        target = ROOT / path
        target.parent.mkdir(parents=True, exist_ok=True)
        changed = not target.is_file() or target.read_text(encoding="utf-8") != text
        target.write_text(text, encoding="utf-8")
        console.print(
            f"{path}: {'written' if changed else 'is current'}",
            highlight=False,
            markup=False,
            emoji=False,
        )
    return ExitCode.OK
