"""A GPU by CuPy, for exchange_device.py."""

from __future__ import annotations

import platform

import cupy
import cupyx
import numpy as np

from workloads.analysis.distributed.transport.device import Array, Mark
from workloads.analysis.distributed.transport.exchange import Bytes


class CupyDevice:
    """The device that is current when it is made, with a stream of its own: messages travel beside
    the computation.

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
        """Into pinned memory, from which the rows are copied to the device again without another
        copy on the host.
        """
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
