"""Values as text, in the forms of Go's encoders: what a program finds in `PULUMI_CONFIG`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from localcloud.deployment.stack_yaml.scalars import Moment

_FORM_G_DIGITS: Final = 6
_ESCAPED: Final = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029\x7f"} | {0x7F: "\x7f"}


def shortest(value: float) -> str:
    """A number as the CLI writes it into YAML between its two passes (strconv's form `g`)."""
    if math.isinf(value) or math.isnan(value):
        return ".nan" if math.isnan(value) else (".inf" if value > 0 else "-.inf")
    digits, exponent = _digits(value)
    sign = "-" if math.copysign(1, value) < 0 else ""
    if not -4 <= exponent < _FORM_G_DIGITS:
        return sign + _scientific(digits, exponent)
    return sign + _positional(digits, exponent)


def json_number(value: float) -> str:
    """A finite number as Go's encoding/json writes it: positional from 1e-6 up to 1e21."""
    digits, exponent = _digits(value)
    sign = "-" if math.copysign(1, value) < 0 else ""
    if value and not -6 <= exponent < 21:
        mark, _, power = _scientific(digits, exponent).partition("e")
        return f"{sign}{mark}e{power[0]}{power[1:].lstrip('0')}"
    return sign + _positional(digits, exponent)


def json_text(value: Any) -> str:
    """A value as Go's encoding/json writes it: keys sorted, no spaces, what HTML would read
    escaped.
    """
    if isinstance(value, Mapping):
        pairs = sorted(value.items(), key=lambda pair: pair[0].encode())
        return "{" + ",".join(f"{json_text(name)}:{json_text(item)}" for name, item in pairs) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(json_text, value)) + "]"
    if isinstance(value, float):
        return json_number(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).translate(_ESCAPED)
    return json.dumps(value)


def key_text(value: Any) -> str:
    """A key as the CLI writes it into YAML between its two passes."""
    if isinstance(value, Moment):
        return value.rfc3339()
    if isinstance(value, float):
        return shortest(value)
    return value if isinstance(value, str) else json.dumps(value)


def _digits(value: float) -> tuple[str, int]:
    """The fewest decimal digits that stand for a double, and the power of ten of the first."""
    # Python's repr finds the fewest digits too
    _, digits, exponent = Decimal(repr(abs(value))).normalize().as_tuple()
    return "".join(map(str, digits)), (len(digits) + int(exponent) - 1 if value else 0)


def _scientific(digits: str, exponent: int) -> str:
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{digits[0]}{fraction}e{'-' if exponent < 0 else '+'}{abs(exponent):02}"


def _positional(digits: str, exponent: int) -> str:
    if exponent < 0:
        return f"0.{'0' * (-exponent - 1)}{digits}"
    whole = digits[: exponent + 1].ljust(exponent + 1, "0")
    return f"{whole}.{digits[exponent + 1 :]}" if len(digits) > exponent + 1 else whole
