"""A threaded HTTP/1.1 server with keep-alive on a loopback port.

werkzeug's development server closes every connection and waits some milliseconds at each; a
pipeline makes thousands of calls, so this handler keeps connections open and reads each body to its
end itself.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any, Final

from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import ThreadedWSGIServer

from localcloud.http.doors import refusal

HOST: Final = "127.0.0.1"
_BLOCK: Final = 1 << 16

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Streamed:
    """The body of an answer that states its length: sent block by block."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks

    def __iter__(self) -> Iterator[bytes]:
        return self._blocks


class _Bounded:
    """A request body of known length: never reads into the next request on the connection."""

    def __init__(self, stream: Any, length: int) -> None:
        self._stream = stream
        self._left = length

    def read(self, size: int | None = -1) -> bytes:
        wanted = self._left if size is None or size < 0 else min(size, self._left)
        data: bytes = self._stream.read(wanted) if wanted else b""
        self._left -= len(data)
        return data

    def readline(self, size: int | None = -1) -> bytes:
        limit = self._left if size is None or size < 0 else min(size, self._left)
        line: bytes = self._stream.readline(limit) if limit else b""
        self._left -= len(line)
        return line

    def __iter__(self) -> Any:
        return iter(self.readline, b"")


class MalformedBodyError(Exception):
    """The chunks of a request's body cannot be read."""


class _Chunked:
    """A request body in chunks, whose faults are the sender's."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def read(self, size: int | None = -1) -> bytes:
        return self._checked(self._stream.read, size)

    def readline(self, size: int | None = -1) -> bytes:
        return self._checked(self._stream.readline, size)

    def __iter__(self) -> Any:
        return iter(self.readline, b"")

    @staticmethod
    def _checked(read: Callable[[int], bytes], size: int | None) -> bytes:
        try:
            return read(-1 if size is None else size)
        except (ConnectionError, TimeoutError):
            raise
        except OSError as error:  # as werkzeug tells it
            raise MalformedBodyError(str(error)) from None


class _Handler(MotoRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = (
        True  # headers and body are two writes; without this each answer waits for a delayed ACK
    )
    wbufsize = -1
    timeout = 600

    def run_wsgi(self) -> None:
        problem = self._problem()
        if problem is not None:
            self.close_connection = True  # whatever follows on this line is no longer looked at
            self._send(
                403,
                "Forbidden",
                [("Content-Type", "text/plain")],
                [f"403 Forbidden: {problem}\n".encode()],
            )
            return
        environ = self.make_environ()
        environ["localcloud.headers"] = list(self.headers.items())
        environ["RAW_URI"] = (
            self.path[self.path.index("/", 8) :] if self.path.startswith("http://") else self.path
        )
        if environ.get("wsgi.input_terminated"):
            environ["wsgi.input"] = _Chunked(environ["wsgi.input"])
        else:
            environ["wsgi.input"] = _Bounded(
                environ["wsgi.input"], int(environ.get("CONTENT_LENGTH") or 0)
            )
        body = environ["wsgi.input"]
        answer: dict[str, Any] = {}

        def start_response(
            status: str, headers: list[tuple[str, str]], _: Any = None
        ) -> Callable[[bytes], None]:
            answer.update(status=status, headers=headers)
            return lambda _: None

        try:
            parts = self.server.app(environ, start_response)
        except ConnectionError:  # a fault hook that cuts the line
            self.close_connection = True
            return
        try:
            try:
                while body.read(_BLOCK):
                    pass
            except (MalformedBodyError, ValueError):  # an aborted chunked body
                self.close_connection = True
            code, _, phrase = answer["status"].partition(" ")
            self._send(int(code), phrase, answer["headers"], parts)
        finally:
            if hasattr(parts, "close"):
                parts.close()

    def _problem(self) -> str | None:
        """Why the request is not answered, whoever has signed it."""
        hosts = self.headers.get_all("Host", [])
        if not self.path.startswith("/"):  # a request for a proxy
            scheme, _, rest = self.path.partition("://")
            if scheme != "http" or "/" not in rest:
                return "the request target is no path"
            hosts.append(rest.partition("/")[0])
        problem = refusal(self.server.server_address[1], hosts, self.headers.get_all("Origin", []))
        lengths = self.headers.get_all("Content-Length", ["0"])
        coding = self.headers.get("Transfer-Encoding", "")
        if problem is None and (
            len(lengths) != 1
            or not lengths[0].isdecimal()
            or (coding and "Content-Length" in self.headers)
        ):
            return "the request needs one length"
        if problem is None and any(name != name.strip() for name in self.headers):
            return "there is a space before the colon of a header"  # RFC 9112, section 5.1
        if problem is None and coding.lower() not in ("", "chunked"):
            return "the request is in a transfer coding that this endpoint does not know"
        if problem is not None and lengths[0].isdecimal() and int(lengths[0]) <= _BLOCK:
            self.rfile.read(
                int(lengths[0])
            )  # a line that is closed with something unread may lose the answer
        return problem

    def _send(
        self, code: int, phrase: str, headers: list[tuple[str, str]], parts: Iterable[bytes]
    ) -> None:
        """Sends an answer: as it comes where its length is known, else gathered first."""
        silent = self.command == "HEAD" or code in (204, 304)
        stated = next((value for key, value in headers if key.lower() == "content-length"), None)
        if stated is None or not isinstance(parts, Streamed):
            parts = [b"".join(parts)]
            stated = stated if self.command == "HEAD" and stated else str(len(parts[0]))
        self.send_response(code, phrase)
        for key, value in headers:
            # no page of a browser is a client of this endpoint, whatever moto grants
            if key.lower() not in ("connection", "content-length") and not key.lower().startswith(
                "access-control-"
            ):
                self.send_header(key, value)
        if code not in (204, 304):
            self.send_header("Content-Length", stated)
        self.end_headers()
        if not silent:
            for part in parts:
                self.wfile.write(part)
        self.wfile.flush()

    def handle_expect_100(self) -> bool:
        answered = bool(BaseHTTPRequestHandler.handle_expect_100(self))
        self.wfile.flush()
        return answered

    def log_request(self, *_: Any) -> None:
        """Nothing: an access log of a rehearsal is noise."""

    def log_error(self, text: str, *arguments: Any) -> None:
        """What went wrong with a request; a line that a client has kept open and no longer uses is
        nothing of that.
        """
        if not any(isinstance(each, TimeoutError) for each in arguments):
            super().log_error(text, *arguments)


class _Server(ThreadedWSGIServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, *_: Any) -> None:
        """Nothing: a job that was killed in the middle of a call is no news."""

    def close_connections(self) -> None:
        for each in list(self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


class HttpServer:
    """Serves one WSGI application on 127.0.0.1 until it is stopped."""

    def __init__(self, application: Application, port: int) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((HOST, port))
        except OSError as error:
            self._socket.close()
            message = (
                f"port {port} of {HOST} is taken ({error.strerror}); stop what listens there, or"
                " choose another port"
            )
            raise OSError(error.errno, message) from error
        self._socket.listen(128)
        self.port: int = self._socket.getsockname()[1]
        self._server = _Server(
            HOST, self.port, application, handler=_Handler, fd=self._socket.fileno()
        )
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.05},
            name="aws-endpoint",
            daemon=True,
        )

    def start(self) -> None:
        """Answers from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Closes the port and every connection."""
        self._server.shutdown()
        self._thread.join()
        self._server.close_connections()
        self._server.server_close()
        self._socket.close()
