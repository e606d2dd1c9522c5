"""Chromium without a window, driven by the DevTools protocol over a pair of pipes
(`--remote-debugging-pipe`): no port that others could reach, and nothing to install but Chromium.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FLAGS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-quic",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
_SECONDS: Final = 60.0


def command(profile: Path) -> list[str]:
    """The command line of this machine's Chromium; skips the test where there is none."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        pytest.skip("no Chromium on this machine: no page was opened (apt-get install chromium)")
    return [found, *_FLAGS, f"--user-data-dir={profile}"]


@dataclass
class Browser:
    """One page of a running Chromium."""

    _read: int
    _write: int
    _session: str = ""
    _number: int = 0
    _rest: bytes = b""
    errors: list[str] = field(default_factory=list)
    """What the page's scripts and its security policy complained of."""

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """One command of the protocol; its result."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                result: dict[str, Any] = answer["result"]
                return result

    def attach(self) -> None:
        """Takes a page of its own."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def screen(self, width: int, height: int = 900, *, dark: bool = False, media: str = "") -> None:
        """Sets the size of the window and the colour scheme that the user prefers."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media=media, features=[scheme])

    def open(self, url: str) -> None:
        """Opens a page and waits until it is loaded."""
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    def value(self, expression: str) -> Any:
        """What an expression of JavaScript is in the page."""
        result = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait(self, expression: str, seconds: float = _SECONDS) -> Any:
        """Waits until an expression is true in the page."""
        until = time.monotonic() + seconds
        while True:
            with contextlib.suppress(AssertionError):  # a page that is just being left
                if found := self.value(expression):
                    return found
            assert time.monotonic() < until, f"never true: {expression}"
            time.sleep(0.05)

    def press(self, key: str, text: str = "") -> None:
        """Presses a key: `Tab`, `Enter`, or one that writes `text`."""
        codes = {"Tab": 9, "Enter": 13, " ": 32}
        press = {"key": key, "code": key, "windowsVirtualKeyCode": codes.get(key, 0)}
        written = text or {"Enter": "\r"}.get(key, "")
        kind = "keyDown" if written else "rawKeyDown"
        self.call("Input.dispatchKeyEvent", type=kind, text=written, **press)
        self.call("Input.dispatchKeyEvent", type="keyUp", **press)

    def write(self, text: str) -> None:
        """Writes where the focus is."""
        self.call("Input.insertText", text=text)

    def picture(self, path: Path, *, whole: bool = False) -> None:
        """Saves a screenshot."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    def _next(self) -> dict[str, Any]:
        until = time.monotonic() + _SECONDS
        while b"\0" not in self._rest:
            assert select.select([self._read], [], [], until - time.monotonic())[0], "no answer"
            data = os.read(self._read, 1 << 16)
            assert data, "the browser has ended"
            self._rest += data
        message, _, self._rest = self._rest.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        if found.get("method") == "Runtime.exceptionThrown":
            self.errors.append(str(found["params"]["exceptionDetails"]))
        if found.get("method") == "Log.entryAdded" and found["params"]["entry"]["level"] == "error":
            self.errors.append(str(found["params"]["entry"]))
        return found


@contextlib.contextmanager
def chromium(profile: Path) -> Iterator[Browser]:
    """A running Chromium with an empty page."""
    words = command(profile)
    (read_here, write_there), (read_there, write_here) = os.pipe(), os.pipe()
    process = subprocess.Popen(
        [*words, "--remote-debugging-pipe"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        close_fds=False,
        preexec_fn=_as(read_there, write_there),  # noqa: PLW1509 - nothing of it takes a lock
        start_new_session=True,
    )
    os.close(read_there)
    os.close(write_there)
    try:
        browser = Browser(_read=read_here, _write=write_here)
        browser.attach()
        yield browser
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.close(read_here)
        os.close(write_here)


def _as(read: int, write: int) -> Callable[[], None]:
    """Puts the pipes where Chromium looks for them: 3 and 4."""

    def move() -> None:
        # first aside, for neither may lie where the other one goes
        aside = [fcntl.fcntl(each, fcntl.F_DUPFD, 10) for each in (read, write)]
        for number, each in enumerate(aside, start=3):
            os.dup2(each, number)

    return move
