"""Pages: changes of different parts of a stack that are made together, so that the whole book can
be made and taken back in a tenth of the time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Final

from config import ConfigError
from tests.conformance.book import Change, book, changed
from tests.conformance.book.reached import config_of

Page = tuple[Change, ...]

_WHOLE: Final = {"network", "pulumi:autonaming", "aws:defaultTags"}
"""Sections that are one part; elsewhere each entry or field is one."""
_ALONE: Final = "storage/protect"
"""With it nothing else may go, and on the next page neither: what was protected stays so until it
is taken back.
"""


@cache
def pages(stack: str) -> tuple[Page, ...]:
    """All changes of a stack that are not refused, each on one page."""
    changes = [change for change in book() if change.stack == stack and not change.refused]
    alone = [change for change in changes if _ALONE in change.paths]
    made: list[list[Change]] = []
    for change in (each for each in changes if each not in alone):
        page = next((page for page in made if _fits(change, page)), None)
        if page is None:
            made.append([change])
        else:
            page.append(change)
    return (*map(tuple, made), *((change,) for change in alone))


def _fits(change: Change, page: Sequence[Change]) -> bool:
    mine, theirs = _parts((change,)), _parts(page)
    if any(_within(one, other) for one in mine for other in theirs):
        return False
    try:
        config_of(changed(*page, change), change.stack)
    except (ConfigError, KeyError):
        return False
    return True


def _parts(changes: Iterable[Change]) -> set[str]:
    heads = [path.split("/") for change in changes for path in change.paths]
    return {head[0] if head[0] in _WHOLE else "/".join(head[:2]) for head in heads}


def _within(one: str, other: str) -> bool:
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")
