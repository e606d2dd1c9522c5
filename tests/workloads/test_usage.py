"""What a stage used: from the kernel's figures of its container, or of its processes; GPUs by the
driver's library.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from workloads.records import StageRecord
from workloads.runtime.gpus import Gpus, Look
from workloads.runtime.usage import Cgroup, Meter, Processes, source

MIB = 1 << 20


def no_gpus() -> Gpus:
    def load(name: str) -> Any:
        raise OSError(name)

    return Gpus(load)


def test_memory_and_cpu_of_this_process() -> None:
    with Meter(seconds=0.02, of=Processes({}), gpus=no_gpus()) as meter:
        block = bytearray(os.urandom(1)) * (200 * MIB)
        until = time.process_time() + 0.4
        while time.process_time() < until:
            pass
        del block
    used = meter.used
    assert used is not None
    assert (used.source, used.gpus, used.gpu_percent) == ("processes", 0, None)
    assert used.memory_mib >= 200
    assert 0.4 <= used.cpu_seconds < 10
    assert used.peak_cpus >= used.mean_cpus > 0


def test_the_processes_of_a_job_are_told_by_its_id_and_node() -> None:
    code = (
        "import time; block = bytearray(b'x') * (120 << 20); print(1, flush=True); time.sleep(60)"
    )
    mine = {**os.environ, "AWS_BATCH_JOB_ID": "j-1", "AWS_BATCH_JOB_NODE_INDEX": "0"}
    others = {**mine, "AWS_BATCH_JOB_NODE_INDEX": "1"}
    started = [
        subprocess.Popen([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE)
        for env in (mine, mine, others)
    ]
    try:
        for process in started:
            assert process.stdout is not None
            process.stdout.readline()
        found = Processes(mine).memory_bytes() / MIB
        assert 240 <= found < 330  # two of the three
        assert Processes(mine).cpu_seconds() > 0
    finally:
        for process in started:
            process.kill()
            process.wait()


def test_the_page_cache_is_not_memory_that_a_job_needs(tmp_path: Path) -> None:
    (tmp_path / "memory.stat").write_text(f"anon {50 * MIB}\nfile {900 * MIB}\nshmem {7 * MIB}\n")
    (tmp_path / "cpu.stat").write_text("usage_usec 2500000\nuser_usec 1\n")
    cgroup = Cgroup(tmp_path)
    assert cgroup.memory_bytes() == 57 * MIB
    assert cgroup.cpu_seconds() == 2.5
    with Meter(seconds=60, of=cgroup, gpus=no_gpus()) as meter:
        (tmp_path / "memory.stat").write_text(f"anon {90 * MIB}\n")
        meter._sample()
        (tmp_path / "memory.stat").write_text(f"anon {10 * MIB}\n")
    used = meter.used
    assert used is not None
    assert used.memory_mib == 90


def test_what_cannot_be_read_ends_no_stage(tmp_path: Path) -> None:
    with Meter(seconds=0.01, of=Cgroup(tmp_path / "none"), gpus=no_gpus()) as meter:
        pass
    assert meter.used is None


@pytest.mark.parametrize(
    ("first", "name"),
    [(b"PATH=/bin\0AWS_BATCH_JOB_ID=j-1\0", "cgroup"), (b"AWS_BATCH_JOB_ID=j-10\0", "processes")],
)
def test_a_container_is_told_by_its_first_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: bytes, name: str
) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "environ").write_bytes(first)
    monkeypatch.setattr(Cgroup, "memory_bytes", lambda _: 1)
    assert source({"AWS_BATCH_JOB_ID": "j-1"}, tmp_path).name == name
    assert source({}, tmp_path).name == "processes"


class Driver:
    """NVML with two GPUs, as its C functions behave."""

    def __init__(self, status: int = 0) -> None:
        self.status = status

    def nvmlInit_v2(self) -> int:  # noqa: N802 - NVML's names
        return self.status

    def nvmlDeviceGetCount_v2(self, count: Any) -> int:  # noqa: N802
        ctypes.cast(count, ctypes.POINTER(ctypes.c_uint))[0] = 2
        return 0

    def nvmlDeviceGetHandleByIndex_v2(self, index: int, handle: Any) -> int:  # noqa: N802
        ctypes.cast(handle, ctypes.POINTER(ctypes.c_void_p))[0] = index + 1
        return 0

    def nvmlDeviceGetUtilizationRates(self, device: Any, rates: Any) -> int:  # noqa: N802
        ctypes.cast(rates, ctypes.POINTER(ctypes.c_uint))[0] = 40 * device.value
        return 0

    def nvmlDeviceGetMemoryInfo(self, device: Any, memory: Any) -> int:  # noqa: N802
        ctypes.cast(memory, ctypes.POINTER(ctypes.c_ulonglong))[2] = device.value << 30
        return 0


def test_gpus_are_asked_of_the_driver() -> None:
    gpus = Gpus(lambda _: Driver())
    assert gpus.count == 2
    assert gpus.look() == Look(busy_percent=60.0, memory_mib=2048)
    with Meter(seconds=60, of=Processes({}), gpus=gpus) as meter:
        pass
    used = meter.used
    assert used is not None
    assert (used.gpus, used.gpu_percent, used.gpu_memory_mib) == (2, 60.0, 2048)


@pytest.mark.parametrize("load", [lambda _: Driver(9), lambda _: object()])
def test_a_driver_that_does_not_answer_is_no_gpu(load: Callable[[str], Any]) -> None:
    assert Gpus(load).count == 0
    assert Gpus(load).look() is None


def test_a_sample_costs_little() -> None:
    """Well below a thousandth of a core, at one sample a second."""
    meter = Meter(seconds=60, of=Processes({}), gpus=no_gpus())
    before = time.process_time()
    for _ in range(200):
        meter._sample()
    assert (time.process_time() - before) / 200 < 0.001


def test_records_of_older_versions_say_nothing_of_it() -> None:
    old = (
        b'{"stage": "preprocess", "run_id": "x", "started_at": "", "seconds": 1.0,'
        b' "attempt": 1, "job_id": "j", "details": {}}'
    )
    record = StageRecord.from_json(old)
    assert record.used is None
    assert StageRecord.from_json(record.to_json()) == record
