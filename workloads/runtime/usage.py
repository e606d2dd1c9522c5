"""What a container uses while its stage runs: memory, CPU, disk, GPUs. `rightsize` asks for no more
than that.

In a container the kernel's own figures of its cgroup count (cgroup v2: memory.stat, cpu.stat);
where jobs are processes of one machine, as in the rehearsal, those of the processes of this job. A
sample a second costs well below a thousandth of a core.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

from workloads.records import Used
from workloads.runtime.gpus import Gpus
from workloads.runtime.memory import peak_rss_mib

_SECONDS: Final = 1.0
_WINDOW: Final = 10
"""Samples over which CPU use is averaged: a peak that is shorter is no reason for more vCPUs."""
_KEPT: Final = ("anon", "shmem", "kernel_stack", "pagetables", "slab_unreclaimable", "sock")
"""What of a cgroup's memory the kernel cannot drop when it runs short; the page cache it can
(Linux, cgroup-v2.rst, memory.stat).
"""
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_TICKS: Final = os.sysconf("SC_CLK_TCK")


class Source(Protocol):
    """Where figures of memory and CPU come from."""

    name: str

    def memory_bytes(self) -> int:
        """Memory in use that cannot be dropped."""
        ...

    def cpu_seconds(self) -> float:
        """CPU time so far."""
        ...


class Cgroup:
    """The container's own cgroup, version 2."""

    name = "cgroup"

    def __init__(self, root: Path = Path("/sys/fs/cgroup")) -> None:
        self._root = root

    def memory_bytes(self) -> int:
        """Raises OSError where the kernel shows no such file."""
        found = _pairs(self._root / "memory.stat")
        return sum(found.get(name, 0) for name in _KEPT)

    def cpu_seconds(self) -> float:
        """Raises OSError where the kernel shows no such file."""
        return _pairs(self._root / "cpu.stat").get("usage_usec", 0) / 1e6


class Processes:
    """The processes that carry the same job and node in their environment as this one; without a
    job, this one alone.
    """

    name = "processes"

    def __init__(self, environ: Mapping[str, str], proc: Path = Path("/proc")) -> None:
        wanted = ("AWS_BATCH_JOB_ID", "AWS_BATCH_JOB_NODE_INDEX")
        self._marks = {f"{name}={environ[name]}".encode() for name in wanted if name in environ}
        self._proc = proc
        self._known: dict[str, bool] = {}
        self._ended: dict[str, float] = {}

    def memory_bytes(self) -> int:
        """Resident memory that is no file's: what processes share (MPI's /dev/shm) counts once for
        each.
        """
        total = 0
        for pid in self._pids():
            words = self._read(pid, "statm").split()
            if len(words) > 2:
                total += (int(words[1]) - int(words[2])) * _PAGE
        return total

    def cpu_seconds(self) -> float:
        """Also of processes that have ended, as far as they were seen."""
        for pid in self._pids():
            words = self._read(pid, "stat").rpartition(")")[2].split()
            if len(words) > 12:
                self._ended[pid] = (int(words[11]) + int(words[12])) / _TICKS
        return sum(self._ended.values())

    def _pids(self) -> list[str]:
        if not self._marks:
            return ["self"]
        pids = [each.name for each in self._proc.iterdir() if each.name.isdigit()]
        for pid in pids:
            if pid not in self._known:
                self._known[pid] = self._marks <= set(
                    self._read(pid, "environ").encode().split(b"\0")
                )
        return [pid for pid in pids if self._known[pid]]

    def _read(self, pid: str, name: str) -> str:
        try:
            return (self._proc / pid / name).read_bytes().decode(errors="replace")
        except OSError:
            return ""  # it has ended, or is somebody else's


def source(environ: Mapping[str, str] = os.environ, proc: Path = Path("/proc")) -> Source:
    """The cgroup where this is a container of the job: its first process then carries the job's
    id.
    """
    job = environ.get("AWS_BATCH_JOB_ID", "")
    try:
        first = (proc / "1" / "environ").read_bytes().split(b"\0")
    except OSError:
        first = []
    if job and f"AWS_BATCH_JOB_ID={job}".encode() in first:
        cgroup = Cgroup()
        try:
            cgroup.memory_bytes()
        except OSError:
            return Processes(environ, proc)
        return cgroup
    return Processes(environ, proc)


class Meter:
    """Measures from its start to its end; `used` is what was found.

    Whatever cannot be read ends the measuring and never the stage.
    """

    def __init__(
        self, *, seconds: float = _SECONDS, of: Source | None = None, gpus: Gpus | None = None
    ) -> None:
        self._seconds = seconds
        self._source = of or source()
        self._gpus = gpus or Gpus()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="usage", daemon=True)
        self._cpu: list[tuple[float, float]] = []
        self._memory = self._disk = self._gpu_memory = 0
        self._peak_cpus = 0.0
        self._gpu_busy: list[float] = []
        self._disk_before = _disk_bytes()

    def __enter__(self) -> Self:
        self._sample()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join(self._seconds)

    @property
    def used(self) -> Used | None:
        """What was used until now; None where nothing could be measured."""
        self._sample()
        if len(self._cpu) < 2:
            return None
        (began, before), (ended, after) = self._cpu[0], self._cpu[-1]
        lasted = max(ended - began, 1e-3)
        return Used(
            source=self._source.name,
            memory_mib=max(
                self._memory >> 20, 0 if self._source.name == "cgroup" else peak_rss_mib()
            ),
            cpu_seconds=round(after - before, 2),
            mean_cpus=round((after - before) / lasted, 2),
            peak_cpus=round(max(self._peak_cpus, (after - before) / lasted), 2),
            disk_mib=max(0, self._disk - self._disk_before) >> 20,
            gpus=self._gpus.count,
            gpu_percent=(
                round(sum(self._gpu_busy) / len(self._gpu_busy), 1) if self._gpu_busy else None
            ),
            gpu_memory_mib=self._gpu_memory or None,
        )

    def _loop(self) -> None:
        while not self._stop.wait(self._seconds):
            self._sample()

    def _sample(self) -> None:
        try:
            self._memory = max(self._memory, self._source.memory_bytes())
            self._cpu.append((time.monotonic(), self._source.cpu_seconds()))
        except (OSError, ValueError):
            return
        self._disk = max(self._disk, _disk_bytes())
        if len(self._cpu) > _WINDOW:
            (then, before), (now, after) = self._cpu[-_WINDOW - 1], self._cpu[-1]
            self._peak_cpus = max(self._peak_cpus, (after - before) / max(now - then, 1e-3))
            del self._cpu[1:-_WINDOW]  # the first one says when the stage began
        look = self._gpus.look()
        if look is not None:
            self._gpu_busy.append(look.busy_percent)
            self._gpu_memory = max(self._gpu_memory, look.memory_mib)


def _disk_bytes() -> int:
    """In use on the disk of temporary files."""
    try:
        return shutil.disk_usage(tempfile.gettempdir()).used
    except OSError:
        return 0


def _pairs(path: Path) -> dict[str, int]:
    """A flat keyed file of the kernel."""
    lines = (line.split() for line in path.read_text().splitlines())
    return {words[0]: int(words[1]) for words in lines if len(words) == 2}
