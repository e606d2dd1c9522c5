"""The Pulumi CLI is killed, or interrupted, at any moment of an `up` and of a `destroy`: what
docs/pulumi-cli.md says completes it, and nothing is left that is not told.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

from cli.errors import ExitCode
from localcloud.deployment.provider import Provider
from tests.conformance.book import ROOT, base
from tests.conformance.book.engines import Real, drift
from tests.conformance.book.server import Aws, here
from tests.localcloud.inventory import inventory

_LOG = logging.getLogger(__name__)
STACK: Final = "local"
_COMMANDS: Final = Path(sys.executable).parent
TIMES: Final = 10
"""For each signal and each command."""
_PIECES: Final = 2
_TRIES: Final = 3
_AWS: Final = f'aws() {{ "{_COMMANDS}/aws" "$@" --endpoint-url "$AWS_ENDPOINT_URL"; }}'
"""The aws CLI; version 1 calls SQS elsewhere otherwise."""
_LOOK_SECONDS: Final = 0.5
_QUIET_SECONDS: Final = 4.0
_UP: Final = ("up",)
_DESTROY: Final = ("destroy", "--run-program")
_PLAIN: Final = ("--yes", "--skip-preview", "--non-interactive", "-s", STACK)


class Site:
    """A stack, its cloud, and a CLI that can be stopped."""

    def __init__(self, real: Real, cloud: Aws) -> None:
        self.real, self.cloud = real, cloud
        self.before = self.inventory()

    def inventory(self) -> set[str]:
        return inventory(self.cloud.client, self.cloud.account_id)

    def begun(self, arguments: tuple[str, ...]) -> subprocess.Popen[str]:
        """A command that runs."""
        return subprocess.Popen(
            ["pulumi", *arguments, *_PLAIN],
            cwd=self.real.cli.program,
            env=self.real.cli.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def stopped(self, arguments: tuple[str, ...], number: int, seconds: float) -> None:
        """Begins a command and sends it a signal."""
        process = self.begun(arguments)
        try:
            process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            if number == signal.SIGKILL:
                os.killpg(process.pid, number)
            else:
                process.send_signal(number)
            process.communicate()

    def unlock(self) -> None:
        """What a killed one leaves in its backend."""
        for half_written in self.real.cli.program.parent.rglob("*.attrs"):
            if not half_written.stat().st_size:
                half_written.unlink()
                _LOG.info("killed while it wrote %s", half_written.name)
        self.real.cli.say("cancel", "--yes", "-s", STACK)

    def take_in(self) -> list[str]:
        """What the killed one was making goes into the state; returns what does not."""
        cli, file = self.real.cli, self.real.cli.program / "taken-in.json"
        exported = cli.run("stack", "export", "-s", STACK).out
        done = subprocess.run(
            [sys.executable, ROOT / "scripts" / "take_in_pending.py"],
            input=exported[exported.index("{") :],
            capture_output=True,
            text=True,
            check=True,
        )
        file.write_text(done.stdout)
        cli.run("stack", "import", "--file", str(file), "-s", STACK)
        pending = json.loads(exported[exported.index("{") :])["deployment"]
        for operation in pending.get("pending_operations", []):
            state = operation["resource"]
            _LOG.info("%s %s %s", operation["type"], state["urn"], state.get("id"))
        cli.run("refresh", "--clear-pending-creates", *_PLAIN)
        return done.stderr.splitlines()

    def completed(self, arguments: tuple[str, ...]) -> int:
        """How often the command had to be given until it had done everything."""
        for number in range(1, _TRIES + 1):
            if number > 1:
                self.real.cli.run("refresh", *_PLAIN)
            answer = self.real.cli.say(*arguments, *_PLAIN)
            if answer.code == 0:
                return number
            said = [line for line in answer.out.splitlines() if "error:" in line]
            _LOG.info("%s failed: %s", arguments[0], said or answer.out[-3000:])
        raise AssertionError(answer.out[-3000:])

    def orphans(self) -> list[dict[str, str]]:
        """What AWS has and the state lacks, as `leftovers` tells it."""
        file = self.real.cli.program / "exported.json"
        self.real.cli.run("stack", "export", "--file", str(file), "-s", STACK)
        told = subprocess.run(
            [_COMMANDS / "batchref", "leftovers", STACK, "--state", file, "--json"],
            cwd=self.real.cli.program,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert told.returncode in {ExitCode.OK, ExitCode.NOT_READY}, told.stderr
        document = json.loads(told.stdout)
        assert document["unseen"] == []
        found: list[dict[str, str]] = document["leftovers"]
        assert (told.returncode == ExitCode.OK) is (found == [])
        return found

    def remove(self, orphan: dict[str, str]) -> None:
        """As `leftovers` says, pasted into a shell."""
        _LOG.info("orphan %s: %s", orphan["name"], orphan["remove"])
        assert orphan["remove"].split()[0] == "aws", orphan
        done = subprocess.run(
            ["bash", "-ec", f"{_AWS}\n{orphan['remove']}"],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (orphan, done.stderr)

    @property
    def environment(self) -> dict[str, str]:
        """Of the aws CLI."""
        client = self.cloud.client("sts")
        keys = client._request_signer._credentials
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            "AWS_ENDPOINT_URL": client.meta.endpoint_url,
            "AWS_ACCESS_KEY_ID": keys.access_key,
            "AWS_SECRET_ACCESS_KEY": keys.secret_key,
            **({"AWS_SESSION_TOKEN": keys.token} if keys.token else {}),
            "AWS_DEFAULT_REGION": self.cloud.region,
            "AWS_PAGER": "",
        }


class Held:
    """Creations that are done and not answered: the first one of each type.

    Args:
        monkeypatch: Undoes it.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.types: set[str] = set()
        self._waiting, self._running, self._since = 0, 0, 0.0
        self._over = threading.Event()
        self._lock = threading.Lock()
        create = Provider.create

        def held(it: Provider, token: str, *what: Any, **how: Any) -> tuple[str, dict[str, Any]]:
            with self._lock:
                first, over = token not in self.types, self._over
                self.types.add(token)
                self._running += 1
            try:
                made = create(it, token, *what, **how)
            finally:
                with self._lock:
                    self._running -= 1
                    self._waiting += first
                    self._since = time.monotonic()
            if first:
                over.wait()
            return made

        monkeypatch.setattr(Provider, "create", held)

    def kills(self, process: subprocess.Popen[str]) -> bool:
        """Kills a command when it does nothing but wait for answers; whether it came to that."""
        while True:
            try:
                out, _ = process.communicate(timeout=_LOOK_SECONDS)
            except subprocess.TimeoutExpired:
                if self._only_waits():
                    break
            else:
                assert process.returncode == 0, out[-3000:]
                return False
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        with self._lock:
            self._over.set()
            self._over, self._waiting = threading.Event(), 0
        return True

    def _only_waits(self) -> bool:
        with self._lock:
            quiet = time.monotonic() - self._since > _QUIET_SECONDS
            return self._waiting > 0 and self._running == 0 and quiet


@pytest.fixture
def site(pulumi_folder: Path, tmp_path: Path) -> Iterator[Site]:
    with here(tmp_path / "aws") as aws:
        folder = tmp_path / "real"
        real = Real(folder, STACK, provider=aws.provider, bin=pulumi_folder, checkpoints=True)
        real.of_this_project()
        real.write(base(STACK))
        yield Site(real, aws)


@pytest.mark.drill
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("piece", range(_PIECES))
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["kill", "interrupt"])
def test_the_next_one_completes_it(site: Site, number: signal.Signals, piece: int) -> None:
    moments = Random(f"{number:d} {piece}")  # noqa: S311 - no secret
    longest = {}
    for arguments in (_UP, _DESTROY):
        began = time.perf_counter()
        assert site.completed(arguments) == 1
        longest[arguments] = time.perf_counter() - began
    tries = []
    for _ in range(TIMES // _PIECES):
        for arguments in (_UP, _DESTROY):
            seconds = moments.uniform(0.3, 1.0) * longest[arguments]
            site.stopped(arguments, number, seconds)
            told, orphans = [], []
            if number == signal.SIGKILL:
                site.unlock()
                told = site.take_in()
                orphans = site.orphans()
                for orphan in orphans:
                    site.remove(orphan)
            times = site.completed(arguments)
            tries.append((arguments[0], round(seconds, 1), times, len(told), len(orphans)))
            _LOG.info("%s stopped after %s s: given %s times, %s told, %s orphans", *tries[-1])
            assert len(orphans) <= len(told), (told, orphans)
            assert site.orphans() == []
            if arguments is _UP:
                assert drift(site.cloud, site.real.state) == []
            else:
                assert site.inventory() - site.before == set()
    assert {times for _, _, times, *_ in tries} <= {1, 2}, tries


@pytest.mark.drill
@pytest.mark.timeout(3600)
def test_answers_that_are_lost_for_every_type(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    held, kills = Held(monkeypatch), 0
    while held.kills(site.begun((*_UP, "--parallel", "64"))):
        kills += 1
        site.unlock()
        told, orphans = site.take_in(), site.orphans()
        for orphan in orphans:
            site.remove(orphan)
        _LOG.info("kill %s: %s told, %s orphans", kills, len(told), len(orphans))
        assert len(orphans) == len(told), (told, orphans)
        assert site.orphans() == []
    made = {each.type for each in site.real.state.resources if each.type.startswith("aws:")}
    assert made <= held.types
    assert drift(site.cloud, site.real.state) == []
    assert site.completed(_DESTROY) == 1
    assert site.inventory() - site.before == set()
