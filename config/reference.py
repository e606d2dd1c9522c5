"""The reference of stack files, docs/config.md, made from the models and the rules."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from config.rules import RULES
from config.stack import NAMESPACE, SECRETS, SECTIONS

_INTRO: Final = f"""\
# What a stack file may say

Made by `python -m cli schema --write` from the models in `config/`; a test holds it current. Change the models, not this file.

A stack is described by `Pulumi.<stack>.yaml`: one object for each section below, under the key `{NAMESPACE}:<section>`.
`python -m cli check` tells everything that is wrong with the stack files in a second and without a cloud; `python -m cli estimate` what
they cost; `python -m cli diff` what a change does. Editors that know JSON Schema complete and check while you type: the first line of each
stack file names `config/schema/stack.schema.json`.

Secrets are keys of their own, `pulumi config set --secret {SECRETS[0]}`, and never part of a section.

What a change of a field costs in a living stack:

| change | means |
|---|---|
| in place | the resource is updated; what runs goes on, where the table says nothing else |
| new revision | a new revision of the job definition; jobs that were submitted before keep the old one |
| replaces | the resource is made anew and the old one deleted |
| drained queue | as replaces, and running jobs would be stopped: wait until the queue is empty |
"""
_FACTS: Final = """\
## Instance types and prices

What the rules know of an instance type stands in `config/ec2_facts.json`: sizes, GPUs, network cards, disks, On-Demand price with its
date. Prices of services that stand without a job are in `config/service_prices.json`. A type that is missing is a warning, never a guess:
rules keep silent about it, and its price is unknown.

`python scripts/refresh_ec2_facts.py` asks AWS for all of it, with your credentials and for the region that you name:

    python scripts/refresh_ec2_facts.py --region eu-west-1                  # refresh all types and prices
    python scripts/refresh_ec2_facts.py --add p5e.48xlarge --add g6.xlarge  # add types

Without credentials add an entry by hand, with the fields of `InstanceType` in `config/facts.py` and `"price_confirmed": false`. The file
is a part of your checkout: commit it, and everybody checks against the same facts.
"""
_TYPES: Final = {
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "string": "text",
}


def reference() -> str:
    """docs/config.md."""
    parts = [_INTRO, *(_section(name) for name in SECTIONS), _rules(), _FACTS]
    return "\n".join(parts)


def _section(name: str) -> str:
    schema = SECTIONS[name].json_schema()
    definitions = schema.get("$defs", {})
    lines = [f"## {name}", ""]
    for path, model in _models(f"`{name}`", schema, definitions):
        if path != f"`{name}`":
            lines += [f"### {path}", ""]
        about = inspect.cleandoc(model.get("description", ""))
        lines += [about, ""] if about else []
        lines += _table(model, definitions)
    return "\n".join(lines)


def _models(
    path: str, schema: Mapping[str, Any], definitions: Mapping[str, Any]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The models below a schema with their paths, outermost first; a plain map of texts counts as
    one.
    """
    schema = _resolved(schema, definitions)
    if "properties" in schema:
        yield path, schema
        for name, field in schema["properties"].items():
            yield from _models(_below(path, f".{name}"), field, definitions)
        return
    for inner in (*schema.get("oneOf", ()), *schema.get("anyOf", ())):
        kinds = _resolved(inner, definitions).get("properties", {}).get("kind", {})
        names = kinds.get("enum") or [kinds["const"]] if kinds else []
        yield from _models(
            f"{path} of kind {' or '.join(names)}" if names else path, inner, definitions
        )
    for inner in schema.get("patternProperties", {}).values():
        if _resolved(inner, definitions).get("type") == "string":
            yield (
                path,
                {
                    "description": "A map of texts.",
                    "properties": {"<key>": {**inner, "change": "in place"}},
                },
            )
        else:
            yield from _models(_below(path, ".<name>"), inner, definitions)
    if isinstance(schema.get("items"), Mapping):
        yield from _models(_below(path, "[]"), schema["items"], definitions)


def _below(path: str, step: str) -> str:
    """The path of a part; kinds of what it is a part of stand in parentheses."""
    field, kinds = path.removeprefix("`").split("`")
    outer = kinds.removeprefix(" of kind ").strip(" ()")
    return f"`{field}{step}`" + (f" ({outer})" if outer else "")


def _table(model: Mapping[str, Any], definitions: Mapping[str, Any]) -> list[str]:
    required = set(model.get("required", ()))
    lines = ["| field | type | default | what it does | a change |", "|---|---|---|---|---|"]
    for name, field in model["properties"].items():
        about = str(field.get("description", "")).partition(" Change:")[0]
        default = (
            "**required**"
            if name in required
            else ""
            if "default" not in field
            else _code(field["default"])
        )
        lines.append(
            f"| `{name}` | {_type(field, definitions)} | {default} | {_cell(about)} |"
            f" {field.get('change', '')} |"
        )
    return [*lines, ""]


def _type(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    field = _resolved(field, definitions)
    if "const" in field or "enum" in field:
        return _choice(field.get("enum") or [field["const"]])
    if "anyOf" in field:
        kinds = [inner for inner in field["anyOf"] if inner.get("type") != "null"]
        return " or ".join(_type(inner, definitions) for inner in kinds) + (
            " or nothing" if len(kinds) < len(field["anyOf"]) else ""
        )
    if field.get("type") == "array":
        return f"list: {_type(field['items'], definitions)}" + _bounds(
            field, "minItems", "maxItems", " entries"
        )
    if "properties" in field or "oneOf" in field:
        return "see below"
    if field.get("type") == "object":
        return (
            "map, see below"
            if "$ref" in str(field)
            else "map of "
            + " or ".join(_type(v, definitions) for v in field["patternProperties"].values())
        )
    expected = str(field.get("patternErrorMessage", "")).removeprefix("expected ")
    if expected:
        return _cell(expected)
    return _TYPES[str(field["type"])] + _bounds(field, "minimum", "maximum", "")


def _bounds(field: Mapping[str, Any], least: str, most: str, unit: str) -> str:
    low, high = field.get(least), field.get(most)
    if "exclusiveMinimum" in field and least == "minimum":
        return f", more than {field['exclusiveMinimum']:g}"
    if low is None and high is None:
        return ""
    if low is None or high is None:
        return f", at most {high:,}{unit}" if low is None else f", at least {low:,}{unit}"
    return f", {low:,} to {high:,}{unit}"


def _rules() -> str:
    lines = [
        "## Rules",
        "",
        (
            "What `python -m cli check` and `pulumi up` look at beyond single fields. An error"
            " refuses the stack, a warning is shown."
        ),
        "",
        "| code | level | holds that | else | source |",
        "|---|---|---|---|---|",
    ]
    for rule in sorted(RULES, key=lambda rule: rule.code):
        about = _first_sentence(inspect.getdoc(type(rule)) or "")
        lines.append(
            f"| `{rule.code}` | {rule.level} | {_cell(about)} | {_cell(rule.reason)} |"
            f" {_cell(rule.source)} |"
        )
    return "\n".join([*lines, ""])


def _first_sentence(text: str) -> str:
    return re.split(r"\n\n", text, maxsplit=1)[0]


def _resolved(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema with what it refers to, its own words first."""
    if "$ref" not in schema:
        return schema
    return {
        **definitions[schema["$ref"].rpartition("/")[2]],
        **{key: value for key, value in schema.items() if key != "$ref"},
    }


def _choice(values: Sequence[Any]) -> str:
    return ", ".join(f"`{value}`" for value in values)


def _code(value: Any) -> str:
    return f"`{json.dumps(value)}`" if value is not None else "nothing"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
