"""The command `ui`: begins to serve, opens the browser, and ends by ^C."""

from __future__ import annotations

import contextlib
import signal
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

from cli.documents import Serving
from cli.errors import CliError, ExitCode
from cli.frame import print_json, say
from cli.paths import STATE
from cli.service import write_private
from cli.target import Target
from cli.ui.server import Server
from cli.ui.site import Site

_DIRECTORY: Final = STATE / "ui"


def serve(target: Target, *, port: int, browser: bool, as_json: bool) -> ExitCode:
    """Serves until ^C or SIGTERM. Raises CliError where the port is taken or the stack is older."""
    site = Site(target)
    try:
        server = Server(site, port)
    except OSError as error:
        raise CliError(
            f"cannot listen on port {port} of the loopback interface: {error.strerror};"
            " --port 0 takes a free one",
            ExitCode.USAGE,
        ) from error
    signal.signal(signal.SIGTERM, _interrupt)
    with server, contextlib.suppress(KeyboardInterrupt), _opened(server.url, browser=browser):
        if as_json:
            document: Serving = {"stack": target.stack or None, "url": server.url}
            print_json(document)
        else:
            say(f"runs of {site.stack}: {server.url}")
            say("for this machine alone, and whoever knows the address; ^C ends it")
        server.serve_forever()
    return ExitCode.OK


@contextlib.contextmanager
def _opened(url: str, *, browser: bool) -> Iterator[None]:
    """Opens the browser by a file that is its owner's alone: what stands on a command line, every
    user of the machine can read.
    """
    if not browser:
        yield
        return
    _DIRECTORY.mkdir(parents=True, exist_ok=True)
    file = _DIRECTORY / f"{url.rsplit('/', 2)[-2]}.html"
    write_private(file, _forward(url))
    try:
        webbrowser.open(file.resolve().as_uri())
        yield
    finally:
        Path.unlink(file, missing_ok=True)


def _forward(url: str) -> str:
    return (
        '<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>Runs</title>'
        f'<meta name="referrer" content="no-referrer"><meta http-equiv="refresh" content="0;{url}">'
        f'<a href="{url}">Runs</a></html>'
    )


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
