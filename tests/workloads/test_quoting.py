"""Outside text in sentences: nothing in it steers a terminal, turns text around or breaks a line."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.runtime.quoting import shortened, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, ünï ✓ 売上 'x' \\n", "plain, ünï ✓ 売上 'x' \\n"),
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x9b31m", "\\x9b31m"),
        ("gpj\u202ecod", "gpj\\u202ecod"),
        ("a\u2066b\u2069\u200f\u061c", "a\\u2066b\\u2069\\u200f\\u061c"),
        ("a\u2028b", "a\\u2028b"),
        ("\ufeffa\U000e0041", "\\ufeffa\\U000e0041"),
        ("क\u200dष 👩\u200d🔬", "क\u200dष 👩\u200d🔬"),
        ("", ""),
    ],
)
def test_steering_characters_are_seen_and_all_others_stay(text, shown):
    assert visible(text) == shown


@given(st.text(), st.integers(1, 20))
def test_nothing_that_steers_is_left(text, characters):
    steering = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    shown = visible(text)
    assert {c for c in shown if unicodedata.category(c) in steering} <= set("\u200c\u200d")
    assert visible(shown) == shown
    cut = shortened(text, characters)
    assert len(cut) <= characters
    assert cut == shown or (cut.endswith("…") and shown.startswith(cut[:-1]))
