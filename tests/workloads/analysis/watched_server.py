"""S3 in memory that a test can stop at a request of its choice, so that what happens "just then"
happens just then.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from moto.moto_api._internal.models import moto_api_backend

from localcloud.http.server import HOST, HttpServer
from localcloud.moto.speed import backend_app, hasten

_LONGEST_SECONDS = 120
"""That a request is held up; the test that asked for it fails long before."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a client asked for."""

    method: str
    path: str
    """`/bucket/key`."""
    body: bytes = field(default=b"", compare=False, repr=False)


Choice = Callable[[Request], bool]
"""Whether a request is the one; asked of each, in the order in which they come."""


def put(part: str) -> Choice:
    """An object with this in its key is stored."""
    return lambda request: request.method == "PUT" and part in request.path


def counted(part: str) -> Choice:
    """An index is stored that has an object whose name begins so: others' objects may lie in S3
    while rank 0 stores an index that does not know them yet.
    """
    is_index, name = put("/checkpoint.json"), f'"{part}'.encode()
    return lambda request: is_index(request) and name in request.body


def after(first: Choice, then: Choice) -> Choice:
    """The first request that is `then` after one that is `first`."""
    seen = False

    def is_it(request: Request) -> bool:
        nonlocal seen
        found = seen and then(request)
        seen = seen or first(request)
        return found

    return is_it


@dataclass(kw_only=True)
class Moment:
    """The first request that a test waits for. It is held up until `go_on`."""

    is_it: Choice
    reached: threading.Event = field(default_factory=threading.Event)
    answered: threading.Event = field(default_factory=threading.Event)
    _released: threading.Event = field(default_factory=threading.Event)
    _carried_out: bool = True

    def go_on(self, *, carried_out: bool) -> None:
        """The request is carried out, or lost on its way, before this returns."""
        self._carried_out = carried_out
        self._released.set()
        assert self.answered.wait(_LONGEST_SECONDS)

    def hold(self) -> bool:
        """Called by the server; whether to carry the request out."""
        self.reached.set()
        self._released.wait(_LONGEST_SECONDS)
        return self._carried_out


class Watch:
    """The requests of all clients, in front of the S3 in memory."""

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self.stored: dict[str, set[str]] = {}
        """`/bucket/key` -> sha256 of whatever was to be stored there."""
        self._application = application
        self._awaited: Moment | None = None
        self._lock = threading.Lock()

    def await_moment(self, is_it: Choice) -> Moment:
        """From now on; one at a time."""
        self._awaited = Moment(is_it=is_it)
        return self._awaited

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """WSGI."""
        # all of it, while there is somebody to send it
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        request = Request(method=environ["REQUEST_METHOD"], path=environ["PATH_INFO"], body=body)
        with self._lock:
            if request.method == "PUT":
                self.stored.setdefault(request.path, set()).add(hashlib.sha256(body).hexdigest())
            moment = self._awaited
            if moment is not None and moment.is_it(request):
                self._awaited = None
            else:
                moment = None
        if moment is None:
            return self._application(environ, start_response)
        try:
            if moment.hold():
                return self._application(environ, start_response)
            start_response("503 Service Unavailable", [("Content-Length", "0")])
            return ()
        finally:
            moment.answered.set()


@contextlib.contextmanager
def served() -> Iterator[tuple[str, Watch]]:
    """Its address, and the watch over it.

    Not for the session: moto's state belongs to the process, and other files of the worker empty
    it.
    """
    hasten()
    # of S3 alone: moto else looks through its folder at each request for a service of that name
    watch = Watch(backend_app("s3"))
    server = HttpServer(watch, port=0)
    server.start()
    try:
        yield f"http://{HOST}:{server.port}", watch
    finally:
        moto_api_backend.reset()
        server.stop()
