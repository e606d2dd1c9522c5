"""The list of rejected rows: written as CSV, and counted by reason."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable
from typing import Final

from workloads.preprocess.records import Reject
from workloads.preprocess.units import Sink

_BUFFER: Final = 1 << 20  # characters


class RejectList:
    """Rejected rows, in file order.

    Args:
        sink: Where the CSV goes.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._buffer = io.StringIO(newline="")
        self._writer = csv.writer(self._buffer, lineterminator="\n")
        self._writer.writerow(("line", "reason", "detail", "row"))
        self.reasons: Counter[str] = Counter()
        """Reason -> rows."""
        self.examples: dict[str, str] = {}
        """Reason -> the first row of it, as a sentence."""

    @property
    def count(self) -> int:
        """Rows rejected so far."""
        return self.reasons.total()

    def add(self, rejects: Iterable[Reject]) -> None:
        """Takes the next rejected rows."""
        for reject in rejects:
            self.reasons[reject.reason] += 1
            self.examples.setdefault(reject.reason, f"in line {reject.line}: {reject.detail}")
            self._writer.writerow((reject.line, reject.reason, reject.detail, reject.raw))
        if self._buffer.tell() > _BUFFER:
            self.flush()

    def flush(self) -> None:
        """Hands what was collected to the sink."""
        self._sink.write(self._buffer.getvalue().encode())
        self._buffer.seek(0)
        self._buffer.truncate()
