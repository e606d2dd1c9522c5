"""The provider behind Pulumi's provider protocol: what an engine of others gets to see of it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc, status_pb2

from localcloud.deployment.provider.plugin import Server
from localcloud.deployment.provider.values import (
    ASSET,
    DEFAULTS,
    SIGNATURE_KEY,
    UNKNOWN,
    Secret,
    decode,
    encode,
    plain,
    poison,
)
from tests.localcloud.deploying import REGION, aws_client

QUEUE, BUCKET, POLICY = "aws:sqs/queue:Queue", "aws:s3/bucket:Bucket", "aws:iam/policy:Policy"
OPTIONS = provider_pb2.CheckRequest.AutonamingOptions
DIFF = provider_pb2.PropertyDiff
ROOT = Path(__file__).parents[2]
TOUCH_ALL_AT_ONCE = """\
import sys, threading
from concurrent.futures import ThreadPoolExecutor
from localcloud.deployment.provider import HANDLERS
from localcloud.deployment.provider.schema import resource_schema

sys.setswitchinterval(1e-5)
tokens, start = sorted(HANDLERS), threading.Barrier(32)


def missing(number):
    start.wait()
    turned = [*tokens[number * 7 % len(tokens):], *tokens[:number * 7 % len(tokens)]]
    return [token for token in turned if resource_schema(token) is None]


with ThreadPoolExecutor(32) as executor:
    print(sorted({token for found in executor.map(missing, range(32)) for token in found}))
"""


class Peer:
    """An engine at the other end of a connection of its own."""

    def __init__(self, server: Server, **settings: Any) -> None:
        # a channel per peer: those of one process share a connection otherwise
        options = [("grpc.use_local_subchannel_pool", 1)]
        self.channel = grpc.insecure_channel(f"127.0.0.1:{server.port}", options=options)
        self.rpc: Any = provider_pb2_grpc.ResourceProviderStub(self.channel)
        args = encode({"region": REGION, **settings})
        self.configured = self.rpc.Configure(provider_pb2.ConfigureRequest(args=args))

    def check(self, token: str, news: dict[str, Any], **more: Any) -> Any:
        more = {name: encode(v) if name == "olds" else v for name, v in more.items()}
        request = provider_pb2.CheckRequest(urn=_urn(token), news=encode(news), **more)
        return self.rpc.Check(request)

    def checked(self, token: str, news: dict[str, Any], **more: Any) -> dict[str, Any]:
        answer = self.check(token, news, **more)
        assert [failure.reason for failure in answer.failures] == []
        return decode(answer.inputs)

    def diff(
        self, token: str, old: dict[str, Any], new: dict[str, Any], ignore: tuple[str, ...] = ()
    ) -> Any:
        return self.rpc.Diff(
            provider_pb2.DiffRequest(
                id="x",
                urn=_urn(token),
                olds=encode(old),
                old_inputs=encode(old),
                news=encode(new),
                ignoreChanges=ignore,
            )
        )

    def create(self, token: str, inputs: dict[str, Any], *, preview: bool = False) -> Any:
        request = provider_pb2.CreateRequest(
            urn=_urn(token), properties=encode(inputs), preview=preview
        )
        return self.rpc.Create(request)


def _urn(token: str, name: str = "a-b") -> str:
    return f"urn:pulumi:dev::demo::demo:components:Thing${token}::{name}"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server(client=aws_client(), region=REGION)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def engine(server: Server) -> Peer:
    return Peer(server)


def kinds(answer: Any) -> dict[str, Any]:
    return {path: each.kind for path, each in answer.detailedDiff.items()}


def test_both_ways_of_saying_what_it_can_do_say_the_same(server: Server, engine: Peer) -> None:
    hello = engine.rpc.Handshake(provider_pb2.ProviderHandshakeRequest())
    assert (hello.accept_secrets, hello.supports_autonaming_configuration) == (True, True)
    configured = engine.configured
    assert (configured.acceptSecrets, configured.supports_autonaming_configuration) == (True, True)
    assert configured.supportsPreview
    assert engine.rpc.GetPluginInfo(empty_pb2.Empty()).version.startswith("7.")


def test_a_name_is_made_once_and_then_kept(engine: Peer) -> None:
    first = engine.checked(QUEUE, {"delaySeconds": 3}, randomSeed=b"seed")
    assert first["name"].startswith("a-b-")
    assert first[DEFAULTS] == ["name"]
    assert engine.checked(QUEUE, {}, randomSeed=b"seed")["name"] == first["name"]
    assert engine.checked(QUEUE, {}, randomSeed=b"other")["name"] != first["name"]
    assert engine.checked(QUEUE, {}, randomSeed=b"other", olds=first)["name"] == first["name"]
    given = engine.checked(QUEUE, {"name": "mine"}, olds=first)
    assert (given["name"], given[DEFAULTS]) == ("mine", [])
    # taken back again, it is not kept: the program gave it, not the provider
    assert engine.checked(QUEUE, {}, olds=given)["name"] != "mine"


def test_a_logical_name_may_hold_colons_and_a_queue_may_not(engine: Peer) -> None:
    request = provider_pb2.CheckRequest(
        urn=_urn(QUEUE, "a::b"), news=encode({}), randomSeed=b"seed"
    )
    (failure,) = engine.rpc.Check(request).failures
    assert failure.reason.startswith("the automatic name 'a::b-")
    assert "has ':', which AWS does not take there" in failure.reason


@pytest.mark.parametrize(
    ("token", "news", "mode", "proposal", "name"),
    [
        (QUEUE, {}, OPTIONS.PROPOSE, "demo-dev-a-1", "demo-dev-a-1"),
        (QUEUE, {"fifoQueue": True}, OPTIONS.PROPOSE, "demo-dev-a-1", "demo-dev-a-1.fifo"),
        (QUEUE, {"fifoQueue": True}, OPTIONS.ENFORCE, "demo.fifo", "demo.fifo"),
        (BUCKET, {}, OPTIONS.PROPOSE, "Demo-Dev-A", "demo-dev-a"),
        (BUCKET, {}, OPTIONS.ENFORCE, "demo", "demo"),
    ],
)
def test_a_proposed_name_is_fitted_to_the_type_and_an_enforced_one_taken(
    engine: Peer, token: str, news: dict[str, Any], mode: Any, proposal: str, name: str
) -> None:
    options = OPTIONS(mode=mode, proposed_name=proposal)
    checked = engine.checked(token, news, autonaming=options)
    assert checked["bucket" if token == BUCKET else "name"] == name


def test_names_that_aws_would_not_take_are_refused_with_both_numbers(engine: Peer) -> None:
    long = OPTIONS(mode=OPTIONS.PROPOSE, proposed_name="x" * 81)
    (failure,) = engine.check(QUEUE, {}, autonaming=long).failures
    assert "81 characters, AWS allows 80" in failure.reason
    (failure,) = engine.check(QUEUE, {}, autonaming=OPTIONS(mode=OPTIONS.DISABLE)).failures
    assert "name is required" in failure.reason


def test_inputs_are_checked_with_all_their_faults(engine: Peer) -> None:
    answer = engine.check(QUEUE, {"delaySecond": 3, "tags": "x"})
    assert len(answer.failures) == 2
    (failure,) = engine.check(QUEUE, {"policy": poison("topic", "arn")}).failures
    assert "policy uses topic.arn, an output that the local provider does not model" in str(failure)
    (failure,) = engine.check("aws:sqs/queue:Quue", {}).failures
    assert "is not a type of pulumi_aws" in failure.reason


def test_default_tags_belong_to_the_connection(server: Server) -> None:
    one = Peer(server, defaultTags='{"tags": {"team": "a", "cost": "1"}}')
    two = Peer(server, defaultTags={"tags": {"team": "b"}})
    for engine, expected in ((one, {"team": "a", "cost": "2"}), (two, {"team": "b", "cost": "2"})):
        assert engine.checked(QUEUE, {"tags": {"cost": "2"}})["tags"] == expected
    assert "tags" not in one.checked("aws:sqs/queuePolicy:QueuePolicy", _policy("x"))


def _policy(url: str) -> dict[str, Any]:
    return {"queueUrl": url, "policy": "{}"}


def test_a_difference_says_where_and_what(engine: Peer) -> None:
    old = {"delaySeconds": 3, "tags": {"a": "1", "b-c": "2"}, "name": "n", DEFAULTS: ["name"]}
    new = {"tags": {"b-c": "3", "d": "4"}, "maxMessageSize": 1024, "name": "n", DEFAULTS: ["name"]}
    answer = engine.diff(QUEUE, old, new)
    assert answer.changes == provider_pb2.DiffResponse.DIFF_SOME
    assert kinds(answer) == {
        "delaySeconds": DIFF.DELETE,
        "maxMessageSize": DIFF.ADD,
        "tags.a": DIFF.DELETE,
        'tags["b-c"]': DIFF.UPDATE,
        "tags.d": DIFF.ADD,
    }
    assert list(answer.diffs) == ["delaySeconds", "maxMessageSize", "tags"]
    assert (list(answer.replaces), answer.deleteBeforeReplace) == ([], False)
    ignored = engine.diff(QUEUE, old, new, ("tags", "delaySeconds", "maxMessageSize"))
    assert ignored.changes == provider_pb2.DiffResponse.DIFF_NONE


@pytest.mark.parametrize(
    ("token", "old", "new"),
    [
        (POLICY, {"policy": '{"a": 1, "b": [2]}'}, {"policy": '{"b":[2],"a":1}'}),
        (QUEUE, {"delaySeconds": 3}, {"delaySeconds": "3"}),
        (QUEUE, {"fifoQueue": True}, {"fifoQueue": "true"}),
        (QUEUE, {"tags": {}}, {}),
        (
            "aws:budgets/budget:Budget",
            {"notifications": [{"threshold": 1, "subscriberEmailAddresses": ["a", "b"]}, {"x": 1}]},
            {"notifications": [{"x": 1}, {"subscriberEmailAddresses": ["b", "a"], "threshold": 1}]},
        ),
        (
            "aws:lambda/function:Function",
            {"code": {SIGNATURE_KEY: ASSET, "hash": "1", "path": "/here"}},
            {"code": {SIGNATURE_KEY: ASSET, "hash": "1", "path": "/there"}},
        ),
    ],
)
def test_what_means_the_same_is_no_difference(
    engine: Peer, token: str, old: dict[str, Any], new: dict[str, Any]
) -> None:
    assert engine.diff(token, old, new).changes == provider_pb2.DiffResponse.DIFF_NONE


def test_of_a_set_only_the_members_that_come_or_go_differ(engine: Peer) -> None:
    old = {"notifications": [{"threshold": n, "subscriberEmailAddresses": ["a"]} for n in (1, 2)]}
    new = {"notifications": [*reversed(old["notifications"]), {"threshold": 3}]}
    answer = engine.diff("aws:budgets/budget:Budget", old, new)
    assert kinds(answer) == {"notifications[2]": DIFF.ADD}
    back = engine.diff("aws:budgets/budget:Budget", new, old)
    assert kinds(back) == {"notifications[2]": DIFF.DELETE}


def test_a_replacement_names_its_reasons_and_its_order(engine: Peer) -> None:
    named = {"name": "n", "fifoQueue": True, "delaySeconds": 1}
    answer = engine.diff(QUEUE, named, {**named, "fifoQueue": False, "delaySeconds": 2})
    assert kinds(answer) == {"delaySeconds": DIFF.UPDATE, "fifoQueue": DIFF.UPDATE_REPLACE}
    assert (list(answer.replaces), answer.deleteBeforeReplace) == (["fifoQueue"], True)
    chosen = {**named, DEFAULTS: ["name"]}
    answer = engine.diff(QUEUE, chosen, {**chosen, "fifoQueue": False})
    assert (list(answer.replaces), answer.deleteBeforeReplace) == (["fifoQueue"], False)


def test_a_preview_makes_nothing_and_leaves_unknown_what_aws_decides(engine: Peer) -> None:
    inputs = engine.checked(QUEUE, {"name": UNKNOWN, "delaySeconds": 4})
    assert inputs["name"] is UNKNOWN
    answer = engine.create(QUEUE, inputs, preview=True)
    outputs = decode(answer.properties)
    assert (answer.id, outputs["delaySeconds"]) == ("", 4)
    assert outputs["arn"] is UNKNOWN
    assert outputs["region"] == "us-east-1"


def test_secrets_stay_secret(engine: Peer) -> None:
    token = "aws:ssm/parameter:Parameter"
    given = {"type": "String", "value": Secret("hush"), "name": "/plugin/secret"}
    inputs = engine.checked(token, given)
    assert isinstance(inputs["value"], Secret)
    made = engine.create(token, inputs)
    outputs = decode(made.properties)
    assert isinstance(outputs["value"], Secret)
    assert plain(outputs["value"]) == "hush"
    request = provider_pb2.UpdateRequest(
        id=made.id,
        urn=_urn(token),
        olds=made.properties,
        old_inputs=encode(inputs),
        news=encode({**inputs, "value": Secret("hush hush")}),
        preview=True,
    )
    outputs = decode(engine.rpc.Update(request).properties)
    assert isinstance(outputs["value"], Secret)
    assert plain(outputs["value"]) == "hush hush"


def test_a_refusal_of_aws_is_one_sentence(engine: Peer) -> None:
    inputs = engine.checked("aws:sqs/queuePolicy:QueuePolicy", _policy("http://127.0.0.1/1/none"))
    with pytest.raises(grpc.RpcError) as caught:
        engine.create("aws:sqs/queuePolicy:QueuePolicy", inputs)
    assert caught.value.details().startswith("sqs:SetQueueAttributes answered ")
    assert dict(caught.value.trailing_metadata()).get("grpc-status-details-bin") is None


def test_what_was_made_before_a_failure_is_not_lost(engine: Peer) -> None:
    """The engine keeps the id, so that the next deployment goes on with it instead of making a
    second one.
    """
    key = engine.checked("aws:kms/key:Key", {"enableKeyRotation": True, "rotationPeriodInDays": 1})
    with pytest.raises(grpc.RpcError) as caught:
        engine.create("aws:kms/key:Key", key)
    assert "rotation" in caught.value.details().lower()
    packed = dict(caught.value.trailing_metadata())["grpc-status-details-bin"]
    status = status_pb2.Status.FromString(packed)
    failed = provider_pb2.ErrorResourceInitFailed()
    assert status.details[0].Unpack(failed)
    found = aws_client()("kms").describe_key(KeyId=failed.id)["KeyMetadata"]
    assert found["KeyId"] == failed.id
    # the inputs are what there is, so that the next comparison finds what is missing
    assert decode(failed.inputs)["enableKeyRotation"] is False
    assert list(failed.reasons) == [caught.value.details()]


def test_settings_of_the_stack_are_checked(server: Server, engine: Peer) -> None:
    def reasons(**settings: Any) -> list[str]:
        request = provider_pb2.CheckRequest(urn="urn", news=encode(settings))
        return [failure.reason for failure in engine.rpc.CheckConfig(request).failures]

    assert reasons(region=REGION, version="7.1.0", profile="mine") == []
    assert "region is eu-west-1" in reasons(region="eu-west-1")[0]
    assert "insecure" in reasons(region=REGION, insecure=True)[0]
    with pytest.raises(grpc.RpcError, match="but these credentials are of account"):
        Peer(server, allowedAccountIds='["999999999999"]')
    changed = engine.rpc.DiffConfig(
        provider_pb2.DiffRequest(
            old_inputs=encode({"region": "a", "version": "1"}),
            news=encode({"region": "b", "version": "2"}),
        )
    )
    assert (list(changed.diffs), list(changed.replaces)) == (["region"], ["region"])


def test_many_calls_at_once_get_their_own_answers(engine: Peer) -> None:
    def made(number: int) -> str:
        inputs = engine.checked(QUEUE, {"name": f"plugin-many-{number}", "delaySeconds": number})
        answer = engine.create(QUEUE, inputs)
        assert decode(answer.properties)["delaySeconds"] == number
        return str(answer.id)

    with ThreadPoolExecutor(max_workers=40) as executor:
        ids = list(executor.map(made, range(40)))
    assert [url.rpartition("-")[2] for url in ids] == [str(number) for number in range(40)]


def test_types_that_nobody_has_touched_are_found_by_many_threads_at_once() -> None:
    for _ in range(2):
        command = [sys.executable, "-c", TOUCH_ALL_AT_ONCE]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "[]"


def test_a_page_of_a_browser_gets_no_answer(server: Server) -> None:
    """It speaks HTTP/1.1, and HTTP/2 over TLS alone."""
    request = (
        b"POST /pulumirpc.ResourceProvider/GetPluginInfo HTTP/1.1\r\nHost: localhost\r\n"
        b"Origin: http://evil.example\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n"
        b"\x00\x00\x00\x00\x00"
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(request)
        answer = b""
        while part := connection.recv(4096):
            answer += part
    assert b"7." not in answer
    assert b"200 OK" not in answer


def test_another_user_of_the_machine_gets_no_answer(
    server: Server, engine: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not Path("/proc/net/tcp").exists():
        pytest.skip("the kernel does not tell whose a connection is")
    engine.rpc.GetPluginInfo(empty_pb2.Empty())
    uid = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: uid + 1)
    with pytest.raises(grpc.RpcError) as caught:
        engine.rpc.GetPluginInfo(empty_pb2.Empty())
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert f"the caller is user {uid}" in caught.value.details()


def test_a_taken_port_is_an_error(server: Server) -> None:
    with pytest.raises(OSError, match=f"port {server.port} is taken"):
        Server(client=aws_client(), region=REGION, port=server.port)
