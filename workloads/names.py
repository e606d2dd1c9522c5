"""How uploads are named, and which data set a file name stands for. Part of the data contract;
standard library alone.

Two names are one data set where they differ only in letter case, in Unicode normalisation (a Mac
writes `ü` as two characters, others as one) or in separators (blank, `_`, `-`, `.`, also several in
a row or at an end). All other names are different data sets: a name that is not made of A-Z, 0-9
and separators alone, or is too long for the names that AWS allows, is told from others by a digest.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from datetime import datetime
from typing import Final

UPLOAD_PREFIX: Final = "data/"
ENDINGS: Final = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
"""Endings of uploads, in any letter case.

They begin the run and no more: what a file holds is found from its bytes.
"""
DATASET_PATTERN: Final = r"[a-z0-9]+(?:-[a-z0-9]+)*(?:--[0-9a-f]{12})?"
"""Pattern of data set ids.

The double hyphen stands before a digest and nowhere else, so that no plain name can meet one with a
digest.
"""
_PLAIN: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_SEPARATORS: Final = re.compile(r"[ _.\-]+")
_DATASET_MAX: Final = 64  # leaves room for the rest of a Batch job name, 128 characters in all
_DIGEST_DIGITS: Final = 12
_NAMELESS: Final = "table"
"""Stands before the digest of a name without any letter or digit of ASCII."""


def is_date(text: str) -> bool:
    """Whether a text is a calendar date YYYYMMDD."""
    if not (text.isascii() and text.isdecimal() and len(text) == 8):
        return False
    try:
        datetime.strptime(text, "%Y%m%d")  # noqa: DTZ007 - a calendar date has no zone
    except ValueError:
        return False
    return True


def title(key_or_name: str) -> str:
    """The name that people gave a file, without folder and ending, in the composed form of Unicode
    (NFC).
    """
    name = key_or_name.rsplit("/", 1)[-1]
    ending = max(
        (ending for ending in ENDINGS if name.lower().endswith(ending)), key=len, default=""
    )
    return unicodedata.normalize("NFC", name[: len(name) - len(ending)])


def dataset_of(name: str) -> str:
    """Id of the data set of a file name without its ending: at most 64 of a-z, 0-9 and hyphens.

    A name of A-Z, 0-9 and separators gives its own lower-case words joined by hyphens (`Sales EU`
    is `sales-eu`), any other one what is left of it in ASCII, two hyphens and 12 hex digits of its
    sha256 (`café` is `cafe--850f7dc43910`).
    """
    lower = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).lower())
    identity = _SEPARATORS.sub("-", lower).strip("-")
    if _PLAIN.fullmatch(identity) and len(identity) <= _DATASET_MAX:
        return identity
    digest = hashlib.sha256((identity or lower).encode(errors="surrogatepass")).hexdigest()[
        :_DIGEST_DIGITS
    ]
    ascii_only = unicodedata.normalize("NFKD", identity).encode("ascii", "ignore").decode()
    words = (
        re.sub(r"[^a-z0-9]+", "-", ascii_only)
        .strip("-")[: _DATASET_MAX - _DIGEST_DIGITS - 2]
        .strip("-")
    )
    return f"{words or _NAMELESS}--{digest}"


def fault_of(key: str) -> str:
    """Why an object key is not one of an upload, as a clause; empty where it is one."""
    parts = key.split("/")
    if f"{parts[0]}/" != UPLOAD_PREFIX:
        return f"it is not in {UPLOAD_PREFIX}"
    if len(parts) != 3:
        return (
            f"it is {'below' if len(parts) > 3 else 'not in'} a folder <YYYYMMDD>, in which"
            " uploads lie"
        )
    date, name = parts[1:]
    if not is_date(date):
        return f"{date} is not a calendar date; the folder is <YYYYMMDD>"
    if not name.lower().endswith(ENDINGS):
        return f"its name does not end with {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}"
    if not title(name):
        return "it has no name before its ending"
    if any(unicodedata.category(character) == "Cc" for character in name):
        return "its name holds control characters"
    return ""
