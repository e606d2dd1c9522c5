"""Writes a CSV table of any size in flat memory; the same arguments give the same bytes.

Row i has an id, an hour, a site, a flag and `columns` numbers: a few common causes (a daily cycle,
a slow drift, shared noise) mixed with weights of their own, plus private noise. In every 8,192 rows
two are anomalies: single numbers of them are ordinary, but they break the correlation. Dirty rows
are of the kinds that the preprocess stage has to reject.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

CHUNK_ROWS: Final = 8192
ANOMALIES_PER_CHUNK: Final = 2
_CAUSES: Final = 3
_SITES: Final = ("Oslo", "Lima", "Pune", "Cork, Ireland", "Nice")
_START: Final = np.datetime64(datetime(2020, 1, 1), "h")  # noqa: DTZ001 - NumPy times have no zone
_MISSING: Final = ("", "NA", "null", "?", "n/a")


@dataclass(frozen=True, kw_only=True)
class Table:
    """What to generate.

    Args:
        rows: data rows, dirty ones included.
        columns: number columns.
        seed: anything from 0.
        dirty_percent: share of rows that are to be rejected.
    """

    rows: int
    columns: int
    seed: int = 0
    dirty_percent: float = 0.0

    def chunks(self) -> Iterator[bytes]:
        """The file in pieces of 8,192 rows, the header first."""
        names = ",".join(f"x{index}" for index in range(self.columns))
        yield f"id,hour,site,checked,{names}\n".encode()
        for first in range(0, self.rows, CHUNK_ROWS):
            yield self._chunk(first, min(CHUNK_ROWS, self.rows - first))

    def anomalies(self) -> NDArray[np.int64]:
        """Ids of the planted rows, in order; some of them may be dirty as well."""
        found = [first + _Chunk(self, first).planted for first in range(0, self.rows, CHUNK_ROWS)]
        ids = np.concatenate(found) if found else np.empty(0, np.int64)
        return ids[ids < self.rows]

    def _chunk(self, first: int, count: int) -> bytes:
        chunk = _Chunk(self, first)
        numbers = chunk.numbers()[:count]
        ids = np.arange(first, first + count)
        hours = np.datetime_as_string(_START + ids // len(_SITES), unit="m")
        row = "%d,%s,%s,%s" + ",%.3f" * self.columns
        sites = [f'"{site}"' if "," in site else site for site in _SITES]
        lines = [
            row
            % (
                number,
                hours[place],
                sites[number % len(sites)],
                "yes" if number % 3 else "no",
                *values,
            )
            for place, (number, values) in enumerate(
                zip(ids.tolist(), numbers.tolist(), strict=True)
            )
        ]
        for place, kind in chunk.dirt():
            if place < count:
                lines[place] = _soil(lines[place], kind)
        return ("\n".join(lines) + "\n").encode()


class _Chunk:
    """The random numbers of one chunk; always drawn for all of its rows, so that a shorter table is
    the beginning of a longer one.
    """

    def __init__(self, table: Table, first: int) -> None:
        self._table = table
        self._first = first
        self._random = np.random.default_rng([table.seed, first // CHUNK_ROWS])
        self.planted = np.sort(self._random.choice(CHUNK_ROWS, ANOMALIES_PER_CHUNK, replace=False))

    def numbers(self) -> NDArray[np.float64]:
        """(CHUNK_ROWS, columns) values, anomalies included."""
        shape = np.random.default_rng(self._table.seed)
        weights = shape.normal(size=(_CAUSES, self._table.columns))
        offset = shape.normal(scale=100, size=self._table.columns).round()
        scale = 10 ** shape.uniform(-1, 2, size=self._table.columns)
        hour = (self._first + np.arange(CHUNK_ROWS)) // len(_SITES)
        causes = np.stack(
            (
                np.sin(hour * (2 * np.pi / 24)),
                np.sin(hour * (2 * np.pi / 8760)),
                self._random.normal(size=CHUNK_ROWS),
            ),
            axis=1,
        )
        mixed = causes @ weights + 0.3 * self._random.normal(size=(CHUNK_ROWS, self._table.columns))
        mixed[self.planted] *= np.where(
            self._random.permuted(np.arange(self._table.columns)) % 2, 1.0, -1.0
        )  # half of them flipped
        return offset + scale * mixed

    def dirt(self) -> list[tuple[int, int]]:
        """(row of the chunk, kind of dirt) of the dirty rows."""
        random = np.random.default_rng([self._table.seed, self._first // CHUNK_ROWS, 1])
        dirty = np.flatnonzero(random.random(CHUNK_ROWS) < self._table.dirty_percent / 100)
        return list(
            zip(
                dirty.tolist(),
                random.integers(0, 5 + len(_MISSING) - 1, len(dirty)).tolist(),
                strict=True,
            )
        )


def _soil(line: str, kind: int) -> str:
    """Makes a row one that has to be rejected; `kind` counts the ways from 0."""
    kept, _, last = line.rpartition(",")
    ways = (
        kept,
        f"{line},{last}",
        f"{kept},error",
        f"{kept},1e400",
        *(f"{kept},{missing}" for missing in _MISSING),
    )
    return ways[kind]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m workloads.samples.generate", description="Writes a CSV table of any size."
    )
    parser.add_argument("--rows", type=_count, required=True, help="data rows")
    parser.add_argument("--columns", type=_count, default=10, help="number columns (default: 10)")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same bytes (default: 0)")
    parser.add_argument(
        "--dirty",
        type=_percent,
        default=0.0,
        metavar="PERCENT",
        help="share of rows that have to be rejected (default: 0)",
    )
    parser.add_argument("--out", type=Path, help="file to write (default: standard output)")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def _percent(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is not a percentage from 0 to 100")
    return value


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    options = _parser().parse_args(arguments)
    table = Table(
        rows=options.rows, columns=options.columns, seed=options.seed, dirty_percent=options.dirty
    )
    target: BinaryIO
    with options.out.open("wb") if options.out else nullcontext(sys.stdout.buffer) as target:
        for chunk in table.chunks():
            target.write(chunk)
    return 0


if __name__ == "__main__":
    sys.exit(main())
