"""A child node: dials the main node, then runs the one command it is sent, as long as the
connection lasts.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import socket
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from workloads.analysis.launch import channel as channels
from workloads.analysis.launch import mpirun, processes, scratch
from workloads.analysis.launch.address import is_loopback, told_by_agent
from workloads.analysis.launch.channel import Channel, ChannelError, Hello, Message, RefusedError
from workloads.analysis.launch.exit_codes import LaunchExit
from workloads.analysis.launch.settings import PORT, LaunchSettings
from workloads.runtime.errors import EXIT_OK, StageError

log = logging.getLogger(__name__)

_FIRST_WAIT_SECONDS: Final = 0.05
_LONGEST_WAIT_SECONDS: Final = 2.0


@dataclass(frozen=True)
class _Lost:
    reason: str


@dataclass(frozen=True)
class _Exited:
    code: int


@dataclass(frozen=True)
class ChildNode:
    """One attempt of the job as a child node sees it."""

    settings: LaunchSettings

    def run(self) -> None:
        """Returns when the main node says that the job ended well.

        Raises:
            StageError: with the job's exit code, or one of LaunchExit.
        """
        processes.adopt_orphans()
        with scratch.folder() as folder:
            self._run(folder)

    def _run(self, folder: Path) -> None:
        channel = self._join()
        log.info(
            "joined the main node",
            extra={"fields": {"main": self.settings.batch.main_node_address}},
        )
        try:
            code = self._serve(channel, folder)
        finally:
            channel.close()
            processes.end_descendants()
        if code != EXIT_OK:
            raise StageError(f"the main node ended the job with exit code {code}", exit_code=code)

    def _join(self) -> Channel:
        settings = self.settings
        main = settings.batch.main_node_address or ""
        address = told_by_agent()
        deadline = time.monotonic() + settings.join_deadline_seconds
        wait = _FIRST_WAIT_SECONDS
        while True:
            try:
                return self._dial(main, address)
            except RefusedError as error:
                raise StageError(
                    f"the main node {main}:{PORT} and this node do not accept each other: {error}",
                    hint=(
                        "all nodes take PIPELINE_LAUNCH_TOKEN from the job definition's secrets;"
                        " they must see the same version of it"
                    ),
                    exit_code=LaunchExit.REFUSED,
                ) from error
            except (OSError, ChannelError) as error:
                if time.monotonic() + wait > deadline:
                    raise StageError(
                        f"the main node {main}:{PORT} could not be reached within"
                        f" {settings.join_deadline_seconds:g} s: {error}",
                        hint="the security group has to let the nodes of the job reach each other",
                        exit_code=LaunchExit.JOIN_DEADLINE,
                    ) from error
            time.sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT_SECONDS)

    def _dial(self, main: str, address: str | None) -> Channel:
        # on loopback every address of the machine will do as a source; elsewhere the kernel knows
        # best
        source = (address, 0) if address and is_loopback(address) else None
        connection = socket.create_connection(
            (main, PORT), channels.HANDSHAKE_SECONDS, source_address=source
        )
        hello = Hello(
            node=self.settings.batch.node_index, address=address or connection.getsockname()[0]
        )
        try:
            return channels.join(
                connection, token=self.settings.token, job=self.settings.job, hello=hello
            )
        except BaseException:
            connection.close()
            raise

    def _serve(self, channel: Channel, folder: Path) -> int:
        """The job's exit code, as the main node tells it."""
        service = _Service(channel, mpirun.environment(os.environ) | scratch.variables(folder))
        try:
            return service.until_end(None)
        except SystemExit:  # SIGTERM, see run_stage: the ranks get time to store what they have
            with contextlib.suppress(ChannelError, queue.Empty, StageError):
                channel.send({"stopping": True})
                service.until_end(processes.STORE_SECONDS)
            raise
        finally:
            service.stop()


class _Service:
    """What the node does for the main node: at most one command at a time."""

    def __init__(self, channel: Channel, environ: Mapping[str, str]) -> None:
        self._channel, self._environ = channel, environ
        self._events: queue.SimpleQueue[Message | _Lost | _Exited] = queue.SimpleQueue()
        self._daemon: subprocess.Popen[str] | None = None
        threading.Thread(target=_receive, args=(channel, self._events), daemon=True).start()

    def until_end(self, seconds: float | None) -> int:
        """The job's exit code.

        Raises queue.Empty where it is not told within some seconds, StageError where the main node
        is gone.
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        while True:
            match self._events.get(
                timeout=None if deadline is None else max(deadline - time.monotonic(), 0.0)
            ):
                case {"run": str(command)}:
                    self._daemon = processes.start(
                        ["/bin/sh", "-c", command], environ=self._environ, cwd=mpirun.ROOT
                    )
                    threading.Thread(
                        target=_wait, args=(self._daemon, self._events), daemon=True
                    ).start()
                case {"kill": True}:
                    self.stop()
                case {"end": int(code)}:
                    return code
                case _Exited(code=code):
                    with contextlib.suppress(
                        ChannelError
                    ):  # its end arrives as an event of its own
                        self._channel.send({"exited": code})
                case _Lost(reason=reason):
                    raise StageError(
                        f"the main node is gone: {reason}", exit_code=LaunchExit.MAIN_LOST
                    )

    def stop(self) -> None:
        """End the command."""
        if self._daemon is not None:
            processes.stop(self._daemon)


def _receive(channel: Channel, events: queue.SimpleQueue[Message | _Lost | _Exited]) -> None:
    while True:
        try:
            events.put(channel.receive())
        except ChannelError as error:
            events.put(_Lost(str(error)))
            return


def _wait(
    daemon: subprocess.Popen[str], events: queue.SimpleQueue[Message | _Lost | _Exited]
) -> None:
    events.put(_Exited(daemon.wait()))
