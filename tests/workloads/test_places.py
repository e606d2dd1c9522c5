"""A directory keeps the promises of a bucket, and a copy of a table is read while it is one."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from workloads.runtime import env
from workloads.runtime.errors import EXIT_ENVIRONMENT, EXIT_NO_SPACE, StageError
from workloads.runtime.places import Directory, Ranges
from workloads.runtime.s3 import ConflictError


def test_objects_come_and_go(tmp_path: Path) -> None:
    place = Directory(tmp_path / "below")
    assert place.get_with_etag("runs/a.json") is None
    place.put_bytes("runs/a.json", b"one")
    place.put_bytes("runs/b.json", b"two")
    assert place.get_bytes("runs/a.json") == b"one"
    assert place.keys("runs/") == ["runs/a.json", "runs/b.json"]
    assert place.keys("runs/b") == ["runs/b.json"]
    place.delete(["runs/a.json", "runs/never.json"])
    assert place.keys("runs/") == ["runs/b.json"]
    with pytest.raises(StageError, match=r"a\.json: No such file") as told:
        place.get_bytes("runs/a.json")
    assert told.value.exit_code == EXIT_ENVIRONMENT


def test_of_two_writers_one_is_told(tmp_path: Path) -> None:
    first, second = Directory(tmp_path), Directory(tmp_path)
    etag = first.put_if_unchanged("c/index.json", b"1", etag=None)
    with pytest.raises(ConflictError):
        second.put_if_unchanged("c/index.json", b"2", etag=None)
    assert first.get_with_etag("c/index.json") == (b"1", etag)
    newer = second.put_if_unchanged("c/index.json", b"2", etag=etag)
    with pytest.raises(ConflictError):
        first.put_if_unchanged("c/index.json", b"3", etag=etag)
    assert first.get_with_etag("c/index.json") == (b"2", newer)
    place = Directory(tmp_path)
    place.delete(place.keys("c/"))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [], "locks go with the rest"


def test_what_is_killed_while_it_writes_leaves_no_object(tmp_path, monkeypatch) -> None:
    place = Directory(tmp_path)
    place.put_bytes("a", b"old")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", killed)
    with pytest.raises(KeyboardInterrupt):
        place.put_bytes("a", b"new")
    assert place.get_bytes("a") == b"old"
    assert place.keys("") == ["a"]


def test_a_full_volume_says_so(tmp_path, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    monkeypatch.setenv("PIPELINE_CHECKPOINTS_PATH", str(tmp_path))
    with pytest.raises(StageError, match=rf"the disk is full: {tmp_path}/a has .* free") as told:
        Directory(tmp_path).put_bytes("a", b"new")
    assert told.value.exit_code == EXIT_NO_SPACE
    assert "storage.lustre" in told.value.hint


def test_ranges_of_a_copy(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "table.parquet"
    path.write_bytes(b"0123456789")
    copy = Ranges(path, 10)
    assert (copy.read(2, 3), copy.read(0, 10)) == (b"234", b"0123456789")
    assert copy.read(8, 3) is None, "the copy ends"
    copy.distrust("it is of another run")
    copy.distrust("and again")
    assert copy.read(2, 3) is None
    assert [r.message for r in caplog.records if r.levelno == logging.WARNING] == [
        f"{path} is not read any more: it is of another run; reading from S3"
    ]


@pytest.mark.parametrize(("content", "says"), [(b"012", "has 3 bytes"), (None, "No such file")])
def test_what_is_no_copy_is_not_read(tmp_path, caplog, content, says) -> None:
    path = tmp_path / "table.parquet"
    if content is not None:
        path.write_bytes(content)
    copy = Ranges(path, 10)
    assert copy.read(0, 1) is None
    assert copy.read(0, 1) is None
    assert says in caplog.text
    assert len(caplog.records) == 1


def test_a_directory_is_an_absolute_path() -> None:
    assert env.directory("X", {}) is None
    assert env.directory("X", {"X": " /mnt/a "}) == Path("/mnt/a")
    with pytest.raises(StageError, match=r"expected an absolute path, such as '/mnt/shared'"):
        env.directory("X", {"X": "mnt/a"})
