"""The Pulumi CLI as the tests drive it: a program in a folder of its own, a file backend, and the
local provider.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cli import pulumi

ROOT: Final = Path(__file__).parents[2]
SCRIPT: Final = ROOT / "scripts" / "pulumi.sh"
REQUIRED: Final = "CONFORMANCE_REQUIRED"
"""Set where a missing CLI is a failure and not a reason to skip: where there is a CLI, or Go to
build one.
"""
_NOTHING: Final = ("same", "read", "refresh")
_STATE: Final = ("PULUMI_SKIP_CHECKPOINTS", "PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS")
SPARED: Final = {
    "PYTHONPATH": str(Path(__file__).parent / "host"),
    **dict.fromkeys(_STATE, "true"),
    "GOGC": "400",
}
"""Variables of a CLI that does not do what no test looks at: its state is written once, at the end,
and not after each of two hundred resources, and Go collects garbage seldom; for its programs see
host/sitecustomize.py.
"""
_EACH_STEP: Final = dict.fromkeys(_STATE, "false")
_PROGRAM: Final = ("__main__.py", "components", "config", "docker", "workloads", "Pulumi.yaml")


def folder() -> tuple[Path | None, str]:
    """The folder of the CLI; None and the reason where there is none."""
    done = subprocess.run(
        ["sh", str(SCRIPT), "--ready"], capture_output=True, text=True, check=False
    )
    return (Path(done.stdout.strip()), "") if done.returncode == 0 else (None, done.stderr.strip())


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one command has said. `out` is all of it, `code` its exit status."""

    code: int
    out: str


class Cli:
    """The CLI in a folder of its own.

    Args:
        directory: For the program, the backend and the CLI's own files.
        provider: Port of the local provider.
        bin: Where the CLI is.
        checkpoints: Whether the state is written after each step, and not only at the end.
    """

    def __init__(
        self,
        directory: Path,
        *,
        provider: int,
        bin: Path,  # noqa: A002
        checkpoints: bool = False,
    ) -> None:
        self.program = directory / "program"
        self._provider, self._bin = provider, bin
        self._more = SPARED | (_EACH_STEP if checkpoints else {})
        self._directory = directory
        for name in ("program", "backend"):
            (directory / name).mkdir(exist_ok=True)

    def of_this_project(self) -> None:
        """This project's program, whose stack files a test may change."""
        for name in _PROGRAM:
            (self.program / name).symlink_to(ROOT / name)
        (self.program / ".venv").symlink_to(ROOT / ".venv")
        for file in ROOT.glob("Pulumi.*.yaml"):
            shutil.copy(file, self.program)

    @property
    def environment(self) -> dict[str, str]:
        """Of every command: nothing of this user's AWS and Pulumi settings."""
        home = self._directory / "backend"
        return {**pulumi.environment(home, self._provider, self._bin), **self._more}

    def run(self, *arguments: str, fails: bool = False, timeout: float = 280) -> Answer:
        """Runs one command, which has to end well, or not well where it `fails`."""
        answer = self.say(*arguments, timeout=timeout)
        assert (answer.code != 0) is fails, (arguments, answer.out[-4000:])
        return answer

    def say(self, *arguments: str, timeout: float = 280) -> Answer:
        """Runs one command, however it ends."""
        code, out = pulumi.command(arguments, self.program, self.environment, timeout)
        return Answer(code=code, out=out)

    def preview(self, *arguments: str) -> list[dict[str, Any]]:
        """The steps of a preview that are not `same`: `op`, `urn`, `detailedDiff` and more."""
        answer = self.run("preview", "--non-interactive", "--json", *arguments)
        document = json.loads(answer.out[answer.out.index("{") :])
        return [step for step in document.get("steps", []) if step["op"] not in _NOTHING]

    def state(self) -> list[dict[str, Any]]:
        """The resources of the stack as the CLI keeps them."""
        answer = self.run("stack", "export")
        deployment = json.loads(answer.out[answer.out.index("{") :])["deployment"]
        resources: list[dict[str, Any]] = deployment.get("resources", [])
        return resources


def short(urn: str) -> str:
    """`Queue main` of a URN that ends with `aws:batch/jobQueue:JobQueue::main`."""
    kind, _, name = urn.rpartition("::")
    return f"{kind.rpartition(':')[2]} {name}"


def steps(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """`update Queue main` for each step, sorted."""
    return sorted(f"{step['op']} {short(step['urn'])}" for step in found)
