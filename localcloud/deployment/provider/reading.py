"""What there is of a resource in AWS, as the inputs that would make it: what `pulumi refresh` and
`pulumi import` ask for.

A row says by which call a type is described and where in the answer the resource lies; names and
forms of the properties then follow the rules by which inputs become requests (mapping.py), the
other way round. What a program gave is compared in its own terms: of objects only the members that
it gave, of JSON only the keys, of names only what an ARN ends with. So defaults that AWS adds are
no change.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, get_args

from pulumi import _types

from localcloud.deployment.provider.calls import Aws, ProviderError
from localcloud.deployment.provider.differences import NOTHING, differences
from localcloud.deployment.provider.lifecycle import is_absent
from localcloud.deployment.provider.mapping import variants
from localcloud.deployment.provider.schema import (
    hint_name,
    input_fields,
    output_fields,
    unwrapped,
)
from localcloud.deployment.provider.values import Secret, plain


@dataclass(kw_only=True)
class Reading:
    """One resource being read.

    `values` are what is known of it: inputs and outputs, none at an import.
    """

    aws: Aws
    token: str
    id: str
    values: Mapping[str, Any]

    def send(self, service: str, operation: str, **request: Any) -> dict[str, Any]:
        """Sends one request."""
        return self.aws.call(service, operation, request)

    def filled(self, template: Any) -> Any:
        """A request of a row with its templates filled in, of id, account, region and what is
        known.
        """
        if isinstance(template, str):
            return template.format_map(
                {
                    **self.values,
                    "id": self.id,
                    "account": self.aws.account,
                    "region": self.aws.region,
                    "partition": self.aws.partition,
                }
            )
        if isinstance(template, Mapping):
            return {name: self.filled(value) for name, value in template.items()}
        return [self.filled(each) for each in template] if isinstance(template, list) else template

    def maybe(self, service: str, operation: str, **request: Any) -> dict[str, Any]:
        """Sends a request whose subject may not exist, which answers nothing then."""
        try:
            return self.send(service, operation, **request)
        except ProviderError as error:
            if is_absent(error):
                return {}
            raise

    def tags(self, service: str, operation: str, **request: Any) -> Any:
        """All tags that a call lists: DynamoDB tells ten at a time."""
        told = self.maybe(service, operation, **request)
        members = (name for name in told if name.lower().endswith(_TAG_MEMBERS))
        found = tag_map(told.get(next(members, ""), []))
        further = {given: told[token] for token, given in _PAGES.items() if told.get(token)}
        if not further:
            return found
        return _Map({**found, **self.tags(service, operation, **{**request, **further})})


Found = Mapping[str, Any]
"""What one call tells of a resource."""
Actual = Mapping[str, Any]
"""Inputs and outputs as AWS has them: None where AWS could tell but has nothing; what AWS does not
tell is not in it.
"""
Reader = Callable[[Reading], Actual | None]
"""Answers None where the resource does not exist."""


@dataclass(frozen=True, kw_only=True)
class Described:
    """A type that one call describes.

    `at` is the dotted way to the resource in the answer, with positions in lists; `rename` are
    inputs and outputs that are called differently, by dotted path as in mapping.to_request; `told`
    are outputs that the answer has not, as templates; `tags` is a call that lists the tags, where
    the description does not; `more` adds what other calls tell. `absent` are answers that mean that
    it is gone, by a member and its values; where those are None, any value does.
    """

    service: str
    operation: str
    request: Mapping[str, Any]
    at: str = ""
    rename: Mapping[str, str] = field(default_factory=dict)
    told: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, str, Mapping[str, Any]] | None = None
    more: Callable[[Reading, Mapping[str, Any]], Mapping[str, Any]] | None = None
    absent: Mapping[str, Collection[str] | None] = field(default_factory=dict)

    def __call__(self, reading: Reading) -> Actual | None:
        """The resource."""
        answer = reading.maybe(self.service, self.operation, **reading.filled(self.request))
        found = _at(answer, self.at)
        if not found or any(
            bool(found.get(name)) if values is None else found.get(name) in values
            for name, values in self.absent.items()
        ):
            return None
        shape = reading.aws.client(self.service).meta.service_model.operation_model(self.operation)
        fields = {**output_fields(reading.token), **input_fields(reading.token)}
        actual = _object(found, fields, self.rename, "", _shape_at(shape.output_shape, self.at))
        plainly = {name: value for name, value in actual.items() if isinstance(value, str)}
        reading = replace(reading, values={**reading.values, **plainly})
        own = {name: reading.filled(template) for name, template in self.told.items()}
        actual |= own
        reading = replace(reading, values={**reading.values, **own})
        if self.tags is not None:
            service, operation, request = self.tags
            actual["tags"] = reading.tags(service, operation, **reading.filled(request))
        if self.more is not None:
            actual |= _object(self.more(reading, found), fields, {}, "", None)
        return actual


READERS: Final[dict[str, Reader]] = {}
_INTERNAL_TAG: Final = "aws:"
_TAG_MEMBERS: Final = ("tags", "taglist", "tagset")
_PAGES: Final = {"NextToken": "NextToken", "nextToken": "nextToken", "NextMarker": "Marker"}
"""Member of an answer that goes on elsewhere -> where the next request says so."""
_LOOSE_TEXTS: Final = ("containerProperties", "ecsProperties", "nodeProperties")
"""JSON to which AWS adds its defaults; of any other the whole document counts."""


def readers(table: Mapping[str, Reader]) -> None:
    """Registers readers by token without the package."""
    for token, reader in table.items():
        if f"aws:{token}" in READERS:
            raise ValueError(f"aws:{token} has two readers")
        READERS[f"aws:{token}"] = reader


def merged(
    old: Mapping[str, Any], actual: Mapping[str, Any], texts: Collection[str]
) -> dict[str, Any]:
    """Former inputs with what AWS has now in their place.

    Args:
        old: Former inputs with their secrets.
        actual: What AWS has, as inputs; what it does not hold stays as it was.
        texts: Names of inputs that hold JSON.
    """
    result = dict(old)
    for name, value in old.items():
        if name in actual and not name.startswith("__"):
            then = plain(value)
            now = _text(name, then, actual[name]) if name in texts else _value(then, actual[name])
            result[name] = Secret(now) if isinstance(value, Secret) else now
    result = {name: value for name, value in result.items() if value is not None}
    if actual.get("tags") and not old.get("tags"):
        result["tags"] = actual["tags"]
    return result


def outputs_now(
    old: Mapping[str, Any], actual: Mapping[str, Any], inputs: Collection[str]
) -> dict[str, Any]:
    """Former outputs with what AWS tells now in their place.

    Args:
        old: Former outputs with their secrets.
        actual: What AWS has.
        inputs: Names of the type's inputs, which are no matter of this.
    """
    told = {
        name: value for name, value in actual.items() if name not in inputs and value is not None
    }
    kept = {
        name: old[name]
        for name in told.keys() & old.keys()
        if isinstance(old[name], Secret) or _same(old[name], told[name])
    }
    return {**old, **told, **kept}


def _at(value: Any, way: str) -> Any:
    for part in way.split(".") if way else ():
        members: Any = dict(enumerate(value)) if isinstance(value, list) else value or {}
        value = members.get(int(part) if isinstance(value, list) else part)
    return value


def _shape_at(shape: Any, way: str) -> Any:
    for part in way.split(".") if way else ():
        shape = shape.member if shape.type_name == "list" else shape.members[part]
    return shape


def _object(
    actual: Actual, fields: Mapping[str, Any], rename: Mapping[str, str], path: str, shape: Any
) -> dict[str, Any]:
    """Members by the names and in the forms of inputs.

    Without a shape only what is there is known.
    """
    members = shape.members if shape is not None and shape.type_name == "structure" else None
    folded = {name.lower(): name for name in (actual if members is None else members)}
    found = {}
    for name, hint in fields.items():
        where = f"{path}.{name}" if path else name
        known = [folded[variant] for variant in variants(name.lower()) if variant in folded]
        member = rename.get(where) or next(iter(known), None)
        if member is not None:
            inner = members.get(member) if members is not None else None
            value = actual.get(member)
            found[name] = None if value is None else _convert(value, hint, rename, where, inner)
    return found


def _convert(value: Any, hint: Any, rename: Mapping[str, str], path: str, shape: Any) -> Any:
    hints = unwrapped(hint)
    classes = [each for each in hints if isinstance(each, type) and _types.is_input_type(each)]
    names = [hint_name(each) for each in hints]
    listed = shape.member if shape is not None and shape.type_name == "list" else shape
    if "str" in names and isinstance(value, Mapping):
        return json.dumps(value, default=str)
    if classes:
        if isinstance(value, list):
            value, shape = (value[0] if len(value) == 1 else value), listed
        fields = _types.input_type_types(classes[0])
        if isinstance(value, Mapping):
            return _object(value, fields, rename, path, shape)
        return value
    if "Sequence" in names or "list" in names:
        inner = get_args(next(h for h in hints if hint_name(h) in ("Sequence", "list")))[0]
        items = value if isinstance(value, (list, tuple, set)) else [value]
        return [_convert(each, inner, rename, path, listed) for each in items]
    if "Mapping" in names or "dict" in names:
        return tag_map(value)
    return _scalar(value, names)


class _Map(dict[str, Any]):
    """Names of the user's own, such as tags, all of which count."""


def tag_map(value: Any) -> Any:
    """Tags, dimensions and their like, of whichever form, as a map."""
    if isinstance(value, Mapping):
        return _Map({k: v for k, v in value.items() if not k.startswith(_INTERNAL_TAG)})
    pairs = _Map()
    for each in value:
        folded = {name.lower().removeprefix("tag"): member for name, member in each.items()}
        pairs[str(folded.get("key", folded.get("name")))] = folded.get("value")
    return _Map({k: v for k, v in pairs.items() if not str(k).startswith(_INTERNAL_TAG)})


def _scalar(value: Any, names: list[str]) -> Any:
    if "bool" in names and isinstance(value, str):
        return value.lower() == "true"
    if {"int", "float"} & {*names} and isinstance(value, str) and "str" not in names:
        return float(value) if "float" in names else int(value)
    return value.isoformat() if hasattr(value, "isoformat") else value


def _value(old: Any, actual: Any) -> Any:
    """What there is, in the terms of what was wanted."""
    if isinstance(old, Mapping) and isinstance(actual, Mapping):
        return _members(old, actual)
    if isinstance(old, list) and isinstance(actual, list):
        return _list(old, actual)
    return old if _same(old, actual) else actual


def _members(old: Mapping[str, Any], actual: Mapping[str, Any]) -> dict[str, Any]:
    kept = {
        name: _value(value, actual[name]) if name in actual else value
        for name, value in old.items()
        if name in actual or not isinstance(actual, _Map)
    }
    if isinstance(actual, _Map):
        kept |= {name: value for name, value in actual.items() if name not in old}
    return {name: value for name, value in kept.items() if value is not None}


def _list(old: list[Any], actual: list[Any]) -> list[Any]:
    """The members that are still there in their former order, then what has come in place of others
    or beside them.
    """
    left, result = list(actual), list[Any]()
    missing: list[int] = []
    for member in old:
        match = next((each for each in left if not _differ(member, _value(member, each))), None)
        if match is None:
            missing.append(len(result))
            result.append(None)
        else:
            left.remove(match)
            result.append(member)
    for position in missing:
        if left:
            result[position] = _value(old[position], left.pop(0))
    return [each for each in result if each is not None] + left


def _differ(old: Any, new: Any) -> bool:
    return bool(differences({"": old}, {"": new}))


def _same(old: Any, actual: Any) -> bool:
    if old in (*NOTHING, "", False, 0) and actual in (*NOTHING, "", False, 0):
        return True
    texts = [str(each).lower() if isinstance(each, bool) else str(each) for each in (old, actual)]
    if texts[0] == texts[1]:
        return True
    if _is_number(texts[0]) and _is_number(texts[1]):
        return float(texts[0]) == float(texts[1])
    whole, part = sorted(texts, key=len, reverse=True)
    return whole.startswith("arn:") and bool(part) and whole.endswith((f":{part}", f"/{part}"))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _text(name: str, old: Any, actual: Any) -> Any:
    """The same of JSON."""
    try:
        then = json.loads(old)
        now = json.loads(actual) if isinstance(actual, str) else actual
    except (TypeError, ValueError):
        return old if _same(old, actual) else actual
    found = _value(then, now) if name in _LOOSE_TEXTS else now
    return old if not _differ(then, found) else json.dumps(found)
