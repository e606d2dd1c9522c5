"""The Pulumi CLI in front of a rehearsal: where it is, what it is told, and the folder in which it
works.

The folder holds the program as links and the stack file as a copy: `pulumi config set` changes that
one, never the checkout.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cli.errors import CliError, ExitCode
from cli.paths import ROOT

PASSPHRASE: Final = "rehearsal"  # noqa: S105 - what it protects is a rehearsal's state, which its owner alone can read anyway
SLACK: Final = "batch-reference:slack-webhook-url"
_SCRIPT: Final = ROOT / "scripts" / "pulumi.sh"
_LINKED: Final = (
    "__main__.py",
    "components",
    "config",
    "docker",
    "workloads",
    "Pulumi.yaml",
    ".venv",
)


@dataclass(frozen=True, kw_only=True)
class StackFile:
    """A stack to rehearse: its name and its file."""

    name: str
    path: Path

    @property
    def in_checkout(self) -> bool:
        """Whether it lies where the program does."""
        return self.path.parent == ROOT


def stack_file(stack: str) -> StackFile:
    """The stack of a name, or of a path to `Pulumi.<name>.yaml`.

    Raises CliError (USAGE) where there is none.
    """
    named = ROOT / f"Pulumi.{stack}.yaml"
    if "/" not in stack and named.is_file():
        return StackFile(name=stack, path=named)
    path = Path(stack)
    parts = path.name.split(".")
    if path.is_file() and len(parts) == 3 and (parts[0], parts[2]) == ("Pulumi", "yaml"):
        return StackFile(name=parts[1], path=path.resolve())
    known = ", ".join(sorted(p.name.split(".")[1] for p in ROOT.glob("Pulumi.*.yaml")))
    if path.is_file():
        raise CliError(
            f"{stack} is not named as a stack file is; call it Pulumi.<stack>.yaml", ExitCode.USAGE
        )
    raise CliError(
        f"there is no Pulumi.{stack}.yaml; stack files stand here for: {known}; others by their"
        " path",
        ExitCode.USAGE,
    )


def prepare_program(folder: Path, file: StackFile) -> Path:
    """Makes the folder in which the CLI works on a stack, and returns it."""
    folder.mkdir(parents=True)
    for name in _LINKED:
        (folder / name).symlink_to(ROOT / name)
    shutil.copy(file.path, folder)
    return folder


def variables(home: Path, provider: int) -> dict[str, str]:
    """What the CLI has to be told: by which provider it deploys, and where it keeps the state."""
    return {
        "PULUMI_DEBUG_PROVIDERS": f"aws:{provider}",
        "PULUMI_BACKEND_URL": f"file://{home}",
        "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
    }


def environment(home: Path, provider: int, bin: Path) -> dict[str, str]:  # noqa: A002
    """All variables of a command: nothing of this user's AWS and Pulumi settings."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "PULUMI_", "VIRTUAL_ENV"))
    }
    return {
        **kept,
        **variables(home, provider),
        "PATH": os.pathsep.join([str(ROOT / ".venv" / "bin"), str(bin), kept.get("PATH", "")]),
        "PULUMI_HOME": str(home / "home"),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "NO_COLOR": "1",
    }


def command(
    arguments: Sequence[str],
    program: Path,
    variables: Mapping[str, str],
    timeout: float | None = None,
) -> tuple[int, str]:
    """Runs the CLI in the folder of a program: its exit code, and all that it has printed."""
    done = subprocess.run(
        ["pulumi", *arguments],
        cwd=program,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        check=False,
    )
    return done.returncode, done.stdout


def bin_folder() -> Path:
    """Where the CLI is, on PATH or built by `make pulumi`.

    Raises CliError (USAGE) with the way to get one.
    """
    done = subprocess.run(
        ["sh", str(_SCRIPT), "--ready"], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise CliError(done.stderr.strip().removeprefix("pulumi.sh: "), ExitCode.USAGE)
    return Path(done.stdout.strip())


class Pulumi:
    """The CLI, on one stack.

    Args:
        program: Folder of the program.
        home: For the state.
        provider: Port of the local provider.
        bin: Where the CLI is.
    """

    def __init__(self, program: Path, home: Path, *, provider: int, bin: Path) -> None:  # noqa: A002
        home.mkdir(exist_ok=True)
        self.program = program
        self.environment: Mapping[str, str] = environment(home, provider, bin)

    def must(self, *arguments: str) -> str:
        """What one command has printed, which has to end well.

        Raises CliError (REHEARSAL_FAILED).
        """
        code, out = command(arguments, self.program, self.environment)
        if code != 0:
            raise CliError(
                f"pulumi {' '.join(arguments[:2])} failed:\n{out.strip()[-4000:]}",
                ExitCode.REHEARSAL_FAILED,
            )
        return out

    def deploy(self, stack: str, secrets: Mapping[str, str]) -> tuple[dict[str, Any], int]:
        """Deploys a stack that does not exist yet; returns its outputs and the number of its
        resources.
        """
        self.must("stack", "init", stack)
        for key, value in secrets.items():
            self.must("config", "set", "--secret", key, value, "--stack", stack)
        self.must("up", "--yes", "--skip-preview", "--non-interactive", "--stack", stack)
        outputs = self._json("stack", "output", "--json", "--show-secrets", "--stack", stack)
        state = self._json("stack", "export", "--stack", stack)
        found = state["deployment"]["resources"]
        return outputs, sum("pulumi:providers" not in each["type"] for each in found)

    def _json(self, *arguments: str) -> dict[str, Any]:
        out = self.must(*arguments)
        found: dict[str, Any] = json.loads(out[out.index("{") :])
        return found
