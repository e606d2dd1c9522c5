"""What a call needs: an action on a resource, under conditions."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Requirement:
    """One permission that a call needs."""

    action: str
    resource: str = "*"
    context: dict[str, str | list[str]] = field(default_factory=dict)
