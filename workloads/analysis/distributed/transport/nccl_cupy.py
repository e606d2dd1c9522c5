"""NCCL by CuPy, for exchange_device.py.

CuPy warns where it finds no NCCL, so nobody imports this who does not ask for it.
"""

from __future__ import annotations

from cupy.cuda import nccl

from workloads.analysis.distributed.transport.device import Array, UnusableError
from workloads.analysis.distributed.transport.device_cupy import CupyDevice


class CupyNccl:
    """NCCL."""

    def ask(self) -> None:
        """Raises UnusableError."""
        if not nccl.available:
            raise UnusableError(
                "CuPy finds no NCCL library; the image needs the package nvidia-nccl-cu13"
            )

    def unique_id(self) -> bytes:
        """128 bytes."""
        found: bytes = nccl.get_unique_id()
        return found

    def communicator(
        self, device: CupyDevice, ranks: int, unique_id: bytes, rank: int
    ) -> CupyCommunicator:
        """Waits for the other ranks."""
        return CupyCommunicator(nccl.NcclCommunicator(ranks, unique_id, rank), device)


class CupyCommunicator:
    """An NCCL communicator on a device's stream."""

    def __init__(self, communicator: nccl.NcclCommunicator, device: CupyDevice) -> None:
        self._communicator, self._device = communicator, device

    def send_and_receive(
        self, leaving: Array | None, to: int, arriving: Array | None, source: int
    ) -> None:
        """As one group: NCCL blocks a stream at a lone send until the peer receives."""
        stream = self._device.stream.ptr
        nccl.groupStart()
        try:
            if leaving is not None:
                self._communicator.send(leaving.data.ptr, leaving.size, nccl.NCCL_UINT8, to, stream)
            if arriving is not None:
                self._communicator.recv(
                    arriving.data.ptr, arriving.size, nccl.NCCL_UINT8, source, stream
                )
        finally:
            nccl.groupEnd()

    def abort(self) -> None:
        """Give up on all that is in the queue."""
        self._communicator.abort()
