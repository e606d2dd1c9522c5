"""`schema`: what a stack file may say, for editors and for readers, and what commands print for
programs.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from pydantic import ConfigDict, TypeAdapter
from rich.console import Console

from cli import advice_documents, documents, file_documents
from cli.documents import DOCUMENTS
from cli.errors import CliError, ExitCode
from cli.paths import ROOT
from config.reference import reference
from config.schema import stack_file_schema

SCHEMA: Final = Path("config/schema/stack.schema.json")
REFERENCE: Final = Path("docs/config.md")
DOCUMENT_SCHEMAS: Final = Path("cli/schemas")


def generated() -> dict[Path, str]:
    """File -> what has to stand in it."""
    return {
        SCHEMA: json.dumps(stack_file_schema(), indent=2, ensure_ascii=False) + "\n",
        REFERENCE: reference(),
        **{DOCUMENT_SCHEMAS / f"{name}.schema.json": _text(name) for name in DOCUMENTS},
    }


def document_schema(command: str) -> dict[str, Any]:
    """The JSON Schema of what a command prints with --json."""
    for each in (
        *vars(documents).values(),
        *vars(advice_documents).values(),
        *vars(file_documents).values(),
    ):
        # read by pydantic alone, when a schema is made: commands need not import it
        if isinstance(each, type) and hasattr(each, "__total__"):
            each.__pydantic_config__ = ConfigDict(  # type: ignore[attr-defined]
                use_attribute_docstrings=True, extra="forbid"
            )
    made = TypeAdapter(DOCUMENTS[command]).json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"batchref {command} --json",
        **{key: value for key, value in made.items() if key != "title"},
    }


def _text(command: str) -> str:
    return json.dumps(document_schema(command), indent=2, ensure_ascii=False) + "\n"


def show(console: Console, command: str, *, write: bool) -> ExitCode:
    """Prints the JSON Schema of stack files, or of what a command prints; or writes the generated
    files. Raises CliError.
    """
    if command and command not in DOCUMENTS:
        raise CliError(
            f"no schema of {command}; there is one of {', '.join(DOCUMENTS)}", ExitCode.NOT_FOUND
        )
    files = generated()
    if not write:
        print(_text(command) if command else files[SCHEMA], end="")
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
