"""Small pictures as inline SVG.

Colours are CSS variables of the report, so that they follow light, dark and print.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
from markupsafe import Markup, escape

from workloads.analysis.profile import sketch as sketches
from workloads.analysis.profile.moments import Floats, Integers
from workloads.analysis.profile.result import Profile
from workloads.postprocess import figures
from workloads.postprocess.quantiles import settled
from workloads.runtime.quoting import escaped

_BARS = 28
_WIDTH, _HEIGHT, _STRIP = 140, 30, 8
_TAIL = 0.005
"""Share of the values on each side that is drawn in the outermost bars: one wild value must not
squeeze all others into one bar.
"""


class Spread(NamedTuple):
    """What the quantile strip shows."""

    low: float
    lower_quartile: float
    median: float
    upper_quartile: float
    high: float


def histograms(profile: Profile, constant: Collection[str]) -> dict[str, Markup]:
    """Column name -> bars over the middle 99 % of its values, above a strip with median and
    quartiles; empty where there are no values.

    `constant` names the columns that have one value only.
    """
    quantiles = settled(profile, (_TAIL, 0.25, 0.5, 0.75, 1 - _TAIL)).values
    return {
        name: _histogram(
            profile,
            index,
            escaped(name),
            Spread(*(float(value) for value in quantiles[:, index])),
            constant=name in constant,
        )
        for index, name in enumerate(profile.columns)
    }


def _histogram(
    profile: Profile, index: int, name: str, spread: Spread, *, constant: bool
) -> Markup:
    bins, counts = profile.sketch.column(index)
    if not bins.size:
        return Markup("")
    low, high = spread.low, spread.high
    minimum, maximum = float(profile.minimum[index]), float(profile.maximum[index])
    if not low < high:
        low, high = minimum, maximum
    apart = max(spread.upper_quartile - spread.lower_quartile, (maximum - minimum) / 100)
    lower, median, upper = (
        figures.number(value, spread=apart)
        for value in (spread.lower_quartile, spread.median, spread.upper_quartile)
    )
    label = (
        f"Distribution of {name}: half of the values lie between {lower} and {upper}, median"
        f" {median}"
    )
    if not low < high:
        bar = Markup('<rect class="bar" x="{}" y="2" width="6" height="{}"/>').format(
            _WIDTH / 2 - 3, _HEIGHT - 2
        )
        what = "has one value only" if constant else "has values too close together for a picture"
        return _svg(
            _WIDTH, _HEIGHT + _STRIP, f"{name} {what}: {figures.quantity(minimum, whole=True)}", bar
        )
    heights = _bar_counts(bins, counts, minimum, maximum, np.linspace(low, high, _BARS + 1))
    top = heights.max()
    width = _WIDTH / _BARS
    parts = [
        Markup('<rect class="bar" x="{:.2f}" y="{:.2f}" width="{:.2f}" height="{:.2f}"/>').format(
            i * width, _HEIGHT - tall, width - 0.6, tall
        )
        for i, tall in enumerate(
            max(0.6, float(h / top) * (_HEIGHT - 1)) if h > 0 else 0.0 for h in heights
        )
        if tall
    ]
    return _svg(_WIDTH, _HEIGHT + _STRIP, label, *parts, _strip(spread, low, high))


def _bar_counts(
    bins: Integers, counts: Integers, minimum: float, maximum: float, bars: Floats
) -> Floats:
    """Values in each bar; a sketch bin that spans several bars is spread evenly over them, the
    tails go to the outermost bars.
    """
    lower, upper = sketches.edges(bins)
    lower, upper = np.maximum(lower, minimum), np.minimum(upper, maximum)
    upper = np.maximum(upper, np.nextafter(lower, np.inf))
    ends = np.cumsum(counts).astype(np.float64)
    positions = np.column_stack((lower, upper)).ravel()
    reached = np.column_stack((ends - counts, ends)).ravel()
    # step by step, since a compiler may fuse what np.interp does
    at = np.clip(np.searchsorted(positions, bars, side="right") - 1, 0, positions.size - 2)
    passed = (bars - positions[at]) / (positions[at + 1] - positions[at])
    below = reached[at] + np.clip(passed, 0.0, 1.0) * (reached[at + 1] - reached[at])
    below[0], below[-1] = 0.0, ends[-1]
    return np.diff(below)


def _strip(spread: Spread, low: float, high: float) -> Markup:
    def x(value: float) -> float:
        return min(1.0, max(0.0, (value - low) / (high - low))) * _WIDTH

    y = _HEIGHT + 5
    left, right = x(spread.lower_quartile), x(spread.upper_quartile)
    whisker = Markup('<line class="whisker" x1="0" x2="{}" y1="{}" y2="{}"/>').format(_WIDTH, y, y)
    box = Markup('<rect class="box" x="{:.2f}" y="{}" width="{:.2f}" height="4"/>').format(
        left, y - 2, max(right - left, 1.0)
    )
    median = Markup('<line class="median" x1="{0:.2f}" x2="{0:.2f}" y1="{1}" y2="{2}"/>').format(
        x(spread.median), y - 3, y + 3
    )
    return whisker + box + median


def heat_map(names: Sequence[str], matrix: Floats) -> Markup:
    """The correlation matrix as a grid: hue for the sign, strength for the size; cells without a
    number stay empty.

    Args:
        names: of the d columns.
        matrix: (d, d) in [-1, 1] or NaN.
    """
    columns = len(names)
    cell = max(8.0, min(26.0, 900 / columns))
    font = min(12.0, cell * 0.8)
    names = [escaped(name) for name in names]
    shown = [name if len(name) <= 24 else name[:23] + "…" for name in names]
    margin = min(190.0, 12 + max(len(name) for name in shown) * font * 0.6)
    grid = columns * cell
    # by hand and not by Markup.format, which costs half a second for 3600 cells; names are escaped,
    # the rest is numbers
    safe = [escape(name) for name in names]
    parts = [
        Markup(  # noqa: S704
            f'<rect class="{"positive" if value >= 0 else "negative"}" x="{margin + j * cell:.1f}"'
            f' y="{margin + i * cell:.1f}" width="{cell - 1:.1f}" height="{cell - 1:.1f}"'
            f' fill-opacity="{abs(value):.2f}"><title>{safe[i]} and {safe[j]}:'
            f" {value:+.2f}</title></rect>"
        )
        for i in range(columns)
        for j in range(columns)
        if not math.isnan(value := float(matrix[i, j]))
    ]
    for i, name in enumerate(shown):
        middle = margin + (i + 0.5) * cell
        parts.append(
            Markup(
                '<text x="{:.1f}" y="{:.1f}" font-size="{:.1f}" text-anchor="end"'
                ' dominant-baseline="central">{}</text>'
            ).format(margin - 5, middle, font, name)
        )
        parts.append(
            Markup(
                '<text transform="translate({:.1f} {:.1f}) rotate(-90)" font-size="{:.1f}"'
                ' dominant-baseline="central">{}</text>'
            ).format(middle, margin - 5, font, name)
        )
    return _svg(
        margin + grid,
        margin + grid,
        f"Correlation matrix of {columns} columns; the table beside it lists the strongest pairs",
        *parts,
    )


def _svg(width: float, height: float, label: str, *parts: Markup) -> Markup:
    opening = Markup(
        '<svg role="img" aria-label="{}" viewBox="0 0 {w:.0f} {h:.0f}" width="{w:.0f}"'
        ' height="{h:.0f}">'
    ).format(escape(label), w=width, h=height)
    return opening + Markup("").join(parts) + Markup("</svg>")
