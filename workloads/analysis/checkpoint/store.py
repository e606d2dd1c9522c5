"""Checkpoints in S3, or in a directory that all attempts see.

Objects have names of the data that they hold (`query-000012`) and keys that end in their own
sha256, so that no attempt writes over an object of another. `checkpoint.json` names those that
count. It is only ever replaced by whoever read its last version (conditional writes), and an
attempt takes it over before it computes anything: from then on an earlier attempt that is still
running finds it changed, and ends.

At the end of a successful run all of it is deleted. What a failed run leaves behind is what its
next attempt goes on from.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from workloads.analysis.arrays import pack, unpack
from workloads.contract import ContractError
from workloads.reading import record
from workloads.runtime.errors import StageError
from workloads.runtime.places import Bucket, Place
from workloads.runtime.s3 import ConflictError

log = logging.getLogger(__name__)

Arrays = Mapping[str, npt.NDArray[Any]]

_FORMAT: Final = 1


class DamagedError(Exception):
    """An object of a checkpoint is gone or has other bytes than those that were stored."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A stored object."""

    key: str
    sha256: str
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """Whose checkpoint it is."""

    job_id: str
    number: int


@dataclass(frozen=True, kw_only=True)
class _Index:
    """`checkpoint.json`."""

    identity: dict[str, Any]
    attempt: Attempt
    objects: dict[str, Entry]


class CheckpointStore:
    """The checkpoint of a run. `claim`, `commit` and `clear` are rank 0's; `put` and `get` are
    everybody's.

    Args:
        place: Results bucket, or a directory.
        prefix: Of its objects: the run's, or below it one of a shard's own, so that no two jobs
            claim the same one.
        identity: What the state is a state of: sha256 of the manifest, parameters, code. JSON
            values.
        attempt: This one.
    """

    def __init__(
        self, place: Place, prefix: str, identity: Mapping[str, Any], attempt: Attempt
    ) -> None:
        self._place, self._prefix = place, prefix
        self._identity: dict[str, Any] = json.loads(json.dumps({**identity, "format": _FORMAT}))
        self._attempt = attempt
        self._etag: str | None = None
        self._entries: dict[str, Entry] = {}

    @property
    def _index_key(self) -> str:
        return f"{self._prefix}checkpoint.json"

    def claim(self) -> dict[str, Entry]:
        """Take the checkpoint over and return what is in it; nothing where it is of another table,
        of other parameters, or unreadable.

        Raises:
            StageError: A later attempt of the same job has it.
        """
        found = self._place.get_with_etag(self._index_key)
        if found is not None:
            data, self._etag = found
            self._entries = self._usable(data)
        self.commit({}, ())
        return dict(self._entries)

    def _usable(self, data: bytes) -> dict[str, Entry]:
        try:
            index = record(_Index, data, what=self._index_key, again="starting afresh")
        except ContractError as error:
            log.warning("%s", error)
            return {}
        owner, identity, entries = index.attempt, index.identity, index.objects
        # what is superseded is deleted, so that a key has to be one that an attempt could have made
        strangers = [
            entry.key for entry in entries.values() if not entry.key.startswith(self._prefix)
        ]
        if strangers:
            log.warning(
                "%s names %s, which is not below it; starting afresh",
                self._index_key,
                ascii(strangers[0]),
            )
            return {}
        if owner.job_id == self._attempt.job_id and owner.number > self._attempt.number:
            raise self._stale(owner)
        if identity != self._identity:
            differing = sorted(
                name
                for name in identity.keys() | self._identity.keys()
                if identity.get(name) != self._identity.get(name)
            )
            log.warning(
                "%s is about something else (%s differ); starting afresh",
                self._index_key,
                ", ".join(differing),
            )
            return {}
        return entries

    def put(self, name: str, arrays: Arrays) -> Entry:
        """Store an object; it counts once a commit names it."""
        data = pack(arrays)
        sha256 = hashlib.sha256(data).hexdigest()
        entry = Entry(key=f"{self._prefix}{name}-{sha256[:16]}.npz", sha256=sha256, bytes=len(data))
        self._place.put_bytes(entry.key, data)
        return entry

    def get(self, entry: Entry) -> dict[str, npt.NDArray[Any]]:
        """The arrays of an object. Raises DamagedError."""
        try:
            data = self._place.get_bytes(entry.key)
            if hashlib.sha256(data).hexdigest() != entry.sha256:
                raise DamagedError(f"{entry.key} has other bytes than those that were stored")
            return unpack(data)
        except (StageError, ValueError) as error:
            raise DamagedError(f"{entry.key}: {error}") from error

    def commit(self, changed: Mapping[str, Entry], gone: tuple[str, ...]) -> None:
        """Make objects count, and others no longer; those that are replaced are deleted.

        Raises StageError where a newer attempt is at work.
        """
        entries = {name: entry for name, entry in self._entries.items() if name not in gone} | dict(
            changed
        )
        index = {
            "identity": self._identity,
            "attempt": asdict(self._attempt),
            "objects": {name: asdict(entry) for name, entry in sorted(entries.items())},
        }
        data = json.dumps(index, indent=1).encode()
        try:
            self._etag = self._place.put_if_unchanged(self._index_key, data, etag=self._etag)
        except ConflictError as error:
            raise self._stale(None) from error
        superseded = {entry.key for entry in self._entries.values()} - {
            entry.key for entry in entries.values()
        }
        self._entries = entries
        self._place.delete(sorted(superseded))

    def clear(self) -> None:
        """Delete the checkpoint, and what attempts that were killed between storing and committing
        have left beside it.

        Raises StageError where a newer attempt is at work.
        """
        self.commit({}, tuple(self._entries))
        self._place.delete(self._place.keys(self._prefix))

    def _stale(self, owner: Attempt | None) -> StageError:
        who = f"attempt {owner.number} of job {owner.job_id}" if owner else "another attempt"
        return StageError(
            f"{self._index_key} belongs to {who} now, so this one, attempt {self._attempt.number}"
            f" of job {self._attempt.job_id}, ends",
            hint="nothing is lost: the newer attempt goes on from the last checkpoint",
        )


class NoStore(CheckpointStore):
    """Keeps nothing: for work whose checkpoint another job may be clearing away."""

    def __init__(self) -> None:
        super().__init__(Bucket(""), "", {}, Attempt(job_id="", number=0))

    def claim(self) -> dict[str, Entry]:
        """Nothing."""
        return {}

    def put(self, name: str, arrays: Arrays) -> Entry:  # noqa: ARG002 - it is not kept
        """As if it were stored."""
        return Entry(key=name, sha256="", bytes=0)

    def commit(self, changed: Mapping[str, Entry], gone: tuple[str, ...]) -> None:
        """As if they counted."""


def as_bytes(value: Any) -> npt.NDArray[np.uint8]:
    """A JSON value as an array, for objects that hold arrays."""
    return np.frombuffer(json.dumps(value, sort_keys=True).encode(), np.uint8)


def from_bytes(array: npt.NDArray[np.uint8]) -> Any:
    """What as_bytes was given."""
    return json.loads(array.tobytes())
