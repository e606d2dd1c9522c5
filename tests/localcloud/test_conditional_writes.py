"""Conditional writes as S3 documents them (user guide, "How to prevent object overwrites with
conditional writes"): of many, one wins.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.conftest import Stage

WRITERS, ROUNDS = 12, 15


@pytest.fixture(scope="module")
def bucket(stage: Stage) -> str:
    stage.client("s3").create_bucket(Bucket="conditions")
    return "conditions"


def answer(stage: Stage, bucket: str, key: str, body: bytes, **condition: str) -> int:
    """The status of a PutObject."""
    try:
        reply = stage.client("s3").put_object(Bucket=bucket, Key=key, Body=body, **condition)
    except ClientError as error:
        return int(error.response["ResponseMetadata"]["HTTPStatusCode"])
    return int(reply["ResponseMetadata"]["HTTPStatusCode"])


@pytest.mark.parametrize("size", [3, 300_000], ids=["small", "larger"])
def test_of_many_writers_one_is_the_first_and_one_replaces_what_it_has_read(
    stage: Stage, bucket: str, size: int
) -> None:
    s3 = stage.client("s3")
    with ThreadPoolExecutor(WRITERS) as pool:
        for number in range(ROUNDS):
            key = f"{size}/{number}"
            bodies = [bytes([65 + writer]) * size for writer in range(WRITERS)]
            found = list(pool.map(partial(answer, stage, bucket, key, IfNoneMatch="*"), bodies))
            assert sorted(found) == [200] + [412] * (WRITERS - 1)
            stored = s3.get_object(Bucket=bucket, Key=key)
            assert stored["Body"].read() == bodies[found.index(200)]
            etag, others = stored["ETag"], [body.lower() for body in bodies]
            found = list(pool.map(partial(answer, stage, bucket, key, IfMatch=etag), others))
            assert sorted(found) == [200] + [412] * (WRITERS - 1)
            assert (
                s3.get_object(Bucket=bucket, Key=key)["Body"].read() == (others[found.index(200)])
            )


def test_what_is_gone_is_not_replaced(stage: Stage, bucket: str) -> None:
    s3 = stage.client("s3")
    etag = s3.put_object(Bucket=bucket, Key="gone", Body=b"1")["ETag"]
    assert answer(stage, bucket, "gone", b"2", IfMatch='"0123"') == 412
    s3.delete_object(Bucket=bucket, Key="gone")
    assert answer(stage, bucket, "gone", b"2", IfMatch=etag) == 404
    assert answer(stage, bucket, "gone", b"2", IfNoneMatch="*") == 200
