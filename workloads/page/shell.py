"""The frame of a page: one file of HTML that loads nothing, and that lets nothing else run in it.

What comes from outside is escaped where it is put into a page (`text`); the content security policy
is the second lock: it names the very style and the very script by their digests, so that markup
which got in all the same would neither run nor call anybody.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from html import escape
from pathlib import Path
from typing import Final

from workloads.runtime.quoting import escaped

_FOLDER: Final = Path(__file__).parent


def text(value: str) -> str:
    """Text from outside, for an element or between the quotation marks of an attribute."""
    return escape(escaped(value))


def source(name: str, folder: Path = _FOLDER) -> str:
    """A style or a script that is part of this program."""
    return _read(folder / name)


def document(
    *,
    title: str,
    body: str,
    style: str,
    script: str,
    data: str = "",
    attributes: Mapping[str, str] | None = None,
) -> bytes:
    """A whole page.

    Args:
        title: text of the browser's title.
        body: markup.
        style: of this program.
        script: of this program.
        data: JSON that stays in the page for programs; empty for none.
        attributes: of the body element, `data-` left out.
    """
    policy = "; ".join(
        (
            "default-src 'none'",
            f"style-src '{_digest(style)}'",
            f"script-src '{_digest(script)}'",
            "img-src data:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    marks = "".join(
        f' data-{name}="{text(value)}"' for name, value in (attributes or {}).items() if value
    )
    # the one sign by which what stands in a script element could end it
    kept = data.replace("<", "\\u003c")
    stored = f'<script type="application/json" id="data">{kept}</script>\n' if data else ""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f'<link rel="icon" href="data:,">\n<title>{text(title)}</title>\n'
        f"<style>{style}</style>\n</head>\n<body{marks}>\n{body}\n"
        f"{stored}<script>{script}</script>\n</body>\n</html>\n"
    ).encode()


def _digest(content: str) -> str:
    digest = hashlib.sha256(content.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


@cache
def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")
