"""Evaluates the real program, `__main__.py`, with the stack files of the repository."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from config import StackConfig, load_stack_config
from localcloud.deployment.stack_file import read_stack
from tests.components import mocks
from tests.support.program import MAIN, ROOT, source

STACKS = ("dev", "local", "prod")
SLACK_URL = "https://hooks.slack.com/services/T0/B0/not-to-be-seen"
SLACK = {f"{mocks.PROJECT}:slack-webhook-url": SLACK_URL}


@cache
def deployed(stack: str) -> mocks.Recording:
    """The stack as its file says, with a Slack webhook."""
    return deploy(stack)


def deploy(
    stack: str,
    *,
    changes: Mapping[str, Any] | None = None,
    secrets: Mapping[str, str] = SLACK,
    keys: Mapping[str, str] | None = None,
    preview: bool = False,
    until: str = "",
) -> mocks.Recording:
    """The stack with some sections changed.

    Mappings are merged, everything else is replaced, None takes a key away; `keys` are added in
    full. The program ends behind the component that it calls `until`.
    """
    program = compile(source(until), MAIN, "exec")
    return mocks.deploy(
        lambda: exec(program, {"__name__": "__main__"}),  # noqa: S102 - our own
        stack=stack,
        config={**_values(stack, changes), **(keys or {})},
        secrets=secrets,
        preview=preview,
    )


def config_of(stack: str, changes: Mapping[str, Any] | None = None) -> StackConfig:
    """The validated config of the same."""
    values = _values(stack, changes)
    return load_stack_config(
        stack, lambda name: json.loads(values.get(f"{mocks.PROJECT}:{name}", "null"))
    )[0]


def _values(stack: str, changes: Mapping[str, Any] | None) -> dict[str, str]:
    values = dict(read_stack(ROOT, stack, {}, {}).config)
    for section, change in (changes or {}).items():
        key = f"{mocks.PROJECT}:{section}"
        values[key] = json.dumps(_merged(json.loads(values.get(key, "{}")), change))
    return values


def _merged(value: Any, change: Any) -> Any:
    if not isinstance(value, dict) or not isinstance(change, Mapping):
        return change
    merged = {name: _merged(value.get(name), item) for name, item in change.items()}
    return {name: item for name, item in {**value, **merged}.items() if item is not None}
