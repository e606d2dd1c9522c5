"""A strip of the filter: up to TILE rows of one block against up to RUN rows of another, and which
of the products matter.

Tiles of 1 MiB stay in the cache from the matrix product to the comparison; what costs many
interpreter steps is done once per strip.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from workloads.analysis.knn.block import Block
from workloads.analysis.knn.search import Positions, Search, Values
from workloads.analysis.profile.moments import Integers

TILE: Final = 512
"""Rows and columns of a tile."""
RUN: Final = 4096
"""Rows of the other block in a strip, and rows that share a lock of `Search`."""
_TILES: Final = RUN // TILE
_DENSE: Final = 4  # a strip is dense if more than one in so many bytes of its bits is not zero
_PIECE: Final = 64
_GROUPS: Final = (
    128  # per strip, at least, of whose maxima the k-th largest makes a first threshold
)


class Strip:
    """Memory of one thread, used again for every strip, since fresh pages would cost more than the
    arithmetic.

    Args:
        columns: d.
    """

    def __init__(self, columns: int) -> None:
        self._second = np.empty((RUN, columns + 2), np.float32)
        self._products = np.empty((_TILES, TILE, TILE), np.float32)
        self._passed = np.empty((TILE, TILE), np.bool_)
        self._rows_bits = np.empty((_TILES, TILE * TILE // 8), np.uint8)
        self._other_bits = np.empty((_TILES, TILE * TILE // 8), np.uint8)

    def compare(self, left: Search, right: Search | None, i: int, j: int) -> None:
        """Offer the candidates among rows [i, i + TILE) of left's query and rows [j, j + RUN) of
        its data.

        Args:
            left: Search of the first rows.
            right: Search of the other rows, where they are to learn of these; the same strip is
                then not compared the other way round.
            i: A multiple of TILE.
            j: A multiple of RUN.
        """
        second, tiles, same = self._prepare(left.query, left.data, i, j)
        rows = left.query.augmented[i : i + TILE]
        m, n = rows.shape[0], second.shape[0]
        learning = left.without_threshold(i, i + m) or (
            right is not None and right.without_threshold(j, j + n)
        )
        with np.errstate(
            over="ignore", under="ignore", invalid="ignore"
        ):  # rows outside the range carry infinities
            if learning:
                for t, tile in enumerate(tiles):
                    self._multiply(tile, rows, second, t, same)
                self._learn(left, right, i, j, m, n)
            with left.locks[i // RUN]:
                limits = left.limits(i, i + m, int(left.data.ids[j]))[:, None]
            other_limits = None
            if right is not None:
                with right.locks[j // RUN]:
                    other_limits = right.limits(j, j + n, int(right.data.ids[i]))
            for t, tile in enumerate(tiles):
                if not learning:
                    self._multiply(tile, rows, second, t, same)
                self._mark(tile, limits, self._rows_bits[t])
                if other_limits is not None:
                    self._mark(tile, other_limits[t * TILE : (t + 1) * TILE], self._other_bits[t])
        self._offer(left, i, j, self._rows_bits[: len(tiles)], turned=False)
        if right is not None:
            self._offer(right, j, i, self._other_bits[: len(tiles)], turned=True)

    def count(self, query: Block, data: Block, i: int, j: int, limits: Values) -> Integers:
        """(m,) how many products of rows [i, i + m) of `query` with rows [j, j + RUN) of `data`
        reach the row's limit.
        """
        second, tiles, same = self._prepare(query, data, i, j)
        rows = query.augmented[i : i + TILE]
        found = np.zeros(rows.shape[0], np.int64)
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            for t, tile in enumerate(tiles):
                self._multiply(tile, rows, second, t, same)
                self._mark(tile, limits[:, None], self._rows_bits[t])
                words = self._rows_bits[t].view(np.uint64).reshape(TILE, -1)
                found += np.bitwise_count(words).sum(axis=1, dtype=np.int64)[: found.size]
        return found

    def _prepare(
        self, query: Block, data: Block, i: int, j: int
    ) -> tuple[Values, list[Values], tuple[Positions, Positions]]:
        """The second factor, a view of the products per tile, and which of these are of a row with
        itself.
        """
        others = data.augmented[j : j + RUN]
        m, n = min(TILE, query.ids.size - i), others.shape[0]
        second = self._second[:n]
        second[:, :-2] = others[:, :-2]
        second[:, -2] = others[:, -1]
        second[:, -1] = others[:, -2]
        if n < RUN or m < TILE:
            self._products[...] = -np.inf
        tiles = [self._products[t, :m, : min(TILE, n - t * TILE)] for t in range(-(-n // TILE))]
        return second, tiles, _same_rows(query.ids[i : i + m], data.ids[j : j + n])

    def _multiply(
        self, tile: Values, rows: Values, second: Values, t: int, same: tuple[Positions, Positions]
    ) -> None:
        np.matmul(rows, second[t * TILE : (t + 1) * TILE].T, out=tile)
        if same[0].size:
            here = same[1] // TILE == t
            tile[same[0][here], same[1][here] - t * TILE] = -np.inf

    def _mark(self, tile: Values, limits: Values, bits: npt.NDArray[np.uint8]) -> None:
        m, n = tile.shape
        if tile.size < self._passed.size:
            self._passed[...] = False
        np.greater_equal(tile, limits, out=self._passed[:m, :n])
        bits[...] = np.packbits(self._passed.reshape(-1), bitorder="little")

    def _offer(
        self, search: Search, start: int, beside: int, bits: npt.NDArray[np.uint8], *, turned: bool
    ) -> None:
        """Offer the products whose bits are set; `turned` where the search's rows are the columns
        of the tiles.
        """
        words = np.flatnonzero(bits.reshape(-1) != 0)
        if not words.size:
            return
        if words.size * _DENSE > bits.size:
            self._offer_pieces(search, start, beside, turned=turned)
            return
        some = np.unpackbits(bits.reshape(-1)[words], bitorder="little")
        hits = np.flatnonzero(some)
        flat = words[hits >> 3] * 8 + (hits & 7)
        values = self._products.reshape(-1)[flat]
        tile, place = np.divmod(flat, TILE * TILE)
        row, column = np.divmod(place, TILE)
        column += tile * TILE
        if turned:
            row, column = column, row
        order = np.argsort(row.astype(np.uint16), kind="stable")
        with search.locks[start // RUN]:
            search.offer(row[order] + start, column[order] + beside, values[order])

    def _offer_pieces(self, search: Search, start: int, beside: int, *, turned: bool) -> None:
        """Offer a strip of which much passes, piece by piece with fresh limits: duplicates settle
        in the first pieces.
        """
        rows = search.query.ids[start : start + (RUN if turned else TILE)].size
        others = search.data.ids[beside : beside + (TILE if turned else RUN)]
        for first in range(0, others.size, _PIECE):
            if turned:
                piece = (
                    self._products[:, first : first + _PIECE]
                    .transpose(0, 2, 1)
                    .reshape(RUN, -1)[:rows]
                )
            else:
                piece = self._products[first // TILE, :rows, first % TILE : first % TILE + _PIECE]
            piece = piece[:, : others.size - first]
            with search.locks[start // RUN]:
                limits = search.limits(start, start + rows, int(others[first]))
                row, column = np.nonzero(piece >= limits[:, None])
                search.offer(row + start, column + first + beside, piece[row, column])

    def _learn(self, left: Search, right: Search | None, i: int, j: int, m: int, n: int) -> None:
        """First thresholds: the k-th largest of the maxima of disjoint groups is a lower bound of
        the k-th largest product.
        """
        k = left.k
        width = TILE
        best = self._products[: -(-n // TILE), :m]
        while width // 2 * best.shape[0] >= max(_GROUPS, 8 * k):
            width //= 2
            best = np.maximum(best[:, :, :width], best[:, :, width:])
        if best.shape[0] * width >= k:
            rows = best.transpose(1, 0, 2).reshape(m, -1)
            with left.locks[i // RUN]:
                left.learn(i, np.partition(rows, rows.shape[1] - k, axis=1)[:, rows.shape[1] - k])
        if right is None or k > TILE:
            return
        height = TILE
        down = self._products
        while height // 2 >= max(_GROUPS, 8 * k):
            height //= 2
            down = np.maximum(down[:, :height], down[:, height:])
        columns = down.transpose(1, 0, 2).reshape(height, -1)[:, :n]
        with right.locks[j // RUN]:
            right.learn(j, np.partition(columns, height - k, axis=0)[height - k])


def _same_rows(
    ids: npt.NDArray[np.int64], others: npt.NDArray[np.int64]
) -> tuple[Positions, Positions]:
    """Places of the rows that stand on both sides."""
    if ids[0] > others[-1] or others[0] > ids[-1]:
        nothing = np.zeros(0, np.intp)
        return nothing, nothing
    place = np.minimum(np.searchsorted(others, ids), others.size - 1)
    same = np.flatnonzero(others[place] == ids)
    return same, place[same]
