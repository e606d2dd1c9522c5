"""What the GPUs of this container do, asked of NVIDIA's driver library (NVML), which each machine
with GPUs has.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

_LIBRARY: Final = "libnvidia-ml.so.1"


class _Utilization(ctypes.Structure):
    _fields_ = (("gpu", ctypes.c_uint), ("memory", ctypes.c_uint))


class _Memory(ctypes.Structure):
    _fields_ = (
        ("total", ctypes.c_ulonglong),
        ("free", ctypes.c_ulonglong),
        ("used", ctypes.c_ulonglong),
    )


@dataclass(frozen=True, kw_only=True)
class Look:
    """The GPUs at one moment."""

    busy_percent: float
    """Mean over the GPUs of the share of time in which a kernel ran."""
    memory_mib: int
    """Of the fullest GPU."""


class Gpus:
    """The GPUs that the driver shows; none where there is no driver.

    `load` opens a shared library by its name (NVML API reference: nvmlInit_v2,
    nvmlDeviceGetUtilizationRates, nvmlDeviceGetMemoryInfo). Nothing here raises: what cannot be
    measured is not there.
    """

    def __init__(self, load: Callable[[str], Any] = ctypes.CDLL) -> None:
        self._devices: list[Any] = []
        try:
            self._library = load(_LIBRARY)
            if self._library.nvmlInit_v2() == 0:
                self._devices = self._found()
        except (OSError, AttributeError):
            return

    @property
    def count(self) -> int:
        """How many."""
        return len(self._devices)

    def look(self) -> Look | None:
        """What they do now; None where there are none, or the driver does not say."""
        busy, used = [], []
        for device in self._devices:
            rates, memory = _Utilization(), _Memory()
            if self._library.nvmlDeviceGetUtilizationRates(device, ctypes.byref(rates)):
                return None
            if self._library.nvmlDeviceGetMemoryInfo(device, ctypes.byref(memory)):
                return None
            busy.append(int(rates.gpu))
            used.append(int(memory.used) >> 20)
        return Look(busy_percent=sum(busy) / len(busy), memory_mib=max(used)) if busy else None

    def _found(self) -> list[Any]:
        count = ctypes.c_uint()
        if self._library.nvmlDeviceGetCount_v2(ctypes.byref(count)):
            return []
        devices = []
        for index in range(count.value):
            device = ctypes.c_void_p()
            if self._library.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(device)) == 0:
                devices.append(device)
        return devices
