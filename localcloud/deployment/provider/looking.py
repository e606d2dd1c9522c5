"""What there is of a resource: as a refresh sees it, and as an import does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from localcloud.deployment.provider.calls import JSON_INPUTS, Aws, ProviderError
from localcloud.deployment.provider.differences import NOTHING, differences
from localcloud.deployment.provider.importing import told_by
from localcloud.deployment.provider.lifecycle import LIFECYCLES, Lifecycle
from localcloud.deployment.provider.outputs import seal
from localcloud.deployment.provider.reading import READERS, Actual, Reading, merged, outputs_now
from localcloud.deployment.provider.schema import input_fields, resource_schema
from localcloud.deployment.provider.values import DEFAULTS, plain, without_bookkeeping

_ANYTHING: Final = object()
"""Of inputs that AWS decides, whatever they are."""


def read(
    aws: Aws,
    token: str,
    id: str,  # noqa: A002
    inputs: Mapping[str, Any],
    outputs: Mapping[str, Any],
) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Provider.read, of a type that is one."""
    values = {**plain(without_bookkeeping(inputs)), **plain(outputs)}
    actual = _actual(aws, token, id, values)
    if actual is None:
        return None
    fields = input_fields(token)
    found = merged(inputs, actual, JSON_INPUTS)
    told = without_bookkeeping(found) if inputs else _given(actual, fields)
    gone = inputs.keys() - found.keys()
    former = {name: value for name, value in outputs.items() if name not in gone}
    return found, _told(token, {**outputs_now(former, actual, fields), **told})


def adopt(
    aws: Aws,
    token: str,
    id: str,  # noqa: A002
) -> tuple[str, dict[str, Any], dict[str, Any]] | None:
    """Provider.adopt, of a type that is one."""
    identity, values = told_by(token, id, aws)
    actual = _actual(aws, token, identity, values)
    if actual is None:
        return None
    fields = input_fields(token)
    all_of_it = _given({**values, **actual}, fields)
    cycle = LIFECYCLES.get(token, Lifecycle(delete=None))
    decided = {**cycle.defaults, **dict.fromkeys(cycle.computed, _ANYTHING)}
    found = {name: it for name, it in _without(all_of_it, decided).items() if _says(it)}
    outputs = {**outputs_now({}, actual, fields), **all_of_it}
    if "region" in fields:
        outputs["region"] = aws.region
    return identity, {**found, DEFAULTS: []}, _told(token, outputs)


def _actual(
    aws: Aws,
    token: str,
    id: str,  # noqa: A002
    values: Mapping[str, Any],
) -> Actual | None:
    reader = READERS.get(token)
    if reader is None:
        raise ProviderError(f"the type {token} cannot be read by the local provider")
    cycle = LIFECYCLES.get(token, Lifecycle(delete=None))
    # of a state that an older release has written, or of an import, a default may be missing
    return reader(Reading(aws=aws, token=token, id=id, values={**cycle.defaults, **values}))


def _given(actual: Actual, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs that AWS has, without members that it leaves open."""
    found = {name: _told_parts(value) for name, value in actual.items() if name in fields}
    return {name: value for name, value in found.items() if value not in NOTHING}


def _told_parts(value: Any) -> Any:
    if isinstance(value, list):
        return [_told_parts(each) for each in value]
    if not isinstance(value, Mapping):
        return value
    parts = {name: _told_parts(each) for name, each in value.items()}
    return {name: each for name, each in parts.items() if each is not None}


def _says(value: Any) -> bool:
    """Whether an input says something: not where all of it is zero, which Terraform leaves out."""
    if isinstance(value, Mapping):
        return any(map(_says, value.values()))
    return bool(value)


def _without(value: Any, decided: Mapping[str, Any]) -> Any:
    """A value without what is there anyway.

    Args:
        value: Inputs, or a part of them.
        decided: What is there anyway by dotted path, in every entry of lists.
    """
    if isinstance(value, list):
        return [_without(each, decided) for each in value]
    if not isinstance(value, Mapping) or not decided:
        return value
    inner: dict[str, dict[str, Any]] = {name: {} for name in value}
    for path, anyway in decided.items():
        head, _, rest = path.partition(".")
        inner.setdefault(head, {})[rest] = anyway
    return {
        name: _without(each, inner[name])
        for name, each in value.items()
        if "" not in inner[name] or not _is(each, inner[name][""])
    }


def _is(value: Any, anyway: Any) -> bool:
    if anyway is _ANYTHING or str(value) == str(anyway):
        return True
    return not differences({"policy": value}, {"policy": anyway}, texts=JSON_INPUTS)


def _told(token: str, outputs: dict[str, Any]) -> dict[str, Any]:
    schema = resource_schema(token)
    if schema is not None and "tagsAll" in schema.outputs:
        outputs["tagsAll"] = plain(outputs.get("tags")) or {}
    seal(token, outputs)
    return outputs
