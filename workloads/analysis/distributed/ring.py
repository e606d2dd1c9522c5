"""Messages travel from rank to rank, the next one while the present one is worked on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from mpi4py import MPI

from workloads.analysis.distributed.transport.exchange import Bytes, Exchange, Message, Transfer
from workloads.analysis.progress import Progress

Offer = Callable[[], Bytes | None]
"""Makes the message that this rank puts on the ring in a round; None where it has none left."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Stop:
    """A message at this rank."""

    round: int
    home: int
    """Rank that put it on the ring."""
    step: int
    """Ranks that it has come; this rank's own message has come none."""
    message: Bytes | None


class Ring:
    """Rank r hands messages to rank r - 1 and takes them from rank r + 1.

    Args:
        comm: All ranks.
        exchange: Carries them.
        progress: Is told what is received.
    """

    def __init__(self, comm: MPI.Intracomm, exchange: Exchange, progress: Progress) -> None:
        self._comm, self._exchange, self._progress = comm, exchange, progress
        self._under_way: list[Transfer] = []
        self._sizes: list[int] = []
        """Sizes of the messages of a round by the rank of their home; negative where there is
        none.
        """

    def tour(self, offers: Sequence[Offer], steps: range) -> Iterator[Stop]:
        """The messages of all rounds at the steps given, which begin with 0 or 1 and are at least
        one. Collective.

        The caller works on a message before it asks for the next one, and calls `progress_transfer`
        meanwhile. A round's messages are made while the last ones of the round before are worked
        on.
        """
        places = [(turn, step) for turn in range(len(offers)) for step in steps]
        present: Message | None = None
        for index, (turn, step) in enumerate(places):
            if index == 0:
                arriving = self._begin(offers[turn], step, steps.start, present)
            present = arriving()
            if index + 1 < len(places):
                following, next_step = places[index + 1]
                arriving = self._begin(offers[following], next_step, steps.start, present)
            home = (self._comm.rank + step) % self._comm.size
            yield Stop(
                round=turn, home=home, step=step, message=None if present is None else present.host
            )

    def back(
        self, message: Bytes | None, distance: int, expected: int | None
    ) -> Callable[[], Bytes | None]:
        """Send a message to the rank `distance` steps back on its way, and receive the one that
        comes here by the same rule. Collective.

        Args:
            message: None where there is nothing to send.
            distance: Steps.
            expected: Bytes of what comes in; None where nothing does.

        Returns:
            A call that waits for what comes in.
        """
        ranks, rank = self._comm.size, self._comm.rank
        leaving = None if message is None else Message(message)
        transfer = self._start(
            leaving, (rank + distance) % ranks, expected, (rank - distance) % ranks
        )

        def wait() -> Bytes | None:
            found = self._arrived(transfer)
            return None if found is None else found.host

        return wait

    def progress_transfer(self) -> None:
        """Lets messages advance."""
        for transfer in self._under_way:
            transfer.progress_transfer()

    def _begin(
        self, offer: Offer, step: int, first: int, present: Message | None
    ) -> Callable[[], Message | None]:
        """Start moving what will be here at a step; the call returned waits for it.

        `present` is here at the step before.
        """
        ranks, rank = self._comm.size, self._comm.rank
        if step == first:
            own = offer()
            present = None if own is None else Message(own)
            self._sizes = self._comm.allgather(-1 if own is None else own.size)
        if step == 0:
            return lambda: present
        size = self._sizes[(rank + step) % ranks]
        return partial(
            self._arrived,
            self._start(
                present, (rank - 1) % ranks, None if size < 0 else size, (rank + 1) % ranks
            ),
        )

    def _start(
        self, leaving: Message | None, to: int, expected: int | None, source: int
    ) -> Transfer:
        self._progress.moved("exchange", expected or 0)
        transfer = self._exchange.start(leaving, to, expected, source)
        self._under_way.append(transfer)
        return transfer

    def _arrived(self, transfer: Transfer) -> Message | None:
        with self._progress.timed("exchange"):
            found = transfer.wait()
        self._under_way.remove(transfer)
        return found
