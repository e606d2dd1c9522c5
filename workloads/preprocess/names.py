"""Names of the table's columns, made from those of the file."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

_NAME_LENGTH: Final = 100


def unique_names(source_names: Sequence[str]) -> list[str]:
    """snake_case ASCII names, each once: an empty name becomes `column_<number>`, a repeated one
    gets a number at its end.
    """
    plain = [
        _snake_case(name) or f"column_{number}" for number, name in enumerate(source_names, start=1)
    ]
    taken: set[str] = set()
    free = set(plain)
    names: list[str] = []
    for name in plain:
        unique, number = name, 1
        while unique in taken or (number > 1 and unique in free):
            number += 1
            unique = f"{name}_{number}"
        taken.add(unique)
        names.append(unique)
    return names


def _snake_case(name: str) -> str:
    ascii_only = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", ascii_only)
    snake = re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")[:_NAME_LENGTH].strip("_")
    return f"c_{snake}" if snake[:1].isdigit() else snake
