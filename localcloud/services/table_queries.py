"""Queries of DynamoDB tables in moto, which goes through the whole table and sorts it for each
query.

What a query can find is picked out before, so that it takes as long as what it finds and not as
long as what the table holds. Pages and order are moto's own.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any, Final

from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import SecondaryIndex, Table

_whole_table_query: Final = Table.query
_SIGNATURE: Final = inspect.signature(Table.query)


def query(table: Table, *given: Any, **named: Any) -> Any:
    """In place of Table.query: the same, of a table with no more in it than the query may find."""
    bound = _SIGNATURE.bind(table, *given, **named)
    bound.apply_defaults()
    asked: dict[str, Any] = {**bound.arguments, **bound.arguments["filter_kwargs"]}
    del asked["self"], asked["filter_kwargs"]
    narrowed = copy.copy(table)
    if asked.get("index_name") is None:
        found = table.items.get(asked["hash_key"])
        narrowed.items = {} if found is None else {asked["hash_key"]: found}  # type: ignore[assignment]
    elif (attribute := _sort_key(table, asked)) is not None:
        # in the order in which moto sorts, so that it has nothing to move
        narrowed.items = {}  # type: ignore[assignment]
        for item in sorted(_window(table, attribute, asked), key=_table_key):
            narrowed.items.setdefault(item.hash_key, {})[item.range_key] = item
        asked["exclusive_start_key"] = None
    return _whole_table_query(narrowed, **asked)


def of_now(moto_method: Callable[..., list[Item]]) -> Callable[..., list[Item]]:
    """In place of a method of Table that goes through all items: the same, of those that the table
    has when it begins. Other calls write into it meanwhile.
    """

    def method(table: Table, *given: Any) -> list[Item]:
        fixed = copy.copy(table)
        fixed.items = {  # type: ignore[assignment]
            key: dict(held) if isinstance(held, dict) else held
            for key, held in list(table.items.items())
        }
        return moto_method(fixed, *given)

    return method


def project(index: SecondaryIndex, item: Item) -> Item:
    """In place of SecondaryIndex.project: the attributes that the index holds; moto renders the
    whole item anew for each of them.
    """
    projection: dict[str, Any] = index.projection or {}
    if projection.get("ProjectionType") not in {"KEYS_ONLY", "INCLUDE"}:
        return item
    held = {*index.table_key_attrs, *(key["AttributeName"] for key in index.schema)}
    if projection["ProjectionType"] == "INCLUDE":
        held.update(projection.get("NonKeyAttributes", []))
    projected = copy.copy(item)
    attributes = {name: value for name, value in item.attrs.items() if name in held}
    projected.attrs = type(item.attrs)(attributes)
    return projected


def _sort_key(table: Table, asked: dict[str, Any]) -> str | None:
    """The sort key of the index, where it is asked by one partition key and at most one condition
    on that; None for other queries.
    """
    index = next((each for each in table.all_indexes() if each.name == asked["index_name"]), None)
    keys = [] if index is None else [key for key in index.schema if key["KeyType"] == "RANGE"]
    plain = (
        len(asked.get("hash_key_conditions") or ()) == 1
        and len(asked.get("range_key_conditions") or ()) <= 1
    )
    return keys[0]["AttributeName"] if plain and table.range_key_attr and len(keys) == 1 else None


def _window(table: Table, attribute: str, asked: dict[str, Any]) -> list[Item]:
    """The items after the start key, no more than the limit and one, by which moto knows that there
    are more.
    """
    name, value = asked["hash_key_conditions"][0]
    conditions = asked.get("range_key_conditions") or [(attribute, None, [])]
    comparison, operands = conditions[0][1], conditions[0][2]
    found = [
        (_index_key(item.attrs[attribute], item), item)
        for items in list(table.items.values())
        for item in list(items.values())
        if (own := item.attrs.get(name)) is not None
        and own == value
        and attribute in item.attrs
        and (comparison is None or item.attrs[attribute].compare(comparison, operands))
    ]
    found.sort(key=lambda each: each[0], reverse=asked["scan_index_forward"] is False)
    start = asked.get("exclusive_start_key")
    if start:
        keys = (attribute, table.hash_key_attr, table.range_key_attr)
        last = tuple(DynamoType(start[key]).cast_value for key in keys if key is not None)
        backwards = asked["scan_index_forward"] is False
        found = [each for each in found if (each[0] < last if backwards else each[0] > last)]
    limit = asked.get("limit")
    return [item for _, item in (found[: limit + 1] if limit else found)]


def _index_key(value: DynamoType, item: Item) -> tuple[Any, ...]:
    return value.cast_value, *_table_key(item)


def _table_key(item: Item) -> tuple[Any, ...]:
    return item.hash_key.cast_value, item.range_key.cast_value  # type: ignore[union-attr]
