"""What is wrong with the shape of a section: pydantic's findings as problems in words of our
own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from config.problems import Problem

_TAG: Final = "kind"
_EXPECTED_TYPE: Final = {
    "int_type": ("a whole number", "write a whole number, without quotes"),
    "int_from_float": ("a whole number", "write a whole number"),
    "float_type": ("a number", "write a number, without quotes"),
    "finite_number": ("a finite number", "write a finite number"),
    "bool_type": ("true or false", "write true or false, without quotes"),
    "string_type": ("text", "put it in quotes"),
    "tuple_type": ("a list", "write [a, b], or one line with a hyphen for each item"),
    "dict_type": ("a map of names", "write one line `name: value` for each, indented below it"),
    "model_type": ("a map of fields", "write one line `field: value` for each, indented below it"),
    "model_attributes_type": (
        "a map of fields",
        "write one line `field: value` for each, indented below it",
    ),
}
_BOUNDS: Final = {
    "greater_than_equal": ("ge", "{} or more", "raise it to {} or more"),
    "greater_than": ("gt", "more than {}", "raise it above {}"),
    "less_than_equal": ("le", "{} or less", "lower it to {} or less"),
    "less_than": ("lt", "less than {}", "lower it below {}"),
}


_ENVIRONMENT_NAME: Final = (
    "AWS makes up the name: a fixed one collides with itself when the environment is replaced"
)
_DIGESTS: Final = (
    "images are named by digest: behind a tag such as latest the image changes and the job"
    " definition does not"
)
_LEFT_OUT: Final = {
    "name": _ENVIRONMENT_NAME,
    "compute_environment_name": _ENVIRONMENT_NAME,
    "service_role": (
        "AWS Batch takes its service-linked role, the only one with which environments change in"
        " place"
    ),
    "spot_iam_fleet_role": (
        "only the strategy BEST_FIT needs it, with which environments do not change in place"
    ),
    "desired_vcpus": "AWS Batch sets that number itself, and an update would fight it",
    "target_nodes": (
        "the range is 0: and open, so that a submission may name another number of nodes than"
        " `nodes`"
    ),
    "cpu_tag": _DIGESTS,
    "gpu_tag": _DIGESTS,
}
"""Words of AWS Batch that the config leaves out on purpose, and why (terraform-provider-aws,
compute_environment.go; AWS Batch user guide, updating-compute-environments).
"""
_ON_FARGATE: Final = dict.fromkeys(
    ("scratch", "root_volume_gib"),
    "remove it, and set jobs.<stage>.ephemeral_storage_gib: on Fargate each container has a disk",
)
"""Fields of environments on instances, and what there is on Fargate instead."""


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where in a section a finding is: its path, and the types that stand there."""

    path: tuple[str, ...]
    annotation: Any
    """Type of the value; None for a field that does not exist."""
    model: type[BaseModel] | None
    """The innermost model on the way."""
    field: FieldInfo | None
    """Its field, where it has one of that name."""
    siblings: tuple[type[BaseModel], ...]
    """The other kinds that this model could have been."""
    is_field: bool
    """Whether the last part of the path names a field of that model, or was meant to."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A place that pydantic finds fault with."""

    path: tuple[str, ...]
    is_field: bool
    """Whether it is a field of a model, or was meant to be one; else an entry of a map, or a whole
    section.
    """
    meant: str | None
    """The field that a misspelt name was probably meant for."""


def findings(error: ValidationError, annotation: Any) -> list[Finding]:
    """The places at fault in a section of the given type; an item of a list stands for the field
    that holds the list.

    What lies inside of another such place is left out.
    """
    found: dict[tuple[str, ...], Finding] = {}
    for details in error.errors(include_url=False):
        loc = details["loc"]
        while loc and isinstance(loc[-1], int):
            loc = loc[:-1]
        place = _locate(annotation, loc)
        tagged = details["type"] in {"union_tag_invalid", "union_tag_not_found"}
        is_field = not tagged and loc[-1:] != ("[key]",) and place.is_field
        meant = (
            _meant(place.path[-1], place.model) if details["type"] == "extra_forbidden" else None
        )
        found[place.path] = Finding(path=place.path, is_field=is_field, meant=meant)
    return [
        finding
        for path, finding in found.items()
        if not any(path[:length] in found for length in range(len(path)))
    ]


def section_problems(section: str, error: ValidationError, annotation: Any) -> list[Problem]:
    """The problems that pydantic found in one section of the given type."""
    return [
        _problem(section, details, annotation)
        for details in error.errors(include_url=False)
        if not _follows(details)
    ]


def _follows(details: ErrorDetails) -> bool:
    """Whether a list is called too short only because some of its entries were refused, which is
    told already.
    """
    return details["type"] == "too_short" and len(details["input"]) >= details["ctx"]["min_length"]


def _problem(section: str, details: ErrorDetails, annotation: Any) -> Problem:
    kind, context, found = details["type"], details.get("ctx", {}), details["input"]
    place = _locate(annotation, details["loc"])
    path = place.path
    if kind == "missing":
        found, code = None, "MISSING"
        message, fix = f"the field is required ({_about(place.field)})", f"add {path[-1]}"
    elif kind == "extra_forbidden":
        code, (message, fix) = "UNKNOWN-FIELD", _unknown_field(path[-1], place)
    elif kind in {"union_tag_invalid", "union_tag_not_found"}:
        kinds = _tags(place.annotation)
        path, code, found = (*path, _TAG), "KIND", _tag_of(found)
        message, fix = (
            f"expected one of {', '.join(kinds)}",
            _closest(found, kinds) if found is not None else f"add {_TAG}",
        )
    elif kind in _EXPECTED_TYPE:
        # a map of environments and one environment, which is a union of models, are both a dict to
        # pydantic
        code, (expected, fix) = (
            "TYPE",
            _EXPECTED_TYPE["model_type" if _members(place.annotation) else kind],
        )
        message = f"expected {expected}"
    elif kind == "literal_error":
        values = get_args(place.annotation)
        code, message, fix = (
            "VALUE",
            f"expected one of {', '.join(map(str, values))}",
            _closest(found, values),
        )
    elif kind in _BOUNDS:
        bound, expected, fix = _BOUNDS[kind]
        limit = f"{context[bound]:g}" if isinstance(context[bound], float) else str(context[bound])
        code, message, fix = "VALUE", f"expected {expected.format(limit)}", fix.format(limit)
    elif kind in {"too_short", "too_long"}:
        code, (message, fix) = "VALUE", _length(kind, context)
    elif kind == "value_error":
        code, message, fix = "VALUE", str(context["error"]), "write it in that form"
    else:  # nothing that the sections can give rise to today; a test holds that
        code, message, fix = "OTHER", details["msg"], "correct the value"
    return Problem(
        code=f"SHAPE-{code}",
        level="error",
        path=".".join((section, *path)),
        found=found,
        message=message,
        fix=fix,
    )


# ---- what to say ---------------------------------------------------------------------------------


def _about(field: FieldInfo | None) -> str:
    return (field.description or "").partition(" Change:")[0].rstrip(".") if field else ""


def _unknown_field(name: str, place: _Place) -> tuple[str, str]:
    if name in _LEFT_OUT:
        return _LEFT_OUT[name], "remove it"
    known = sorted(place.model.model_fields) if place.model else []
    elsewhere = sorted(
        tag for model in place.siblings if name in model.model_fields for tag in _tags(model)
    )
    message = f"there is no such field here; known are {', '.join(known)}"
    meant = _meant(name, place.model)
    if elsewhere and name in _ON_FARGATE:
        return f"only the kind {' or '.join(elsewhere)} has this field", _ON_FARGATE[name]
    if elsewhere:
        return (
            f"only the kind {' or '.join(elsewhere)} has this field",
            f"write {meant}, or remove it" if meant else "remove it",
        )
    return message, f"write {meant}" if meant else "remove it"


def _meant(name: str, model: type[BaseModel] | None) -> str | None:
    """The field of a model that a misspelt name was probably meant for."""
    known = sorted(model.model_fields) if model is not None and name not in _LEFT_OUT else []
    return next(iter(get_close_matches(name, known, n=1, cutoff=0.5)), None)


def _closest(found: Any, values: Sequence[Any]) -> str:
    if isinstance(found, int | float) and all(isinstance(v, int) for v in values):
        return f"write {min(values, key=lambda v: abs(v - found))}"
    close = get_close_matches(str(found), [str(v) for v in values], n=1)
    return f"write {close[0]}" if close else "use one of these"


def _length(kind: str, context: Mapping[str, Any]) -> tuple[str, str]:
    actual = context["actual_length"]
    if kind == "too_short":
        return (
            f"expected {_entries(context['min_length'])} or more, found {actual}",
            "add what is missing",
        )
    return f"expected {_entries(context['max_length'])} at most, found {actual}", "remove some"


def _entries(count: int) -> str:
    return "1 entry" if count == 1 else f"{count} entries"


# ---- where it is ---------------------------------------------------------------------------------


def _locate(annotation: Any, loc: Sequence[int | str]) -> _Place:
    """Follows pydantic's location through the types.

    pydantic puts the kind of a union's member into the location, and `[key]` where a name of a map
    is at fault; neither is a part of the path that a person looks for.
    """
    path: list[str] = []
    model: type[BaseModel] | None = None
    field: FieldInfo | None = None
    siblings: tuple[type[BaseModel], ...] = ()
    others: tuple[type[BaseModel], ...] = ()
    is_field = False
    for part in loc:
        annotation = _bare(annotation)
        if part == "[key]":
            break
        members = _members(annotation)
        if members:
            annotation = next(m for m in members if part in _tags(m))
            others = tuple(m for m in members if m is not annotation)
            continue
        path.append(str(part))
        is_field = isinstance(annotation, type) and issubclass(annotation, BaseModel)
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            model, siblings, others = annotation, others, ()
            field = model.model_fields.get(str(part))
            annotation = field.annotation if field else None
        elif get_origin(annotation) in (dict, tuple):
            annotation = get_args(annotation)[1 if get_origin(annotation) is dict else 0]
    return _Place(
        path=tuple(path),
        annotation=_bare(annotation),
        model=model,
        field=field,
        siblings=siblings,
        is_field=is_field,
    )


def _bare(annotation: Any) -> Any:
    """The type without its constraints, and without the None of an optional one."""
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        some = [a for a in get_args(annotation) if a is not type(None)]
        return _bare(some[0]) if len(some) == 1 else annotation
    return annotation


def _members(annotation: Any) -> tuple[type[BaseModel], ...]:
    """The models of a union on `kind`; empty for any other type."""
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else ()


def _tags(annotation: Any) -> tuple[str, ...]:
    """The kinds of one model, or of all models of a union."""
    models = _members(annotation) or (annotation,)
    return tuple(tag for model in models for tag in get_args(model.model_fields[_TAG].annotation))


def _tag_of(found: Any) -> Any:
    return found.get(_TAG) if isinstance(found, Mapping) else found
