"""Messages to Slack by an incoming webhook.

Format and limits: Slack's Block Kit (50 blocks a message, 3000 characters a section, 150 a header,
10 fields a section) and its incoming webhooks (HTTP 200 with body `ok`; 429 carries Retry-After in
seconds). The webhook URL is a secret: no message of this module repeats it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import urllib3

from workloads.runtime.quoting import escaped

_SECTION_CHARACTERS: Final = 3000
_HEADER_CHARACTERS: Final = 150
_FALLBACK_CHARACTERS: Final = 4000
_FIELDS: Final = 10
_FIELD_CHARACTERS: Final = 2000
_BLOCKS: Final = 50

_ATTEMPTS: Final = 5
_FIRST_WAIT_SECONDS: Final = 0.5
_LONGEST_WAIT_SECONDS: Final = 20.0
"""A longer Retry-After is not waited for: a Lambda function and a job pay for every second."""
_MOST_SECONDS: Final = 40.0
"""Time for all attempts together: whoever tells has to be done while it has the right to
(states.py), and before its function is ended.
"""
_CONNECT_SECONDS: Final = 3.0
_READ_SECONDS: Final = 10.0

Block = dict[str, Any]


class SlackError(RuntimeError):
    """Slack did not take the message; the text is one sentence without the webhook's URL."""


@dataclass(frozen=True, kw_only=True)
class Message:
    """A message: `text` is what notifications and screen readers show, `blocks` what the channel
    shows.
    """

    text: str
    blocks: tuple[Block, ...]

    def payload(self) -> dict[str, Any]:
        """The webhook's JSON body, cut to Slack's limits with a last block that says so."""
        blocks = list(self.blocks)
        if len(blocks) > _BLOCKS:
            left_out = len(blocks) - (_BLOCKS - 1)
            blocks = [
                *blocks[: _BLOCKS - 1],
                context(f"{left_out} further parts do not fit into one message."),
            ]
        return {"text": _cut(self.text, _FALLBACK_CHARACTERS), "blocks": blocks}


def escape(text: str) -> str:
    """Outside text (names, errors) made safe: what steers is escaped, and the controls of mrkdwn:
    `&`, `<`, `>`.
    """
    return escaped(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def code(text: str) -> str:
    """Outside text set as code; a back-tick would end the code, so it becomes an apostrophe."""
    return f"`{escape(text.replace('`', chr(39)))}`"


def link(url: str, label: str) -> str:
    """A link in mrkdwn."""
    return f"<{escape(url).replace('|', '%7C')}|{escape(label).replace('|', '/')}>"


def sentence(text: str) -> str:
    """A clause with a capital first letter, unless it begins with an address, and a full stop."""
    if not text:
        return text
    begins_with_address = "://" in text.split(" ", 1)[0]
    return (text if begins_with_address else text[:1].upper() + text[1:]) + (
        "" if text.endswith((".", "!", "?")) else "."
    )


def header(text: str) -> Block:
    """A headline in plain text: nothing in it is control."""
    return {
        "type": "header",
        "text": {
            "type": "plain_text",
            "text": _cut(escaped(text), _HEADER_CHARACTERS),
            "emoji": False,
        },
    }


def section(mrkdwn: str) -> Block:
    """A paragraph of mrkdwn, cut at a line end where it is longer than Slack takes."""
    return {"type": "section", "text": _mrkdwn(mrkdwn, _SECTION_CHARACTERS)}


def fields(pairs: Sequence[tuple[str, str]]) -> Block:
    """Up to ten label-value pairs side by side; values are mrkdwn."""
    shown = [
        _mrkdwn(f"*{escape(label)}*\n{value}", _FIELD_CHARACTERS)
        for label, value in pairs[:_FIELDS]
    ]
    return {"type": "section", "fields": shown}


def context(mrkdwn: str) -> Block:
    """A small grey line."""
    return {"type": "context", "elements": [_mrkdwn(mrkdwn, _SECTION_CHARACTERS)]}


def _mrkdwn(text: str, limit: int) -> Block:
    """A text object of outside text and markup.

    `verbatim`: Slack makes no links of what looks like an address, a channel or a person (Block Kit
    reference, "Text object"); links made here, in angle brackets, stay links.
    """
    return {"type": "mrkdwn", "text": _cut(text, limit), "verbatim": True}


def _cut(text: str, limit: int) -> str:
    """At most `limit` characters, without half an entity, half a link or half a line where that can
    be helped.
    """
    if len(text) <= limit:
        return text
    head = text[: limit - 1]
    line_end = head.rfind("\n")
    if line_end > limit // 2:
        return head[:line_end] + "\n…"
    for opening, closing in (("&", ";"), ("<", ">")):
        start = head.rfind(opening)
        if start > head.rfind(closing) and limit - start < limit // 2:
            head = head[:start]
    return head + "…"


def post(
    url: str,
    message: Message,
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Delivers a message; 429, 5xx and a broken connection are tried again with back-off, five
    times and for 40 seconds at most.

    A repeat after a broken connection may deliver the message twice: Slack offers nothing to
    prevent that, and a doubled message is better than a lost one. Raises SlackError where Slack
    refuses or all attempts fail.
    """
    if not url.startswith(("https://", "http://")):
        raise SlackError(
            "the Slack webhook is not a URL; store the one that Slack shows, it begins with"
            " https://hooks.slack.com/services/"
        )
    body, pool = json.dumps(message.payload()).encode(), urllib3.PoolManager(retries=False)
    wait, problem, end = _FIRST_WAIT_SECONDS, "", clock() + _MOST_SECONDS
    for attempt in range(1, _ATTEMPTS + 1):
        found = _attempt(pool, url, body, seconds=end - clock())
        if found is None:
            return
        problem, asked_wait = found
        if asked_wait > _LONGEST_WAIT_SECONDS:
            raise SlackError(
                f"Slack asks to wait {asked_wait:.0f} s before the next message, longer than is"
                f" worth paying for: {problem}"
            )
        pause = max(wait, asked_wait)
        if clock() + pause >= end:
            raise SlackError(
                f"Slack did not take the message within {_MOST_SECONDS:g} s, the last: {problem}"
            )
        if attempt < _ATTEMPTS:
            sleep(pause)
            wait *= 2
    raise SlackError(f"Slack did not take the message in {_ATTEMPTS} attempts, the last: {problem}")


def _attempt(
    pool: urllib3.PoolManager, url: str, body: bytes, *, seconds: float
) -> tuple[str, float] | None:
    """One attempt: None where Slack took the message, else what went wrong and how many seconds
    Slack asks to wait.

    Raises SlackError where another attempt would go the same way.
    """
    timeout = urllib3.Timeout(
        connect=min(_CONNECT_SECONDS, seconds), read=min(_READ_SECONDS, seconds), total=seconds
    )
    try:
        response = pool.request(
            "POST", url, body=body, headers={"Content-Type": "application/json"}, timeout=timeout
        )
    except urllib3.exceptions.LocationValueError as error:
        raise SlackError(
            "the Slack webhook is not a URL with a host; store the one that Slack shows"
        ) from error
    except urllib3.exceptions.HTTPError as error:
        return f"no connection ({type(error).__name__})", 0.0  # the error's own text holds the URL
    if 200 <= response.status < 300:
        return None
    problem = (
        f"HTTP {response.status} {response.data[:80].decode(errors='replace').strip()}".rstrip()
    )
    if response.status != 429 and response.status < 500:
        raise SlackError(
            f"Slack refused the message: {problem}; a wrong or revoked webhook answers 403 or 404"
        )
    return problem, _seconds(response.headers.get("Retry-After"))


def _seconds(header_value: str | None) -> float:
    """Retry-After in seconds; Slack never sends the date form."""
    try:
        return max(0.0, float(header_value or 0))
    except ValueError:
        return 0.0
