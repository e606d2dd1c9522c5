"""A device and NCCL without a GPU: arrays of their own kind, which nobody may read but through the
device, and messages by MPI.

What a fault name does: see `FAULTS`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from mpi4py import MPI

from workloads.analysis.distributed.transport.choice import CudaAwareOpener, NcclOpener, Opener
from workloads.analysis.distributed.transport.device import UnusableError
from workloads.analysis.distributed.transport.exchange import Bytes

FAULTS = {
    "": "all is well",
    "bit": "one bit is wrong in what rank 1 downloads",
    "silent": "rank 1 sends nothing",
    "lost": "rank 1 never finds the others",
    "broken": "rank 1's library raises an error that nobody foresaw",
    "shared": "two ranks share a device",
    "absent": "rank 1 has no NCCL, or an MPI without CUDA",
    "no-id": "rank 0 gets no unique id",
}


@dataclass(eq=False)
class FakeArray:
    """Knows its address, as an array on a device does; MPI reads and writes there."""

    memory: Bytes

    @property
    def size(self) -> int:
        return self.memory.size

    def __getitem__(self, part: slice) -> FakeArray:
        return FakeArray(self.memory[part])

    def __array__(self, *_: Any, **__: Any) -> npt.NDArray[Any]:
        raise TypeError("the host cannot read the device's memory")

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {
            "shape": self.memory.shape,
            "typestr": "|u1",
            "data": (self.memory.ctypes.data, False),
            "version": 3,
        }


@dataclass(eq=False)
class FakeMark:
    requests: list[MPI.Request]

    @property
    def done(self) -> bool:
        return bool(MPI.Request.Testall(self.requests))

    def synchronize(self) -> None:
        MPI.Request.Waitall(self.requests)


@dataclass(eq=False)
class FakeDevice:
    rank: int
    fault: str
    queue: list[MPI.Request] = field(default_factory=list)
    uploads: int = 0

    @property
    def identity(self) -> str:
        return f"machine GPU {0 if self.fault == 'shared' else self.rank}"

    def use(self) -> None:
        pass

    def upload(self, message: Bytes) -> FakeArray:
        self.uploads += 1
        return FakeArray(message.copy())

    def empty(self, count: int) -> FakeArray:
        return FakeArray(np.full(count, 0xEE, np.uint8))

    def download(self, array: FakeArray) -> Bytes:
        found = array.memory.copy()
        if self.fault == "bit" and self.rank == 1:
            found[-1] ^= 1
        return found

    def synchronize(self) -> None:
        MPI.Request.Waitall(self.queue)

    def mark(self) -> FakeMark:
        return FakeMark(list(self.queue))


@dataclass(eq=False)
class FakeCommunicator:
    comm: MPI.Intracomm
    device: FakeDevice
    aborted: bool = False

    def send_and_receive(
        self, leaving: FakeArray | None, to: int, arriving: FakeArray | None, source: int
    ) -> None:
        self.device.queue = [one for one in self.device.queue if one != MPI.REQUEST_NULL]
        if arriving is not None:
            self.device.queue.append(self.comm.Irecv(arriving.memory, source))
        if leaving is not None and not (self.device.fault == "silent" and self.device.rank == 1):
            self.device.queue.append(self.comm.Isend(leaving.memory, to))

    def abort(self) -> None:
        self.aborted = True


@dataclass(eq=False)
class FakeNccl:
    comm: MPI.Intracomm
    fault: str
    communicators: list[FakeCommunicator] = field(default_factory=list)

    def ask(self) -> None:
        if self.fault == "absent" and self.comm.rank == 1:
            raise UnusableError("CuPy finds no NCCL library")

    def unique_id(self) -> bytes:
        if self.fault == "no-id":
            raise RuntimeError("NCCL_ERROR_SYSTEM_ERROR")
        return b"x" * 128

    def communicator(
        self, device: FakeDevice, ranks: int, unique_id: bytes, rank: int
    ) -> FakeCommunicator:
        assert (ranks, rank, len(unique_id)) == (self.comm.size, self.comm.rank, 128)
        if self.fault == "lost" and rank == 1:
            time.sleep(3600)
        if self.fault == "broken" and rank == 1:
            raise RuntimeError("NCCL_ERROR_UNHANDLED_CUDA_ERROR")
        self.communicators.append(FakeCommunicator(self.comm, device))
        return self.communicators[-1]


def opener(
    name: str, comm: MPI.Intracomm, fault: str, seconds: float
) -> tuple[Opener, FakeDevice, FakeNccl]:
    """For a fault of FAULTS."""
    device, library = FakeDevice(comm.rank, fault), FakeNccl(comm.Dup(), fault)
    if name == "nccl":
        return NcclOpener(lambda: device, library, seconds), device, library
    return (
        CudaAwareOpener(lambda: device, lambda: not (fault == "absent" and comm.rank == 1)),
        device,
        library,
    )
