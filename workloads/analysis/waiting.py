"""Ranks that wait for others leave their processors to those at work.

MPI waits by polling without a pause: a rank that has nothing to do takes a whole processor to find
that out, from ranks and threads that have, and shows as busy where the use of processors is
measured. Here a rank first waits, with growing pauses, until the others have come to the same call;
the call itself, which moves the data, is MPI's own.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from mpi4py import MPI

_SHORTEST_SECONDS: Final = 20e-6
_LONGEST_SECONDS: Final = 1e-3
"""A poll takes hundredths of that; calls are as far apart as units of a table."""


def poll(done: Callable[[], bool]) -> None:
    """Returns once `done` says so; MPI moves data only while it is asked."""
    pause = _SHORTEST_SECONDS
    while not done():
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_SECONDS)


class PollingComm(MPI.Intracomm):
    """The same communicator, with waits that leave the processor to others.

    Built from the one that it stands for: `PollingComm(MPI.COMM_WORLD)`. Covers the calls that the
    analysis makes; all others are those of MPI.
    """

    def bcast(self, obj: Any, root: int = 0) -> Any:
        """Waits for the root alone."""
        poll(self.Ibcast(bytearray(1), root).Test)
        return super().bcast(obj, root)

    def gather(self, sendobj: Any, root: int = 0) -> list[Any] | None:
        """The root waits for all others, and these for nobody."""
        arrived = bytearray(self.size) if self.rank == root else None
        poll(self.Igather(bytearray(1), arrived, root).Test)
        return super().gather(sendobj, root)

    def allgather(self, sendobj: Any) -> list[Any]:
        """Waits for all."""
        self.Barrier()
        return super().allgather(sendobj)

    def allreduce(self, sendobj: Any, op: MPI.Op | Callable[[Any, Any], Any] = MPI.SUM) -> Any:
        """Waits for all."""
        self.Barrier()
        return super().allreduce(sendobj, op)

    def Allreduce(self, sendbuf: Any, recvbuf: Any, op: MPI.Op = MPI.SUM) -> None:  # noqa: N802
        """Waits for all."""
        self.Barrier()
        super().Allreduce(sendbuf, recvbuf, op)

    def Barrier(self) -> None:  # noqa: N802
        """Waits for all."""
        poll(self.Ibarrier().Test)

    def send(self, obj: Any, dest: int, tag: int = 0) -> None:
        """Waits until a message that is too large for MPI to keep is received."""
        poll(self.isend(obj, dest, tag).Test)

    def recv(
        self,
        buf: Any = None,
        source: int = MPI.ANY_SOURCE,
        tag: int = MPI.ANY_TAG,
        status: MPI.Status | None = None,
    ) -> Any:
        """Waits for a message."""
        poll(lambda: self.iprobe(source, tag))
        return super().recv(buf, source, tag, status)
