"""Looking again and again: a picture that changes in place on a terminal, else what is new,
once.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

from rich.console import Console, RenderableType
from rich.live import Live

from cli.frame import print_json

_SECONDS: Final = 2.0
T = TypeVar("T")


def watch(
    console: Console,
    look: Callable[[], T],
    show: Callable[[T], RenderableType],
    *,
    document: Callable[[T], Any],
    as_json: bool = False,
    ended: Callable[[T], bool] = lambda _: False,
    seconds: float = _SECONDS,
) -> T:
    """Shows what `look` finds until it has ended, or somebody interrupts; returns what was found
    last.

    Args:
        console: where to.
        look: asks AWS.
        show: the picture for a person.
        document: what a program gets, and by which a change is known.
        as_json: print each change as one line of JSON.
        ended: whether nothing will change any more.
        seconds: pause between looks.
    """
    found = look()
    with contextlib.ExitStack() as stack:
        live = None
        if console.is_terminal and not as_json:
            live = stack.enter_context(Live(show(found), console=console, auto_refresh=False))
        said = None
        # the ordinary end of what goes on for ever
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                now = document(found)
                if live is not None:
                    live.update(show(found), refresh=True)
                elif now != said:
                    _print(console, show(found), now, as_json=as_json)
                said = now
                if ended(found):
                    return found
                time.sleep(seconds)
                found = look()
    return found


def _print(console: Console, picture: RenderableType, document: Any, *, as_json: bool) -> None:
    if as_json:
        print_json(document, line=True)
    else:
        console.print(picture)
