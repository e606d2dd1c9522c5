"""Parquet from outside: bytes that are damaged, cut off or of another form end in one sentence,
whatever pyarrow raises on them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pyarrow as pa

from workloads.runtime.errors import StageError
from workloads.runtime.quoting import escaped

DAMAGED: Final = (pa.ArrowException, OSError, ValueError, LookupError, OverflowError)
"""What reading raises: pyarrow's own errors; its input's; names that are no UTF-8; columns that are
not there; moments out of range.
"""
_SHOWN: Final = 200


def fault(error: Exception) -> str:
    """What pyarrow says, in one line that steers nothing; it may quote the bytes themselves."""
    return escaped(" ".join(str(error).split())[:_SHOWN]) or type(error).__name__


@contextmanager
def decoding(what: str, *, hint: str) -> Iterator[None]:
    """Raises StageError with one sentence where the block cannot make sense of the bytes.

    Args:
        what: is decoded, `the Parquet footer of <key>`.
        hint: what makes it anew.
    """
    try:
        yield
    except DAMAGED as error:
        raise StageError(f"{what} cannot be decoded: {fault(error)}", hint=hint) from error
