"""The JSON Schema refuses what the models refuse, as far as it can; the generated files are
current.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from cli import stack_files
from cli.schema import generated
from config import SECTIONS
from config.rules import RULES
from config.schema import stack_file_schema
from config.stack import NAMESPACE
from localcloud.deployment.stack_file import stack_document
from tests.config.stacks import REMOVED, changed
from tests.config.test_shape import CASES

ROOT = Path(__file__).parents[2]
GENERATED = generated()
VALIDATOR = Draft202012Validator(stack_file_schema())
BEYOND = {"network.cidr_block"}
"""An address range is arithmetic, and JSON Schema knows none."""


def refused(sections: dict[str, Any]) -> list[str]:
    file = {
        "config": {
            "aws:region": "us-east-1",
            **{f"batch-reference:{name}": value for name, value in sections.items()},
        }
    }
    return [error.json_path for error in VALIDATOR.iter_errors(file)]


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(VALIDATOR.schema)


def content(path: Path) -> dict[str, Any]:
    """What a stack file holds, as the CLI reads it."""
    return {"config": stack_document(path.read_bytes(), path.name, NAMESPACE).config}


@pytest.mark.parametrize("stack", stack_files.all_stacks())
def test_the_stack_files_pass_and_name_it(stack: str) -> None:
    text = (ROOT / f"Pulumi.{stack}.yaml").read_text()
    found = content(ROOT / f"Pulumi.{stack}.yaml")
    assert len(found["config"]) >= 8
    assert list(VALIDATOR.iter_errors(found)) == []
    first = text.splitlines()[0]
    assert first.startswith("# yaml-language-server: $schema=")
    assert (ROOT / first.partition("=")[2]).is_file()


@pytest.mark.parametrize(
    "path", sorted((ROOT / "examples").glob("Pulumi.*.yaml")), ids=lambda path: path.name
)
def test_the_examples_pass(path: Path) -> None:
    assert list(VALIDATOR.iter_errors(content(path))) == []


# infinity, which YAML can write, cannot stand in the JSON that a schema speaks of
JSON_CASES = [case for case in CASES if "Infinity" not in json.dumps(case[0], default=str)]


@pytest.mark.parametrize(
    ("changes", "path"),
    [case[:2] for case in JSON_CASES],
    ids=[f"{case[1]}-{index}" for index, case in enumerate(JSON_CASES)],
)
def test_what_the_models_refuse_the_schema_refuses(changes: dict[str, Any], path: str) -> None:
    assert bool(refused(changed(changes))) == (path not in BEYOND)


@pytest.mark.parametrize(
    "extra",
    [
        {"batch-reference:netwrok": {}},
        {"batch-reference:slack-webhook-url": "https://hooks.slack.com/services/T0/B0/x"},
        {"batch-reference:jobs": None},
    ],
)
def test_misspelt_sections_and_plain_secrets_are_refused(extra: dict[str, Any]) -> None:
    good = {f"batch-reference:{name}": value for name, value in changed({}).items()}
    assert VALIDATOR.is_valid(
        {"config": {**good, "batch-reference:slack-webhook-url": {"secure": "AAAB"}, "gcp:zone": 1}}
    )
    assert not VALIDATOR.is_valid({"config": {**good, **extra}})


def test_nearly_all_cases_can_be_written_as_json() -> None:
    assert len(JSON_CASES) == len(CASES) - 1


def test_sections_without_defaults_are_required() -> None:
    assert refused(changed({})) == []
    required = {section for section in changed({}) if refused(changed({section: REMOVED}))}
    assert required == {"environments", "queues", "jobs", "budget"}


@pytest.mark.parametrize("path", GENERATED, ids=str)
def test_generated_files_are_current(path: Path) -> None:
    assert (ROOT / path).read_text(encoding="utf-8") == GENERATED[path], (
        "run `python -m cli schema --write`"
    )


def test_the_reference_has_every_field_and_rule() -> None:
    text = GENERATED[Path("docs/config.md")]
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert len(rows) > 150
    fields = [row for row in rows if row.count("|") == 6]
    assert all(
        cell.strip()
        for row in fields
        if not row.startswith("| `<key>`")
        for cell in row.split("|")[2:6:3]
    )
    for name in SECTIONS:
        assert f"\n## {name}\n" in text
    for rule in RULES:
        assert f"| `{rule.code}` | {rule.level} |" in text
