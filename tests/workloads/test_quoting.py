"""What a cell may hold never steers what shows it."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.runtime.quoting import OMITTED, SHOWN, escaped, quoted


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain 1.5", "plain 1.5"),
        ("Zürich 東京 😀 ½", "Zürich 東京 😀 ½"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("\x1b]8;;http://x\x1b\\", r"\x1b]8;;http://x\x1b\\"[:-1]),
        ("two\r\nlines\ttab", r"two\r\nlines\ttab"),
        ("abc\u202edcb\u2066\u200f", r"abc\u202edcb\u2066\u200f"),
        ("\u2028\u2029\x85\x9b", r"\u2028\u2029\x85\x9b"),
        ("zero\u200bwidth\ufeff\xad", r"zero\u200bwidth\ufeff\xad"),
        ("\ud800 \U000e0041", r"\ud800 \U000e0041"),
    ],
)
def test_escaped(text, shown):
    assert escaped(text) == shown


@given(st.text())
def test_nothing_that_steers_is_left(text):
    assert not {unicodedata.category(character)[0] for character in escaped(text)} & {"C"}
    assert not {"\u2028", "\u2029"} & set(escaped(text))


def test_quoted_is_short_and_can_be_left_out():
    assert quoted("x" * 200) == f"'{'x' * SHOWN}…'"
    assert quoted("a\nb") == r"'a\nb'"
    assert quoted("secret", values=False) == OMITTED
