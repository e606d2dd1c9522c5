"""What the SDK asks the hints of a resource's arguments, for each value that it sends: a tenth of
the time of a preview, for a few hundred hints.
"""

from __future__ import annotations

import functools
from typing import Any, Final

import pulumi._types

_SDK: Final[Any] = pulumi._types  # noqa: SLF001 - there is no setting for it


@functools.cache
def hasten() -> None:
    """Lets the SDK keep what it has found, once for the process. A release of the SDK that goes
    about it otherwise keeps its own way.
    """
    unwrap = getattr(_SDK, "unwrap_type", None)
    if unwrap is not None:
        _SDK.unwrap_type = functools.cache(unwrap)
