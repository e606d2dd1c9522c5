"""Changes of one object, one after the other: S3 decides on a conditional write and makes it in one
step; moto looks, and then writes.
"""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, nullcontext
from typing import Final

from localcloud.protocol.wire import Call

_CHANGES: Final = frozenset({"PutObject", "CopyObject", "CompleteMultipartUpload", "DeleteObject"})
_LOCKS: Final = 64


class KeyLocks:
    """Locks that calls share by the object that they change."""

    def __init__(self) -> None:
        self._locks = [threading.Lock() for _ in range(_LOCKS)]

    def of(self, call: Call) -> AbstractContextManager[object]:
        """What to hold while a call is answered; nothing for those that change no object."""
        if call.service != "s3" or call.operation not in _CHANGES:
            return nullcontext()
        changed = (str(call.uri_params.get("Bucket")), str(call.uri_params.get("Key")))
        return self._locks[hash(changed) % _LOCKS]
