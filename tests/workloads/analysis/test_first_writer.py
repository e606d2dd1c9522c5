"""Objects that several machines write: fifty writers at a time, some of them slower, repacked, of
another release, or wrong.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from localcloud.cloud import LocalCloud
from tests.workloads.analysis.tables import run_of
from workloads.analysis import first_writer
from workloads.analysis.knn.top import Top
from workloads.analysis.outliers import result
from workloads.analysis.outliers.full_search import UnitScores
from workloads.analysis.outliers.record import Stored
from workloads.analysis.outliers.result import decode_scores, scores_digest
from workloads.analysis.outliers.score_files import ScoreFiles
from workloads.analysis.pipeline.partial_result import Found
from workloads.analysis.pipeline.run_metrics import Figures
from workloads.analysis.pipeline.shard_store import Part, ShardStore
from workloads.lines import Lines
from workloads.runtime import s3
from workloads.runtime.errors import StageError

BUCKET = "results"
WRITERS = 50
LINES = Lines(rows=np.array([0]), lines=np.array([2]))
HERE = threading.local()


@pytest.fixture(scope="module")
def cloud(tmp_path_factory) -> Iterator[LocalCloud]:
    # whose conditional writes are one step, as those of S3 are
    with LocalCloud(tmp_path_factory.mktemp("cloud"), images={}) as cloud:
        cloud.client("s3").create_bucket(Bucket=BUCKET)
        yield cloud


@pytest.fixture(autouse=True)
def machines(cloud, monkeypatch):
    """The thread's own name is that of its machine."""
    client = cloud.client("s3")
    monkeypatch.setattr(s3, "client", lambda: client)
    monkeypatch.setattr(first_writer, "this_machine", lambda: getattr(HERE, "name", "me"))


def scores(seed: int = 0) -> UnitScores:
    rng = np.random.default_rng(seed)
    ids = np.arange(400)
    return UnitScores(
        ids=ids,
        scores=rng.random(400),
        kth_ids=rng.permutation(ids),
        nearest_ids=rng.permutation(ids),
        fallback_rows=0,
    )


WRITE = pq.write_table


def repacked(number: int, table: pa.Table, buffer: io.BytesIO) -> None:
    """As another version of Arrow does it: the same table, other bytes."""
    WRITE(table, buffer, row_group_size=number * 3 + 50)


def at_once(work: Callable[[int], Any]) -> list[Any]:
    """What each of fifty machines gets: a value, or the error."""
    together = threading.Barrier(WRITERS)

    def one(number: int) -> Any:
        HERE.name = f"machine-{number}"
        together.wait()
        try:
            return work(number)
        except StageError as error:
            return error

    with ThreadPoolExecutor(WRITERS) as pool:
        return list(pool.map(one, range(WRITERS)))


def test_fifty_writers_that_say_the_same_in_other_bytes_name_the_one_object(monkeypatch):
    # pyarrow is one for all threads, so that each call is packed in its own way by the order of the
    # calls
    calls = itertools.count()
    monkeypatch.setattr(pq, "write_table", lambda table, to, **_: repacked(next(calls), table, to))
    run = run_of("same-scores")
    files = ScoreFiles(bucket=BUCKET, run=run, identity="a")
    named = at_once(lambda _: files.store(3, scores(), LINES))
    assert len(set(named)) == 1
    stored, digest = named[0]
    data = s3.get_bytes(BUCKET, run.scores_prefix + stored.name)
    assert hashlib.sha256(data).hexdigest() == stored.sha256
    assert scores_digest(*decode_scores(data)) == digest
    assert next(calls) == WRITERS


def test_of_fifty_mixed_writers_those_that_contradict_the_first_name_both_machines(cloud):
    run = run_of("mixed-scores")
    wrong = {7, 8, 31}

    def write(number: int) -> Any:
        files = ScoreFiles(bucket=BUCKET, run=run, identity="a")
        return files.store(0, scores(number if number in wrong else 0), LINES)

    found = at_once(write)
    key = run.scores_prefix + result.scores_name(0)
    first = cloud.client("s3").head_object(Bucket=BUCKET, Key=key)["Metadata"]["machine"]
    errors = {number: each for number, each in enumerate(found) if isinstance(each, StageError)}
    mistaken = int(first.removeprefix("machine-")) in wrong
    winner = int(first.removeprefix("machine-"))
    agreeing = {winner} if mistaken else set(range(WRITERS)) - wrong
    assert set(errors) == set(range(WRITERS)) - agreeing
    assert len({found[number] for number in agreeing}) == 1
    for number, error in errors.items():
        assert f"s3://{BUCKET}/{key} is another result of the same table" in error.sentence
        assert f"{first} found " in error.sentence
        assert f"and machine-{number} found " in error.sentence
        assert "delete the object" in error.hint


def test_scores_of_another_release_or_damaged_ones_are_replaced(cloud):
    run = run_of("other-scores")
    old, new = (ScoreFiles(bucket=BUCKET, run=run, identity=name) for name in ("old", "new"))
    before = old.store(0, scores(1), LINES)
    after = new.store(0, scores(2), LINES)
    assert before != after
    assert new.store(0, scores(2), LINES) == after
    key = run.scores_prefix + after[0].name
    metadata = cloud.client("s3").head_object(Bucket=BUCKET, Key=key)["Metadata"]
    cloud.client("s3").put_object(Bucket=BUCKET, Key=key, Body=b"PAR1", Metadata=metadata)
    assert new.store(0, scores(2), LINES) == after
    cloud.client("s3").put_object(Bucket=BUCKET, Key=key, Body=b"by hand")
    assert new.store(0, scores(2), LINES) == after


def part(number: int, **changes: Any) -> Part:
    first = Top(
        ids=np.array([4, 2]),
        scores=np.array([9.0, 8.0]),
        kth_ids=np.array([1, 1]),
        nearest_ids=np.array([3, 3]),
    )
    found = Found(
        first=first,
        rows=10,
        undirected_rows=0,
        fallback_rows=number,
        evaluations=100 + number,
        rows_left=number,
        scores=(Stored(name="unit", sha256="0"),),
        digests=("d",),
    )
    figures = Figures(
        ranks=1,
        nodes=1,
        seconds={"pairs": number / 7},
        bytes_moved={},
        peak_memory_bytes=number,
        peak_device_bytes=0,
    )
    return Part(found=replace(found, **changes), figures=figures)


def test_fifty_mixed_parts_and_profiles_of_shards():
    shards = ShardStore(BUCKET, run_of("mixed-parts"), {"manifest_sha256": "0"})
    queries = range(3)
    assert at_once(lambda number: shards.offer_part(queries, part(number))) == [None] * WRITERS
    stored = shards.parts([queries])
    assert stored is not None
    assert stored[0].found.answers() == part(0).found.answers()
    for change in ({"rows": 11}, {"digests": ("e",)}, {"undirected_rows": 1}):
        with pytest.raises(StageError, match=r"machine-\d+ found [0-9a-f]{12}, and me found"):
            shards.offer_part(queries, part(0, **change))
    other = replace(part(0).found.first, nearest_ids=np.array([3, 5]))
    with pytest.raises(StageError, match="is another result of the same table"):
        shards.offer_part(queries, part(0, first=other))

    def profile(number: int) -> dict[str, Any]:
        facts = np.frombuffer(json.dumps({"by": number}).encode(), np.uint8)
        mean = np.array([1.0 + 2.0**-52 if number == 11 else 1.0])
        return shards.offer_profile({"mean": mean, "facts": facts})

    found = at_once(profile)
    failed = [number for number, each in enumerate(found) if isinstance(each, StageError)]
    kept = [each for each in found if not isinstance(each, StageError)]
    assert failed == [11] or len(kept) == 1
    assert len({json.dumps([value.tolist() for value in each.values()]) for each in kept}) == 1
