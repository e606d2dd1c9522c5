"""How a stage loads its modules: without the collector."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """Around imports. What they make lives as long as the process: looking at it again and again
    while it grows takes a seventh of the time that a rank needs to load, and is not needed later.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
