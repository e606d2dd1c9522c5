"""Objects that several machines may come to write: shards, attempts of a job, a job that is run
again.

Results are functions of the table, the parameters and the code, so whoever comes second has the
same to say. The first to write an object wins, and all others take it as it is, whatever else in it
is the writer's own (timings, the bytes of a compression). A second writer that found something else
is an error which names both machines. Each object says in its metadata what it is a function of, so
that one of other parameters or of an older release is replaced and no contradiction. All writes are
conditional (S3 user guide, "Conditional writes").
"""

from __future__ import annotations

import hashlib
import json
import logging
import platform
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from workloads.runtime import s3
from workloads.runtime.errors import StageError

log = logging.getLogger(__name__)

_IDENTITY: Final = "identity"
_MACHINE: Final = "machine"
_CPUINFO: Final = Path("/proc/cpuinfo")

Meaning = Callable[[bytes], str | None]
"""What has to be equal in the bytes of all writers; None where bytes are damaged."""


def name_of(identity: Mapping[str, Any]) -> str:
    """The first 16 hex digits of the sha256 of what results are functions of. JSON values."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]


def offer(bucket: str, key: str, data: bytes, *, identity: str, meaning: Meaning) -> bytes:
    """Store an object unless another writer has; what counts from now on.

    Args:
        bucket: Of the object.
        key: Of the object.
        data: What this machine would store.
        identity: What the object is a function of, see `name_of`.
        meaning: Of the object's bytes.

    Raises StageError where another writer found something else of the same identity, or where S3
    refuses.
    """
    etag = None
    while True:
        try:
            s3.put_if_unchanged(bucket, key, data, etag=etag, metadata=_metadata(identity))
        except s3.ConflictError:
            etag, found = _other(bucket, key, data, identity, meaning)
            if found is not None:
                return found
            continue
        return data


def replace(bucket: str, key: str, data: bytes, *, identity: str, meaning: Meaning) -> None:
    """Store an object in place of one that means the same, or is of another identity.

    Arguments and errors as `offer`.
    """
    while True:
        etag, _ = _other(bucket, key, data, identity, meaning)
        try:
            s3.put_if_unchanged(
                bucket,
                key,
                data,
                etag=etag,
                content_type="application/json",
                metadata=_metadata(identity),
            )
        except s3.ConflictError:
            continue
        return


def _other(
    bucket: str, key: str, data: bytes, identity: str, meaning: Meaning
) -> tuple[str | None, bytes | None]:
    """ETag of the stored object, if there is one, and its bytes where they are of this identity and
    not damaged.
    """
    stored = s3.get_with_metadata(bucket, key)
    if stored is None:
        return None, None
    found, etag, metadata = stored
    if metadata.get(_IDENTITY) != identity:
        return etag, None
    theirs, mine = meaning(found), meaning(data)
    if theirs is None:
        log.warning("%s is damaged; it is written again", key)
        return etag, None
    if theirs != mine:
        raise StageError(
            f"s3://{bucket}/{key} is another result of the same table:"
            f" {metadata.get(_MACHINE, 'another machine')} found {theirs[:12]}, and"
            f" {this_machine()} found {str(mine)[:12]}",
            hint=(
                "results do not depend on the machine, so one of the two computes wrongly: take it"
                " out, delete the object, and run the analysis again"
            ),
        )
    return etag, found


def this_machine() -> str:
    """Host name and processor, for people; in ASCII, as S3 takes metadata."""
    lines = _CPUINFO.read_text().splitlines() if _CPUINFO.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    name = f"{platform.node()} ({models[0] if models else platform.machine()})"
    return name.encode("ascii", "replace").decode()


def _metadata(identity: str) -> dict[str, str]:
    return {_IDENTITY: identity, _MACHINE: this_machine()}
