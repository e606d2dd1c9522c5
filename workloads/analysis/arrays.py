"""Named arrays as bytes: the same arrays always give the same bytes.

The objects are ordinary `.npz` files that `numpy.load` opens. `numpy.savez` is not used because it
writes the time of day into them.
"""

from __future__ import annotations

import hashlib
import io
import math
import zipfile
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

_SHOWN: Final = 80
_EPOCH = (1980, 1, 1, 0, 0, 0)


def pack(arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """An uncompressed `.npz` with the arrays in order of their names, little-endian."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(arrays):
            member = io.BytesIO()
            np.lib.format.write_array(
                member, _canonical(arrays[name]), version=(1, 0), allow_pickle=False
            )
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", _EPOCH), member.getvalue())
    return buffer.getvalue()


def unpack(data: bytes) -> dict[str, npt.NDArray[Any]]:
    """The arrays that pack wrote. Raises ValueError where the bytes are something else.

    Sizes are compared with the bytes that are there before anything is allocated.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return {
                member.filename.removesuffix(".npy"): _array(archive, member)
                for member in archive.infolist()
            }
    except (
        Exception
    ) as error:  # zipfile and numpy raise a dozen kinds of errors where bytes are damaged
        raise ValueError(
            f"not an object of named arrays ({type(error).__name__}:"
            f" {ascii(str(error))[1:-1][:_SHOWN]})"
        ) from error


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> npt.NDArray[Any]:
    if member.compress_type != zipfile.ZIP_STORED or not member.filename.endswith(".npy"):
        raise ValueError(f"member {ascii(member.filename)[:_SHOWN]} is compressed, or no array")
    stream = io.BytesIO(archive.read(member))
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError("another version of the array format")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    count, rest = math.prod(shape), stream.read()
    if (
        dtype.hasobject
        or fortran
        or min(shape, default=0) < 0
        or count * dtype.itemsize != len(rest)
    ):
        raise ValueError(
            f"an array of type {dtype.str[:_SHOWN]} and shape {str(shape)[:_SHOWN]} in {len(rest)}"
            " bytes"
        )
    return np.frombuffer(bytearray(rest), dtype, count).reshape(shape)


def digest(arrays: Mapping[str, npt.NDArray[Any]]) -> str:
    """Sha256 over names, types, shapes and values, in order of the names; independent of any file
    format.
    """
    total = hashlib.sha256()
    for name in sorted(arrays):
        array = _canonical(arrays[name])
        total.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        total.update(array.tobytes())
    return total.hexdigest()


def _canonical(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(array.shape)
