"""What a Pulumi AWS resource type accepts and gives, read from the installed pulumi_aws classes.

The SDK checks keyword names of the resource itself; below that a plain dict passes unchecked, and
the real provider would refuse it only at the deployment. The classes say all that is needed: names,
which are required, and the nested types.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import threading
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pulumi import _types
from pulumi.output import Output

from localcloud.deployment.provider.values import UNKNOWN, is_asset, plain

_LOADING = threading.RLock()
_OF_THE_ENGINE = ("id", "urn")
_SCALARS = frozenset({"str", "int", "float", "bool", "NoneType"})


class SchemaError(ValueError):
    """Inputs that the resource type does not accept; `problems` holds one sentence for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True, kw_only=True)
class ResourceSchema:
    """Inputs and outputs of one resource type, by wire name."""

    token: str
    inputs: Mapping[str, Any]
    required: frozenset[str]
    outputs: Mapping[str, Any]

    def check(self, inputs: Mapping[str, Any]) -> None:
        """Raises SchemaError where a name is unknown, a required one is missing or a value has the
        wrong type, at any depth.
        """
        problems = list(_check_object(inputs, self.inputs, self.required, ""))
        if problems:
            raise SchemaError(problems)

    def always_present(self) -> Iterator[tuple[str, Any]]:
        """Outputs that the real provider always fills in, with their types."""
        for name, hint in self.outputs.items():
            inner = get_args(hint)[0] if get_origin(hint) is Output else hint
            if not _is_optional(inner):
                yield name, inner


@cache
def resource_schema(token: str) -> ResourceSchema | None:
    """The schema of a type token such as `aws:ec2/vpc:Vpc`; None where pulumi_aws has no such
    type.
    """
    # The modules of pulumi_aws load at the first touch of a name in them, and two threads that
    # touch at once leave one without its classes for good: one thread at a time, and here alone.
    with _LOADING, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return _read_schema(token)


def input_fields(token: str) -> Mapping[str, Any]:
    """The inputs of a type with their hints; none where pulumi_aws has no such type."""
    schema = resource_schema(token)
    return {} if schema is None else schema.inputs


def output_fields(token: str) -> Mapping[str, Any]:
    """The outputs of a type that are no inputs and have no parts, with their hints."""
    schema = resource_schema(token)
    if schema is None:
        return {}
    own = {name: hint for name, hint in schema.outputs.items() if name not in schema.inputs}
    return {
        name: hint
        for name, hint in own.items()
        if name not in _OF_THE_ENGINE and _SCALARS.issuperset(map(hint_name, unwrapped(hint)))
    }


def _read_schema(token: str) -> ResourceSchema | None:
    module_name, _, class_name = token.partition(":")[2].partition(":")
    module = _module(module_name)
    resource = getattr(module, class_name, None)
    if resource is None:
        return None
    args = getattr(module, _args_name(module, class_name))
    return ResourceSchema(
        token=token,
        inputs=_types.input_type_types(args),
        required=required_fields(args),
        outputs=_types._raw_return_hints(resource),  # noqa: SLF001 - the public accessor hides which outputs may be absent
    )


def _module(wire_name: str) -> Any:
    # `lambda` is a Python keyword, so its module is called lambda_
    package = wire_name.partition("/")[0]
    return importlib.import_module(f"pulumi_aws.{'lambda_' if package == 'lambda' else package}")


def _args_name(module: Any, class_name: str) -> str:
    # XInitArgs where a nested input type of the service already is called XArgs
    return (
        f"{class_name}InitArgs" if hasattr(module, f"{class_name}InitArgs") else f"{class_name}Args"
    )


@cache
def required_fields(args: type) -> frozenset[str]:
    """The wire names that a class of inputs cannot be without."""
    names = _types.input_type_py_to_pulumi_names(args)
    parameters = inspect.signature(args.__init__).parameters  # type: ignore[misc]
    return frozenset(
        names[name]
        for name, p in parameters.items()
        if name in names and p.default is inspect.Parameter.empty
    )


def _is_optional(hint: Any) -> bool:
    return get_origin(hint) in (Union, UnionType) and type(None) in get_args(hint)


def unwrapped(hint: Any) -> tuple[Any, ...]:
    """The alternatives of a type hint without Optional, Output, Input and Awaitable."""
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return tuple(
            found for arg in get_args(hint) if arg is not type(None) for found in unwrapped(arg)
        )
    if origin is Output or getattr(origin, "__name__", "") == "Awaitable":
        return tuple(found for arg in get_args(hint) for found in unwrapped(arg))
    return (hint,)


def _check_object(
    value: Mapping[str, Any], fields: Mapping[str, Any], required: frozenset[str], path: str
) -> Iterator[str]:
    for name, item in value.items():
        if name.startswith("__"):  # the SDK's own bookkeeping (`__defaults`)
            continue
        if name not in fields:
            yield f"{path}{name} is not a property here{_suggest(name, fields)}"
            continue
        yield from _check_value(item, fields[name], f"{path}{name}")
    yield from (f"{path}{name} is required" for name in sorted(required - value.keys()))


def _check_value(value: Any, hint: Any, path: str) -> Iterator[str]:
    value = plain(value)
    if value is None or value is UNKNOWN or is_asset(value):
        return
    alternatives = [
        a for a in unwrapped(hint) if not isinstance(a, type) or not issubclass(a, dict)
    ]
    classes = [a for a in alternatives if isinstance(a, type) and _types.is_input_type(a)]
    if classes and isinstance(value, Mapping):
        yield from _check_object(
            value, _types.input_type_types(classes[0]), required_fields(classes[0]), f"{path}."
        )
        return
    if not alternatives or any(_fits(value, a) for a in alternatives):
        origin = next(
            (
                a
                for a in alternatives
                if isinstance(value, list) and hint_name(a) in ("Sequence", "list")
            ),
            None,
        )
        if origin is not None:
            for position, item in enumerate(value):
                yield from _check_value(item, get_args(origin)[0], f"{path}[{position}]")
        return
    expected = " or ".join(sorted({_describe(a) for a in alternatives}))
    yield f"{path} is {value!r:.80}, expected {expected}"


def hint_name(hint: Any) -> str:
    """The name of a type hint: `str`, `Sequence`, the class."""
    return str(getattr(get_origin(hint) or hint, "__name__", hint))


def _describe(hint: Any) -> str:
    if isinstance(hint, type) and issubclass(hint, Enum):
        return "a string"
    names = {
        "str": "a string",
        "int": "an integer",
        "float": "a number",
        "bool": "true or false",
        "Sequence": "a list",
        "Mapping": "a map",
    }
    return names.get(hint_name(hint), "an object")


def _fits(value: Any, hint: Any) -> bool:
    kind = hint_name(hint)
    if kind == "Any" or (isinstance(hint, type) and issubclass(hint, Enum)):
        return kind == "Any" or isinstance(value, str)
    if kind in ("Sequence", "list"):
        return isinstance(value, list)
    if kind in ("Mapping", "dict"):
        return isinstance(value, Mapping)
    if kind == "bool":
        return isinstance(value, bool) or value in ("true", "false")
    if kind == "int":
        return not isinstance(value, bool) and (
            _is_whole(value) or (isinstance(value, str) and value.lstrip("-").isdigit())
        )
    if kind == "float":
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind == "str":
        # Terraform's schema turns numbers and booleans into text, so the real provider takes them
        return isinstance(value, (str, int, float, bool))
    return False


def _is_whole(value: Any) -> bool:
    return isinstance(value, (int, float)) and float(value).is_integer()


def _suggest(name: str, known: Mapping[str, Any]) -> str:
    folded = {k.replace("_", "").lower(): k for k in known}
    close = difflib.get_close_matches(name.replace("_", "").lower(), folded, n=1, cutoff=0.6)
    return (
        f"; did you mean {folded[close[0]]}?"
        if close
        else f"; known are {', '.join(sorted(known))}"
    )
