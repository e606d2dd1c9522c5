"""How messages get from rank to rank: one signature, whatever carries them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
from mpi4py import MPI

from workloads.analysis.waiting import poll

Bytes = npt.NDArray[np.uint8]

EXCHANGES: Final = ("host", "cuda-aware", "nccl")
_MESSAGE_BYTES: Final = 1 << 30
"""MPI 3 counts in 32-bit integers."""
_TAG: Final = 17


@dataclass(eq=False)
class Message:
    """A message: its bytes on the host, and where a device has them too, so that it can go on
    without being copied there again.
    """

    host: Bytes
    device: Any = None


class Transfer(Protocol):
    """Messages under way."""

    def progress_transfer(self) -> bool:
        """Let them advance; whether they have arrived."""

    def wait(self) -> Message | None:
        """The one that came in, once both have arrived; None where none was expected."""


class Exchange(Protocol):
    """Carries messages.

    All ranks start their transfers in the same order, and both ends know the size of a message.
    """

    @property
    def name(self) -> str:
        """`host`, `cuda-aware` or `nccl`."""

    def start(
        self, leaving: Message | None, to: int, expected: int | None, source: int
    ) -> Transfer:
        """Send a message and receive one.

        Args:
            leaving: Is not changed before it has arrived; None sends nothing.
            to: Rank.
            expected: Bytes of the message that comes in; None receives nothing.
            source: Rank.
        """

    def abandon(self) -> None:
        """Give up on what is under way, since it does not arrive; nothing is started after that."""


class MpiTransfer:
    """Requests of MPI.

    Args:
        requests: Of all parts of the messages.
        leaving: Is held until it has arrived.
        arriving: Is being filled.
    """

    def __init__(
        self, requests: list[MPI.Request], leaving: Message | None, arriving: Message | None
    ) -> None:
        self._requests, self._leaving, self._arriving = requests, leaving, arriving

    def progress_transfer(self) -> bool:
        """MPI without a thread of its own moves data only while it is called."""
        return bool(MPI.Request.Testall(self._requests))

    def wait(self) -> Message | None:
        """What came in."""
        poll(self.progress_transfer)
        self._leaving = None
        return self._arriving


def requests(
    comm: MPI.Intracomm, leaving: Any, to: int, arriving: Any, source: int
) -> list[MPI.Request]:
    """Start sending and receiving flat byte arrays, on the host or, where MPI takes them, on a
    device; None for neither.
    """
    found = (
        [] if arriving is None else [comm.Irecv(part, source, _TAG) for part in _parts(arriving)]
    )
    return found + (
        [] if leaving is None else [comm.Isend(part, to, _TAG) for part in _parts(leaving)]
    )


def _parts(message: Any) -> list[Any]:
    return [
        message[start : start + _MESSAGE_BYTES] for start in range(0, message.size, _MESSAGE_BYTES)
    ]


class HostExchange:
    """Messages go through the host's memory, which every MPI can.

    In a k-th-neighbour search a block is worked on far longer than it travels.

    Args:
        comm: All ranks.
    """

    name = "host"

    def __init__(self, comm: MPI.Intracomm) -> None:
        self._comm = comm

    def start(
        self, leaving: Message | None, to: int, expected: int | None, source: int
    ) -> MpiTransfer:
        """Send a message and receive one."""
        arriving = None if expected is None else Message(np.empty(expected, np.uint8))
        started = requests(
            self._comm,
            None if leaving is None else leaving.host,
            to,
            None if arriving is None else arriving.host,
            source,
        )
        return MpiTransfer(started, leaving, arriving)

    def abandon(self) -> None:
        """Nothing: MPI cannot take a message back that its receiver may be reading already."""
