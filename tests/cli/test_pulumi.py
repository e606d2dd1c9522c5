"""Which stack a rehearsal takes, and the folder in which the Pulumi CLI works on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli import pulumi
from cli.errors import CliError
from cli.paths import ROOT


def test_a_stack_is_a_name_or_a_path() -> None:
    assert pulumi.stack_file("prod").path == ROOT / "Pulumi.prod.yaml"
    example = pulumi.stack_file(str(ROOT / "examples" / "Pulumi.private.yaml"))
    assert (example.name, example.in_checkout) == ("private", False)


def test_what_is_no_stack_is_said_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(CliError, match=r"no Pulumi\.prd\.yaml.* dev, local, prod"):
        pulumi.stack_file("prd")
    odd = tmp_path / "prod.yml"
    odd.touch()
    with pytest.raises(CliError, match=r"call it Pulumi\.<stack>\.yaml"):
        pulumi.stack_file(str(odd))
    with pytest.raises(CliError, match="stack files stand here for"):
        pulumi.stack_file(str(tmp_path / "Pulumi.none.yaml"))


def test_the_cli_works_on_a_copy(tmp_path: Path) -> None:
    folder = pulumi.prepare_program(tmp_path / "program", pulumi.stack_file("local"))
    assert (folder / "__main__.py").samefile(ROOT / "__main__.py")
    copied = folder / "Pulumi.local.yaml"
    assert not copied.is_symlink()
    copied.write_text("config: {}\n")
    assert len((ROOT / "Pulumi.local.yaml").read_text()) > 100
