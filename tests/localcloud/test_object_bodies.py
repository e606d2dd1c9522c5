"""Objects on their way in and out: chunks, checksums and hashes are verified, large ones lie on
disk and cost no memory.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import os
import resource
import socket
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from localcloud.protocol.signatures import Claim, signing_key
from localcloud.services.s3 import checksums
from tests.localcloud.conftest import Stage

BIG = 3 << 20


@pytest.fixture(scope="module")
def bucket(stage: Stage) -> str:
    stage.client("s3").create_bucket(Bucket="bodies")
    return "bodies"


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


@pytest.mark.parametrize(
    ("algorithm", "check"),
    [("CRC32C", 0xE3069283), ("CRC64NVME", 0xAE8B14860A799888), ("CRC32", 0xCBF43926)],
)
def test_the_check_values_of_the_catalogue(algorithm: str, check: int) -> None:
    found = checksums.new(algorithm)
    found.update(b"123456789")
    assert int.from_bytes(found.digest(), "big") == check


@given(st.lists(st.integers(0, 200_000), max_size=4), st.integers(0, 2**32))
def test_lanes_give_what_bytes_give(lengths: list[int], seed: int) -> None:
    data = hashlib.shake_128(str(seed).encode()).digest(sum(lengths))
    lanes, start = checksums._WideCrc(0xEDB88320, 4), 0
    for length in lengths:
        lanes.update(data[start : start + length])
        start += length
    assert lanes.digest() == zlib.crc32(data).to_bytes(4, "big")


@pytest.mark.parametrize("size", [0, 1, 5000, BIG])
@pytest.mark.parametrize("algorithm", ["CRC32", "SHA1", "SHA256"])
def test_what_the_sdk_sends_comes_back(
    stage: Stage, bucket: str, size: int, algorithm: str
) -> None:
    s3, body = stage.client("s3"), os.urandom(size)
    put = s3.put_object(
        Bucket=bucket,
        Key=f"a/{size}",
        Body=body,
        ChecksumAlgorithm=algorithm,
        Metadata={"k": "v"},
        ContentType="text/x",
    )
    got = s3.get_object(Bucket=bucket, Key=f"a/{size}", ChecksumMode="ENABLED")
    assert got["Body"].read() == body
    assert (got["ContentLength"], got["ContentType"], got["Metadata"]) == (
        size,
        "text/x",
        {"k": "v"},
    )
    assert put["ETag"] == got["ETag"] == f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
    expected = checksums.new(algorithm)
    expected.update(body)
    assert put[f"Checksum{algorithm}"] == got[f"Checksum{algorithm}"] == checksums.encoded(expected)


def test_ranges_conditions_and_copies_of_a_large_object(stage: Stage, bucket: str) -> None:
    s3, body = stage.client("s3"), os.urandom(BIG)
    etag = s3.put_object(Bucket=bucket, Key="big", Body=body)["ETag"]
    for text, part in (
        ("bytes=5-1000004", body[5:1000005]),
        ("bytes=-7", body[-7:]),
        (f"bytes={BIG - 3}-", body[-3:]),
        ("bytes=0-0", body[:1]),
    ):
        got = s3.get_object(Bucket=bucket, Key="big", Range=text)
        assert (got["Body"].read(), got["ResponseMetadata"]["HTTPStatusCode"]) == (part, 206)
        assert got["ContentRange"].endswith(f"/{BIG}")
    with pytest.raises(ClientError, match="InvalidRange"):
        s3.get_object(Bucket=bucket, Key="big", Range=f"bytes={BIG}-")
    with pytest.raises(ClientError, match="304"):
        s3.get_object(Bucket=bucket, Key="big", IfNoneMatch=etag)
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket=bucket, Key="big", Body=body, IfNoneMatch="*")
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "big"})
    s3.delete_object(Bucket=bucket, Key="big")
    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == body
    assert s3.head_object(Bucket=bucket, Key="copy")["ContentLength"] == BIG
    assert (
        s3.get_object(Bucket=bucket, Key="copy", ResponseContentType="x/y")["ContentType"] == "x/y"
    )


def test_parts_become_one_object(stage: Stage, bucket: str) -> None:
    s3, parts = stage.client("s3"), [os.urandom(5 << 20), os.urandom(6 << 20), b"end"]
    s3.put_object(Bucket=bucket, Key="source", Body=parts[1] + b"tail")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="whole", ChecksumAlgorithm="CRC32")[
        "UploadId"
    ]
    common = {"Bucket": bucket, "Key": "whole", "UploadId": upload}
    first = s3.upload_part(**common, PartNumber=1, Body=parts[0], ChecksumAlgorithm="CRC32")["ETag"]
    second = s3.upload_part_copy(
        **common,
        PartNumber=2,
        CopySource={"Bucket": bucket, "Key": "source"},
        CopySourceRange=f"bytes=0-{len(parts[1]) - 1}",
    )["CopyPartResult"]["ETag"]
    third = s3.upload_part(**common, PartNumber=3, Body=parts[2], ChecksumAlgorithm="CRC32")["ETag"]
    listed = [{"PartNumber": n, "ETag": tag} for n, tag in enumerate((first, second, third), 1)]
    done = s3.complete_multipart_upload(**common, MultipartUpload={"Parts": listed})
    digests = b"".join(hashlib.md5(each, usedforsecurity=False).digest() for each in parts)
    assert done["ETag"] == f'"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-3"'
    assert s3.get_object(Bucket=bucket, Key="whole")["Body"].read() == b"".join(parts)


def test_what_does_not_match_is_not_kept(stage: Stage, bucket: str) -> None:
    s3, body = stage.client("s3"), os.urandom(BIG)
    wrong = base64.b64encode(b"\0" * 4).decode()
    for params, expected in (
        ({"ChecksumCRC32": wrong}, "BadDigest"),
        ({"ChecksumCRC32C": wrong}, "BadDigest"),
        ({"ChecksumCRC64NVME": base64.b64encode(b"\0" * 8).decode()}, "BadDigest"),
        ({"ChecksumSHA256": base64.b64encode(b"\0" * 32).decode()}, "BadDigest"),
        ({"ContentMD5": base64.b64encode(b"\0" * 16).decode()}, "BadDigest"),
        ({"ContentMD5": "nonsense"}, "InvalidDigest"),
    ):
        for content in (body, b"small"):
            with pytest.raises(ClientError) as refused:
                s3.put_object(Bucket=bucket, Key="wrong", Body=content, **params)
            assert code(refused) == expected, params
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket, Prefix="wrong")


class _Streaming(S3SigV4Auth):
    def payload(self, _: Any) -> str:
        return "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"


def chunked(claim: Claim, secret: str, chunks: list[bytes], *, forged: int = -1) -> bytes:
    """A body in signed chunks, written by hand from the S3 API Reference."""
    import hmac

    key, previous, text = signing_key(secret, claim.scope), claim.signature, b""
    for number, chunk in enumerate([*chunks, b""]):
        hashes = f"{hashlib.sha256().hexdigest()}\n{hashlib.sha256(chunk).hexdigest()}"
        lines = f"AWS4-HMAC-SHA256-PAYLOAD\n{claim.signed_at:%Y%m%dT%H%M%SZ}\n{claim.scope}\n{previous}\n{hashes}"
        previous = hmac.digest(key, lines.encode(), "sha256").hex()
        sent = chunk if number != forged else b"\0" * len(chunk)
        text += f"{len(chunk):x};chunk-signature={previous}\r\n".encode() + sent + b"\r\n"
    return text


@pytest.mark.parametrize("forged", [-1, 0, 1])
def test_chunks_that_are_signed_one_by_one(stage: Stage, bucket: str, forged: int) -> None:
    deployer, chunks = stage.cloud.deployer, [os.urandom(1 << 20), os.urandom(70_000)]
    size, key = sum(map(len, chunks)), f"chunked-{forged}"
    headers = {
        "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "x-amz-decoded-content-length": str(size),
        "content-encoding": "aws-chunked",
    }
    request = AWSRequest("PUT", f"{stage.cloud.endpoint_url}/{bucket}/{key}", headers=headers)
    _Streaming(Credentials(deployer.access_key, deployer.secret), "s3", "us-east-1").add_auth(
        request
    )
    found = {name.lower(): str(value) for name, value in dict(request.headers).items()}
    claim = Claim(
        access_key=deployer.access_key,
        signature=found["authorization"].rpartition("=")[2],
        signed_at=datetime.strptime(found["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC),
        version=4,
        presigned=False,
        date=found["x-amz-date"][:8],
        region="us-east-1",
        service="s3",
    )
    line = http.client.HTTPConnection("127.0.0.1", stage.cloud.port, timeout=10)
    line.request(
        "PUT",
        f"/{bucket}/{key}",
        body=chunked(claim, deployer.secret, chunks, forged=forged),
        headers=found,
    )
    answer = line.getresponse()
    text = answer.read()
    line.close()
    assert answer.status == (200 if forged < 0 else 403), text
    listed = stage.client("s3").list_objects_v2(Bucket=bucket, Prefix=key).get("Contents", [])
    assert [each["Size"] for each in listed] == ([size] if forged < 0 else [])


def test_a_body_that_breaks_off_is_not_kept(stage: Stage, bucket: str) -> None:
    url = stage.client("s3").generate_presigned_url(
        "put_object", Params={"Bucket": bucket, "Key": "broken"}
    )
    with socket.create_connection(("127.0.0.1", stage.cloud.port), timeout=5) as line:
        target, host = url.partition(str(stage.cloud.port))[2], f"127.0.0.1:{stage.cloud.port}"
        line.sendall(
            f"PUT {target} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 9000000\r\n\r\n".encode()
            + b"x" * 1_000_000
        )
        line.shutdown(socket.SHUT_WR)
        assert b"IncompleteBody" in line.recv(1 << 16)
    assert "Contents" not in stage.client("s3").list_objects_v2(Bucket=bucket, Prefix="broken")


def test_a_bucket_in_the_host(stage: Stage, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo

    def resolve(host: Any, *rest: Any, **more: Any) -> Any:
        return real("127.0.0.1" if str(host).endswith(".localhost") else host, *rest, **more)

    monkeypatch.setattr(
        socket, "getaddrinfo", resolve
    )  # not every machine has names below localhost
    make: Any = boto3.client
    for endpoint in (
        f"http://localhost:{stage.cloud.port}",
        f"http://s3.localhost:{stage.cloud.port}",
    ):
        s3 = make(
            "s3",
            endpoint_url=endpoint,
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "virtual"}),
            **stage.cloud.deployer.credentials,
        )
        s3.put_object(Bucket=bucket, Key="by/host", Body=b"1")
        assert s3.get_object(Bucket=bucket, Key="by/host")["Body"].read() == b"1"
        assert [
            each["Key"] for each in s3.list_objects_v2(Bucket=bucket, Prefix="by/")["Contents"]
        ] == ["by/host"]


@pytest.mark.timeout(120)
def test_large_objects_cost_no_memory(stage: Stage, bucket: str, tmp_path: Path) -> None:
    size = 192 << 20
    source, copy = tmp_path / "source", tmp_path / "copy"
    with source.open("wb") as file:
        file.truncate(size)
    files = set((stage.directory / "objects").glob("*"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    s3 = stage.client("s3")
    with source.open("rb") as file:
        s3.put_object(Bucket=bucket, Key="large", Body=file, ChecksumAlgorithm="CRC32")
    s3.upload_file(str(source), bucket, "parts")
    s3.copy_object(Bucket=bucket, Key="large-copy", CopySource={"Bucket": bucket, "Key": "large"})
    for key in ("large", "parts", "large-copy"):
        s3.download_file(bucket, key, str(copy))
        assert copy.stat().st_size == size
        s3.delete_object(Bucket=bucket, Key=key)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < size, f"the process grew by {grown >> 20} MiB for objects of {size >> 20} MiB"
    assert set((stage.directory / "objects").glob("*")) <= files, "the files go with the objects"
