"""Thousands of damaged Parquet objects: each is read, or refused with one sentence that any
terminal shows.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.workloads.postprocess import finished_analysis as fa
from tests.workloads.postprocess.conftest import table
from workloads.analysis.outliers.result import decode_scores
from workloads.analysis.table import Table
from workloads.contract import ContractError, Run
from workloads.lines import Lines
from workloads.postprocess.rows import read_rows, source_rows
from workloads.records import Manifest
from workloads.runtime.errors import StageError

RUN = Run("20260131-sales-0123456789ab")
MUTATIONS = 1_000


@pytest.fixture(scope="module")
def objects() -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    fa.store(
        lambda _bucket, key, data, **_: found.__setitem__(key, data), RUN, table(), remote=True
    )
    return found


def _damaged(data: bytes, random: Random) -> bytes:
    """Some bytes are others; now and then the end is missing."""
    changed = bytearray(data)
    for _ in range(random.randrange(1, 4)):
        changed[random.randrange(len(changed))] = random.randrange(256)
    return bytes(changed if random.random() < 0.9 else changed[: random.randrange(len(changed))])


def _refusal(read: Callable[..., Any], *given: Any) -> str:
    try:
        read(*given)
    except (StageError, ContractError) as error:
        said = str(error)
        said.encode()
        assert said.isprintable(), ascii(said)
        assert 10 < len(said) < 500, said
        return said
    return ""


def test_damaged_lines_are_one_sentence(objects: dict[str, bytes]) -> None:
    whole, random = objects[RUN.lines_key], Random(1)  # noqa: S311 - no secret
    Lines.from_parquet(whole).of(7)
    refused = [
        _refusal(lambda data: Lines.from_parquet(data).of(7), _damaged(whole, random))
        for _ in range(MUTATIONS)
    ]
    assert sum(map(bool, refused)) > MUTATIONS / 10


def _parquet(**columns: Any) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"row": ["a"], "line": [2]}, "not whole numbers"),
        ({"row": [0, None], "line": [2, 3]}, "not whole numbers"),
        ({"row": [0, 5, 5], "line": [2, 8, 9]}, "do not ascend"),
        ({"row": [0, 5], "line": [9, 8]}, "do not ascend"),
        ({"row": [1], "line": [2]}, "do not ascend"),
        ({"row": [0]}, "cannot be decoded"),
    ],
)
def test_lines_of_another_form_are_refused(columns: dict[str, Any], said: str) -> None:
    assert said in _refusal(lambda: Lines.from_parquet(_parquet(**columns)))


def test_a_damaged_table_is_one_sentence(objects: dict[str, bytes]) -> None:
    manifest, lines = (
        Manifest.from_json(objects[RUN.manifest_key]),
        Lines.from_parquet(objects[RUN.lines_key]),
    )
    whole, random, refused = objects[RUN.table_key], Random(2), 0  # noqa: S311 - no secret

    def read(data: bytes, described: Manifest) -> None:
        def part(start: int, length: int) -> bytes:
            return data[start : start + length]

        ids = [1, described.rows - 1]
        source_rows(described, lines, read_rows(described, part, ids), ids)

    def analyse(data: bytes, described: Manifest) -> None:
        for _ in Table(described, lambda start, length: data[start : start + length]).units(
            range(len(described.units))
        ):
            pass

    read(whole, manifest)
    analyse(whole, manifest)
    for number in range(MUTATIONS):
        # the footer has no checksum; of a unit, both are changed, as somebody would who writes
        # objects by hand
        start = manifest.footer_offset if number % 2 else 0
        data = whole[:start] + _damaged(whole[start:], random)
        if number % 2 == 0:
            data = (
                data[: manifest.footer_offset].ljust(manifest.footer_offset, b"\0")
                + whole[manifest.footer_offset :]
            )
        units = tuple(
            replace(
                unit,
                sha256=hashlib.sha256(
                    data[unit.byte_offset : unit.byte_offset + unit.byte_length]
                ).hexdigest(),
            )
            for unit in manifest.units
        )
        for use in (read, analyse):
            refused += bool(_refusal(use, data, replace(manifest, units=units)))
    assert refused > MUTATIONS / 4


def test_damaged_scores_are_one_sentence() -> None:
    columns = {
        "row": np.arange(50),
        "score": np.linspace(0, 1, 50),
        "neighbour": pa.array([None, *range(49)], pa.int64()),
    }
    whole, random, refused = _parquet(**columns), Random(3), 0  # noqa: S311 - no secret
    decode_scores(whole)

    def decode(data: bytes) -> None:
        try:
            decode_scores(data)
        except ValueError as error:  # what its callers turn into a sentence with the object's key
            raise ContractError(f"the scores: {error}") from error

    for _ in range(MUTATIONS):
        refused += bool(_refusal(decode, _damaged(whole, random)))
    assert refused > MUTATIONS / 10
