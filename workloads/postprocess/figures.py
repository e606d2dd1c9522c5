"""Numbers as people read them. Everything here takes None or NaN for `there is no such number` and shows a dash."""

from __future__ import annotations

import math

DASH = "\N{EN DASH}"


def number(value: float | None) -> str:
    """Four significant digits, thousands separated; powers of ten where a number would not fit a table cell."""
    if value is None or not math.isfinite(value):
        return DASH
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 1e9 or size < 1e-4:
        mantissa, exponent = f"{value:.3e}".split("e")
        return f"{_trimmed(mantissa)}e{int(exponent)}"
    if size >= 1000:
        return f"{value:,.0f}"
    decimals = 3 - math.floor(math.log10(size))
    return _trimmed(f"{value:.{decimals}f}")


def _trimmed(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text


def count(value: int | None) -> str:
    """A whole number, exact."""
    return DASH if value is None else f"{value:,}"


def percent(part: float, whole: float) -> str:
    """A share in percent; a share that is not nothing is never shown as 0 %, one that is not all never as 100 %."""
    if whole <= 0:
        return DASH
    share = 100 * part / whole
    if 0 < share < 0.01:
        return "< 0.01 %"
    if 99.99 < share < 100:
        return "> 99.99 %"
    return f"{_trimmed(f'{share:.2f}')} %"


def duration(seconds: float | None) -> str:
    """A time span in its two largest units."""
    if seconds is None or not math.isfinite(seconds):
        return DASH
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def dollars(amount: float | None) -> str:
    """US dollars with as many decimals as tell something."""
    if amount is None or not math.isfinite(amount):
        return DASH
    if 0 < amount < 0.0001:
        return "< $0.0001"
    return f"${amount:,.2f}" if amount >= 1 or amount == 0 else f"${amount:.4f}"


def size(byte_count: int | None) -> str:
    """Bytes in binary units."""
    if byte_count is None:
        return DASH
    value, unit = float(byte_count), "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{byte_count:,} bytes" if unit == "bytes" else f"{_trimmed(f'{value:.1f}')} {unit}"


def date(yyyymmdd: str) -> str:
    """A folder date as 2026-01-31."""
    return f"{yyyymmdd[:4]}-{yyyymmdd[4:6]}-{yyyymmdd[6:]}"
