"""kill -9 of a rank, then on with another number of ranks: at the moments that matter, one after
the other, and in the drill twenty times at random moments.
"""

from __future__ import annotations

import json
import random
import secrets
import signal
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pytest

from tests.workloads.analysis.conftest import MIDDLE, RESULTS
from tests.workloads.analysis.killing import Attempts, kill_and_resume
from tests.workloads.analysis.many import Job, analyse
from tests.workloads.analysis.profile.serial import profile_of
from tests.workloads.analysis.watched_server import Choice, Request, after, counted, put
from workloads.analysis.checkpoint.store import Attempt, CheckpointStore
from workloads.analysis.tree import NodeId
from workloads.records import Manifest
from workloads.runtime import s3
from workloads.runtime.errors import StageError
from workloads.runtime.places import Bucket
from workloads.variables import (
    ENV_ANOMALY_MODE,
    ENV_ANOMALY_NEIGHBOURS,
    ENV_ANOMALY_TOP,
    ENV_BLOCK_MEMORY_MIB,
    ENV_CHECKPOINTS_PATH,
    ENV_SCRATCH_PATH,
    ENV_TABLES_PATH,
)

UNIT_ROWS, ROWS = 250, 3_000


def table(seed: int, rows: int = ROWS) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = rng.standard_t(4, size=(12, rows)).astype(np.float64)
    values[:, 1000:1010] = values[:, :10]  # duplicates across units
    values[3, rng.random(rows) < 0.01] = np.nan
    return values


def without_outliers(seed: int) -> np.ndarray:
    """Of such a table the panels leave a fifth, and of the other one nothing."""
    values = np.random.default_rng(seed).random((12, ROWS))
    values[:, 1000:1010] = values[:, :10]
    return values


TABLES = {"full": table, "top": without_outliers}


def environ_of(mode: str) -> dict[str, str]:
    return {
        ENV_ANOMALY_MODE: mode,
        ENV_ANOMALY_NEIGHBOURS: "10",
        ENV_ANOMALY_TOP: "20",
    }


FULL = environ_of("full")


@dataclass(frozen=True)
class Undisturbed:
    """By mode a table with a seed of its own every time, and its answer by one rank to the end."""

    seed: int
    tables: dict[str, np.ndarray]
    digests: dict[str, str]


@pytest.fixture(scope="module")
def undisturbed(store, tmp_path_factory) -> Undisturbed:
    seed = secrets.randbits(32)
    tables = {mode: make(seed) for mode, make in TABLES.items()}
    jobs = [
        Job(run=store.put_table(f"undisturbed-{mode}", values, unit_rows=UNIT_ROWS), mode=mode)
        for mode, values in tables.items()
    ]
    found = analyse(store, jobs, folder=tmp_path_factory.mktemp("jobs"))
    digests = {mode: one.digest for mode, one in zip(tables, found, strict=True)}
    return Undisturbed(seed, tables, digests)


DELETION = Request(method="POST", path=f"/{RESULTS}")
Kill = tuple[int, Choice, bool]
"""Ranks; the request at which one of them is killed; whether it is carried out all the same."""
KILLS: dict[str, tuple[list[Kill], int]] = {
    "full": (
        [
            (2, put("/profile-"), False),
            (1, counted("query-"), False),  # stored, and not counted
            (4, counted("found-"), True),
            (1, put("/checkpoints/scores-"), True),
            (2, put("/scores/unit-"), False),
            (1, put("/_SUCCESS.json"), False),
        ],
        2,
    ),
    "top": (
        [
            (2, counted("pilots"), True),
            (3, put("/kept-"), False),
            (1, after(put("/_SUCCESS.json"), DELETION.__eq__), False),  # while it is cleared away
        ],
        1,
    ),
}
"""By mode: what happens to a run, and the ranks that end it."""


@pytest.mark.parametrize("mode", KILLS)
def test_killed_at_any_moment_and_still_the_same_digest(store, undisturbed, mode):
    run = store.put_table(f"killed-{mode}", undisturbed.tables[mode], unit_rows=UNIT_ROWS)
    attempts = Attempts(store, run, environ_of(mode))
    kills, ranks = KILLS[mode]
    found = []
    for of_ranks, moment, carried_out in kills:
        attempts.end_at(of_ranks, moment, carried_out=carried_out)
        if store.keys(run.success_key):
            found.append(store.success(run))
    attempts.complete(ranks)
    found.append(store.success(run))
    digests = {success.digest for success in found}
    assert digests == {undisturbed.digests[mode]}, f"seed {undisturbed.seed}"
    assert found[0].checkpoint["objects_resumed"] > 1, "the last attempt began afresh"
    if mode == "full":
        assert found[0].anomaly.evaluations == 0, "what was compared is compared again"
    assert store.keys(run.checkpoints_prefix) == {}, "the checkpoint of a finished run stays"


@pytest.mark.drill
@pytest.mark.timeout(900)
def test_killed_twenty_times_at_random_and_still_the_same_digest(store):
    values = table(secrets.randbits(32), rows=12_000)
    kills, of_one_run = 20, 5
    killed, chains, half_way = 0, 0, 0
    expected: dict[str, str] = {}
    while killed < kills:
        seed = secrets.randbits(32)
        rng = random.Random(seed)  # noqa: S311 - no secret
        mode = "top" if chains % 3 == 2 else "full"
        environ = environ_of(mode)
        if mode not in expected:
            undisturbed = Attempts(
                store, store.put_table(f"undisturbed-{seed:x}", values, unit_rows=500), environ
            )
            undisturbed.complete(1)
            expected[mode] = store.success(undisturbed.run).digest
        attempts = Attempts(
            store, store.put_table(f"killed-{seed:x}", values, unit_rows=500), environ
        )
        killed += kill_and_resume(attempts, rng, kills=min(of_one_run, kills - killed))
        success = store.success(attempts.run)
        assert success.digest == expected[mode], (
            f"seed {seed}, mode {mode}: {attempts.number} attempts"
        )
        assert store.keys(attempts.run.checkpoints_prefix) == {}, (
            f"seed {seed}: the checkpoint of a finished run stays"
        )
        half_way += success.checkpoint["objects_resumed"] > 1  # more than the profile
        chains += 1
    assert killed == kills
    assert half_way >= chains / 2, "attempts began afresh instead of going on"


def test_a_profile_pass_goes_on_where_it_was_ended(store):
    values = table(secrets.randbits(32), rows=6_000)
    attempts = Attempts(store, store.put_table("profile-pass", values, unit_rows=100), {})
    units = Manifest.from_json(store.get(MIDDLE, attempts.run.manifest_key)).units
    done: set[int] = set()

    def units_of(names: Collection[str]) -> set[int]:
        """Units below the tree nodes that are stored."""
        places = (
            name.removeprefix("profile-numpy-").split("-")
            for name in names
            if name.startswith("profile-numpy-")
        )
        return {
            unit
            for level, index in places
            for unit in NodeId(int(level), int(index)).units
            if unit < len(units)
        }

    for ranks, signal_number in ((1, signal.SIGKILL), (2, signal.SIGTERM)):
        before = frozenset(done)
        attempts.end_at(
            ranks, after(put("/profile-"), counted("profile-")), signal_number=signal_number
        )
        done = units_of(attempts.checkpoint()["objects"])
        assert before < done < set(range(len(units)))
    assert "what it has is stored, and the next attempt goes on from there" in attempts.logs[-1]
    index = attempts.checkpoint()
    # a node of a GPU, whose bits may differ, is left alone
    of_a_gpu = f"{attempts.run.checkpoints_prefix}profile-cupy-00-000000-{'0' * 12}.npz"
    index["objects"]["profile-cupy-00-000000"] = {"key": of_a_gpu, "sha256": "0" * 64, "bytes": 1}
    store.s3.put_object(
        Bucket=RESULTS,
        Key=f"{attempts.run.checkpoints_prefix}checkpoint.json",
        Body=json.dumps(index),
    )
    attempts.complete(1)
    success = store.success(attempts.run)
    assert (
        success.digest
        == profile_of(values, unit_rows=100).digest
        == store.profile(attempts.run).digest
    )
    assert success.checkpoint["objects_resumed"] == len(index["objects"])
    missing = sum(unit.byte_length for unit in units if unit.index not in done)
    assert success.bytes_read == missing, "other units than those missing were read"
    assert store.keys(attempts.run.checkpoints_prefix) == {}


def test_a_damaged_and_a_foreign_checkpoint_are_not_used(store, undisturbed):
    run = store.put_table("left-checkpoint", undisturbed.tables["full"], unit_rows=UNIT_ROWS)
    attempts = Attempts(store, run, FULL)
    attempts.end_at(2, counted("query-"))
    left = {key: store.get(RESULTS, key) for key in store.keys(attempts.run.checkpoints_prefix)}
    objects = attempts.checkpoint()["objects"]
    key = next(entry["key"] for name, entry in objects.items() if name.startswith("query-"))
    data = bytearray(store.get(RESULTS, key))
    data[len(data) // 2] ^= 1
    store.s3.put_object(Bucket=RESULTS, Key=key, Body=bytes(data))
    attempts.complete(1)
    assert (
        f"the checkpoint is damaged ({key} has other bytes than those that were stored); starting"
        " afresh" in attempts.logs[-1]
    )
    assert store.success(run).digest == undisturbed.digests["full"]

    for key, data in left.items():
        store.s3.put_object(Bucket=RESULTS, Key=key, Body=data)
    attempts.environ = {**FULL, ENV_ANOMALY_NEIGHBOURS: "3"}
    attempts.complete(1)
    assert "is about something else (neighbours differ); starting afresh" in attempts.logs[-1]
    assert store.success(run).digest != undisturbed.digests["full"]
    assert store.success(run).anomaly.neighbours_used == 3


def test_tables_and_checkpoints_on_a_volume_change_no_answer(store, undisturbed, tmp_path):
    run = store.put_table("on-volume", undisturbed.tables["full"], unit_rows=UNIT_ROWS)
    copy = tmp_path / "tables" / run.table_key
    copy.parent.mkdir(parents=True)
    copy.write_bytes(store.get(MIDDLE, run.table_key))
    kept = tmp_path / "checkpoints"
    mounts = {
        ENV_TABLES_PATH: str(tmp_path / "tables"),
        ENV_CHECKPOINTS_PATH: str(kept),
    }
    attempts = Attempts(store, run, {**FULL, **mounts})
    attempts.end_when_stored(2, lambda names: any(name.startswith("query-") for name in names))
    assert f"units are read from {copy}" in attempts.logs[-1]
    assert store.keys(run.checkpoints_prefix) == {}, "checkpoints went to S3"

    unit = Manifest.from_json(store.get(MIDDLE, run.manifest_key)).units[10]
    with copy.open("r+b") as file:
        file.seek(unit.byte_offset)
        file.write(bytes(unit.byte_length))
    attempts.complete(1)
    assert f"is not read any more: unit 10 is not that of {run.table_key}" in attempts.logs[-1]
    success = store.success(run)
    assert success.digest == undisturbed.digests["full"]
    assert success.checkpoint["objects_resumed"] > 1
    assert [path for path in kept.rglob("*") if path.is_file()] == []


def test_units_on_a_scratch_disk_change_no_answer(store, undisturbed, tmp_path):
    run = store.put_table("on-scratch", undisturbed.tables["full"], unit_rows=UNIT_ROWS)
    scratch = {
        ENV_SCRATCH_PATH: str(tmp_path),
        "TMPDIR": str(tmp_path),
        ENV_BLOCK_MEMORY_MIB: "0.001",  # so that no unit stays in memory
    }
    Attempts(store, run, {**FULL, **scratch}).complete(2)
    assert store.success(run).digest == undisturbed.digests["full"]
    data = store.get(MIDDLE, run.table_key)
    for unit in Manifest.from_json(store.get(MIDDLE, run.manifest_key)).units:
        # one of the two ranks has it
        (file,) = tmp_path.glob(f"units-*/{unit.index}")
        assert file.read_bytes() == data[unit.byte_offset : unit.byte_offset + unit.byte_length]


@pytest.fixture
def stores(store, monkeypatch):
    for name, value in store.environ.items():
        monkeypatch.setenv(name, value)
    s3.client.cache_clear()
    run = store.put_table("stale", np.ones((1, 10), np.float64), unit_rows=10)

    def make(number: int, job_id: str = "job", **identity: int) -> CheckpointStore:
        return CheckpointStore(
            Bucket(RESULTS),
            run.checkpoints_prefix,
            {"neighbours": 10, **identity},
            Attempt(job_id=job_id, number=number),
        )

    yield make
    s3.client.cache_clear()


def test_a_stale_attempt_is_refused_and_overwrites_nothing(stores):
    first, second = stores(1), stores(2)
    assert first.claim() == {}
    old = first.put("query-000000", {"a": np.arange(3)})
    first.commit({"query-000000": old}, ())
    assert second.claim() == {"query-000000": old}  # goes on from it
    new = second.put("query-000000", {"a": np.arange(4)})
    second.commit({"query-000000": new}, ())
    late = first.put("query-000000", {"a": np.arange(5)})
    for action in (lambda: first.commit({"query-000000": late}, ()), first.clear):
        with pytest.raises(
            StageError,
            match="belongs to another attempt now, so this one, attempt 1 of job job, ends",
        ):
            action()
    with pytest.raises(StageError, match="belongs to attempt 2 of job job now"):
        stores(1).claim()
    np.testing.assert_array_equal(second.get(new)["a"], np.arange(4))
    assert stores(1, job_id="submitted again").claim() == {"query-000000": new}
    assert stores(3, neighbours=11).claim() == {}
