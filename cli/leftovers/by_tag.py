"""What has the stack's tags, as the Resource Groups Tagging API knows it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from botocore.exceptions import ClientError

from cli.leftovers.account import Account, Leftover
from cli.leftovers.going import GOING
from cli.leftovers.kinds import KINDS, OTHER, Kind
from cli.leftovers.ties import TIES

_LOOKED_FOR: Final = (
    ("budgets", "budget"),
    ("ec2", "image"),
    ("ec2", "security-group-rule"),
    ("logs", "log-group"),
)
"""Kinds that are looked for by themselves."""
ALIVE: Final = "was not deleted: protected, retained, or the deletion failed"
_GONE: Final = ("NotFound", "NoSuchEntity")
"""What the codes of errors have in them that say so."""


def tagged(account: Account) -> Iterator[Leftover]:
    """Resources with the stack's tags."""
    filters = [{"Key": key, "Values": [value]} for key, value in account.tags.items()]
    items = account.pages(
        "resourcegroupstaggingapi", "get_resources", "ResourceTagMappingList", TagFilters=filters
    )
    order = [*KINDS, None]
    for arn in sorted(
        (item["ResourceARN"] for item in items), key=lambda arn: order.index(_key(arn))
    ):
        service, kind, _ = parts_of(arn)
        if (service, kind) in _LOOKED_FOR or account.has(arn):
            continue
        if account.known is not None and _kind(arn).by_services:
            continue
        try:
            going = GOING.get(_key(arn) or "")
            found = None if going and going(account.client, arn) else of_arn(account, arn)
        except ClientError as error:  # the API goes on to name what is gone for a while
            if not any(word in error.response["Error"]["Code"] for word in _GONE):
                raise
            continue
        if found is not None:
            yield found


def parts_of(arn: str) -> tuple[str, str, list[str]]:
    """Service, type of resource, and all parts of the resource's name, its type among them."""
    _, _, service, _, _, resource = arn.split(":", 5)
    parts = resource.replace(":", "/").split("/")
    return service, parts[0], parts


def _key(arn: str) -> str | None:
    """The kind of a resource as KINDS has it; None where that has none."""
    service, kind, _ = parts_of(arn)
    return next((key for key in (f"{service}:{kind}", service) if key in KINDS), None)


def _kind(arn: str) -> Kind:
    key = _key(arn)
    return KINDS[key] if key else OTHER


def of_arn(account: Account, arn: str) -> Leftover:
    """A resource, with what is tied to it. Raises botocore's errors."""
    key, parts, known = _key(arn), parts_of(arn)[2], _kind(arn)
    ties = TIES[key](account.client, arn) if key in TIES else ()
    remove = known.remove.format(name=parts[-1], path="/".join(parts[1:]), arn=arn)
    return Leftover(
        kind=known.kind,
        name=arn,
        why=ALIVE,
        costs=known.costs,
        remove=" && ".join((*ties, remove)),
    )
