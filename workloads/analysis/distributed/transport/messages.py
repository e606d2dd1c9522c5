"""What ranks send one another, as flat bytes: the number of rows, then one array after the other,
each at a multiple of eight bytes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from workloads.analysis.distributed.transport.exchange import Bytes

_ALIGNED: Final = 8

Part = tuple[type[np.generic], tuple[int, ...]]
"""Kind of the elements and shape of an array."""


def size_of(parts: Sequence[Part]) -> int:
    """Bytes of a message."""
    return _ALIGNED + sum(_padded(_bytes_of(part)) for part in parts)


def pack(rows: int, arrays: Sequence[npt.NDArray[Any]]) -> Bytes:
    """A message of a unit with so many rows."""
    message = np.zeros(_ALIGNED + sum(_padded(array.nbytes) for array in arrays), np.uint8)
    message[:_ALIGNED].view(np.int64)[0] = rows
    position = _ALIGNED
    for array in arrays:
        message[position : position + array.nbytes] = (
            np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        )
        position += _padded(array.nbytes)
    return message


def rows_of(message: Bytes) -> int:
    """Rows of the unit that a message is about."""
    return int(message[:_ALIGNED].view(np.int64)[0])


def unpack(message: Bytes, parts: Sequence[Part]) -> list[npt.NDArray[Any]]:
    """The arrays of a message, which share its memory.

    Raises ValueError where it has another size than these would have.
    """
    if message.size != size_of(parts):
        raise ValueError(f"a message has {message.size} bytes, and {size_of(parts)} were expected")
    found, position = [], _ALIGNED
    for part in parts:
        kind, shape = part
        found.append(message[position : position + _bytes_of(part)].view(kind).reshape(shape))
        position += _padded(_bytes_of(part))
    return found


def _bytes_of(part: Part) -> int:
    kind, shape = part
    return math.prod(shape) * np.dtype(kind).itemsize


def _padded(count: int) -> int:
    return -(-count // _ALIGNED) * _ALIGNED
