"""From a request of WSGI to a call, and from a reply back to bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from localcloud.http.server import MalformedBodyError, Streamed
from localcloud.protocol.wire import Call, Reply, WireError
from localcloud.services.s3.blobs import ticket_in
from localcloud.services.s3.forms import Form, error_of_s3, is_form


def open_call(environ: dict[str, Any]) -> tuple[Call, Form | None] | Reply:
    """The call of a request, with the form that it came in; a reply where it is neither."""
    form: Form | None = None
    try:
        if is_form(environ):
            form = Form(environ)
            environ = form.put_environ()
        return Call(environ), form
    except WireError as error:
        if is_form(environ):
            return error_of_s3(error)
        return Reply(status=error.status, body=error.message.encode())
    except (MalformedBodyError, ValueError) as error:
        return unreadable(error)


def unreadable(error: Exception) -> Reply:
    """What a request gets that is none."""
    return Reply(status=400, body=f"the request cannot be read: {error}".encode())


def object_content(headers: list[tuple[str, str]], body: Iterable[bytes]) -> Iterable[bytes]:
    """An object as it goes out: from its file, where moto gave only the ticket of one."""
    whole = b"".join(body)
    ticket = ticket_in(whole)
    if ticket is None:
        return [whole]
    headers[:] = [each for each in headers if each[0].lower() != "content-length"] + [
        ("Content-Length", str(ticket.length))
    ]
    return Streamed(ticket.blob.blocks(ticket.start, ticket.length))


def send(reply: Reply, start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answers by WSGI."""
    try:
        phrase = HTTPStatus(reply.status).phrase
    except ValueError:
        phrase = "Unknown"
    start_response(f"{reply.status} {phrase}", list(reply.headers))
    return [reply.body]
