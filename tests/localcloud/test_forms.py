"""Forms that upload an object (presigned POST): what S3 takes, and what it answers."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from email.message import Message
from typing import Any, Final

import boto3
import pytest
from botocore.config import Config
from urllib3.filepost import encode_multipart_formdata

from tests.localcloud.conftest import Stage, until

CONTENT: Final = bytes(range(256)) * 40 + b"\r\n--x\r\n"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def s3(stage: Stage, version: str = "s3v4", **keys: str) -> Any:
    make: Any = boto3.client
    return make(
        "s3",
        endpoint_url=stage.cloud.endpoint_url,
        region_name="us-east-1",
        config=Config(signature_version=version, s3={"addressing_style": "path"}),
        **(keys or stage.cloud.deployer.credentials),
    )


def send(
    form: Mapping[str, Any],
    content: bytes = CONTENT,
    *,
    filename: str = "mine.bin",
    url: str = "",
    headers: Mapping[str, str] | None = None,
    fields: Mapping[str, str] | None = None,
) -> tuple[int, bytes, Message]:
    """Posts a form as a browser does: status, body and headers of the answer."""
    parts: list[tuple[str, Any]] = [*{**form["fields"], **(fields or {})}.items()]
    parts.append(("file", (filename, content, "text/x-of-the-browser")))
    parts.append(("submit", "Upload"))  # after the file: it does not count
    body, kind = encode_multipart_formdata(parts)
    request = urllib.request.Request(  # noqa: S310
        url or form["url"], data=body, headers={"Content-Type": kind, **(headers or {})}
    )
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=30) as answer:
            return answer.status, answer.read(), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read(), error.headers


@pytest.fixture(scope="module")
def bucket(stage: Stage) -> str:
    name = stage.name("forms")
    stage.client("s3").create_bucket(Bucket=name)
    return name


@pytest.mark.parametrize("version", ["s3v4", "s3"])
def test_an_upload(stage: Stage, bucket: str, version: str) -> None:
    key = f"of {version}/ü+${{x}}.bin"
    fields = {
        "Content-Type": "text/csv",
        "x-amz-meta-who": "me",
        "Cache-Control": "no-store",
    }
    form = s3(stage, version).generate_presigned_post(
        bucket, key, Fields=fields, Conditions=[{name: value} for name, value in fields.items()]
    )
    status, body, headers = send(form)
    assert (status, body) == (204, b"")
    found = stage.client("s3").get_object(Bucket=bucket, Key=key)
    assert found["Body"].read() == CONTENT
    assert headers["ETag"] == found["ETag"]
    assert (found["ContentType"], found["CacheControl"]) == ("text/csv", "no-store")
    assert found["Metadata"] == {"who": "me"}


def test_the_name_of_the_file(stage: Stage, bucket: str) -> None:
    form = s3(stage).generate_presigned_post(bucket, "in/${filename}")
    assert send(form, filename="folder/a b.txt")[0] == 204
    assert stage.client("s3").head_object(Bucket=bucket, Key="in/a b.txt")


def test_what_is_answered(stage: Stage, bucket: str) -> None:
    for status in ("200", "201", "204", "202"):
        fields = {"success_action_status": status}
        form = s3(stage).generate_presigned_post(
            bucket, "a&b", Fields={**fields}, Conditions=[fields]
        )
        code, body, headers = send(form)
        assert code == (int(status) if status != "202" else 204), body
        assert headers["Location"] == f"{stage.cloud.endpoint_url}/{bucket}/a%26b"
        assert (b"<Key>a&amp;b</Key>" in body) == (status == "201")
    fields = {"success_action_redirect": "http://127.0.0.1:9/done?x=1"}
    form = s3(stage).generate_presigned_post(bucket, "key", Fields=fields, Conditions=[fields])
    code, _, headers = send(form)
    assert code == 303
    assert headers["Location"].startswith(f"http://127.0.0.1:9/done?x=1&bucket={bucket}&key=key&")


def test_the_bucket_as_a_host(stage: Stage, bucket: str) -> None:
    form = s3(stage).generate_presigned_post(bucket, "by-host")
    host = f"{bucket}.localhost:{stage.cloud.port}"
    assert send(form, url=f"{stage.cloud.endpoint_url}/", headers={"Host": host})[0] == 204
    assert stage.client("s3").head_object(Bucket=bucket, Key="by-host")


@pytest.mark.parametrize(
    ("conditions", "change", "status", "said"),
    [
        ([], {"key": "other"}, 403, "Policy Condition failed"),
        ([], {"x-amz-meta-more": "x"}, 403, "Extra input fields: x-amz-meta-more"),
        ([], {"acl": "public-read"}, 403, "Extra input fields: acl"),
        ([["content-length-range", 1, 100]], {}, 400, "EntityTooLarge"),
        ([["content-length-range", 10**6, 10**7]], {}, 400, "EntityTooSmall"),
        ([["starts-with", "$x-amz-meta-a", "u"]], {"x-amz-meta-a": "x"}, 403, "starts-with"),
        ([], {"x-amz-signature": "0" * 64}, 403, "SignatureDoesNotMatch"),
        ([], {"x-amz-signature": "ü"}, 403, "SignatureDoesNotMatch"),
        ([], {"x-amz-credential": "AKIANOBODY/20260101/us-east-1/s3/aws4_request"}, 400, "date"),
        ([], {"x-amz-algorithm": "none"}, 400, "X-Amz-Algorithm"),
        ([], {"policy": "e30="}, 403, "SignatureDoesNotMatch"),
        ([["matches", "$key", "x"]], {}, 400, "unknown condition"),
        ([], {"tagging": "<Tagging/>"}, 501, "tagging"),
    ],
)
def test_what_the_policy_does_not_allow(
    stage: Stage,
    bucket: str,
    conditions: list[Any],
    change: dict[str, str],
    status: int,
    said: str,
) -> None:
    form = s3(stage).generate_presigned_post(bucket, "held", Conditions=conditions)
    code, body, _ = send(form, fields=change)
    assert (code, said in body.decode()) == (status, True), body
    listed = stage.client("s3").list_objects_v2(Bucket=bucket, Prefix="held")
    assert listed["KeyCount"] == 0


def test_starts_with_and_ignored_fields(stage: Stage, bucket: str) -> None:
    form = s3(stage).generate_presigned_post(
        bucket, "free/${filename}", Conditions=[["starts-with", "$Content-Type", "image/"]]
    )
    more = {"Content-Type": "image/x", "x-ignore-token": "of the page"}
    assert send(form, filename="1", fields=more)[0] == 204
    assert send(form, filename="2", fields={**more, "Content-Type": "text/x"})[0] == 403


def test_a_form_ends(stage: Stage, bucket: str) -> None:
    form = s3(stage).generate_presigned_post(bucket, "late", ExpiresIn=-5)
    code, body, _ = send(form)
    assert (code, b"Policy expired" in body) == (403, True)


def test_a_form_without_signature_or_file(stage: Stage, bucket: str) -> None:
    form = s3(stage).generate_presigned_post(bucket, "none")
    assert send({**form, "fields": {"key": "none"}})[0] == 403
    body, kind = encode_multipart_formdata(list(form["fields"].items()))
    for data, said in (
        (body, b"exactly one file"),
        (body[:100], b"not well-formed"),
        (b"", b"not well-formed"),
        (b"nothing", b"not well-formed"),
        (body.replace(b'; name="policy"', b""), b"not well-formed"),
    ):
        request = urllib.request.Request(  # noqa: S310
            form["url"], data=data, headers={"Content-Type": kind}
        )
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=10)  # noqa: S310
        assert said in refused.value.read()
    huge = send(form, fields={"x-ignore-this": "x" * 30_000})
    assert (huge[0], b"MaxPostPreDataLengthExceeded" in huge[1]) == (400, True)


def test_a_form_has_the_rights_of_its_signer(stage: Stage, bucket: str) -> None:
    role = stage.role(
        "ecs-tasks.amazonaws.com",
        {"Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{bucket}/mine/*"},
    )
    client = stage.cloud.role_client("s3", role)
    assert send(client.generate_presigned_post(bucket, "mine/1"))[0] == 204
    refused = send(client.generate_presigned_post(bucket, "other/1"))
    assert (refused[0], b"AccessDenied" in refused[1]) == (403, True)
    form = client.generate_presigned_post(bucket, "mine/2")
    del form["fields"]["x-amz-security-token"]
    assert send(form)[0] == 400


def test_pages_from_elsewhere_still_may_not(stage: Stage, bucket: str) -> None:
    form = s3(stage).generate_presigned_post(bucket, "page")
    code, body, _ = send(form, headers={"Origin": "https://evil.example"})
    assert (code, b"Origin" in body) == (403, True)


def test_an_upload_by_form_is_told(stage: Stage, bucket: str) -> None:
    queue = stage.client("sqs").create_queue(QueueName=stage.name("told"))["QueueUrl"]
    sqs = stage.client("sqs")
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn["QueueArn"],
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
    stage.client("s3").put_bucket_notification_configuration(
        Bucket=bucket,
        NotificationConfiguration={
            "QueueConfigurations": [
                {"QueueArn": arn["QueueArn"], "Events": ["s3:ObjectCreated:Post"]}
            ]
        },
    )
    stage.client("s3").put_object(Bucket=bucket, Key="by-put", Body=b"x")
    assert send(s3(stage).generate_presigned_post(bucket, "by-form"))[0] == 204

    def records() -> list[Any]:
        found = sqs.receive_message(QueueUrl=queue).get("Messages", [])
        return [each for m in found for each in json.loads(m["Body"]).get("Records", [])]

    (record,) = until(records)
    assert (record["eventName"], record["s3"]["object"]["key"]) == (
        "ObjectCreated:Post",
        "by-form",
    )


def test_names_of_fields_may_be_spelt_otherwise(stage: Stage, bucket: str) -> None:
    form = s3(stage).generate_presigned_post(bucket, "own")
    spelt = {**form, "fields": {name.title(): value for name, value in form["fields"].items()}}
    assert send(spelt)[0] == 204
