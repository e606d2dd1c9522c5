"""AWS has made a resource and a killed `up` never got the answer: for the first one of every type,
what docs/pulumi-cli.md says leads to the stack as it should be, and to nothing beside it.
"""

from __future__ import annotations

import re
import shlex
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from functools import cached_property, partial
from io import StringIO
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

import pytest
from awscli.clidriver import create_clidriver

from cli.leftovers import Account, Leftover, orphans
from cli.leftovers.orphans import Known, told_by
from localcloud.cloud import LocalCloud
from localcloud.deployment.deploy import deploy, destroy
from localcloud.deployment.engine.refresh import refresh
from localcloud.deployment.provider import Provider, ProviderError
from localcloud.deployment.provider.calls import Aws
from localcloud.deployment.provider.values import DEFAULTS, plain
from scripts.take_in_pending import take_in
from tests.conformance.book import PROJECT, ROOT, Change, book, changed
from tests.conformance.book.engines import write_stack_file
from tests.localcloud.inventory import inventory

_STACK: Final = "prod"
_CHANGES: Final = ("gpu-prepared", "file-systems-come-unprotected", "a-fallback")
_STOPS: Final = Change(
    stack=_STACK,
    name="stops",
    paths={"budget/stop_submissions_percent": 100, "storage/protect": False},
)
Made = tuple[str, dict[str, Any]]
"""Id and outputs."""
_READING: Final = ("Describe", "Get", "List")


class _KilledError(ProviderError):
    """The `up` ends here."""


@dataclass(frozen=True, kw_only=True)
class _Existing:
    id: str
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]


@dataclass(kw_only=True)
class Night:
    """Creations whose first answer of each type is lost, and what is done about each.

    Args:
        cloud: In which.
        half: Whether only the first call of a creation was sent.
    """

    cloud: LocalCloud
    half: bool
    taken: dict[str, str] = field(default_factory=dict)
    """Type -> id, of what the script has taken in."""
    removed: dict[str, Leftover] = field(default_factory=dict)
    """Type -> what `leftovers --state` has named, and whose command was run."""
    again: set[str] = field(default_factory=set)
    """Types that were made once more without a word."""
    _known: set[str] = field(default_factory=set)
    _lock: Any = field(default_factory=threading.RLock)
    _here: Any = field(default_factory=threading.local)

    def begin(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """From here on answers are lost."""
        create, call = Provider.create, Aws.call

        def made(
            it: Provider, token: str, logical: str, inputs: Mapping[str, Any], *, preview: bool
        ) -> Made:
            assert not preview
            with self._lock:
                found = self._made(it, partial(create, it, token, logical), token, logical, inputs)
                self._known.update(told_by({"id": found[0], "outputs": plain(found[1])}))
            return found

        def sent(it: Aws, service: str, operation: str, request: Mapping[str, Any]) -> Any:
            answer = call(it, service, operation, request)
            if getattr(self._here, "dies", False) and not operation.startswith(_READING):
                raise _KilledError("killed")
            return answer

        monkeypatch.setattr(Provider, "create", made)
        monkeypatch.setattr(Aws, "call", sent)

    def orphans(self) -> list[Leftover]:
        """What `leftovers --state` names."""
        account = Account(client=self.cloud.client, project=PROJECT, stack=_STACK)
        found, unseen = orphans(account, Known(frozenset(self._known)))
        assert unseen == []
        return found

    def _made(
        self,
        provider: Provider,
        create: Callable[[Mapping[str, Any]], Made],
        token: str,
        logical: str,
        inputs: Mapping[str, Any],
    ) -> Made:
        if token in {*self.taken, *self.removed, *self.again}:
            return create(inputs)
        state = {"urn": f"urn::{logical}", "type": token, "custom": True, "inputs": plain(inputs)}
        pending = {"type": "creating", "resource": state}
        document: dict[str, Any] = {
            "deployment": {"resources": [], "pending_operations": [pending]}
        }
        told = take_in(document)
        taken = document["deployment"]["resources"]
        self._here.dies = self.half
        try:
            create(inputs if taken else _named_otherwise(inputs))
        except _KilledError:
            pass
        finally:
            self._here.dies = False
        if taken:
            self.taken[token] = taken[0]["id"]
            return self._brought(provider, token, logical, inputs, taken[0])
        found = self.orphans()
        assert len(found) == len(told), (token, told, found)
        for orphan in found:
            self.removed[token] = orphan
            self._run(orphan.remove)
        if not found:
            self.again.add(token)
        return create(inputs)

    def _brought(
        self,
        provider: Provider,
        token: str,
        logical: str,
        inputs: Mapping[str, Any],
        taken: Mapping[str, Any],
    ) -> Made:
        """What a refresh, and then the next `up`, make of something that was taken in."""
        found = provider.read(token, taken["id"], inputs, taken["outputs"])
        assert found is not None, f"{token}: {taken['id']} is not there"
        before = _Existing(id=taken["id"], inputs=found[0], outputs=found[1])
        if provider.diff(token, before, inputs):
            return provider.update(token, logical, inputs, before=before)
        return before.id, provider.known_outputs(token, logical, inputs, before.outputs)

    def _run(self, command: str) -> None:
        """Commands of the aws CLI, as somebody pastes them into a shell."""
        while "$(" in command:
            head, _, rest = command.partition("$(")
            inner, _, tail = rest.partition(")")
            command = f"{head}{self._aws(inner).strip()}{tail}"
        for each in command.split(" && "):
            self._aws(re.sub(r"until (.*); do sleep 10; done", r"\1", each))

    @cached_property
    def _driver(self) -> Any:
        return create_clidriver()

    def _aws(self, command: str) -> str:
        program, *arguments = shlex.split(command)
        assert program == "aws", command
        out = StringIO()
        with redirect_stdout(out):
            code = self._driver.main([*arguments, "--endpoint-url", self.cloud.endpoint_url])
        assert code == 0, (command, out.getvalue())
        return out.getvalue()


def _named_otherwise(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs of an earlier `up`, whose names by chance ended otherwise."""
    chosen = {name: f"{inputs[name][:-4]}{token_hex(2)}" for name in inputs.get(DEFAULTS, [])}
    return {**inputs, **chosen}


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path / "cloud", images={}) as made:
        made.batch.store.relation_seconds = 0.0
        for name, value in made.deployer.credentials.items():
            monkeypatch.setenv(name.upper(), value)
        monkeypatch.setenv("AWS_DEFAULT_REGION", made.region)
        monkeypatch.setenv("AWS_PAGER", "")
        yield made


@pytest.mark.parametrize(
    "half", [False, pytest.param(True, marks=pytest.mark.drill)], ids=["whole", "half"]
)
def test_the_stack_comes_to_be_once(
    cloud: LocalCloud, half: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = [each for each in book() if each.stack == _STACK and each.name in _CHANGES]
    stacked = changed(*chosen, _STOPS)
    for name in ("__main__.py", "Pulumi.yaml"):
        (tmp_path / name).symlink_to(ROOT / name)
    write_stack_file(tmp_path / f"Pulumi.{_STACK}.yaml", stacked)
    before = inventory(cloud.client, cloud.account_id)
    night = Night(cloud=cloud, half=half)
    with monkeypatch.context() as patched:
        night.begin(patched)
        deployed = deploy(tmp_path, _STACK, cloud.client, secrets=stacked.secrets)
    made = {each.type for each in deployed.resources if each.custom}
    assert made == {*night.taken, *night.removed, *night.again}
    assert night.orphans() == []
    provider = Provider(client=cloud.client, config={"aws:region": cloud.region}, preview=False)
    found = refresh(deployed.state, provider)
    assert (found.drift, found.failures) == ((), ())
    destroy(tmp_path, _STACK, cloud.client, previous=deployed.state, secrets=stacked.secrets)
    assert inventory(cloud.client, cloud.account_id) - before == set()
