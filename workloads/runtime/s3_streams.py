"""Objects of S3 as streams: parallel ranged reads and multipart writes in flat memory."""

from __future__ import annotations

import io
import logging
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from workloads.runtime.s3 import ObjectInfo, client, head, named, put_bytes, read_range

if TYPE_CHECKING:
    from types import TracebackType

log = logging.getLogger(__name__)

MIB: Final = 1 << 20
_READ_PART: Final = 8 * MIB
_READ_AHEAD: Final = 4
"""Ranged reads in flight: one S3 connection gives some 50 to 90 MB/s, so a single stream would
starve the parser.
"""
_WRITE_PART: Final = 8 * MIB
_WRITES_IN_FLIGHT: Final = 2
_MAX_PARTS: Final = 10_000  # S3's limit for one multipart upload


class Reader(io.RawIOBase):
    """A forward-only stream over one version of an object, fetched ahead by parallel ranged GETs.

    Holds at most five parts of 8 MiB. Every part is pinned to the ETag seen at the start, so that
    an object replaced meanwhile is an error and never a mixture of two.
    """

    def __init__(self, info: ObjectInfo) -> None:
        super().__init__()
        self.info = info
        self._pool = ThreadPoolExecutor(_READ_AHEAD, thread_name_prefix="s3-read")
        self._parts: deque[Future[bytes]] = deque()
        self._requested = 0
        self._part = memoryview(b"")

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fills the buffer with what is at hand, at least one byte before the end.

        Raises StageError.
        """
        if not self._part:
            self._request()
            if not self._parts:
                return 0
            self._part = memoryview(self._parts.popleft().result())
            self._request()
        target = memoryview(buffer).cast("B")
        count = min(len(target), len(self._part))
        target[:count] = self._part[:count]
        self._part = self._part[count:]
        return count

    def _request(self) -> None:
        while len(self._parts) < _READ_AHEAD and self._requested < self.info.size:
            length = min(_READ_PART, self.info.size - self._requested)
            self._parts.append(
                self._pool.submit(
                    read_range,
                    self.info.bucket,
                    self.info.key,
                    self._requested,
                    length,
                    etag=self.info.etag,
                    version_id=self.info.version_id,
                )
            )
            self._requested += length

    def close(self) -> None:
        """Drops what was fetched ahead."""
        if not self.closed:
            self._pool.shutdown(wait=False, cancel_futures=True)
        super().close()


def open_read(bucket: str, key: str, version_id: str | None = None) -> Reader:
    """Opens an object for one pass from its beginning.

    Raises StageError, with exit code 1 where there is no such object.
    """
    return Reader(head(bucket, key, version_id))


class Writer(io.RawIOBase):
    """A file-like object that becomes an S3 object when the `with` block ends well, and nothing at
    all when it does not.

    Only `commit` (or leaving the block without an exception) makes the object appear; `close` alone
    abandons it, because libraries close the files they write to while an error passes through. Up
    to three parts are in memory. Small objects are one PutObject.

    Args:
        bucket: where to write.
        key: what to write.
        content_type: media type of the object.
        expected_bytes: a guess of the final size; large objects get larger parts, for S3 takes
            10,000 parts at most.
    """

    def __init__(
        self,
        bucket: str,
        key: str,
        *,
        content_type: str = "application/octet-stream",
        expected_bytes: int = 0,
    ) -> None:
        super().__init__()
        self._bucket, self._key, self._content_type = bucket, key, content_type
        self._part_bytes = max(_WRITE_PART, expected_bytes * 5 // (4 * _MAX_PARTS))
        self._buffer = bytearray()
        self._written = 0
        self._upload_id = ""
        self._etags: list[str] = []
        self._in_flight: deque[Future[str]] = deque()
        self._started = 0
        self._pool: ThreadPoolExecutor | None = None
        self._done = False

    def writable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """Bytes written so far."""
        return self._written

    def write(self, data: Any) -> int:
        """Takes all of `data`. Raises StageError where an earlier part could not be uploaded."""
        if self.closed:
            raise ValueError("write to an S3 object that was committed or abandoned")
        view = memoryview(data).cast("B")
        self._buffer += view
        self._written += len(view)
        while len(self._buffer) >= self._part_bytes:
            with memoryview(self._buffer) as whole:
                part = bytes(whole[: self._part_bytes])
            del self._buffer[: self._part_bytes]
            self._send(part)
        return len(view)

    def _send(self, part: bytes) -> None:
        if self._pool is None:
            with named(self._bucket, self._key):
                reply = client().create_multipart_upload(
                    Bucket=self._bucket, Key=self._key, ContentType=self._content_type
                )
            self._upload_id = reply["UploadId"]
            self._pool = ThreadPoolExecutor(_WRITES_IN_FLIGHT, thread_name_prefix="s3-write")
        while len(self._in_flight) >= _WRITES_IN_FLIGHT:
            self._etags.append(self._in_flight.popleft().result())
        self._started += 1
        self._in_flight.append(self._pool.submit(self._upload, self._started, part))
        if (
            self._started % (_MAX_PARTS // 20) == 0
        ):  # the guess was too small: 20 steps of a quarter reach 87 times the planned size
            self._part_bytes += self._part_bytes // 4

    def _upload(self, number: int, part: bytes) -> str:
        with named(self._bucket, self._key):
            reply = client().upload_part(
                Bucket=self._bucket,
                Key=self._key,
                UploadId=self._upload_id,
                PartNumber=number,
                Body=part,
            )
        return reply["ETag"]

    def commit(self) -> None:
        """Makes the object appear, whole. Raises StageError."""
        if self._pool is None:
            put_bytes(self._bucket, self._key, bytes(self._buffer), content_type=self._content_type)
        else:
            if self._buffer:
                self._send(bytes(self._buffer))
            self._etags.extend(part.result() for part in self._in_flight)
            self._in_flight.clear()
            with named(self._bucket, self._key):
                client().complete_multipart_upload(
                    Bucket=self._bucket,
                    Key=self._key,
                    UploadId=self._upload_id,
                    MultipartUpload={
                        "Parts": [
                            {"PartNumber": n, "ETag": etag}
                            for n, etag in enumerate(self._etags, start=1)
                        ]
                    },
                )
            self._pool.shutdown()
        self._done = True
        self.close()

    def close(self) -> None:
        """Abandons the object unless it was committed."""
        if not self.closed and not self._done and self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            try:
                client().abort_multipart_upload(
                    Bucket=self._bucket, Key=self._key, UploadId=self._upload_id
                )
            except (ClientError, BotoCoreError) as error:
                # the bucket's lifecycle rule removes the parts; the object does not exist either
                # way
                log.warning(
                    "multipart upload of s3://%s/%s not aborted: %s", self._bucket, self._key, error
                )
        self._buffer.clear()
        super().close()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None and not self._done:
            self.commit()
        else:
            self.close()
