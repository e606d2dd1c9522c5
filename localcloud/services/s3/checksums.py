"""The checksums that S3 knows (S3 User Guide, "Checking object integrity"), block by block.

CRC-32C and CRC-64/NVME are not in the standard library. A block is cut into lanes of equal length
whose registers NumPy moves on together, a byte of each at a time; what the lanes give is put
together pair by pair, for a CRC is linear: the register after `ab` is that of `a` moved on by as
many zero bytes as `b` is long, xor that of `b` begun at zero.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import zlib
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

_LANES: Final = 8192
_SHORT: Final = 4 * _LANES
Register = NDArray[np.uint64]


class Checksum(Protocol):
    """Takes bytes, gives a digest; as in hashlib."""

    def update(self, data: Any, /) -> None:
        """Adds bytes."""

    def digest(self) -> bytes:
        """Of all bytes so far."""


class _Crc32:
    def __init__(self) -> None:
        self._value = 0

    def update(self, data: Any, /) -> None:
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


@functools.cache
def _table(polynomial: int) -> Register:
    """What a register becomes for each value of its lowest byte (reflected form)."""
    table = np.arange(256, dtype=np.uint64)
    for _ in range(8):
        table = np.where(
            table & np.uint64(1),
            (table >> np.uint64(1)) ^ np.uint64(polynomial),
            table >> np.uint64(1),
        )
    return table


@functools.cache
def _zeros(polynomial: int, doublings: int) -> Register:
    """Eight tables, one for each byte of a register: together they move it on by `2 ** doublings`
    zero bytes.
    """
    if doublings == 0:
        registers = _each_byte()
        moved: Register = _table(polynomial)[registers & np.uint64(255)] ^ (
            registers >> np.uint64(8)
        )
        return moved
    half = _zeros(polynomial, doublings - 1)
    return _moved(half, _moved(half, _each_byte()))


def _each_byte() -> Register:
    """Registers in which one byte alone is set, by its place and its value."""
    return np.arange(256, dtype=np.uint64)[None, :] << (
        np.arange(8, dtype=np.uint64)[:, None] * np.uint64(8)
    )


def _moved(tables: Register, registers: Register) -> Register:
    result = np.zeros_like(registers)
    for byte in range(8):
        result ^= tables[byte][(registers >> np.uint64(8 * byte)) & np.uint64(255)]
    return result


class _WideCrc:
    """A reflected CRC of 32 or 64 bits that begins and ends inverted."""

    def __init__(self, polynomial: int, size: int) -> None:
        self._polynomial = polynomial
        self._size = size
        self._ones = (1 << 8 * size) - 1
        self._register = self._ones

    def update(self, data: Any, /) -> None:
        view = np.frombuffer(data, dtype=np.uint8)
        while len(view):
            length = len(view) // _LANES
            length = 1 << (length.bit_length() - 1) if len(view) >= _SHORT else 0
            if not length:
                self._by_byte(view)
                return
            self._by_lane(view[: length * _LANES].reshape(_LANES, length))
            view = view[length * _LANES :]

    def _by_byte(self, view: NDArray[np.uint8]) -> None:
        table, register = _table(self._polynomial).tolist(), self._register
        for byte in view.tolist():
            register = table[(register ^ byte) & 255] ^ (register >> 8)
        self._register = register

    def _by_lane(self, lanes: NDArray[np.uint8]) -> None:
        table = _table(self._polynomial)
        registers = np.zeros(len(lanes), dtype=np.uint64)
        registers[0] = self._register
        for column in np.ascontiguousarray(lanes.T):
            registers = table[(registers ^ column) & np.uint64(255)] ^ (registers >> np.uint64(8))
        doublings = lanes.shape[1].bit_length() - 1
        while len(registers) > 1:
            registers = (
                _moved(_zeros(self._polynomial, doublings), registers[::2]) ^ registers[1::2]
            )
            doublings += 1
        self._register = int(registers[0])

    def digest(self) -> bytes:
        return (self._register ^ self._ones).to_bytes(self._size, "big")


_KINDS: Final[dict[str, Any]] = {
    "CRC32": _Crc32,
    "CRC32C": functools.partial(_WideCrc, 0x82F63B78, 4),
    "CRC64NVME": functools.partial(_WideCrc, 0x9A6C9329AC4BC9B5, 8),
    "SHA1": functools.partial(hashlib.sha1, usedforsecurity=False),
    "SHA256": hashlib.sha256,
}
ALGORITHMS: Final = tuple(_KINDS)


def new(algorithm: str) -> Checksum:
    """A checksum of nothing. Raises KeyError where S3 knows no such algorithm."""
    found: Checksum = _KINDS[algorithm.upper()]()
    return found


def encoded(checksum: Checksum) -> str:
    """As S3's headers carry it."""
    return base64.b64encode(checksum.digest()).decode()
