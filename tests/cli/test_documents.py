"""Every command that prints JSON for programs has a schema in the repository, and what it prints is
of it. Those on a deployed stack are held to theirs by tests/support/operator.py, preflight and
leftovers by their own tests.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from typer.testing import CliRunner

from cli.app import app
from cli.documents import DOCUMENTS
from cli.paths import ROOT
from cli.schema import document_schema
from tests.support.documents import validated

COMMANDS: dict[str, Any] = getattr(typer.main.get_command(app), "commands")  # noqa: B009 - of click's group
WITHOUT = {"demo", "down", "schema", "serve"}
"""Commands that print nothing for programs: a tour, an end, a schema, and what `up` starts."""


def said(command: str, *words: str, code: int = 0) -> Any:
    done = CliRunner().invoke(app, [command, *words, "--json"])
    assert done.exit_code == code, done.output
    return validated(command, done.stdout)


def test_every_command_prints_json_of_a_schema_but_these() -> None:
    for name, command in COMMANDS.items():
        options = {word for each in command.params for word in each.opts}
        assert ("--json" in options) == (name not in WITHOUT), name
    assert set(DOCUMENTS) == set(COMMANDS) - WITHOUT


@pytest.mark.parametrize("command", sorted(DOCUMENTS))
def test_a_schema_is_one_and_refuses_what_it_does_not_know(command: str) -> None:
    schema = document_schema(command)
    Draft202012Validator.check_schema(schema)
    assert not Draft202012Validator(schema).is_valid({"nonsense": 1})


def test_check_of_files_that_are_right_and_wrong(tmp_path: Path) -> None:
    broken = tmp_path / "Pulumi.broken.yaml"
    broken.write_text(
        (ROOT / "Pulumi.prod.yaml").read_text().replace("monthly_usd:", "monthly_euro:")
    )
    assert said("check", "prod", "dev")["files"][0]["errors"] == 0
    found = said("check", str(broken), code=2)
    assert found["files"][0]["problems"]


def test_estimate_with_and_without_prices(tmp_path: Path) -> None:
    assert said("estimate", "prod")["run"]["usd"] > 0
    elsewhere = tmp_path / "Pulumi.elsewhere.yaml"
    text = (ROOT / "Pulumi.dev.yaml").read_text()
    elsewhere.write_text(text.replace("us-east-1", "eu-central-1"))
    assert said("estimate", str(elsewhere))["run"]["usd"] is None


def test_diff_of_two_stacks() -> None:
    found = said("diff", "dev", "prod")
    assert found["changes"]
    assert any(each["difference"] for each in found["usd"])


def test_clean_of_a_small_file(tmp_path: Path) -> None:
    file = tmp_path / "sales.csv"
    file.write_text("day,amount\n2026-01-01,3\n2026-01-02,x\n" + "2026-01-03,5\n" * 40)
    found = said("clean", str(file), "--out", str(tmp_path / "out"))
    assert found["rows"] > 0
    assert found["files"]
