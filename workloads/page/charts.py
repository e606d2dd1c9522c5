"""Trends as bars, in inline SVG that is drawn as wide as its place; one path for all bars."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

_WIDTH, _HEIGHT = 240, 52
_FILLED: Final = 0.82
"""Of the width that a bar has."""
_FEWEST: Final = 12
"""Places of bars: a single run is no wall."""
_SMALLEST: Final = 1.0
"""Height of a bar that stands for something."""


def bars(values: Sequence[float | None], *, label: str, mark: float | None = None) -> str:
    """Bars from zero, the oldest first, the last one in the accent's colour.

    Args:
        values: not negative; None leaves a gap.
        label: what a screen reader says in place of the picture.
        mark: a value at which a line is drawn, where the bars come near it.
    """
    known = [value for value in values if value is not None]
    top = max(known, default=0.0) or 1.0
    if mark is not None and top > mark / 2:
        top = max(top, mark * 1.05)
    places = max(len(values), _FEWEST)
    width, first = _WIDTH / places, places - len(values)
    paths = [""] * 2
    for number, value in enumerate(values):
        if value is None:
            continue
        height = max(value / top * _HEIGHT, _SMALLEST) if value > 0 else 0.4
        left, wide = (first + number) * width, width * _FILLED
        bar = f"M{left:.1f} {_HEIGHT}v-{height:.1f}h{wide:.1f}v{height:.1f}z"
        paths[number == len(values) - 1] += bar
    line = ""
    if mark is not None and mark <= top:
        y = _HEIGHT - mark / top * _HEIGHT
        line = f'<path class="mark" d="M0 {y:.1f}H{_WIDTH}" vector-effect="non-scaling-stroke"/>'
    return (
        f'<svg role="img" aria-label="{escape(label)}" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
        f' preserveAspectRatio="none"><path class="past" d="{paths[0]}"/>'
        f'<path class="last" d="{paths[1]}"/>{line}</svg>'
    )
