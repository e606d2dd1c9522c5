"""Named arrays as bytes: the same arrays always give the same bytes.

The objects are ordinary `.npz` files that `numpy.load` opens. `numpy.savez` is not used because it writes the time of day into them.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

_EPOCH = (1980, 1, 1, 0, 0, 0)


def pack(arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """An uncompressed `.npz` with the arrays in order of their names, little-endian."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(arrays):
            member = io.BytesIO()
            np.lib.format.write_array(member, _canonical(arrays[name]), version=(1, 0), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", _EPOCH), member.getvalue())
    return buffer.getvalue()


def unpack(data: bytes) -> dict[str, npt.NDArray[Any]]:
    """The arrays that pack wrote. Raises ValueError where the bytes are something else."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (zipfile.BadZipFile, EOFError, KeyError, AttributeError) as error:
        raise ValueError(f"not an object of named arrays ({error})") from error


def digest(arrays: Mapping[str, npt.NDArray[Any]]) -> str:
    """Sha256 over names, types, shapes and values, in order of the names; independent of any file format."""
    total = hashlib.sha256()
    for name in sorted(arrays):
        array = _canonical(arrays[name])
        total.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        total.update(array.tobytes())
    return total.hexdigest()


def _canonical(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(array.shape)
