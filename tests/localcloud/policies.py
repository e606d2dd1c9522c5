"""Policies as the tests of access write them."""

from __future__ import annotations

from typing import Any


def statement(effect: str = "Allow", **members: Any) -> dict[str, Any]:
    return {"Effect": effect, **members}
