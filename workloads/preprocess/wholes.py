"""Numbers that Arrow's CSV reader takes for others without a word, found in the bytes of a
block.
"""

from __future__ import annotations

import re
import sys
from typing import Final

import numpy as np
from numpy.typing import NDArray

_TINY: Final = re.compile(rb"[eE]-[0-9]{3}|[.,]0{300}")
_ZERO, _QUOTE, _LF, _CR = b'0"\n\r'
_SIGN: Final = ord("-")
"""What stands before a field has a smaller code, or is the delimiter; the point of a decimal has
not.
"""
_CHUNK: Final = 1 << 18
"""Bytes looked at together, so that what is computed of them stays in the processor's cache."""
_ANY_CASE, _EXPONENT = (
    np.uint16(int.from_bytes(pair, sys.byteorder)) for pair in (b"\xdf\xff", b"E-")
)


def has_leading_zero(data: bytes, delimiter: int) -> bool:
    """Whether a field begins with `0` and a digit, or with `0x`: Arrow reads `00501` as 501, and
    `0x1F` as 31.
    """
    codes = np.frombuffer(b"\n" + data[:2] + b"\n" if len(data) < 3 else data, np.uint8)
    return _zero_first(np.concatenate(([_LF], codes[:2])).astype(np.uint8), delimiter) or any(
        _zero_first(codes[start : start + _CHUNK + 2], delimiter)
        for start in range(0, len(codes), _CHUNK)
    )


def _zero_first(codes: NDArray[np.uint8], delimiter: int) -> bool:
    following = codes[2:]
    maybe = codes[1:-1] == _ZERO
    maybe &= following >= _ZERO  # no point, comma or line end
    maybe &= (
        codes[:-2] < _SIGN
        if delimiter < _SIGN
        else (codes[:-2] < _SIGN) | (codes[:-2] == delimiter)
    )
    if not maybe.any():
        return False
    zero = codes[1:-1] == _ZERO
    zero &= ((following - _ZERO) < 10) | ((following | 32) == ord("x"))
    before = codes[:-2]
    zero &= (before == delimiter) | (before == _LF) | (before == _QUOTE) | (before == _CR)
    return bool(zero.any())


def may_underflow(data: bytes) -> bool:
    """Whether a number may be so small that Arrow reads it as 0."""
    if not (b"0" * 64 in data or any(_has_exponent(data, offset) for offset in (0, 1))):
        return False
    return _TINY.search(data) is not None


def _has_exponent(data: bytes, offset: int) -> bool:
    """Whether a pair of bytes at an even distance from `offset` is the beginning of a negative
    exponent.
    """
    pairs = (
        np.frombuffer(data, np.uint16, offset=offset, count=(len(data) - offset) // 2)
        if len(data) > offset
        else np.empty(0, np.uint16)
    )
    chunks = (pairs[start : start + _CHUNK // 2] for start in range(0, len(pairs), _CHUNK // 2))
    return any(bool(((chunk & _ANY_CASE) == _EXPONENT).any()) for chunk in chunks)
