"""The command line as a whole: what it says of itself, and how it ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cli.errors import ExitCode

ROOT = Path(__file__).parents[2]
COMMANDS = {"demo", "up", "down", "check", "estimate", "diff", "preflight", "schema", "runs"}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_lists_commands_and_exit_codes_on_80_columns() -> None:
    text = run("--help").stdout
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    assert {line.split()[0] for line in lines if line.startswith("  ") and line.strip()} >= COMMANDS
    assert "..." not in text.partition("Options:")[2]
    for code in ExitCode:
        assert f"{code.value}  {code.meaning}" in text
        assert code.meaning
        assert ExitCode(code.value) is code


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("check", "nix"), ExitCode.USAGE, "error: there is no Pulumi.nix.yaml"),
        (("estimate", "prod", "--minutes", "x=1"), ExitCode.USAGE, "error: --minutes has 'x=1'"),
        (("diff", "prod"), ExitCode.USAGE, "Missing argument"),
        (("nonsense",), ExitCode.USAGE, "No such command"),
        (("schema",), ExitCode.OK, ""),
    ],
)
def test_every_end_has_its_code_and_no_traceback(
    arguments: tuple[str, ...], code: ExitCode, says: str
) -> None:
    done = run(*arguments)
    assert done.returncode == code
    assert says in done.stderr
    assert "Traceback" not in done.stderr
