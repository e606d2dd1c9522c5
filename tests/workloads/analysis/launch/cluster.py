"""Several nodes on one machine: processes with loopback addresses of their own, which a pretended
container agent tells them.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from localcloud.batch.container import HIDDEN
from tests.workloads.analysis.conftest import Store
from workloads.analysis.launch.mpirun import ROOT
from workloads.contract import Run
from workloads.variables import (
    ENV_JOIN_DEADLINE_SECONDS,
    ENV_LAUNCH_TOKEN,
    ENV_RANKS_PER_NODE,
    ENV_RUN_ID,
)

NODE = Path(__file__).with_name("node.py")
TAG = "LAUNCH_TEST_TAG"


@dataclass
class Cluster:
    """Nodes of one job; `start` any of them in any order."""

    store: Store
    run: Run
    nodes: int
    ranks: int
    deadline_seconds: int = 120
    tag: str = field(default_factory=lambda: uuid.uuid4().hex)
    processes: dict[int, subprocess.Popen[str]] = field(default_factory=dict)
    _logs: dict[int, IO[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._network = f"127.{random.randrange(1, 250)}.{random.randrange(1, 250)}"  # noqa: S311 - two tests at once shall not meet
        self._agent = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _agent(self._network))
        threading.Thread(target=self._agent.serve_forever, daemon=True).start()

    def start(self, node: int, command: Sequence[str], **environ: str) -> None:
        host, port = self._agent.server_address[:2]
        self._logs[node] = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by close()
        main = (
            {}
            if node == 0
            else {"AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS": f"{self._network}.10"}
        )
        self.processes[node] = subprocess.Popen(
            [sys.executable, *command],
            env={
                "PATH": os.environ["PATH"],
                "HOME": os.environ.get("HOME", "/"),
                "PYTHONPATH": f"{HIDDEN}:{ROOT}",
                **self.store.environ,
                ENV_RUN_ID: self.run.run_id,
                ENV_RANKS_PER_NODE: str(self.ranks),
                ENV_JOIN_DEADLINE_SECONDS: str(self.deadline_seconds),
                ENV_LAUNCH_TOKEN: "a shared secret",
                "OMPI_MCA_mpi_yield_when_idle": "1",  # there are more ranks than processors
                "AWS_BATCH_JOB_ID": "job" if node == 0 else f"job#{node}",
                "AWS_BATCH_JOB_ATTEMPT": "1",
                "AWS_BATCH_JOB_NUM_NODES": str(self.nodes),
                "AWS_BATCH_JOB_MAIN_NODE_INDEX": "0",
                "AWS_BATCH_JOB_NODE_INDEX": str(node),
                "ECS_CONTAINER_METADATA_URI_V4": f"http://{host!s}:{port}/{node}",
                TAG: self.tag,
                **main,
                **environ,
            },
            cwd=ROOT,
            stdout=self._logs[node],
            stderr=subprocess.STDOUT,
            text=True,
        )

    def start_all(self, code: str) -> None:
        for node in reversed(range(self.nodes)):  # children may well be there first
            self.start(node, [str(NODE), code])

    def wait(self, node: int, seconds: float = 90) -> int:
        return self.processes[node].wait(seconds)

    def log(self, node: int) -> str:
        self._logs[node].seek(0)
        return self._logs[node].read()

    def await_line(self, text: str, count: int, seconds: float = 90) -> None:
        """Until the main node's log has so many lines with a text."""
        end = time.monotonic() + seconds
        while sum(text in line for line in self.log(0).splitlines()) < count:
            assert time.monotonic() < end, self.log(0)
            assert self.processes[0].poll() is None, self.log(0)
            time.sleep(0.05)

    def error(self) -> dict[str, str]:
        found: dict[str, str] = json.loads(
            self.store.get("results", self.run.error_key("analysis"))
        )
        return found

    def left_over(self, seconds: float = 60) -> list[str]:
        """Processes of the job that are still there after a while, our own nodes included."""
        end = time.monotonic() + seconds
        while (found := list(self._alive())) and time.monotonic() < end:
            time.sleep(0.1)
        return found

    def _alive(self) -> Iterator[str]:
        for process in self.processes.values():
            process.poll()
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if f"{TAG}={self.tag}".encode() in (entry / "environ").read_bytes():
                    yield (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()

    def close(self) -> None:
        for process in self.processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
            process.wait()
        for log in self._logs.values():
            log.close()
        self._agent.shutdown()
        self._agent.server_close()


def _agent(network: str) -> type[http.server.BaseHTTPRequestHandler]:
    class Agent(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            link_local = {"NetworkMode": "bridge", "IPv4Addresses": ["169.254.172.2"]}
            own = {
                "NetworkMode": "awsvpc",
                "IPv4Addresses": [f"{network}.{10 + int(self.path[1:])}"],
            }
            body = json.dumps({"Networks": [link_local, own]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Silent."""

    return Agent
