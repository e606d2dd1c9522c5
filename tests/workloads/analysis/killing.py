"""The analysis by mpirun alone, killed at chosen or random moments and started again with other
numbers of ranks.
"""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tests.workloads.analysis.conftest import RESULTS, Store
from tests.workloads.analysis.mpirun_program import environment
from tests.workloads.analysis.watched_server import Choice
from workloads.analysis.launch import mpirun
from workloads.contract import Run
from workloads.variables import (
    ENV_CHECKPOINT_FLOOR_SECONDS,
    ENV_CHECKPOINTS_PATH,
    ENV_NODE_MTBF_HOURS,
    ENV_RANKS_PER_NODE,
    ENV_RUN_ID,
)

_AT_ONCE = 0.01
"""Seconds between checkpoints at which whatever was computed is stored, on a fast machine too."""


@dataclass
class Attempts:
    """Of one run; each with a number of its own, as Batch counts them."""

    store: Store
    run: Run
    environ: dict[str, str]
    prefix: str = ""
    """Of the checkpoint, where it is not the run's."""
    number: int = 0
    logs: list[str] = field(default_factory=list)
    _folders: dict[int, Path] = field(default_factory=dict)
    """Process id of mpirun -> its temporary directory."""

    def start(
        self, ranks: int, *, to_be_killed: bool = True, floor_seconds: float = 0.2
    ) -> subprocess.Popen[str]:
        self.number += 1
        often = {
            ENV_CHECKPOINT_FLOOR_SECONDS: str(floor_seconds),
            ENV_NODE_MTBF_HOURS: "0.00001",  # so that the floor counts
        }
        environ = {
            **self.store.environ,
            ENV_RUN_ID: self.run.run_id,
            ENV_RANKS_PER_NODE: str(ranks),
            **(often if to_be_killed else {}),
            "AWS_BATCH_JOB_ATTEMPT": str(self.number),
            **self.environ,
        }
        folder = Path(tempfile.mkdtemp(prefix="mpirun-"))
        process = subprocess.Popen(
            mpirun.on_one_node(ranks, mpirun.PROGRAM),
            env=environment(folder, environ),
            cwd=mpirun.ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._folders[process.pid] = folder
        return process

    def finish(self, process: subprocess.Popen[str]) -> int:
        self.logs.append(process.communicate(timeout=300)[0])
        shutil.rmtree(self._folders.pop(process.pid), ignore_errors=True)
        return process.returncode

    def complete(self, ranks: int) -> None:
        assert self.finish(self.start(ranks, to_be_killed=False)) == 0, self.logs[-1]

    def checkpoint(self) -> dict[str, Any]:
        """What checkpoint.json says; of attempt 0 where there is none."""
        key = f"{self.prefix or self.run.checkpoints_prefix}checkpoint.json"
        folder = self.environ.get(ENV_CHECKPOINTS_PATH)
        try:
            data = Path(folder, key).read_bytes() if folder else self.store.get(RESULTS, key)
        except (FileNotFoundError, self.store.s3.exceptions.NoSuchKey):
            return {"attempt": {"number": 0}, "objects": {}}
        index: dict[str, Any] = json.loads(data)
        return index

    def kill_one_rank(
        self, ranks: int, rng: random.Random, longest_wait_seconds: float, *, comparing: bool
    ) -> bool:
        """Start, kill -9 a random rank at a random moment after it began; whether it was killed
        before it was done.

        With `comparing` not before the checkpoint holds more than the profile.
        """
        process = self.start(ranks)
        while self.checkpoint()["attempt"]["number"] < self.number and process.poll() is None:
            time.sleep(0.05)
        if comparing:
            while len(self.checkpoint()["objects"]) < 2 and process.poll() is None:
                time.sleep(0.02)
        time.sleep(rng.uniform(0.0, longest_wait_seconds))
        self._signal(process, rng)
        return self.finish(process) != 0

    def end_at(
        self,
        ranks: int,
        moment: Choice,
        *,
        carried_out: bool = True,
        signal_number: int = signal.SIGKILL,
    ) -> None:
        """Start, and send a rank a signal at the moment of a request to S3, which is carried out
        all the same or, after a SIGKILL, is lost with its writer.
        """
        held = self.store.watch.await_moment(moment)
        process = self.start(ranks, floor_seconds=_AT_ONCE)
        while not held.reached.wait(0.05):
            assert process.poll() is None, "ended before that moment: " + self._ended(process)
        self._signal(process, random.Random(0), signal_number)  # noqa: S311 - no secret
        if signal_number != signal.SIGKILL:
            held.go_on(carried_out=True)
        assert self.finish(process) != 0
        held.go_on(carried_out=carried_out)

    def end_when_stored(self, ranks: int, ready: Callable[[Collection[str]], bool]) -> None:
        """Start, and kill a rank as soon as the names of the checkpoint's objects are such: for
        checkpoints that are not in S3.
        """
        process = self.start(ranks, floor_seconds=_AT_ONCE)
        while not ready(self.checkpoint()["objects"]):
            assert process.poll() is None, "done before it stored anything: " + self._ended(process)
            time.sleep(0.02)
        self._signal(process, random.Random(0))  # noqa: S311 - no secret
        assert self.finish(process) != 0

    def _ended(self, process: subprocess.Popen[str]) -> str:
        self.finish(process)
        return self.logs[-1]

    def _signal(
        self,
        process: subprocess.Popen[str],
        rng: random.Random,
        signal_number: int = signal.SIGKILL,
    ) -> None:
        """To one of the ranks, if there is one yet, or still."""
        found: list[psutil.Process] = []
        with contextlib.suppress(psutil.NoSuchProcess):
            found = [
                p
                for p in psutil.Process(process.pid).children(recursive=True)
                if "workloads.analysis.program" in " ".join(p.cmdline())
            ]
        with contextlib.suppress(psutil.NoSuchProcess, IndexError):
            rng.choice(found).send_signal(signal_number)


def kill_and_resume(attempts: Attempts, rng: random.Random, kills: int) -> int:
    """Kill up to so many times, each time with another number of ranks, then let it finish; returns
    how many it were.
    """
    ranks = rng.randint(1, 4)
    for done in range(kills):
        # every other one while pairs are compared, so that there is something to go on with
        if not attempts.kill_one_rank(
            ranks, rng, longest_wait_seconds=0.6, comparing=done % 2 == 0
        ):
            return done
        ranks = rng.choice([other for other in range(1, 5) if other != ranks])
    attempts.complete(ranks)
    return kills
