"""JSON with outputs in it is what the SDK would make of it, and as much a secret."""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_aws as aws
import pytest

from components.json_text import json_text
from localcloud.deployment.provider.values import UNKNOWN
from tests.components import mocks


def _exports(value: Any, *, preview: bool = False, **options: Any) -> tuple[Any, Any]:
    def program() -> None:
        queue = aws.sqs.Queue("queue")
        filled = _filled(value, {"ARN": queue.arn, "WORD": pulumi.Output.secret("hush")})
        pulumi.export("ours", json_text(filled, **options))
        pulumi.export("theirs", pulumi.Output.json_dumps(filled, **options))

    made = mocks.deploy(program, preview=preview)
    return made.exports["ours"], made.exports["theirs"]


def _filled(value: Any, outputs: dict[str, pulumi.Output[str]]) -> Any:
    if isinstance(value, dict):
        return {name: _filled(each, outputs) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_filled(each, outputs) for each in value)
    return outputs.get(value, value)


@pytest.mark.parametrize(
    "value",
    [
        {},
        [],
        "ARN",
        {"b": 1, "a": ["ARN", None, True, {"c": ("ARN", 1.5)}], "é": "ARN"},
        [[], {}, [{"WORD": ["ARN", "WORD"]}]],
    ],
)
@pytest.mark.parametrize("preview", [False, True])
@pytest.mark.parametrize(
    "options", [{}, {"sort_keys": True, "separators": (",", ":")}], ids=["plain", "sorted"]
)
def test_it_is_the_text_of_the_sdk(value: Any, options: dict[str, Any], *, preview: bool) -> None:
    ours, theirs = _exports(value, preview=preview, **options)
    assert ours == theirs
    assert (ours is UNKNOWN) is (preview and "ARN" in repr(value))


@pytest.mark.parametrize("value", ["hush", ["a", {"b": "hush"}]])
def test_a_secret_in_it_makes_the_text_one(value: Any) -> None:
    def program() -> None:
        word = {"hush": pulumi.Output.secret("hush")}
        aws.sns.Topic("topic", display_name=json_text(_filled(value, word)))

    topic = mocks.deploy(program).one("aws:sns/topic:Topic")
    assert topic.secret_inputs == {"displayName"}


def test_what_is_no_json_is_an_error() -> None:
    with pytest.raises(Exception, match="set is not JSON serializable"):
        mocks.deploy(lambda: pulumi.export("ours", json_text({"a": {1, 2}})))
