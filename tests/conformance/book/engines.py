"""The two engines, each in front of an AWS in memory of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import yaml

from cli.pulumi import PASSPHRASE
from localcloud.deployment.deploy import Deployment, DeploymentError, deploy, destroy
from localcloud.deployment.engine.checkpoint import checkpoint, restored
from localcloud.deployment.engine.refresh import refresh
from localcloud.deployment.engine.state import State
from localcloud.deployment.provider import Provider
from localcloud.deployment.provider.values import SECRET, SIGNATURE_KEY
from tests.conformance.book import PROJECT, ROOT, Stacked
from tests.conformance.book.server import Aws
from tests.conformance.book.steps import Step, of_events, of_own, of_preview
from tests.conformance.cli import Cli

_SALT: Final = "encryptionsalt"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a preview or an `up`: its steps, why it failed, as sentences, and which steps
    were done before another one that had to come first.
    """

    steps: list[Step] = field(default_factory=list)
    failures: tuple[str, ...] = ()
    order: list[str] = field(default_factory=list)


def drift(aws: Aws, state: State) -> list[str]:
    """What AWS does not have as the state says, and what cannot be read of it; secrets are left out,
    which the CLI's state has encrypted.
    """
    provider = Provider(client=aws.client, config={"aws:region": aws.region}, preview=False)
    found = refresh(state, provider)
    seen = [
        f"{each.resource.name}: {sorted(each.paths) or 'gone'}"
        for each in found.drift
        if each.gone or not {_head(path) for path in each.paths} <= each.resource.secret_inputs
    ]
    return [*seen, *map(str, found.failures)]


def _head(path: str) -> str:
    return path.partition(".")[0].partition("[")[0]


def _hidden(value: dict[str, Any]) -> dict[str, Any]:
    """A secret that the CLI has encrypted, as a text that says so."""
    if value.get(SIGNATURE_KEY) == SECRET and "ciphertext" in value:
        return {SIGNATURE_KEY: SECRET, "plaintext": json.dumps("<secret>")}
    return value


def write_stack_file(file: Path, stacked: Stacked) -> None:
    """Puts a stack file there; the CLI's note of its passphrase stays."""
    document = dict(stacked.document)
    if file.exists():
        formerly = yaml.safe_load(file.read_text())
        document |= {_SALT: formerly[_SALT]} if _SALT in formerly else {}
    file.write_text(yaml.safe_dump(document, sort_keys=False))


class Own:
    """Our engine.

    Args:
        folder: Of the program.
        stack: Name of the stack.
        client: Of AWS.
    """

    def __init__(self, folder: Path, stack: str, client: Callable[[str], Any]) -> None:
        folder.mkdir()
        self.folder, self._stack, self._client = folder, stack, client
        self.secrets: Mapping[str, str] = {}
        self.state = State()
        self.exports: Mapping[str, Any] = {}

    def of_this_project(self) -> None:
        """This project's program as links; its packages are this process's own."""
        for name in ("__main__.py", "Pulumi.yaml"):
            (self.folder / name).symlink_to(ROOT / name)

    def write(self, stacked: Stacked) -> None:
        """Puts the stack file there."""
        write_stack_file(self.folder / f"Pulumi.{self._stack}.yaml", stacked)
        self.secrets = stacked.secrets

    def preview(self) -> Outcome:
        """What an `up` would do."""
        return self._done(partial(deploy, previous=self.state, preview=True), kept=False)

    def up(self) -> Outcome:
        """Brings the stack to its file."""
        return self._done(partial(deploy, previous=self.state))

    def destroy(self) -> Outcome:
        """Takes everything away."""
        return self._done(partial(destroy, previous=self.state))

    def checkpoint(self) -> str:
        """The state for `pulumi stack import`."""
        settings = {"region": "us-east-1"}
        return checkpoint(
            self.state, exports=self.exports, settings=settings, passphrase=PASSPHRASE
        )

    def _done(self, command: Callable[..., Deployment], *, kept: bool = True) -> Outcome:
        """Runs a command, and keeps the state that it leaves."""
        try:
            done = command(self.folder, self._stack, self._client, secrets=self.secrets)
        except DeploymentError as error:
            if error.state is not None and kept:
                self.state = error.state
            return Outcome(failures=tuple(each.message for each in error.failures))
        if kept:
            self.state, self.exports = done.state, done.outputs
        return Outcome(steps=of_own(done.steps))


class Real:
    """The Pulumi CLI, with the local provider in front of an AWS in memory.

    Args:
        folder: For the program and the CLI's own files.
        stack: Name of the stack.
        provider: Port of the local provider.
        bin: Where the CLI is.
        project: Name of the project.
        checkpoints: Whether the CLI writes its state after each step, and not only at the end.
    """

    def __init__(
        self,
        folder: Path,
        stack: str,
        *,
        provider: int,
        bin: Path,  # noqa: A002
        project: str = PROJECT,
        checkpoints: bool = False,
    ) -> None:
        folder.mkdir(exist_ok=True)
        self._stack, self._provider, self._bin = stack, provider, bin
        self.cli = Cli(folder, provider=provider, bin=bin, checkpoints=checkpoints)
        self._file = self.cli.program / f"Pulumi.{stack}.yaml"
        self._backend = folder / "backend" / ".pulumi" / "stacks" / project

    def twin(self, folder: Path) -> Real:
        """The same in a copy of its folder."""
        return Real(folder, self._stack, provider=self._provider, bin=self._bin)

    def of_this_project(self) -> None:
        """This project's program, and an empty stack of it."""
        self.cli.of_this_project()
        self.write(Stacked(document={"config": {}}))
        self.cli.run("stack", "init", self._stack)

    def write(self, stacked: Stacked) -> None:
        """Puts the stack file there, with the secrets encrypted by the CLI."""
        write_stack_file(self._file, stacked)
        for key, value in stacked.secrets.items():
            self.cli.run("config", "set", "--secret", key, value, "-s", self._stack)

    def preview(self, *arguments: str) -> Outcome:
        """What an `up` would do."""
        out = self._run("preview", "--show-replacement-steps", *arguments)
        document = json.JSONDecoder().raw_decode(out, out.index("{"))[0] if "{" in out else {}
        told = document.get("diagnostics", [])
        failures = [each["message"] for each in told if each.get("severity") == "error"]
        if failures or "changeSummary" not in document:
            return Outcome(failures=tuple(failures) or (out,))
        return Outcome(steps=of_preview(document))

    def up(self, *arguments: str) -> Outcome:
        """Brings the stack to its file."""
        return self._events("up", "--yes", "--skip-preview", *arguments)

    def destroy(self, *arguments: str) -> Outcome:
        """Takes everything away."""
        return self._events("destroy", "--yes", "--skip-preview", "--run-program", *arguments)

    @property
    def state(self) -> State:
        """What the CLI keeps, read without it. Secrets are as it has encrypted them."""
        text = (self._backend / f"{self._stack}.json").read_text()
        latest = json.loads(text, object_hook=_hidden)["checkpoint"]["latest"]
        if not latest.get("resources"):
            return State()
        return restored(json.dumps({"deployment": latest})).state

    def _events(self, *arguments: str) -> Outcome:
        out = self._run(*arguments)
        events = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
        told = [event["diagnosticEvent"] for event in events if "diagnosticEvent" in event]
        failures = [each["message"] for each in told if each.get("severity") == "error"]
        if not failures and not any("summaryEvent" in event for event in events):
            failures = [out]
        return Outcome(steps=of_events(events), failures=tuple(failures))

    def _run(self, *arguments: str) -> str:
        return self.cli.say(*arguments, "--non-interactive", "--json", "-s", self._stack).out
