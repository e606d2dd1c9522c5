"""Delimiters after the last column of a table, as some programs write them."""

from __future__ import annotations

import numpy as np

from workloads.preprocess.dialect import Dialect
from workloads.preprocess.records import QUOTE, Block, line_ends, record_ends


def without_spare(block: Block, dialect: Dialect) -> Block:
    """A block without the delimiters after the last column: as many as most rows have, where
    the fields are empty.
    """
    data, separator = block.data, ord(dialect.separator)
    codes = np.frombuffer(data, np.uint8)
    ends = (
        record_ends(data, separator, final=True) if QUOTE in data else line_ends(data, final=True)
    )
    if not len(ends) or ends[-1] != len(data):
        ends = np.append(ends, len(data))
    place = ends - 1
    for code in (ord("\n"), ord("\r")):
        place = place - ((place >= 0) & (codes[np.maximum(place, 0)] == code))
    keep = np.ones(len(codes), bool)
    for _ in range(dialect.structure.spare):
        found = place[(place >= 0) & (codes[np.maximum(place, 0)] == separator)]
        keep[found] = False
        place = found - 1
    if keep.all():
        return block
    odd = (
        block.odd - np.searchsorted(np.flatnonzero(~keep), block.odd)
        if len(block.odd)
        else block.odd
    )
    return Block(codes[keep].tobytes(), block.first_line, odd, block.lines, block.raws)
