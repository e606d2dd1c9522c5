"""The base of all sections and the named types of their fields."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn, Self, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
)
from pydantic_core import CoreSchema, core_schema

K = TypeVar("K")
V = TypeVar("V")

Change = Literal["in place", "new revision", "replaces", "drained queue"]
"""What changing a field costs: nothing but an update; a new job definition revision; a replacement
of the resource; a replacement which needs the queue to be empty of running jobs first, because they
would be stopped.
"""


class BrokenFieldError(AttributeError):
    """A field was read whose value in the stack file is none that it takes."""


class Section(BaseModel):
    """A frozen part of a stack file that refuses unknown keys."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=False,
        validate_default=True,
        allow_inf_nan=False,
    )

    if not TYPE_CHECKING:  # for mypy every name would be an attribute

        def __getattr__(self, name: str) -> NoReturn:
            # a property comes here where it asked for such a field
            known = name in type(self).model_fields or isinstance(
                getattr(type(self), name, None), property
            )
            raise (BrokenFieldError if known else AttributeError)(
                f"{type(self).__name__} has no {name}"
            )


class FrozenDict(dict[K, V]):
    """A dict that stays as it was made, as befits a part of a frozen section."""

    def _refuse(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        raise TypeError("the config of a stack does not change while the program runs")

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[type[FrozenDict[K, V]], tuple[dict[K, V]]]:
        return type(self), (dict(self),)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: dict[int, Any]) -> Self:
        return self  # what a section holds is frozen itself


FrozenMap = Annotated[dict[K, V], AfterValidator(FrozenDict)]
"""The type of a section's maps."""


def setting(default: Any = ..., *, about: str, change: Change, **constraints: Any) -> Any:
    """A field of a section: what it does, and what changing it in a living stack costs."""
    return Field(
        default,
        description=f"{about} Change: {change}.",
        json_schema_extra={"change": change},
        **constraints,
    )


def _cidr_block(value: str) -> str:
    try:
        network = ipaddress.IPv4Network(value)
    except ValueError as error:
        raise ValueError(
            f"expected an IPv4 CIDR block, for example 10.0.0.0/16 ({error})"
        ) from error
    if not 16 <= network.prefixlen <= 24:
        raise ValueError(
            "expected a prefix length from /16 to /24, the sizes that AWS allows for a VPC and that"
            " leave room for subnets"
        )
    if not network.is_private:
        raise ValueError("expected a private range: 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16")
    return value


@dataclass(frozen=True)
class _Pattern:
    """A form of text, for validation and for the JSON Schema alike."""

    pattern: str
    expected: str

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {
            **handler(schema),
            "pattern": f"^(?:{self.pattern})$",
            "patternErrorMessage": f"expected {self.expected}",
        }

    def _check(self, value: str) -> str:
        if re.fullmatch(self.pattern, value) is None:
            raise ValueError(f"expected {self.expected}")
        return value


@dataclass(frozen=True)
class WordOrWhole:
    """A word or a whole number within bounds, both included: one finding where it is neither."""

    word: str
    low: int
    high: int

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._check)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        number = {"type": "integer", "minimum": self.low, "maximum": self.high}
        return {"anyOf": [{"const": self.word, "type": "string"}, number]}

    def _check(self, value: object) -> int | str:
        if value == self.word or (type(value) is int and self.low <= value <= self.high):
            return value
        raise ValueError(f"expected {self.word}, or a whole number from {self.low} to {self.high}")


def _time_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        close = get_close_matches(value, available_timezones(), n=1)  # reads hundreds of files
        example = close[0] if close else "Europe/Berlin"
        raise ValueError(
            f"expected a time zone of the IANA database, for example {example}"
        ) from None
    return value


TimeZone = Annotated[str, AfterValidator(_time_zone)]
CidrBlock = Annotated[str, AfterValidator(_cidr_block)]
ResourceName = Annotated[
    str,
    _Pattern(
        r"[a-z][a-z0-9-]{0,29}",
        "lower-case letters, digits and hyphens, at most 30, beginning with a letter",
    ),
]
"""Part of the name of an AWS resource; short enough that stack, component and random suffix fit
beside it in 64 characters.
"""
InstanceTypeName = Annotated[
    str, _Pattern(r"[a-z0-9-]+\.[a-z0-9-]+", "an EC2 instance type, for example c6i.xlarge")
]
ImageId = Annotated[
    str, _Pattern(r"ami-[0-9a-f]{8,17}", "an AMI id, for example ami-0123456789abcdef0")
]
CapacityReservationId = Annotated[
    str, _Pattern(r"cr-[0-9a-f]{17}", "a capacity reservation id, for example cr-0123456789abcdef0")
]
ImageDigest = Annotated[
    str, _Pattern(r"sha256:[0-9a-f]{64}", "an image digest: sha256: and 64 hex digits")
]
ShareIdentifier = Annotated[
    str, _Pattern(r"[A-Za-z0-9]{1,254}\*?", "letters and digits, with a * at the end for a prefix")
]
FileSystemId = Annotated[
    str,
    _Pattern(
        r"fs-(?:[0-9a-f]{8}|[0-9a-f]{17})", "a file system id, for example fs-0123456789abcdef0"
    ),
]
HostName = Annotated[
    str,
    _Pattern(
        r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+",
        "a DNS name, for example fs-0123456789abcdef0.fsx.us-east-1.amazonaws.com",
    ),
]
LustreMountName = Annotated[
    str, _Pattern(r"[A-Za-z0-9_-]{1,8}", "the mount name that FSx shows, for example fsx")
]
ContainerPath = Annotated[
    str,
    _Pattern(
        r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._-]+)+",
        "an absolute path of letters, digits and . _ - without .., for example /mnt/shared",
    ),
]
DirectoryPath = Annotated[
    str,
    _Pattern(
        r"(?=.{1,100}$)(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._-]+){1,4}",
        "a directory of the file system, at most four deep and 100 long, for example /shared",
    ),
]
WebAddress = Annotated[
    str,
    _Pattern(r"https://[^\s#|<>]{1,300}", "a web address that begins with https:// and has no #"),
]
EmailAddress = Annotated[str, _Pattern(r"[^@\s]+@[^@\s]+\.[^@\s]+", "an e-mail address")]
TimeOfDay = Annotated[
    str,
    _Pattern(
        r"(?:[01][0-9]|2[0-3]):[0-5][0-9]", "a time of day from 00:00 to 23:59, for example 06:00"
    ),
]
DatasetName = Annotated[
    str,
    _Pattern(
        r"(?!.*\.(?:[cC][sS][vV]|[tT][sS][vV])(?:\.[gG][zZ])?$)[^/\x00-\x1f\x7f]{1,250}",
        "the name of the data set's files without folder and ending, for example sales for"
        " data/20260131/sales.csv",
    ),
]
ColumnName = Annotated[
    str, _Pattern(r"[^\x00-\x1f\x7f]{1,250}", "the name of a column as in the header of the file")
]
TagKey = Annotated[
    str,
    _Pattern(
        r"(?!aws:)[A-Za-z0-9 +=._:/@-]{1,128}",
        "letters, digits, spaces and + - = . _ : / @, at most 128, not beginning with aws:",
    ),
]
TagValue = Annotated[
    str,
    _Pattern(
        r"[A-Za-z0-9 +=._:/@-]{0,256}", "letters, digits, spaces and + - = . _ : / @, at most 256"
    ),
]
