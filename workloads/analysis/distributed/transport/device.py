"""Messages go from device to device: by an MPI that takes device memory, or by NCCL.

The device itself is behind two small protocols, so that all of this runs without one. What a rank
works on it still reads on the host: a message is copied to the device where it begins and from the
device wherever it stops; between ranks it does not touch the host.
"""

from __future__ import annotations

from typing import Any, Protocol

from mpi4py import MPI

from workloads.analysis.distributed.transport.exchange import Bytes, Message, MpiTransfer, requests

Array = Any
"""A flat array of bytes on the device; slices like one of NumPy and has its `size`."""


class UnusableError(Exception):
    """Why an exchange cannot be used here: part of a sentence."""


class Mark(Protocol):
    """A place in the device's queue of work."""

    @property
    def done(self) -> bool:
        """Whether the device has come that far."""

    def synchronize(self) -> None:
        """Wait until it has."""


class Device(Protocol):
    """The memory of this rank's device, and its queue of work."""

    @property
    def identity(self) -> str:
        """Which device of which machine."""

    def use(self) -> None:
        """Make it the device of the calling thread."""

    def upload(self, message: Bytes) -> Array:
        """A copy on the device, which is complete when this returns."""

    def empty(self, count: int) -> Array:
        """Bytes that are not initialised."""

    def download(self, array: Array) -> Bytes:
        """A copy on the host, made after all work in the queue, which is complete when this
        returns.
        """

    def synchronize(self) -> None:
        """Wait for all work in the queue."""

    def mark(self) -> Mark:
        """The end of the queue as it is now."""


class Communicator(Protocol):
    """NCCL's, as far as an exchange needs it."""

    def send_and_receive(
        self, leaving: Array | None, to: int, arriving: Array | None, source: int
    ) -> None:
        """Put both into the device's queue as one group; None leaves that direction out."""

    def abort(self) -> None:
        """Give up on all that is in the queue."""


class CudaAwareExchange:
    """MPI takes the arrays of the device.

    Args:
        comm: All ranks; of this exchange alone.
        device: Of this rank.
    """

    name = "cuda-aware"

    def __init__(self, comm: MPI.Intracomm, device: Device) -> None:
        self._comm, self._device = comm, device

    def start(
        self, leaving: Message | None, to: int, expected: int | None, source: int
    ) -> CudaAwareTransfer:
        """Send a message and receive one."""
        sent = None if leaving is None else _on(self._device, leaving)
        arriving = None if expected is None else self._device.empty(expected)
        # MPI knows nothing of the queue: memory may still be in use by earlier work in it
        self._device.synchronize()
        transfer = MpiTransfer(requests(self._comm, sent, to, arriving, source), leaving, None)
        return CudaAwareTransfer(transfer, self._device, arriving)

    def abandon(self) -> None:
        """Nothing: MPI cannot take a message back that its receiver may be reading already."""


class CudaAwareTransfer:
    """Requests of MPI on the device's memory."""

    def __init__(self, transfer: MpiTransfer, device: Device, arriving: Array | None) -> None:
        self._transfer, self._device, self._arriving = transfer, device, arriving

    def progress_transfer(self) -> bool:
        """Let MPI move data."""
        return self._transfer.progress_transfer()

    def wait(self) -> Message | None:
        """What came in."""
        self._transfer.wait()
        return (
            None
            if self._arriving is None
            else Message(self._device.download(self._arriving), self._arriving)
        )


class NcclExchange:
    """NCCL moves the arrays of the device, in the device's queue of work.

    Args:
        communicator: All ranks.
        device: Of this rank.
    """

    name = "nccl"

    def __init__(self, communicator: Communicator, device: Device) -> None:
        self._communicator, self._device = communicator, device

    def start(
        self, leaving: Message | None, to: int, expected: int | None, source: int
    ) -> NcclTransfer:
        """Send a message and receive one."""
        sent = None if leaving is None else _on(self._device, leaving)
        arriving = None if expected is None else self._device.empty(expected)
        if sent is not None or arriving is not None:
            self._communicator.send_and_receive(sent, to, arriving, source)
        return NcclTransfer(self._device, self._device.mark(), leaving, arriving)

    def abandon(self) -> None:
        """Free the device's queue from messages that wait for ever."""
        self._communicator.abort()


class NcclTransfer:
    """Work in the device's queue."""

    def __init__(
        self, device: Device, mark: Mark, leaving: Message | None, arriving: Array | None
    ) -> None:
        self._device, self._mark, self._leaving, self._arriving = device, mark, leaving, arriving

    def progress_transfer(self) -> bool:
        """The device moves data by itself."""
        return self._mark.done

    def wait(self) -> Message | None:
        """What came in."""
        self._mark.synchronize()
        self._leaving = None
        return (
            None
            if self._arriving is None
            else Message(self._device.download(self._arriving), self._arriving)
        )


def _on(device: Device, parcel: Message) -> Array:
    if parcel.device is None:
        parcel.device = device.upload(parcel.host)
    return parcel.device
