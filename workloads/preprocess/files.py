"""The results of cleaning as files of a folder, by the names that they have in the intermediate
bucket.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO


@dataclass(frozen=True, slots=True)
class OpenFiles:
    """Where the results of one pass go."""

    table: BinaryIO
    lines: BinaryIO
    rejected: BinaryIO
    cleaned_csv: BinaryIO | None


@dataclass(frozen=True, slots=True)
class Files:
    """Names below a folder.

    Args:
        folder: Made where it is missing.
        with_csv: Whether the cleaned table is written as CSV, too.
    """

    folder: Path
    with_csv: bool = False

    @property
    def table(self) -> Path:
        """Alone in its folder, so that the folder can be read as a data set."""
        return self.folder / "table" / "table.parquet"

    @property
    def lines(self) -> Path:
        """Lines of the rows."""
        return self.folder / "lines.parquet"

    @property
    def rejected(self) -> Path:
        """Rejected rows."""
        return self.folder / "rejected.csv"

    @property
    def cleaned_csv(self) -> Path:
        """The table as CSV."""
        return self.folder / "cleaned.csv"

    @contextmanager
    def written(self) -> Iterator[OpenFiles]:
        """The files, open for one pass. Raises OSError."""
        self.table.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:

            def opened(path: Path) -> BinaryIO:
                return stack.enter_context(path.open("wb"))

            yield OpenFiles(
                table=opened(self.table),
                lines=opened(self.lines),
                rejected=opened(self.rejected),
                cleaned_csv=opened(self.cleaned_csv) if self.with_csv else None,
            )
