"""What commands print for programs, held to the schemas that the repository keeps."""

from __future__ import annotations

import json
from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from cli.paths import ROOT


def validated(command: str, text: str) -> Any:
    """The document that a command printed. Raises where its schema does not allow it."""
    schema = json.loads((ROOT / "cli" / "schemas" / f"{command}.schema.json").read_text())
    document = json.loads(text)
    Draft202012Validator(schema).validate(document)
    return document
