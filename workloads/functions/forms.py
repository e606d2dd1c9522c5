"""Events, messages and items from outside, held to their form before a function acts on them.

A form says what a function reads of an object and no more: AWS adds fields when it likes. It is a
leaf of this module, a list with the form of its items, or a dictionary of forms by key: `key?` may
be absent or null, and `*` stands for every key.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from workloads.contract import ContractError
from workloads.runtime.quoting import escaped

_SHOWN: Final = 60
_LARGEST: Final = 2**63 - 1


@dataclass(frozen=True)
class Leaf:
    """A value without parts that a function reads."""

    expected: str
    holds: Callable[[Any], bool]


def _is_text(found: Any) -> bool:
    try:
        return isinstance(found, str) and found.encode() is not None
    except UnicodeEncodeError:  # half a character, which no service takes
        return False


def _is_whole(found: Any) -> bool:
    if isinstance(found, Decimal):  # as boto3 reads numbers from DynamoDB
        return found.is_finite() and found == found.to_integral_value() and abs(found) <= _LARGEST
    return isinstance(found, int) and not isinstance(found, bool) and abs(found) <= _LARGEST


def _is_number(found: Any) -> bool:
    return _is_whole(found) or (
        isinstance(found, float | Decimal) and abs(float(found)) <= _LARGEST
    )


def _is_moment(found: Any) -> bool:
    try:
        moment = datetime.fromisoformat(found)
    except (TypeError, ValueError):
        return False
    # days before and after it have to be moments too, in every time zone
    return moment.tzinfo is not None and 1970 < moment.year < 9999


def _is_block(found: Any) -> bool:
    try:
        return isinstance(found, dict) and bool(json.dumps(found))
    except (TypeError, ValueError, RecursionError):
        return False


TEXT: Final = Leaf("a text", _is_text)
WHOLE: Final = Leaf("a whole number", _is_whole)
NUMBER: Final = Leaf("a number", _is_number)
FLAG: Final = Leaf("true or false", lambda found: isinstance(found, bool))
MOMENT: Final = Leaf("a moment with its time zone, such as 2026-01-31T06:00:00Z", _is_moment)
BLOCK: Final = Leaf("an object of Slack's Block Kit", _is_block)

_CONTAINER: Final = {
    "environment?": [{"name?": TEXT, "value?": TEXT}],
    "command?": [TEXT],
    "reason?": TEXT,
    "exitCode?": WHOLE,
    "logStreamName?": TEXT,
    "logConfiguration?": {"options?": {"*": TEXT}},
}
_RAN: Final = {"startedAt?": WHOLE, "stoppedAt?": WHOLE, "statusReason?": TEXT}
JOB: Final = {
    **_RAN,
    "jobId": TEXT,
    "status": TEXT,
    "jobName?": TEXT,
    "jobQueue?": TEXT,
    "createdAt?": WHOLE,
    "tags?": {"*": TEXT},
    "arrayProperties?": {"size?": WHOLE},
    "attempts?": [
        {**_RAN, "container?": {"reason?": TEXT, "exitCode?": WHOLE, "logStreamName?": TEXT}}
    ],
    "container?": _CONTAINER,
    "nodeProperties?": {"numNodes?": WHOLE, "nodeRangeProperties?": [{"container?": _CONTAINER}]},
}
"""AWS Batch's JobDetail, as its events hold it (API reference, JobDetail)."""


def check(found: Any, form: Any, *, what: str) -> None:
    """Raises ContractError with one sentence where an object has not its form.

    Args:
        found: parsed JSON or an item of DynamoDB.
        form: see above.
        what: how people call the object, `the event`.
    """
    problem = _problem(found, form, "")
    if problem:
        raise ContractError(f"{what} is not of its form: {problem}")


def parsed(text: str, *, what: str) -> Any:
    """The JSON of a text. Raises ContractError with one sentence where it is none."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ContractError(f"{what} is nested too deeply to be read") from None
    except ValueError as error:
        raise ContractError(f"{what} is no JSON: {error}") from error


def _problem(found: Any, form: Any, path: str) -> str:
    if isinstance(form, Leaf):
        return "" if form.holds(found) else _wrong(found, path, form.expected)
    if isinstance(form, list):
        if not isinstance(found, list):
            return _wrong(found, path, "a list")
        problems = (_problem(item, form[0], f"{path}[{index}]") for index, item in enumerate(found))
        return next(filter(None, problems), "")
    if not isinstance(found, dict):
        return _wrong(found, path, "an object")
    before = f"{path}." if path else ""
    for name, of_member in form.items():
        key = name.removesuffix("?")
        if name == "*":
            members = (
                _problem(member, of_member, f"{before}{key}") for key, member in found.items()
            )
            return next(filter(None, members), "")
        if found.get(key) is None and name != key:
            continue
        if key not in found:
            return f"it lacks {before}{key}"
        problem = _problem(found[key], of_member, f"{before}{key}")
        if problem:
            return problem
    return ""


def _wrong(found: Any, path: str, expected: str) -> str:
    kind = "an object" if isinstance(found, dict) else "a list" if isinstance(found, list) else ""
    shown = kind or escaped(repr(found)[:_SHOWN])
    return f"{escaped(path[:_SHOWN]) or 'it'} is {shown}, expected {expected}"
