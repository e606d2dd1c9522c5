from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tests.workloads.analysis.profile.serial import leaf, profile_of, units_of
from tests.workloads.analysis.tables import run_of
from workloads.analysis.arrays import pack, unpack
from workloads.analysis.pipeline.partials import encode, load_profile
from workloads.analysis.pipeline.success import Success
from workloads.analysis.profile import node as nodes
from workloads.analysis.tree import NodeId, decompose, reduce_units
from workloads.contract import ContractError

RUN = run_of("partials")
VALUES = np.random.default_rng(14).normal(size=(3, 700)).astype(np.float64)
MANIFEST = hashlib.sha256(b"manifest").hexdigest()


def _store() -> dict[str, bytes]:
    """What three ranks leave behind."""
    units = units_of(VALUES, 100)
    objects, partials = {}, []
    for node in (*decompose(range(2)), *decompose(range(2, 4)), *decompose(range(4, 7))):
        partial, data = encode(
            node, reduce_units(node, lambda unit: leaf(units[unit]), nodes.merge)
        )
        objects[RUN.partials_prefix + partial.name] = data
        partials.append(partial)
    success = Success(
        run_id=RUN.run_id,
        manifest_sha256=MANIFEST,
        digest=profile_of(VALUES, 100).digest,
        columns=("c0", "c1", "c2"),
        compared=(0, 1, 2),
        partials=tuple(partials),
        unit_rows=100,
        units=7,
        rows=700,
        complete_rows=700,
        ranks=3,
        nodes=1,
        backend="numpy",
        precision="fp64",
        seconds={},
        bytes_read=0,
        peak_memory_bytes=0,
        code_version="",
    )
    return {**objects, RUN.success_key: success.to_json()}


def _change_success(change: Callable[[Success], Success]) -> Callable[[dict[str, bytes]], None]:
    def apply(objects: dict[str, bytes]) -> None:
        objects[RUN.success_key] = change(Success.from_json(objects[RUN.success_key])).to_json()

    return apply


def _flip(objects: dict[str, bytes]) -> None:
    key = RUN.partials_prefix + Success.from_json(objects[RUN.success_key]).partials[0].name
    objects[key] = objects[key][:-1] + b"?"


def _forge(objects: dict[str, bytes]) -> None:
    """A node of another table with the right checksum."""
    partial, data = encode(NodeId(1, 0), leaf(VALUES[:, :200] * 2))
    objects[RUN.partials_prefix + partial.name] = data
    _change_success(lambda s: replace(s, partials=(partial, *s.partials[1:])))(objects)


BROKEN = {
    "another table": (
        _change_success(lambda s: replace(s, manifest_sha256="0" * 64)),
        "is about the table with manifest 000000000000",
    ),
    "another version": (
        lambda o: o.update({RUN.success_key: b'{"digest": "x"}'}),
        "not what this version writes",
    ),
    "damaged": (_flip, "sha256 differs"),
    "a node missing": (
        _change_success(lambda s: replace(s, partials=s.partials[:-1])),
        "unit 6 of 7 is missing",
    ),
    "a node twice": (
        _change_success(lambda s: replace(s, partials=(*s.partials, s.partials[2]))),
        "handed in twice",
    ),
    "forged": (_forge, "merge to digest"),
}


def test_what_was_written_is_read():
    profile = load_profile(_store().__getitem__, RUN, MANIFEST)
    assert profile.digest == profile_of(VALUES, 100).digest
    assert profile.columns == ("c0", "c1", "c2")
    assert profile.rows == 700


@pytest.mark.parametrize("name", BROKEN)
def test_what_does_not_belong_together_is_refused(name):
    change, sentence = BROKEN[name]
    objects = _store()
    change(objects)
    with pytest.raises(ContractError, match=sentence):
        load_profile(objects.__getitem__, RUN, MANIFEST)


def test_objects_are_plain_npz_with_the_same_bytes_every_time(tmp_path):
    arrays = {"b": np.arange(6, dtype=np.int64).reshape(2, 3), "a": np.array(3.5)}
    data = pack(arrays)
    assert data == pack(dict(reversed(arrays.items())))
    (tmp_path / "x.npz").write_bytes(data)
    with np.load(tmp_path / "x.npz") as found:
        for name, array in arrays.items():
            np.testing.assert_array_equal(found[name], array)
    assert unpack(data)["a"].shape == ()
    with pytest.raises(ValueError, match="not an object of named arrays"):
        unpack(data[:-30])
