"""Where the records of a block stand: worked out only when a row is rejected or records do not
stand on one line each.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from workloads.preprocess.records import Block, Reject, raw_text

_CR: Final = ord("\r")


class RecordPlaces:
    """Where the records of a block that are not blank stand; worked out only when a row is
    rejected.
    """

    def __init__(self, block: Block, delimiter: int) -> None:
        self._block = block
        self._delimiter = delimiter
        self._spans: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]] | None = None

    def _starts_ends_lines(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        if self._spans is None:
            self._spans = self._block.spans(self._delimiter)
        return self._spans

    def lines(self, places: NDArray[np.int64], records: int) -> NDArray[np.int64]:
        """Lines of the records at some places, of so many records in all."""
        if self._spans is None and self._one_line_each(records):
            return places + self._block.first_line
        return self._starts_ends_lines()[2][places]

    def _one_line_each(self, records: int) -> bool:
        data = self._block.data
        if self._block.lines is not None:
            return False
        if self._block.lengths is not None:
            return len(self._block.lengths) == records
        mixed = _CR in data and data.count(b"\r") != data.count(b"\r\n")
        ends = -1 if mixed else data.count(b"\n")
        return ends + (not data.endswith(b"\n")) == records

    def reject(
        self, places: NDArray[np.int64], reasons: str | list[str], details: list[str]
    ) -> list[Reject]:
        """The rejections of the records at some places, counted from 0; one reason for all, or one
        each.
        """
        starts, ends, lines = (values[places].tolist() for values in self._starts_ends_lines())
        data = self._block.data
        raws = self._block.raws or {}
        each = [reasons] * len(places) if isinstance(reasons, str) else reasons
        return [
            Reject(line, reason, detail, raw_text(raws.get(start) or data[start:end]))
            for start, end, line, reason, detail in zip(
                starts, ends, lines, each, details, strict=True
            )
        ]

    def without_undecodable(self, rejects: list[Reject]) -> RecordPlaces:
        """Those without the records that are not valid UTF-8, which are rejected."""
        starts, ends, lines = self._starts_ends_lines()
        data = self._block.data
        good = np.array(
            [
                is_utf8(data[start:end])
                for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
            ],
            bool,
        )
        bad = np.flatnonzero(~good)
        rejects += self.reject(
            bad, "not valid text", ["the row holds bytes that are not valid UTF-8"] * len(bad)
        )
        rest = RecordPlaces(self._block, self._delimiter)
        rest._spans = starts[good], ends[good], lines[good]
        return rest

    def block(self) -> Block:
        """A block of the records of this places."""
        starts, ends, lines = self._starts_ends_lines()
        old = self._block
        parts: list[bytes] = []
        raws: dict[int, bytes] = {}
        size = 0
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            if old.raws is not None and start in old.raws:
                raws[size] = old.raws[start]
            parts.append(old.data[start:end])
            size += end - start
        return Block(b"".join(parts), old.first_line, lines=lines, raws=raws)


def is_utf8(data: bytes) -> bool:
    """Whether bytes are valid UTF-8."""
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
