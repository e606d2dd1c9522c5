"""The main node: gathers the children, runs mpirun over all nodes, and ends the job when one of
them is gone.

Threads block on one connection each and put what they see into a queue; the main thread alone
decides. So a SIGTERM, which arrives in the main thread, finds one place to clean up.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from workloads.analysis.launch import agent, mpirun, processes, scratch
from workloads.analysis.launch import channel as channels
from workloads.analysis.launch.address import is_loopback, of_host_name, told_by_agent
from workloads.analysis.launch.channel import Channel, ChannelError, RefusedError
from workloads.analysis.launch.events import (
    AgentGone,
    Ended,
    Event,
    Exited,
    Joined,
    Lost,
    Remote,
    Stopping,
)
from workloads.analysis.launch.exit_codes import LaunchExit
from workloads.analysis.launch.listening import serve_each
from workloads.analysis.launch.settings import PORT, LaunchSettings
from workloads.analysis.rank_failure import RankFailure
from workloads.runtime.errors import (
    EXIT_INTERNAL,
    EXIT_OK,
    EXIT_TERMINATED,
    StageError,
    no_memory,
    no_space,
)

log = logging.getLogger(__name__)

_SETTLE_SECONDS: Final = 2.0
"""Time, after mpirun failed, that the news of a lost child, which may be the cause, can take to
arrive.
"""


@dataclass
class _Child:
    address: str
    channel: Channel
    agent: socket.socket | None = None


@dataclass
class MainNode:
    """One attempt of the job as its main node sees it."""

    settings: LaunchSettings
    _events: queue.SimpleQueue[Event] = field(default_factory=queue.SimpleQueue)
    _children: dict[int, _Child] = field(default_factory=dict)
    _mpirun: subprocess.Popen[str] | None = None
    _stopping: Stopping | None = None

    def run(self) -> None:
        """Returns when all ranks ended well.

        Raises:
            StageError: with the exit code of a rank, or one of LaunchExit.
        """
        processes.adopt_orphans()
        with scratch.folder() as folder:
            self._run(folder)

    def _run(self, folder: Path) -> None:
        code: int = EXIT_INTERNAL
        try:
            with contextlib.ExitStack() as stack:
                if self.settings.batch.num_nodes > 1:
                    address = told_by_agent() or of_host_name()
                    stack.enter_context(self._listen(address))
                    self._await_children()
                    command = self._over_nodes(address, folder, stack)
                else:
                    command = mpirun.on_one_node(
                        self.settings.ranks_per_node, self.settings.program
                    )
                self._supervise(command, folder)
            code = EXIT_OK
        except StageError as error:
            code = error.exit_code
            raise
        except SystemExit as leaving:  # SIGTERM, or the machine is taken back: see run_stage
            code = _code(leaving)
            raise
        finally:
            for child in self._children.values():
                with contextlib.suppress(ChannelError):
                    child.channel.send({"end": code})
                child.channel.close()
            processes.end_descendants()

    # ---- gathering the children ------------------------------------------------------------------

    def _listen(self, address: str) -> socket.socket:
        try:
            listener = socket.create_server((address, PORT), backlog=128)
        except OSError as error:
            raise StageError(
                f"the main node cannot listen on {address}:{PORT}: {error}",
                exit_code=LaunchExit.NOT_LAUNCHED,
            ) from error
        log.info(
            "waiting for children",
            extra={
                "fields": {"address": address, "port": PORT, "nodes": self.settings.batch.num_nodes}
            },
        )
        _thread(serve_each, listener, self._serve_node)
        return listener

    def _serve_node(self, connection: socket.socket, peer: tuple[str, int]) -> None:
        try:
            channel, hello = channels.accept(
                connection, token=self.settings.token, job=self.settings.job
            )
        except (ChannelError, RefusedError) as error:
            log.warning("connection from %s refused: %s", peer[0], error)
            connection.close()
            return
        self._events.put(Joined(hello, channel))
        while True:
            try:
                message = channel.receive()
                event = (
                    Stopping(hello.node)
                    if "stopping" in message
                    else Exited(hello.node, channels.whole(message, "exited"))
                )
            except ChannelError as error:
                self._events.put(Lost(hello.node, str(error)))
                return
            self._events.put(event)

    def _await_children(self) -> None:
        batch = self.settings.batch
        expected = set(range(batch.num_nodes)) - {batch.main_node_index}
        deadline = time.monotonic() + self.settings.join_deadline_seconds
        while missing := expected - self._children.keys():
            try:
                event = self._events.get(timeout=max(deadline - time.monotonic(), 0.0))
            except queue.Empty:
                raise StageError(
                    f"{len(missing)} of {len(expected)} child nodes did not join within"
                    f" {self.settings.join_deadline_seconds:g} s:"
                    f" {', '.join(map(str, sorted(missing)))}",
                    hint=(
                        "their containers did not start, or the security group does not let the"
                        " nodes reach each other"
                    ),
                    exit_code=LaunchExit.JOIN_DEADLINE,
                ) from None
            if isinstance(event, Lost):
                raise self._lost(event)
            if isinstance(event, Joined):
                self._welcome(event, missing)

    def _welcome(self, joined: Joined, missing: set[int]) -> None:
        node = joined.hello.node
        if node in missing:
            self._children[node] = _Child(joined.hello.address, joined.channel)
            log.info(
                "child joined",
                extra={
                    "fields": {
                        "child": node,
                        "address": joined.hello.address,
                        "missing": len(missing) - 1,
                    }
                },
            )
        else:
            log.warning(
                "node %d joined twice, or is not of this job; the second one is sent away", node
            )
            joined.channel.close()

    # ---- running the ranks -----------------------------------------------------------------------

    def _over_nodes(self, address: str, folder: Path, stack: contextlib.ExitStack) -> list[str]:
        listener = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        # a socket's path has at most 107 bytes (unix(7)) and TMPDIR may be longer: both sides name
        # it from within the folder
        inside = os.open(folder, os.O_PATH)
        stack.callback(os.close, inside)
        listener.bind(f"/proc/self/fd/{inside}/{agent.SOCKET}")
        listener.listen(128)
        _thread(serve_each, listener, self._serve_agent)
        # PRRTE takes 127.0.0.1 alone for this machine; it would look for any other loopback address
        # elsewhere
        here = "localhost" if is_loopback(address) else address
        addresses = {
            self.settings.batch.main_node_index: here,
            **{node: child.address for node, child in self._children.items()},
        }
        return mpirun.over_nodes(
            addresses=[addresses[node] for node in sorted(addresses)],
            on_one_machine=is_loopback(address),
            ranks=self.settings.ranks_per_node,
            hostfile=folder / "hosts",
            program=self.settings.program,
        )

    def _serve_agent(self, connection: socket.socket, _peer: object) -> None:
        # ValueError: an agent that mpirun ended before it said what it wants
        with (
            contextlib.suppress(OSError, ValueError),
            connection.makefile("r", encoding="utf-8") as stream,
        ):
            request = json.loads(stream.readline())
            self._events.put(Remote(request["host"], request["command"], connection))
            stream.readline()  # nothing comes but the end
            self._events.put(AgentGone(request["host"]))

    def _supervise(self, command: list[str], folder: Path) -> None:
        environ = mpirun.environment(os.environ) | scratch.variables(folder)
        try:
            process = self._mpirun = processes.start(
                command,
                environ=environ,
                cwd=mpirun.ROOT,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except OSError as error:
            raise StageError(
                f"mpirun cannot be started: {error}", exit_code=LaunchExit.NOT_LAUNCHED
            ) from error
        try:
            _thread(self._relay, process)
            ended = self._until_ended()
        except SystemExit as leaving:
            self._let_store(process, processes.store_seconds(_code(leaving)))
            raise
        finally:
            processes.stop(process)
        if self._stopping is not None:
            raise StageError(
                f"child node {self._stopping.node} was told to stop, so the whole job ends",
                hint=(
                    "its host is going away; what the ranks had is stored, and the next attempt"
                    " goes on from there"
                ),
                exit_code=LaunchExit.CHILD_LOST,
            )
        if ended.code == EXIT_OK:
            return
        if ended.failure is not None:
            raise StageError(
                ended.failure.sentence, hint=ended.failure.hint, exit_code=ended.failure.exit_code
            )
        self._settle()
        if ended.used_up is not None:
            raise ended.used_up
        code = ended.code if ended.code > 0 else 128 - ended.code
        number = code - 128
        by_signal = number in set(signal.Signals)
        raise StageError(
            "mpirun ended with exit code"
            f" {code}{f' ({signal.Signals(number).name})' if by_signal else ''} and no rank"
            " said why",
            hint=(
                "a rank was killed, often for want of memory"
                if code == 137
                else "the log has what mpirun wrote"
            ),
            exit_code=code,
        )

    def _relay(self, process: subprocess.Popen[str]) -> None:
        """Hands on what the ranks write, line by line, and keeps the first word of a failure."""
        failure, said = None, list[StageError]()
        errors = _thread(_relay_errors, process, said)
        for line in _lines(process.stdout):
            sys.stdout.write(line)
            sys.stdout.flush()
            failure = failure or RankFailure.from_line(line)
        errors.join()
        self._events.put(Ended(process.wait(), failure, said[0] if said else None))

    def _until_ended(self) -> Ended:
        while True:
            event = self._events.get()
            if isinstance(event, Ended):
                return event
            self._handle(event)

    def _let_store(self, process: subprocess.Popen[str], seconds: float) -> None:
        """Before this node leaves: the ranks end by themselves when they have stored what they
        have.
        """
        processes.ask_to_store(process)
        deadline = time.monotonic() + seconds
        with contextlib.suppress(queue.Empty, StageError, ChannelError):
            while not isinstance(
                event := self._events.get(timeout=max(deadline - time.monotonic(), 0.0)), Ended
            ):
                self._handle(event)

    def _settle(self) -> None:
        """Raises StageError where mpirun failed because a child is gone."""
        deadline = time.monotonic() + _SETTLE_SECONDS
        with contextlib.suppress(queue.Empty):
            while True:
                self._handle(self._events.get(timeout=max(deadline - time.monotonic(), 0.0)))

    def _handle(self, event: Event) -> None:
        match event:
            case Lost(node=node) if node in self._children:
                raise self._lost(event)
            case Remote(host=host, command=command, agent=agent):
                child = self._at(host)
                child.agent = agent
                child.channel.send({"run": command})
            case AgentGone(host=host):
                with contextlib.suppress(ChannelError):
                    self._at(host).channel.send({"kill": True})
            case Exited(node=node, code=code):
                agent_of = self._children[node].agent
                if agent_of is not None:
                    with contextlib.suppress(OSError):  # mpirun may have ended its agent already
                        agent_of.sendall(json.dumps({"exited": code}).encode() + b"\n")
            case Stopping():
                self._stopping = self._stopping or event
                if self._mpirun is not None:
                    processes.ask_to_store(self._mpirun)
            case Joined():
                event.channel.close()  # a stranger: all children are here

    def _at(self, host: str) -> _Child:
        for child in self._children.values():
            if child.address == host:
                return child
        raise StageError(
            f"mpirun wants to start a command on {host}, which is no child node",
            exit_code=LaunchExit.NOT_LAUNCHED,
        )

    def _lost(self, event: Lost) -> StageError:
        return StageError(
            f"child node {event.node} is gone: {event.reason}",
            hint=(
                "its container or its host ended; Batch does not tell the main node, so the whole"
                " job ends here and can be retried"
            ),
            exit_code=LaunchExit.CHILD_LOST,
        )


def _code(leaving: SystemExit) -> int:
    return leaving.code if isinstance(leaving.code, int) else EXIT_TERMINATED


def _relay_errors(process: subprocess.Popen[str], said: list[StageError]) -> None:
    """Hands on what mpirun writes to standard error, and keeps what it says of memory or disk."""
    for line in _lines(process.stderr):
        sys.stderr.write(line)
        sys.stderr.flush()
        if os.strerror(errno.ENOSPC) in line:
            said.append(no_space())
        elif os.strerror(errno.ENOMEM) in line:
            said.append(no_memory())


def _lines(stream: IO[str] | None) -> Iterator[str]:
    """What mpirun writes, without the zero byte with which it ends some of its own warnings."""
    return filter(None, (line.replace("\0", "") for line in stream or ()))


def _thread(function: object, *arguments: object) -> threading.Thread:
    thread = threading.Thread(target=function, args=arguments, daemon=True)  # type: ignore[arg-type]
    thread.start()
    return thread
