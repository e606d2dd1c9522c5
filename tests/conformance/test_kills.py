"""The Pulumi CLI is interrupted at any moment of an `up` and of a `destroy`, or killed in a
`destroy`: the next one completes it.

What a killed `up` was making is in AWS and not in the state, and where it has a given place (a
route, a log group, a target) no later `up` can make it: it is taken in, or away, by hand, as
docs/pulumi-cli.md says. No drill does that.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.conformance.book import base
from tests.conformance.book.engines import Real, drift
from tests.conformance.book.server import Aws, here
from tests.localcloud.inventory import inventory

_LOG = logging.getLogger(__name__)
STACK = "local"
TIMES = 20
"""For each signal."""
_TRIES = 3


class Site:
    """A stack, its cloud, and a CLI that can be stopped."""

    def __init__(self, real: Real, cloud: Aws) -> None:
        self.real, self.cloud = real, cloud
        self.before = self.inventory()

    def inventory(self) -> set[str]:
        return inventory(self.cloud.client, self.cloud.account_id)

    def stopped(self, arguments: list[str], number: int, seconds: float) -> str:
        """Begins a command and sends it a signal; returns what it has printed."""
        process = subprocess.Popen(
            ["pulumi", *arguments, "--yes", "--skip-preview", "--non-interactive", "-s", STACK],
            cwd=self.real.cli.program,
            env=self.real.cli.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            out, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            if number == signal.SIGKILL:
                os.killpg(process.pid, number)
            else:
                process.send_signal(number)
            out, _ = process.communicate()
        return str(out)

    def completed(self, arguments: list[str]) -> int:
        """How often the command had to be given until it had done everything, by an operator who
        reads docs/pulumi-cli.md.
        """
        for half_written in self.real.cli.program.parent.rglob("*.attrs"):
            if not half_written.stat().st_size:
                half_written.unlink()
                _LOG.info("%s was killed while it wrote %s", arguments[0], half_written.name)
        self.real.cli.say("cancel", "--yes", "-s", STACK)  # the lock of the one that was killed
        line = (*arguments, "--yes", "--skip-preview", "--non-interactive", "-s", STACK)
        for number in range(1, _TRIES + 1):
            if number > 1:
                self.real.cli.run("refresh", "--yes", "--non-interactive", "-s", STACK)
            answer = self.real.cli.say(*line)
            if answer.code == 0:
                return number
            _LOG.info("%s failed: %s", arguments[0], answer.out[-6000:])
        raise AssertionError(answer.out[-3000:])


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
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_the_next_one_completes_it(site: Site, number: signal.Signals) -> None:
    moments = Random(number)  # noqa: S311 - no secret
    up, destroy = ["up"], ["destroy", "--run-program"]
    began = time.perf_counter()
    assert site.completed(up) == 1
    longest = time.perf_counter() - began
    assert site.completed(destroy) == 1
    tries = []
    for _ in range(TIMES // 2 if number == signal.SIGINT else TIMES):
        for arguments in (up, destroy):
            if number == signal.SIGKILL and arguments is up:
                assert site.completed(up) == 1
                continue
            seconds = moments.uniform(1.5, longest)
            out = site.stopped(arguments, number, seconds)
            tries.append((arguments[0], round(seconds, 1), site.completed(arguments)))
            said = sorted({line for line in out.splitlines() if "error:" in line})
            _LOG.info("%s stopped after %s s, completed by %s: %s", *tries[-1], said)
            if arguments is up:
                assert drift(site.cloud, site.real.state) == []
            else:
                assert site.inventory() - site.before == set()
    assert {times for *_, times in tries} <= {1, 2}, tries
