"""What the threads of the main node tell its main thread."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from workloads.analysis.launch.channel import Channel, Hello
from workloads.analysis.rank_failure import RankFailure
from workloads.runtime.errors import StageError


@dataclass(frozen=True)
class Joined:
    """A child said who it is."""

    hello: Hello
    channel: Channel


@dataclass(frozen=True)
class Exited:
    """The command on a child ended."""

    node: int
    code: int


@dataclass(frozen=True)
class Lost:
    """The connection to a child ended without a word."""

    node: int
    reason: str


@dataclass(frozen=True)
class Stopping:
    """A child was told to stop; it waits for its ranks to store what they have."""

    node: int


@dataclass(frozen=True)
class Remote:
    """mpirun asks, through its agent, for a command on another node."""

    host: str
    command: str
    agent: socket.socket


@dataclass(frozen=True)
class AgentGone:
    """The agent by which mpirun reaches a node is gone."""

    host: str


@dataclass(frozen=True)
class Ended:
    """mpirun ended."""

    code: int
    failure: RankFailure | None
    used_up: StageError | None
    """What mpirun itself said of memory or disk, where no rank could."""


Event = Joined | Exited | Stopping | Lost | Remote | AgentGone | Ended
