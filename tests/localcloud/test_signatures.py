"""Signatures: what AWS's own signers make is taken, whatever is changed afterwards is not, and
every service refuses in its own words.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.auth import (
    HmacV1Auth,
    HmacV1QueryAuth,
    S3SigV4Auth,
    S3SigV4QueryAuth,
    SigV4Auth,
    SigV4QueryAuth,
)
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from localcloud.protocol import signatures
from tests.localcloud.conftest import Stage, trust

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def seen(signed: AWSRequest) -> signatures.Request:
    """A request as the server gets it from the line."""
    prepared = signed.prepare()
    parts = urlsplit(prepared.url)
    headers = {
        name: value.decode() if isinstance(value, bytes) else str(value)
        for name, value in dict(prepared.headers).items()
    }
    headers.setdefault("Host", parts.netloc)
    environ = {
        "REQUEST_METHOD": prepared.method,
        "RAW_URI": parts.path + (f"?{parts.query}" if parts.query else ""),
        "localcloud.headers": list(headers.items()),
    }
    return signatures.Request.of(environ)


def is_good(request: signatures.Request, secret: str = SECRET, payload: str = EMPTY) -> bool:
    found = signatures.claim(request)
    assert found is not None
    return signatures.is_signed_by(
        request, found, secret, request.headers.get("x-amz-content-sha256", payload)
    )


KEYS = st.text(
    st.characters(codec="utf-8", exclude_characters="\r\n\t\x00"), min_size=1, max_size=20
)


@given(
    path=KEYS,
    names=st.dictionaries(KEYS, KEYS, max_size=3),
    kind=st.sampled_from([S3SigV4Auth, SigV4Auth]),
)
def test_what_botocore_signs_is_taken_and_nothing_else(
    path: str, names: dict[str, str], kind: Any
) -> None:
    from urllib.parse import quote

    query = "&".join(
        f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in names.items()
    )
    url = f"http://127.0.0.1:5055/{quote(path, safe='/~')}" + (f"?{query}" if query else "")
    request = AWSRequest("GET", url, headers={"X-Amz-Meta-A": "  two   words "})
    if kind is S3SigV4Auth:
        request.context["client_config"] = Config(s3={"payload_signing_enabled": True})
    signer = kind(
        Credentials("LKIA", SECRET), "s3" if kind is S3SigV4Auth else "batch", "us-east-1"
    )
    signer.add_auth(request)
    taken = seen(request)
    assert is_good(taken)
    assert not is_good(taken, secret=SECRET.lower())
    others: tuple[dict[str, Any], ...] = (
        {"method": "PUT"},
        {"target": taken.target + "x"},
        {"headers": {**taken.headers, "x-amz-meta-a": "three words"}},
        {"headers": {**taken.headers, "host": "127.0.0.1:5056"}},
    )
    for other in others:
        changed = signatures.Request(
            **{"method": taken.method, "target": taken.target, "headers": taken.headers, **other}
        )
        assert not is_good(changed), other


@given(
    path=KEYS, kind=st.sampled_from([S3SigV4QueryAuth, SigV4QueryAuth, HmacV1QueryAuth, HmacV1Auth])
)
def test_urls_that_are_signed_and_version_two(path: str, kind: Any) -> None:
    from urllib.parse import quote

    request = AWSRequest("GET", f"http://127.0.0.1:5055/bucket/{quote(path, safe='~')}")
    signer: Any
    if kind is HmacV1QueryAuth:
        signer = kind(Credentials("LKIA", SECRET), expires=60)
    elif kind is HmacV1Auth:
        signer = kind(Credentials("LKIA", SECRET))
    else:
        signer = kind(
            Credentials("LKIA", SECRET),
            "s3" if kind is S3SigV4QueryAuth else "sts",
            "us-east-1",
            expires=60,
        )
    signer.add_auth(request)
    payload = "UNSIGNED-PAYLOAD" if kind is S3SigV4QueryAuth else EMPTY
    taken = seen(request)
    assert is_good(taken, payload=payload)
    assert not is_good(taken, secret=SECRET.lower(), payload=payload)
    changed = signatures.Request(method="DELETE", target=taken.target, headers=taken.headers)
    assert not is_good(changed, payload=payload)


def client(stage: Stage, service: str, key: str, secret: str, token: str | None = None) -> Any:
    return boto3.client(  # type: ignore[call-overload]
        service,
        endpoint_url=stage.cloud.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token,
        config=Config(retries={"total_max_attempts": 1}),
    )


CALLS: list[tuple[str, str, dict[str, Any], str, str]] = [
    ("s3", "list_buckets", {}, "InvalidAccessKeyId", "SignatureDoesNotMatch"),
    (
        "s3",
        "put_object",
        {"Bucket": "b", "Key": "k", "Body": b"1"},
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
    ),
    ("ec2", "describe_vpcs", {}, "AuthFailure", "SignatureDoesNotMatch"),
    ("sts", "get_caller_identity", {}, "InvalidClientTokenId", "SignatureDoesNotMatch"),
    ("iam", "list_roles", {}, "InvalidClientTokenId", "SignatureDoesNotMatch"),
    ("sns", "list_topics", {}, "InvalidClientTokenId", "SignatureDoesNotMatch"),
    ("sqs", "list_queues", {}, "InvalidClientTokenId", "SignatureDoesNotMatch"),
    ("cloudwatch", "list_metrics", {}, "InvalidClientTokenId", "SignatureDoesNotMatch"),
    ("dynamodb", "list_tables", {}, "UnrecognizedClientException", "InvalidSignatureException"),
    ("logs", "describe_log_groups", {}, "UnrecognizedClientException", "InvalidSignatureException"),
    (
        "stepfunctions",
        "list_state_machines",
        {},
        "UnrecognizedClientException",
        "InvalidSignatureException",
    ),
    ("events", "list_rules", {}, "UnrecognizedClientException", "InvalidSignatureException"),
    (
        "batch",
        "describe_job_queues",
        {},
        "UnrecognizedClientException",
        "InvalidSignatureException",
    ),
    ("lambda", "list_functions", {}, "UnrecognizedClientException", "InvalidSignatureException"),
    (
        "budgets",
        "describe_budgets",
        {"AccountId": "123456789012"},
        "UnrecognizedClientException",
        "InvalidSignatureException",
    ),
]


@pytest.mark.parametrize(
    ("service", "operation", "params", "unknown", "wrong"),
    CALLS,
    ids=[f"{each[0]}-{each[1]}" for each in CALLS],
)
def test_unknown_keys_and_wrong_secrets_in_the_words_of_each_service(
    stage: Stage, service: str, operation: str, params: dict[str, Any], unknown: str, wrong: str
) -> None:
    deployer = stage.cloud.deployer
    for key, secret, code in (("test", "test", unknown), (deployer.access_key, "wrong", wrong)):
        with pytest.raises(ClientError) as refused:
            getattr(client(stage, service, key, secret), operation)(**params)
        assert refused.value.response["Error"]["Code"] == code
        assert refused.value.response["Error"]["Message"]
    if service != "s3":
        getattr(client(stage, service, deployer.access_key, deployer.secret), operation)(**params)


def test_every_start_has_its_own_secret(stage: Stage) -> None:
    from localcloud.http.keys import Deployer

    assert len({Deployer().secret for _ in range(10)}) == 10
    assert stage.cloud.deployer.secret not in repr(stage.cloud.deployer)


@contextmanager
def clock(monkeypatch: pytest.MonkeyPatch, seconds: float) -> Iterator[None]:
    """Botocore's clock, put forward."""

    def now(remove_tzinfo: bool = True) -> datetime:
        moment = datetime.now(UTC) + timedelta(seconds=seconds)
        return moment.replace(tzinfo=None) if remove_tzinfo else moment

    with monkeypatch.context() as patch:
        patch.setattr("botocore.auth.get_current_datetime", now)
        yield


@pytest.mark.parametrize(
    ("service", "operation", "code"),
    [
        ("s3", "list_buckets", "RequestTimeTooSkewed"),
        ("batch", "describe_job_queues", "InvalidSignatureException"),
        ("sts", "get_caller_identity", "SignatureDoesNotMatch"),
    ],
)
@pytest.mark.parametrize("seconds", [-1000, 1000])
def test_a_clock_that_is_wrong(
    stage: Stage,
    monkeypatch: pytest.MonkeyPatch,
    service: str,
    operation: str,
    code: str,
    seconds: float,
) -> None:
    deployer = stage.cloud.deployer
    asked = client(stage, service, deployer.access_key, deployer.secret)
    with clock(monkeypatch, seconds), pytest.raises(ClientError) as refused:
        getattr(asked, operation)()
    assert refused.value.response["Error"]["Code"] == code
    with clock(monkeypatch, seconds / 2):
        getattr(asked, operation)()


def fetch(url: str, method: str = "GET", body: bytes | None = None) -> tuple[int, bytes]:
    parts = urlsplit(url)
    line = http.client.HTTPConnection(parts.netloc, timeout=5)
    line.request(method, f"{parts.path}?{parts.query}", body=body)
    answer = line.getresponse()
    found = answer.status, answer.read()
    line.close()
    return found


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_presigned_urls_hold_for_their_time(stage: Stage, version: str) -> None:
    deployer = stage.cloud.deployer
    bucket = stage.name("presigned")
    make: Any = boto3.client
    s3 = make(
        "s3",
        endpoint_url=stage.cloud.endpoint_url,
        region_name="us-east-1",
        config=Config(signature_version=version, s3={"addressing_style": "path"}),
        **deployer.credentials,
    )
    s3.create_bucket(Bucket=bucket)
    params = {"Bucket": bucket, "Key": "a b/ü+c.txt"}
    put = s3.generate_presigned_url("put_object", Params=params, ExpiresIn=60)
    assert fetch(put, "PUT", b"content")[0] == 200
    got = s3.generate_presigned_url(
        "get_object", Params={**params, "ResponseContentType": "text/x"}, ExpiresIn=60
    )
    assert fetch(got) == (200, b"content")
    assert fetch(got, "DELETE")[0] == 403
    assert fetch(got.replace("c.txt", "d.txt"))[0] == 403
    short = s3.generate_presigned_url("get_object", Params=params, ExpiresIn=1)
    time.sleep(2.1)
    status, body = fetch(short)
    assert (status, b"<Code>AccessDenied</Code>" in body, b"Request has expired" in body) == (
        403,
        True,
        True,
    )


def test_sessions_need_their_token_and_end(stage: Stage) -> None:
    role = stage.role("ecs-tasks.amazonaws.com", {"Action": "s3:*", "Resource": "*"})
    document = json.loads(trust("ecs-tasks.amazonaws.com"))
    document["Statement"].append(
        {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    )
    stage.client("iam").update_assume_role_policy(
        RoleName=role.rsplit("/", 1)[-1], PolicyDocument=json.dumps(document)
    )
    found = stage.client("sts").assume_role(RoleArn=role, RoleSessionName="session")["Credentials"]
    keys = found["AccessKeyId"], found["SecretAccessKey"]
    assert (
        client(stage, "s3", *keys, found["SessionToken"]).list_buckets()["ResponseMetadata"][
            "HTTPStatusCode"
        ]
        == 200
    )
    for token in (None, "other"):
        with pytest.raises(ClientError, match="InvalidToken"):
            client(stage, "s3", *keys, token).list_buckets()
        with pytest.raises(ClientError, match="UnrecognizedClientException"):
            client(stage, "batch", *keys, token).describe_job_queues()


def test_keys_of_users_have_the_users_policies(stage: Stage) -> None:
    iam, user = stage.client("iam"), stage.name("user")
    iam.create_user(UserName=user)
    key = iam.create_access_key(UserName=user)["AccessKey"]
    queues = client(stage, "batch", key["AccessKeyId"], key["SecretAccessKey"]).describe_job_queues
    with pytest.raises(
        ClientError, match=f"user/{user} is not authorized to perform: batch:DescribeJobQueues"
    ):
        queues()
    group = stage.name("group")
    iam.create_group(GroupName=group)
    statement = {"Effect": "Allow", "Action": "batch:Describe*", "Resource": "*"}
    iam.put_group_policy(
        GroupName=group,
        PolicyName="p",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )
    iam.add_user_to_group(GroupName=group, UserName=user)
    queues()
    iam.update_access_key(UserName=user, AccessKeyId=key["AccessKeyId"], Status="Inactive")
    with pytest.raises(ClientError, match="UnrecognizedClientException"):
        queues()


def test_another_account_cannot_be_named_in_a_header(stage: Stage) -> None:
    stage.client("s3").create_bucket(Bucket="of-the-account")
    deployer = stage.cloud.deployer
    request = AWSRequest(
        "GET", f"{stage.cloud.endpoint_url}/", headers={"x-moto-account-id": "999999999999"}
    )
    S3SigV4Auth(Credentials(deployer.access_key, deployer.secret), "s3", "us-east-1").add_auth(
        request
    )
    prepared = request.prepare()
    connection = http.client.HTTPConnection("127.0.0.1", stage.cloud.port, timeout=5)
    connection.request(
        "GET", "/", headers={name: str(value) for name, value in dict(prepared.headers).items()}
    )
    assert b"of-the-account" in connection.getresponse().read()
    connection.close()
