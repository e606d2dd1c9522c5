"""The disk for temporary files: whose directory is whose, and what is said where it is full."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import pytest

from workloads.analysis.unit_files import UnitFiles
from workloads.records import Unit
from workloads.runtime import disk
from workloads.runtime.errors import EXIT_ENVIRONMENT, EXIT_NO_SPACE, StageError, no_space
from workloads.variables import ENV_DISK_HINT, ENV_SCRATCH_PATH, ENV_TABLES_PATH

MIB = 1 << 20


class Usage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(ENV_SCRATCH_PATH, str(tmp_path))
    return tmp_path


def jobs_in(root: Path) -> list[Path]:
    return sorted(root.glob("job-*"))


def test_temporary_files_of_a_job_and_its_children_lie_on_the_scratch_disk_and_go(scratch) -> None:
    before = tempfile.gettempdir(), os.environ.get("TMPDIR")
    with disk.own_directory():
        (own,) = jobs_in(scratch)
        (own / "left").write_bytes(b"x")
        asked = [sys.executable, "-c", "import tempfile; print(tempfile.gettempdir())"]
        assert tempfile.gettempdir() == str(own)
        assert subprocess.check_output(asked, text=True).strip() == str(own)
    assert jobs_in(scratch) == []
    assert (tempfile.gettempdir(), os.environ.get("TMPDIR")) == before


def test_without_scratch_nothing_changes(monkeypatch) -> None:
    monkeypatch.delenv(ENV_SCRATCH_PATH, raising=False)
    before = tempfile.gettempdir()
    with disk.own_directory():
        assert tempfile.gettempdir() == before


def test_what_a_killed_job_left_is_taken_away_and_what_another_uses_stays(scratch) -> None:
    code = (
        "import os, signal\n"
        "from workloads.runtime import disk\n"
        "with disk.own_directory():\n"
        "    print('ready', flush=True)\n"
        "    input()\n"
    )

    def started() -> subprocess.Popen[str]:
        command, pipe = [sys.executable, "-c", code], subprocess.PIPE
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)

    with started() as killed, started() as alive:
        for process in (killed, alive):
            assert process.stdout is not None
            process.stdout.readline()
        both = jobs_in(scratch)
        assert len(both) == 2
        killed.kill()
        killed.wait()
        assert jobs_in(scratch) == both
        with disk.own_directory():
            (left,) = set(jobs_in(scratch)) & set(both)
        alive.communicate("\n")
    assert not left.exists()


@pytest.mark.parametrize("make", [Path.touch, lambda _: None], ids=["a file", "nothing"])
def test_a_disk_that_is_not_there_is_one_sentence(make, tmp_path, monkeypatch) -> None:
    make(tmp_path / "scratch")
    monkeypatch.setenv(ENV_SCRATCH_PATH, str(tmp_path / "scratch"))
    with pytest.raises(StageError, match="scratch disk is not there") as told, disk.own_directory():
        pass
    assert told.value.exit_code == EXIT_ENVIRONMENT
    assert "console output" in told.value.hint


def test_what_does_not_fit_is_refused_before_it_is_begun(monkeypatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(100 * MIB, 90 * MIB, 10 * MIB))
    monkeypatch.setenv(ENV_DISK_HINT, "raise environments.gpu.scratch.size_gib")
    disk.require(10 * MIB, "the units")
    with pytest.raises(StageError) as told:
        disk.require(10 * MIB + 1, "the units")
    here = tempfile.gettempdir()
    assert str(told.value) == (
        f"the disk is too small: the units need 10.0 MiB, and {here} has 10.0 MiB free"
    )
    assert told.value.hint == "raise environments.gpu.scratch.size_gib"
    assert told.value.exit_code == EXIT_NO_SPACE


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("/dev/shm/vader", "shared_memory_mib"),  # noqa: S108 - named, not written to
        ("/mnt/tables/part", "storage.lustre"),
        ("/mnt/tables", "storage.lustre"),
        ("/mnt/tablesandmore", "ephemeral_storage_gib"),
        ("/tmp/part", "ephemeral_storage_gib"),  # noqa: S108 - named, not written to
    ],
)
def test_the_setting_that_is_named_is_that_of_the_path(path, hint, monkeypatch) -> None:
    monkeypatch.delenv(ENV_DISK_HINT, raising=False)
    monkeypatch.setenv(ENV_TABLES_PATH, "/mnt/tables")
    assert hint in no_space(path).hint


class Object:
    """A table in S3, and the ranges that were read of it."""

    data = b"one two three "

    def __init__(self) -> None:
        self.read: list[int] = []

    def __call__(self, start: int, length: int) -> bytes:
        self.read.append(start)
        return self.data[start : start + length]

    def units(self) -> list[Unit]:
        return [
            Unit(
                index=index,
                rows=1,
                row_offset=index,
                byte_offset=start,
                byte_length=length,
                sha256=hashlib.sha256(self.data[start : start + length]).hexdigest(),
            )
            for index, (start, length) in enumerate([(0, 4), (4, 4), (8, 6)])
        ]


def test_units_that_are_kept_are_read_from_s3_once(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    table = Object()
    files = UnitFiles(table, table.units()[:2])
    for _ in range(3):
        assert [files(0, 4), files(4, 4), files(8, 6)] == [b"one ", b"two ", b"three "]
    assert table.read == [0, 4, 8, 8, 8]
    (folder,) = tmp_path.iterdir()
    (folder / "1").write_bytes(b"tw0 ")
    assert files(4, 4) == b"two ", "a file that is not the unit is not taken for it"
    assert files(0, 3) == b"one", "another range than that of a unit"


def test_a_disk_that_fills_while_units_are_kept_says_so(tmp_path, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    table = Object()
    files = UnitFiles(table, table.units())
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StageError, match=rf"the disk is full: {tmp_path}.*/0 has .* free") as told:
        files(0, 4)
    assert told.value.exit_code == EXIT_NO_SPACE
