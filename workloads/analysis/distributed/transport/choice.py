"""Which exchange a run uses: the one that it asks for, if it has proved on this very machine that
it works, or else the host's.

All ranks take every step together and come to the same answer. Where a step fails on one of them,
all go through the host's memory, and say why.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

import numpy as np
from mpi4py import MPI

from workloads.analysis.distributed.transport.device import (
    Communicator,
    CudaAwareExchange,
    Device,
    NcclExchange,
    UnusableError,
)
from workloads.analysis.distributed.transport.exchange import (
    Bytes,
    Exchange,
    HostExchange,
    Message,
    Transfer,
)

log = logging.getLogger(__name__)
T = TypeVar("T")

_SECONDS: Final = 60.0
"""Time limit of each step. NCCL finds its network in some seconds on machines with 32 cards."""
_TEST_BYTES: Final = (1 << 20) + 1
"""Size of the test message: past the size up to which MPI sends without asking the receiver; not a
whole number of anything.
"""


@dataclass(frozen=True, kw_only=True, eq=False)
class Chosen:
    """What the ranks agreed on."""

    exchange: Exchange
    asked: str
    refused: str = ""
    """Why it is not the one that was asked for; empty where it is."""
    held: Any = None
    """What a self-test that ran out of time has left under way: somebody may still write to it, so
    it is never freed.
    """

    def record(self) -> dict[str, str]:
        """For `_SUCCESS.json`."""
        return {"used": self.exchange.name, "asked": self.asked, "refused": self.refused}


class Opener(Protocol):
    """How to get an exchange."""

    name: str

    def ask(self) -> None:
        """Whether this rank may try at all, without trying. Raises UnusableError."""

    def open(self, comm: MPI.Intracomm) -> Exchange:
        """Collective; `comm` belongs to the exchange. Raises UnusableError."""


class NcclLibrary(Protocol):
    """NCCL as CuPy offers it."""

    def ask(self) -> None:
        """Raises UnusableError where there is none."""

    def unique_id(self) -> bytes:
        """By which the ranks of one communicator find one another."""

    def communicator(self, device: Any, ranks: int, unique_id: bytes, rank: int) -> Communicator:
        """Waits for all other ranks."""


class CudaAwareOpener:
    """An MPI that takes device memory.

    Args:
        device: Makes this rank's device.
        takes_device_memory: Asks MPI; one that says no would crash the process if it were given
            such memory.
    """

    name = "cuda-aware"

    def __init__(
        self, device: Callable[[], Device], takes_device_memory: Callable[[], bool]
    ) -> None:
        self._device, self._takes_device_memory = device, takes_device_memory

    def ask(self) -> None:
        """Raises UnusableError."""
        if not self._takes_device_memory():
            library = MPI.Get_library_version().partition(",")[0].split("\n")[0]
            raise UnusableError(
                f"this MPI ({library}) does not take device memory; it would have to be built with"
                " CUDA"
            )

    def open(self, comm: MPI.Intracomm) -> Exchange:
        """The exchange."""
        return CudaAwareExchange(comm, self._device())


class NcclOpener:
    """NCCL, with a device of its own for every rank.

    Args:
        device: Makes this rank's device.
        library: NCCL.
        seconds: How long ranks wait for one another.
    """

    name = "nccl"

    def __init__(
        self, device: Callable[[], Device], library: NcclLibrary, seconds: float = _SECONDS
    ) -> None:
        self._make_device, self._library, self._seconds = device, library, seconds
        self._device: Device | None = None

    def ask(self) -> None:
        """Raises UnusableError."""
        self._library.ask()
        self._device = self._make_device()

    def open(self, comm: MPI.Intracomm) -> Exchange:
        """The exchange."""
        device = self._device
        if device is None:
            raise AssertionError("nobody has asked")
        devices: list[str] = comm.allgather(device.identity)
        for rank, identity in enumerate(devices):
            first = devices.index(identity)
            if first != rank:
                raise UnusableError(
                    f"ranks {first} and {rank} share device {identity}, and NCCL wants a device for"
                    " each rank"
                )
        unique_id = comm.bcast(_or_problem(self._library.unique_id) if comm.rank == 0 else None)
        if isinstance(unique_id, str):
            raise UnusableError(unique_id)

        def connect() -> Communicator:
            device.use()  # which device is current is a matter of each thread
            return self._library.communicator(device, comm.size, unique_id, comm.rank)

        return NcclExchange(_within(self._seconds, connect), device)


def opener_of(asked: str) -> Opener | None:
    """How to get one of EXCHANGES, of which all but the host's need CuPy."""
    if asked == "host":
        return None
    from workloads.analysis.distributed.transport.device_cupy import CupyDevice

    if asked == "cuda-aware":
        return CudaAwareOpener(CupyDevice, mpi_takes_device_memory)
    from workloads.analysis.distributed.transport.nccl_cupy import CupyNccl

    return NcclOpener(CupyDevice, CupyNccl())


def mpi_takes_device_memory() -> bool:
    """What MPI says of itself: by the memory kinds of MPI 4.1, section 11.4.3, or by Open MPI's own
    query.

    Open MPI names the kinds of devices only where somebody asked for them at the start, so its
    query counts too.
    """
    import ctypes

    kinds = MPI.COMM_WORLD.Get_info().get("mpi_memory_alloc_kinds") or ""
    if any(kind.partition(":")[0].strip() == "cuda" for kind in kinds.split(",")):
        return True
    if MPI.get_vendor()[0] != "Open MPI":
        return False
    try:
        return bool(
            ctypes.CDLL("libmpi.so.40").MPIX_Query_cuda_support()
        )  # the library that is loaded already
    except (OSError, AttributeError):
        return False


def choose(opener: Opener | None, comm: MPI.Intracomm, *, seconds: float = _SECONDS) -> Chosen:
    """The exchange of this run. Collective; takes no longer than the steps may.

    Args:
        opener: Of the exchange that is asked for; None for the host's.
        comm: All ranks.
        seconds: Limit of the self-test.
    """
    if opener is None:
        return Chosen(exchange=HostExchange(comm), asked="host")
    under_way: list[Transfer] = []
    try:
        _together(comm, opener.ask)
        separate = (
            comm.Dup()
        )  # so that what fails half-way cannot be taken for a message of the host's exchange
        exchange = _together(comm, lambda: opener.open(separate))
        _together(comm, lambda: self_test(exchange, comm, seconds, under_way))
    except UnusableError as error:
        if comm.rank == 0:
            log.warning(
                "exchange %s is not used (%s); messages go through the host's memory",
                opener.name,
                error,
            )
        return Chosen(
            exchange=HostExchange(comm), asked=opener.name, refused=str(error), held=under_way
        )
    return Chosen(exchange=exchange, asked=opener.name)


def self_test(
    exchange: Exchange, comm: MPI.Intracomm, seconds: float, under_way: list[Transfer]
) -> None:
    """Every rank's pattern goes all the way round the ring, and every rank holds every pattern
    against what it should be. Collective.

    Args:
        exchange: That is tested.
        comm: All ranks.
        seconds: Limit.
        under_way: Gets what has not arrived by then.

    Raises:
        UnusableError: A pattern arrived with other bits, or not at all.
    """
    ranks, rank = comm.size, comm.rank
    deadline = time.monotonic() + seconds
    parcel: Message | None = Message(_pattern(rank))
    problem = ""
    for step in range(1, ranks + 1):  # the last step brings the own one home
        home = (rank + step) % ranks
        transfer = exchange.start(
            parcel, (rank - 1) % ranks, _pattern(home).size, (rank + 1) % ranks
        )
        while not transfer.progress_transfer():
            if time.monotonic() > deadline:
                under_way.append(transfer)
                exchange.abandon()
                raise UnusableError(
                    f"the test message of rank {home} did not arrive within {seconds:g} s"
                )
            time.sleep(0.001)
        parcel = transfer.wait()
        if not problem and (parcel is None or not np.array_equal(parcel.host, _pattern(home))):
            # go on: the others wait for what follows
            problem = f"the test message of rank {home} arrived with other bits"
    if problem:
        raise UnusableError(problem)


def _pattern(rank: int) -> Bytes:
    return np.random.default_rng(rank).integers(0, 256, _TEST_BYTES + 8 * rank, np.uint8)


def _together(comm: MPI.Intracomm, step: Callable[[], T]) -> T:
    """Do a step on all ranks.

    Raises the same UnusableError on all of them where it failed on one.
    """
    problem, found = "", []
    try:
        found = [step()]
    except UnusableError as error:
        problem = str(error)
    except Exception as error:  # noqa: BLE001 - whatever drivers and libraries raise, there is another way to exchange
        problem = f"{type(error).__name__}: {error}"
    problems = comm.allgather(problem)
    for rank, text in enumerate(problems):
        if text:
            raise UnusableError(text if len(set(problems)) == 1 else f"rank {rank}: {text}")
    return found[0]


def _or_problem(step: Callable[[], bytes]) -> bytes | str:
    try:
        return step()
    except Exception as error:  # noqa: BLE001 - the other ranks wait for an answer
        return f"{type(error).__name__}: {error}"


def _within(seconds: float, step: Callable[[], T]) -> T:
    """Do something that may wait for ever.

    Raises UnusableError where it takes too long; then it is left to itself.
    """
    found: list[T] = []
    problems: list[Exception] = []

    def run() -> None:
        try:
            found.append(step())
        except Exception as error:  # noqa: BLE001 - handed on
            problems.append(error)

    thread = threading.Thread(target=run, name="connect", daemon=True)
    thread.start()
    thread.join(seconds)
    if problems:
        raise problems[0]
    if not found:
        raise UnusableError(f"the ranks did not find one another within {seconds:g} s")
    return found[0]
