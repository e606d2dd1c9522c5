"""The JSON Schema of stack files, for editors: they complete names, show what a field does, and
mark what cannot be.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from config.stack import NAMESPACE, SECRETS, SECTIONS

_REQUIRED: Final = ("environments", "queues", "jobs", "budget")
"""Sections that have no defaults (Pulumi.yaml)."""
_ENCRYPTED: Final = {
    "type": "object",
    "description": "Encrypted by `pulumi config set --secret`; never in plain text.",
    "properties": {"secure": {"type": "string"}},
    "required": ["secure"],
    "additionalProperties": False,
}


def stack_file_schema() -> dict[str, Any]:
    """The schema of `Pulumi.<stack>.yaml`, draft 2020-12.

    Keys of other namespaces may hold anything.
    """
    definitions: dict[str, Any] = {}
    properties: dict[str, Any] = {}
    for name, adapter in SECTIONS.items():
        section = adapter.json_schema(ref_template="#/$defs/{model}")
        definitions |= section.pop("$defs", {})
        properties[f"{NAMESPACE}:{name}"] = section
    properties |= {f"{NAMESPACE}:{key}": _ENCRYPTED for key in SECRETS}
    known = "|".join((*SECTIONS, *SECRETS))
    schema: dict[str, Any] = _everywhere(
        {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "Stack file of batch-reference",
            "description": (
                "Made by `python -m cli schema --write`. Rules across sections are beyond it:"
                " `python -m cli check`."
            ),
            "type": "object",
            "properties": {
                "config": {
                    "type": "object",
                    "properties": {
                        "aws:region": {
                            "type": "string",
                            "description": "Region of everything in the stack.",
                        },
                        **properties,
                    },
                    "patternProperties": {f"^{NAMESPACE}:(?!(?:{known})$)": False},
                    "required": [f"{NAMESPACE}:{name}" for name in _REQUIRED],
                },
                "secretsprovider": {"type": "string"},
                "encryptedkey": {"type": "string"},
                "encryptionsalt": {"type": "string"},
                "environment": {},
            },
            "required": ["config"],
            "additionalProperties": False,
            "$defs": dict(sorted(definitions.items())),
        },
        _closed,
        _plain,
    )
    return schema


def _everywhere(schema: Any, *changes: Callable[[dict[str, Any]], None]) -> Any:
    if isinstance(schema, dict):
        for change in changes:
            change(schema)
        return {key: _everywhere(value, *changes) for key, value in schema.items()}
    return [_everywhere(item, *changes) for item in schema] if isinstance(schema, list) else schema


def _closed(schema: dict[str, Any]) -> None:
    """A map whose names have a form takes no others; pydantic's schema leaves that open."""
    names = schema.get("patternProperties")
    if isinstance(names, dict) and "properties" not in schema:
        schema["additionalProperties"] = False


def _plain(schema: dict[str, Any]) -> None:
    """Drops what no editor reads, and titles that repeat the name of the field; a field of such a
    name is no text.
    """
    schema.pop("discriminator", None)
    for key in ("title", "change"):
        if isinstance(schema.get(key), str) and "$schema" not in schema:
            del schema[key]
