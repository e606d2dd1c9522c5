"""The policy of a form that uploads an object: what it allows, and whether the form keeps to it.

Rules: Amazon S3 API Reference, "Creating a POST Policy" (POST Object).
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Self

from localcloud.protocol.wire import WireError

_FREE: Final = frozenset(
    {"x-amz-signature", "file", "policy", "awsaccesskeyid", "signature", "bucket"}
)
"""Fields that need no condition, besides those that begin with x-ignore-."""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """A policy document.

    Attributes:
        expires: When it ends.
        conditions: (kind, field in lower case, value) of `eq` and `starts-with`.
        smallest: Least number of bytes of the file.
        largest: Most, None without a limit.
    """

    expires: datetime
    conditions: tuple[tuple[str, str, str], ...]
    smallest: int
    largest: int | None

    @classmethod
    def of(cls, encoded: str) -> Self:
        """From a form's field, JSON in Base64. Raises WireError."""
        try:
            document = json.loads(base64.b64decode(encoded, validate=True))
            text = str(document["expiration"]).replace("Z", "+00:00")
            expires = datetime.fromisoformat(text).astimezone(UTC)
            conditions, sizes = _conditions(document["conditions"])
        except (binascii.Error, ValueError, KeyError, TypeError, AttributeError) as error:
            raise WireError(
                "InvalidPolicyDocument", f"Invalid Policy: Invalid JSON: {error}"
            ) from None
        smallest, largest = sizes
        return cls(expires=expires, conditions=conditions, smallest=smallest, largest=largest)

    def check(self, fields: Mapping[str, str], bucket: str) -> None:
        """Raises WireError unless every condition holds and every field has one.

        Args:
            fields: By name in lower case, without the file.
            bucket: Of the address.
        """
        if datetime.now(UTC) > self.expires:
            raise _denied("Policy expired.")
        found = {**fields, "bucket": bucket}
        for kind, name, value in self.conditions:
            actual = found.get(name, "")
            if not (actual == value if kind == "eq" else actual.startswith(value)):
                shown = json.dumps([kind, f"${name}", value])
                raise _denied(f"Policy Condition failed: {shown}")
        named = {name for _, name, _ in self.conditions} | _FREE
        extra = sorted(
            name for name in fields if name not in named and not name.startswith("x-ignore-")
        )
        if extra:
            raise _denied(f"Extra input fields: {', '.join(extra)}")

    def check_size(self, size: int, *, whole: bool) -> None:
        """Raises WireError where a file of this size is not allowed; `whole`: it has no more."""
        if self.largest is not None and size > self.largest:
            raise WireError(
                "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size"
            )
        if whole and size < self.smallest:
            raise WireError(
                "EntityTooSmall",
                "Your proposed upload is smaller than the minimum allowed size",
            )


def _conditions(
    stated: list[Any],
) -> tuple[tuple[tuple[str, str, str], ...], tuple[int, int | None]]:
    """(conditions on fields, limits of the size). Raises ValueError."""
    found: list[tuple[str, str, str]] = []
    smallest, largest = 0, None
    for each in stated:
        if isinstance(each, dict):
            found += [("eq", name.lower(), str(value)) for name, value in each.items()]
            continue
        kind, first, second = each
        if str(kind).lower() == "content-length-range":
            smallest, largest = int(first), int(second)
        elif str(kind).lower() in ("eq", "starts-with") and str(first).startswith("$"):
            found.append((str(kind).lower(), str(first)[1:].lower(), str(second)))
        else:
            raise ValueError(f"unknown condition {json.dumps(each)}")
    return tuple(found), (smallest, largest)


def _denied(why: str) -> WireError:
    return WireError("AccessDenied", f"Invalid according to Policy: {why}", status=403)
