"""Units of the table on the scratch disk of the node: what is read more than once comes from S3
once.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from workloads.records import Unit
from workloads.runtime.errors import exhausted

ReadRange = Callable[[int, int], bytes]


class UnitFiles:
    """Reads ranges of the table, those of some units from files once they were read. Thread safe,
    each unit being one thread's at a time. The files go with the directory of temporary files.

    Args:
        read_range: Reads `length` bytes of the table from byte `start`, both given in this order.
        units: Those that are kept.
    """

    def __init__(self, read_range: ReadRange, units: Sequence[Unit]) -> None:
        self._read_range = read_range
        self._units = {(unit.byte_offset, unit.byte_length): unit for unit in units}
        self._folder = Path(tempfile.mkdtemp(prefix="units-"))

    def __call__(self, start: int, length: int) -> bytes:
        """The bytes of a range. Raises StageError, also where the disk is full."""
        unit = self._units.get((start, length))
        if unit is None:
            return self._read_range(start, length)
        path = self._folder / str(unit.index)
        if path.exists():
            data = path.read_bytes()
            if hashlib.sha256(data).hexdigest() == unit.sha256:
                return data
        data = self._read_range(start, length)
        try:
            path.write_bytes(data)
        except OSError as error:
            error.filename = str(path)  # the system names the file of a failed open alone
            raise exhausted(error) or error from error
        return data
