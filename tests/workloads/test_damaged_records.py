"""Thousands of damaged records: each is read, or refused with one sentence that any terminal shows,
and by no other kind of error.
"""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workloads.postprocess import finished_analysis as fa
from tests.workloads.postprocess.conftest import table
from workloads.analysis.arrays import pack, unpack
from workloads.analysis.checkpoint.store import Attempt, CheckpointStore
from workloads.analysis.pipeline.success import Success
from workloads.contract import ContractError, Run
from workloads.postprocess import cost
from workloads.records import Manifest, StageRecord
from workloads.runtime.errors import StageError
from workloads.runtime.places import Bucket

RUN = Run("20260131-sales-0123456789ab")
MUTATIONS = 1_500
"""Of each kind of record."""
NASTY: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    1.5,
    2**63,
    10**400,
    1e308,
    "",
    "x",
    "\ud800",
    "\u202e\x1b[31m",
    [],
    {},
    [[]],
    {"a": 1},
    [None],
    "9" * 5000,
)


def _written(kind: str) -> bytes:
    objects: dict[str, bytes] = {}
    fa.store(
        lambda _bucket, key, data, **_: objects.__setitem__(key, data), RUN, table(), remote=True
    )
    if kind == "manifest":
        return objects[RUN.manifest_key]
    return objects[RUN.stage_record_key("analysis") if kind == "record" else RUN.success_key]


def _index() -> bytes:
    entry = {"key": "p/query-000001-0123456789abcdef.npz", "sha256": "0" * 64, "bytes": 10}
    return json.dumps(
        {
            "identity": {"a": 1},
            "attempt": {"job_id": "j", "number": 1},
            "objects": {"query-000001": entry},
        }
    ).encode()


def _claim(data: bytes) -> None:
    store = CheckpointStore(Bucket("bucket"), "p/", {"a": 1}, Attempt(job_id="j", number=2))
    store._usable(data)


def _cost(data: bytes) -> None:
    record = StageRecord.from_json(data)
    cost.of_run({"analysis": record}, {"preprocess": 1.0, "analysis": 1.0, "postprocess": 1.0})


READERS: dict[str, tuple[Callable[[], bytes], Callable[[bytes], Any]]] = {
    "manifest": (lambda: _written("manifest"), Manifest.from_json),
    "record": (lambda: _written("record"), _cost),
    "success": (lambda: _written("success"), Success.from_json),
    "checkpoint": (_index, _claim),
}


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    members = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [path, *(place for key, member in members for place in _places(member, (*path, key)))]


def _mutated(data: bytes, random: Random) -> bytes:
    """Damaged bytes: flipped, cut, doubled, nested without end; or JSON in which one place is gone
    or holds something else.
    """
    way = random.randrange(8)
    if way == 0:
        at = random.randrange(len(data))
        return data[:at] + bytes([random.randrange(256)]) + data[at + 1 :]
    if way == 1:
        return data[: random.randrange(len(data))]
    if way == 2:
        return random.choice(
            [
                b"[" * 100_000,
                b'{"a":' * 50_000,
                data + data,
                b"",
                b"null",
                b"NaN",
                b"\xff\xfe",
                b'"x"',
                b"1e999",
                b"[]",
            ]
        )
    document = json.loads(data)
    place = random.choice([each for each in _places(document) if each])
    holder = document
    for step in place[:-1]:
        holder = holder[step]
    if way == 3:
        del holder[place[-1]]
    elif way == 4 and isinstance(holder, dict):
        holder[f"more-{random.choice(['x', chr(0xD800), chr(27)])}"] = 1
    elif (
        way == 5 and isinstance(holder[place[-1]], int) and not isinstance(holder[place[-1]], bool)
    ):
        holder[place[-1]] += random.choice([-1, 1, 2**31, 2**62, -(2**62)])
    else:
        holder[place[-1]] = copy.deepcopy(random.choice(NASTY))
    return json.dumps(document).encode()


def _refusal(read: Callable[[bytes], Any], data: bytes) -> str:
    """What a reader says of bytes that it refuses; empty where it takes them.

    Any other kind of error is the test's failure.
    """
    try:
        read(data)
    except (ContractError, StageError) as error:
        return str(error)
    return ""


def _is_one_sentence(text: str) -> bool:
    text.encode()
    return "\n" not in text and "\x1b" not in text and 10 < len(text) < 600


@pytest.mark.parametrize("kind", READERS)
def test_any_damage_is_one_sentence(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    write, read = READERS[kind]
    whole = write()
    read(whole)
    random = Random(kind)  # noqa: S311 - no secret
    refused = 0
    with caplog.at_level(logging.CRITICAL):
        for _ in range(MUTATIONS):
            said = _refusal(read, _mutated(whole, random))
            refused += bool(said)
            assert not said or _is_one_sentence(said), ascii(said)
    assert refused > MUTATIONS / 4 or kind == "checkpoint", "the damage is worth the name"


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_bytes_at_all(data: bytes) -> None:
    for _, read in READERS.values():
        said = _refusal(read, data)
        assert not said or _is_one_sentence(said)


def test_a_damaged_checkpoint_is_said_once_and_left(caplog: pytest.LogCaptureFixture) -> None:
    for data in (b"{", _index().replace(b'"p/query', b'"elsewhere/query')):
        caplog.clear()
        _claim(data)
        (said,) = [record.getMessage() for record in caplog.records]
        assert "p/checkpoint.json" in said
        assert "starting afresh" in said
        assert _is_one_sentence(said)


def _unpacked(data: bytes) -> None:
    try:
        unpack(data)
    except ValueError as error:  # what its callers turn into a sentence with the object's key
        raise ContractError(str(error)) from error


def test_damaged_arrays_are_refused_before_memory_is_taken() -> None:
    whole = pack(
        {
            "a": np.arange(12.0).reshape(3, 4),
            "b": np.zeros((0, 2), np.int64),
            "c": np.array(1.5, np.float32),
        }
    )
    assert {name: array.shape for name, array in unpack(whole).items()} == {
        "a": (3, 4),
        "b": (0, 2),
        "c": (),
    }
    random, refused = Random(1), 0  # noqa: S311 - no secret
    for _ in range(MUTATIONS):
        damaged = bytearray(whole)
        for _ in range(random.randrange(1, 4)):
            damaged[random.randrange(len(damaged))] = random.randrange(256)
        said = _refusal(
            _unpacked,
            bytes(damaged[: random.choice([len(damaged), random.randrange(len(damaged))])]),
        )
        refused += bool(said)
        assert not said or _is_one_sentence(said), ascii(said)
    assert refused > MUTATIONS / 4
    huge = whole.replace(b"'shape': (3, 4), ", b"'shape': (9**9,),")
    absurd = whole.replace(b"(3, 4)", b"(9, 9)")
    for data in (huge, absurd, b"PK\x03\x04", np.lib.format.magic(1, 0)):
        with pytest.raises(ValueError, match="not an object of named arrays"):
            unpack(data)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rows": 7}, "the units have 300 rows, the table 7"),
        ({"rows": True}, "rows is true, expected a whole number"),
        ({"footer_offset": -1}, "lie outside of the table's"),
        ({"run_id": "x"}, "is not a run id"),
        ({"unit_rows": 1}, "has not 1 to 1 rows"),
        ({"rows_read": 10**30}, "is too large"),
        ({"surplus": 1}, "it has 'surplus', which this version does not know"),
    ],
)
def test_a_manifest_that_cannot_be_true_says_why(change: dict[str, Any], said: str) -> None:
    document = {**json.loads(_written("manifest")), **change}
    with pytest.raises(ContractError) as caught:
        Manifest.from_json(json.dumps(document).encode())
    assert said in str(caught.value)
    assert "run the preprocess stage again" in str(caught.value)
