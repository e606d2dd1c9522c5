"""Every command of docs/pulumi-cli.md works, in the order of the page, in a checkout of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conformance.cli import ROOT, SPARED

PAGE = ROOT / "docs" / "pulumi-cli.md"
UP = ".venv/bin/python -m cli up --port 0"  # `make up` has a fixed port, which may be taken


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What git knows of this one."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in listed.stdout.decode().split("\0"):
        if name and os.path.lexists(ROOT / name):  # a link may name a folder
            target = tmp_path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target, follow_symlinks=False)
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    return tmp_path


@pytest.mark.timeout(900)
def test_the_commands_of_the_page_work(checkout: Path, pulumi_folder: Path) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    commands = [line for block in blocks for line in block.splitlines()]
    assert len(commands) > 15
    lines = ["set -eu", "export OLDPWD=$PWD"]
    for command in commands:
        line = UP if command == "make up" else command
        shown = f"echo '== {line.replace(chr(39), '')}'"
        fails = line.startswith("! ")
        lines += [shown, f"if {line[2:]}; then exit 9; fi" if fails else line]
    # bytecode that is not kept would be made again by each of twenty programs
    left = ("AWS_", "PULUMI_", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(left)}
    environment = {
        **kept,
        **SPARED,
        "PATH": f"{pulumi_folder}{os.pathsep}{kept['PATH']}",
        "PULUMI_HOME": str(checkout / "pulumi-home"),
        "NO_COLOR": "1",
    }
    try:
        done = subprocess.run(
            ["bash", "-c", "\n".join(lines)],
            cwd=checkout,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=860,
            check=False,
        )
    finally:
        down = [str(checkout / ".venv" / "bin" / "python"), "-m", "cli", "down"]
        subprocess.run(down, cwd=checkout, env=kept, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:]
    told = dict(_told(done.stdout))
    assert re.search(r"^ +\d+ unchanged$", told["pulumi preview"], re.MULTILINE)
    assert "to update" not in told["pulumi preview"]
    assert "~ retentionInDays: 1 => 7" in told["pulumi preview --diff"]
    assert "~ retentionInDays: 30 => 7" in told["pulumi preview --refresh --diff"]
    assert "~ 1 to update" in told["pulumi preview --refresh --diff"]
    assert "ResourceAlreadyExistsException" in told["! pulumi up --yes --skip-preview"]
    # the checkout is as it was
    for name in ("Pulumi.local.yaml", "Pulumi.yaml"):
        assert (checkout / name).read_bytes() == (ROOT / name).read_bytes()


def _told(output: str) -> list[tuple[str, str]]:
    parts = re.split(r"^== (.*)$", output, flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2], strict=True))
