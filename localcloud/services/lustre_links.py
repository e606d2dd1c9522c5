"""The link of a directory of FSx for Lustre to a bucket."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Link:
    """Objects of a bucket as files of a directory, and back, as far as the policies of the link
    say (FSx for Lustre user guide, autoimport-data-repo-dra and autoexport-data-repo-dra).

    Args:
        s3: Returns the client.
        bucket: Name of the bucket.
        prefix: Of the keys, which is not part of the files' paths.
        path: Of the directory below the file system's root; empty for all of it.
        policies: `AutoImportPolicy` and `AutoExportPolicy`; what is changed in it counts.
    """

    def __init__(
        self,
        s3: Callable[[], Any],
        bucket: str,
        prefix: str,
        path: str,
        policies: dict[str, Any],
    ) -> None:
        self._s3, self._bucket, self._prefix, self._path = s3, bucket, prefix, path
        self._policies = policies
        self._known: dict[str, tuple[str, tuple[int, int]]] = {}
        self._lock = threading.Lock()

    def bring(self, root: Path) -> None:
        """Objects that are new or changed become files; those that are gone, none."""
        events = self._events("AutoImportPolicy")
        with self._lock:
            there = self._objects()
            for key, etag in there.items():
                known = self._known.get(key)
                event = "NEW" if known is None else "CHANGED" if known[0] != etag else ""
                if event in events:
                    self._fetch(root, key, etag)
            for key in [each for each in self._known if each not in there]:
                if "DELETED" in events:
                    self._file(root, key).unlink(missing_ok=True)
                    del self._known[key]

    def take_back(self, root: Path) -> None:
        """Files that are new or changed become objects; those that are gone, none."""
        events = self._events("AutoExportPolicy")
        folder = root / self._path
        with self._lock:
            found = {
                f"{self._prefix}{path.relative_to(folder)}": _state(path)
                for path in (folder.rglob("*") if folder.is_dir() else ())
                if path.is_file()
            }
            for key, state in found.items():
                known = self._known.get(key)
                if (known is None and "NEW" in events) or (
                    known is not None and known[1] != state and "CHANGED" in events
                ):
                    body = self._file(root, key).read_bytes()
                    reply = self._s3().put_object(Bucket=self._bucket, Key=key, Body=body)
                    self._known[key] = (reply["ETag"], state)
            for key in [each for each in self._known if each not in found]:
                if "DELETED" in events:
                    self._s3().delete_object(Bucket=self._bucket, Key=key)
                    del self._known[key]

    def _events(self, policy: str) -> list[str]:
        return list((self._policies.get(policy) or {}).get("Events") or [])

    def _objects(self) -> dict[str, str]:
        pages = self._s3().get_paginator("list_objects_v2")
        return {
            each["Key"]: each["ETag"]
            for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix)
            for each in page.get("Contents", [])
            if not each["Key"].endswith("/")
        }

    def _fetch(self, root: Path, key: str, etag: str) -> None:
        path = self._file(root, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.import")
        self._s3().download_file(self._bucket, key, str(partial))
        partial.replace(path)
        self._known[key] = (etag, _state(path))

    def _file(self, root: Path, key: str) -> Path:
        return root / self._path / key.removeprefix(self._prefix).lstrip("/")


def _state(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns
