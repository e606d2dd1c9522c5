"""A stand-in for Slack's incoming webhooks: keeps what was sent, and refuses on request."""

from __future__ import annotations

import json
import secrets
import threading
from typing import Any, Final

from localcloud.protocol.wire import Reply

_PATH: Final = "/_localcloud/slack/services/T000/B000/"


class SlackSink:
    """Answers as hooks.slack.com does: `ok`, or an error text with its status.

    Attributes:
        path: Of the address; its end is a secret, as with Slack.
        url: Where to post; set when the endpoint listens.
        messages: Payloads that were accepted, in order.
    """

    def __init__(self) -> None:
        self.path = f"{_PATH}{secrets.token_urlsafe(18)}"
        self.url = ""
        self.messages: list[dict[str, Any]] = []
        self._failures: list[int] = []
        self._lock = threading.Lock()

    def fail_next(self, calls: int, status: int = 500) -> None:
        """The next calls are answered with this status; 429 comes with a Retry-After of one second,
        as Slack sends it.
        """
        with self._lock:
            self._failures += [status] * calls

    def recover(self) -> None:
        """Ends the failures that were ordered."""
        with self._lock:
            self._failures.clear()

    def receive(self, body: bytes) -> Reply:
        """Answers one post."""
        with self._lock:
            if self._failures:
                status = self._failures.pop(0)
                headers = (("Retry-After", "1"),) if status == 429 else ()
                return Reply(
                    status=status,
                    headers=headers,
                    body=b"rate_limited" if status == 429 else b"server_error",
                )
            try:
                message = json.loads(body)
            except ValueError:
                return Reply(status=400, body=b"invalid_payload")
            if not isinstance(message, dict) or not (
                message.get("text") or message.get("blocks") or message.get("attachments")
            ):
                return Reply(status=400, body=b"no_text")
            self.messages.append(message)
        return Reply(headers=(("Content-Type", "text/html"),), body=b"ok")
