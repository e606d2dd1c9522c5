"""A GPU and NCCL by CuPy, for exchange_device.py."""

from __future__ import annotations

import platform

import cupy
import cupyx
import numpy as np
from cupy.cuda import nccl

from workloads.analysis.distribution.exchange import Bytes
from workloads.analysis.distribution.exchange_choice import UnusableError
from workloads.analysis.distribution.exchange_device import Array, Mark


class CupyDevice:
    """The device that is current when it is made, with a stream of its own: messages travel beside the computation.

    All its arrays are allocated and used on that stream alone, as CuPy's memory pool wants it.
    """

    def __init__(self) -> None:
        self._device = cupy.cuda.Device()
        self.stream = cupy.cuda.Stream(non_blocking=True)

    @property
    def identity(self) -> str:
        """Name of the machine and PCI address."""
        return f"{platform.node()} {self._device.pci_bus_id}"

    def use(self) -> None:
        """Make it the device of the calling thread."""
        self._device.use()

    def upload(self, message: Bytes) -> Array:
        """Through pinned memory."""
        staged = cupyx.empty_pinned(message.shape, np.uint8)
        staged[...] = message
        found = self.empty(message.size)
        found.set(staged, stream=self.stream)
        self.stream.synchronize()  # before the pinned memory goes back to its pool
        return found

    def empty(self, count: int) -> Array:
        """Not initialised."""
        with self.stream:
            return cupy.empty(count, cupy.uint8)

    def download(self, array: Array) -> Bytes:
        """Into pinned memory, from which the rows are copied to the device again without another copy on the host."""
        found: Bytes = cupyx.empty_pinned(array.shape, np.uint8)
        array.get(out=found, stream=self.stream)
        self.stream.synchronize()
        return found

    def synchronize(self) -> None:
        """Wait for the stream."""
        self.stream.synchronize()

    def mark(self) -> Mark:
        """An event on the stream."""
        event: Mark = self.stream.record()
        return event


class CupyNccl:
    """NCCL."""

    def ask(self) -> None:
        """Raises UnusableError."""
        if not nccl.available:
            raise UnusableError("CuPy finds no NCCL library; the image needs the package nvidia-nccl-cu13")

    def unique_id(self) -> bytes:
        """128 bytes."""
        found: bytes = nccl.get_unique_id()
        return found

    def communicator(self, device: CupyDevice, ranks: int, unique_id: bytes, rank: int) -> CupyCommunicator:
        """Waits for the other ranks."""
        return CupyCommunicator(nccl.NcclCommunicator(ranks, unique_id, rank), device)


class CupyCommunicator:
    """An NCCL communicator on a device's stream."""

    def __init__(self, communicator: nccl.NcclCommunicator, device: CupyDevice) -> None:
        self._communicator, self._device = communicator, device

    def send_and_receive(self, leaving: Array | None, to: int, arriving: Array | None, source: int) -> None:
        """As one group: NCCL blocks a stream at a lone send until the peer receives."""
        stream = self._device.stream.ptr
        nccl.groupStart()
        try:
            if leaving is not None:
                self._communicator.send(leaving.data.ptr, leaving.size, nccl.NCCL_UINT8, to, stream)
            if arriving is not None:
                self._communicator.recv(arriving.data.ptr, arriving.size, nccl.NCCL_UINT8, source, stream)
        finally:
            nccl.groupEnd()

    def abort(self) -> None:
        """Give up on all that is in the queue."""
        self._communicator.abort()
