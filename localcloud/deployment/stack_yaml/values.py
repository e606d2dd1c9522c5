"""Values of a YAML document as they reach the CLI's config, after its two passes over the file.

Between the passes the CLI writes what it found as YAML again, which joins keys that were two (the
number 1 and the text "1"), makes 16.0 the whole number 16 and a date another date's text.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from localcloud.deployment.stack_yaml.nodes import Node, YamlError, shown
from localcloud.deployment.stack_yaml.scalars import RESOLVED, Moment, resolve
from localcloud.deployment.stack_yaml.texts import key_text, shortest

_DEPTH: Final = 96
_FREE_ALIASES, _FREE_DECODES = 100, 1000
_RATIO_HIGH, _RATIO_LOW = 0.99, 0.10
_DECODES_LOW, _DECODES_HIGH = 400_000, 4_000_000
_EXACT: Final = 2**53
_USUAL_INTEGER: Final = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_USUAL_FLOAT: Final = re.compile(r"[-+]?([1-9][0-9]*|0)?(\.[0-9]*)?([eE][-+]?[0-9]+)?")


@dataclass(frozen=True, kw_only=True)
class Altered:
    """A value that reaches a program as something else than what stands in the file."""

    path: tuple[str, ...]
    line: int
    text: str
    """What the file says."""
    becomes: Any
    """What a program gets."""


@dataclass(frozen=True, kw_only=True)
class Values:
    """What a document holds."""

    content: Any
    lines: dict[tuple[str, ...], int] = field(default_factory=dict)
    """Path -> line; entries of lists by their number from 0."""
    altered: tuple[Altered, ...] = ()
    next_line: int | None = None
    """Where a second document begins, which the CLI does not read."""


def decode(root: Node, *, next_line: int | None = None) -> Values:
    """The values of a document: maps with text keys, lists, and text, numbers, booleans and None.

    Raises YamlError where the CLI refuses: a key given twice, a tag that its text does not fit, an
    alias inside of what it stands for, aliases that multiply without bounds.
    """
    decoder = _Decoder()
    content = decoder.value(root, ())
    return Values(
        content=content,
        lines=decoder.lines,
        altered=tuple(decoder.altered),
        next_line=next_line,
    )


class _Decoder:
    def __init__(self) -> None:
        self.lines: dict[tuple[str, ...], int] = {}
        self.altered: list[Altered] = []
        self._decoded = self._by_alias = self._in_alias = self._depth = 0
        self._open: set[int] = set()

    def value(self, node: Node, path: tuple[str, ...]) -> Any:
        self._count(node)
        if node.target is not None:
            return self._aliased(node, node.target, path)
        if node.kind == "scalar":
            return self._written(node, path, self._scalar(node))
        self._depth += 1
        if self._depth > _DEPTH:
            raise YamlError(f"more than {_DEPTH} levels; no section is so deep", node.line)
        found = self._list(node, path) if node.kind == "list" else self._map(node, path)
        self._depth -= 1
        return found

    def _aliased(self, node: Node, target: Node, path: tuple[str, ...]) -> Any:
        if id(target) in self._open:
            raise YamlError(
                f"*{node.value} stands inside of what &{node.value} marks; write the value out",
                node.line,
            )
        self._open.add(id(target))
        self._in_alias += 1
        found = self.value(target, path)
        self._in_alias -= 1
        self._open.discard(id(target))
        return found

    def _count(self, node: Node) -> None:
        """The parser's own guard against a few lines that stand for millions of values."""
        self._decoded += 1
        self._by_alias += bool(self._in_alias)
        if self._by_alias <= _FREE_ALIASES or self._decoded <= _FREE_DECODES:
            return
        share = (self._decoded - _DECODES_LOW) / (_DECODES_HIGH - _DECODES_LOW)
        allowed = _RATIO_HIGH - (_RATIO_HIGH - _RATIO_LOW) * min(max(share, 0.0), 1.0)
        if self._by_alias / self._decoded > allowed:
            raise YamlError("aliases stand for too many values; write the values out", node.line)

    def _list(self, node: Node, path: tuple[str, ...]) -> list[Any]:
        found = []
        for position, child in enumerate(node.children):
            where = (*path, str(position))
            self.lines.setdefault(where, child.line)
            found.append(self.value(child, where))
        return found

    def _map(self, node: Node, path: tuple[str, ...]) -> dict[str, Any]:
        _refuse_doubles(node)
        textual = all(_tag(key) in ("!!str", "!!merge") for key, _ in node.pairs())
        typed: dict[tuple[str, Any], tuple[Node, Node]] = {}
        for key, child, name in self._entries(node, set(), textual=textual):
            typed[name] = (key, child)
        found: dict[str, Any] = {}
        written: set[str] = set()
        for (tag, name), (key, child) in typed.items():
            between = key_text(name)
            if between in written:
                raise _double(between, key.line, None)
            written.add(between)
            text = _key(tag, name)
            if between == "<<":
                raise YamlError(
                    "the Pulumi CLI loses the quotes of the key `<<` and merges; take another key",
                    key.line,
                )
            if path in _TEXTUAL and _tag(key) != "!!str":
                raise YamlError(f"the key `{shown(text)}` is no text; put it in quotes", key.line)
            self._note(key, (*path, text), text, name)
            self.lines.setdefault((*path, text), key.line)
            found[text] = self.value(child, (*path, text))
        return found

    def _entries(
        self, node: Node, taken: set[tuple[str, Any]], *, textual: bool
    ) -> Iterator[tuple[Node, Node, tuple[str, Any]]]:
        """A map's own entries, then those merged into it; what stands nearer wins."""
        merged: Node | None = None
        own: set[tuple[str, Any]] = set()
        for key, child in node.pairs():
            if _is_merge(key):
                merged = child
                continue
            name = self._name(key, textual=textual)
            if name in own:
                raise _double(key.value, key.line, None)
            if name is not None:
                own.add(name)
            if name is not None and name not in taken:
                taken.add(name)
                yield key, child, name
        for source in _sources(merged) if merged is not None else ():
            yield from self._merged(source, taken, textual=textual)

    def _merged(
        self, source: Node, taken: set[tuple[str, Any]], *, textual: bool
    ) -> Iterator[tuple[Node, Node, tuple[str, Any]]]:
        if id(source) in self._open or len(self._open) > _DEPTH:
            raise YamlError("maps merge into each other; write the values out", source.line)
        self._open.add(id(source))
        self._in_alias += 1
        for node in (source, *source.children):
            self._count(node)
        self._in_alias -= 1
        _refuse_doubles(source)
        yield from self._entries(source, taken, textual=textual)
        self._open.discard(id(source))

    def _name(self, key: Node, *, textual: bool) -> tuple[str, Any] | None:
        node = _resolved(key)
        if node.kind != "scalar":
            raise YamlError(f"a key is a {node.kind}; write a text", key.line)
        if textual:
            # merged into a map whose own keys are text, a key stays as it is written
            return None if node.tag == "!!null" else ("!!str", node.value)
        value = self._scalar(node)
        if isinstance(value, float) and math.isnan(value):
            raise YamlError(f"the key `{node.value}` is no text; put it in quotes", key.line)
        return (node.tag if not isinstance(value, str) else "!!str", value)

    def _scalar(self, node: Node) -> Any:
        """The value of a scalar after the first pass."""
        value = self._first(node)
        if isinstance(value, str) and "\n" in value and value[0] in _LOST:
            raise YamlError(
                "a text of several lines begins with an empty line or a tab, which the Pulumi CLI "
                "loses; begin with another character",
                node.line,
            )
        return value

    def _first(self, node: Node) -> Any:
        if node.tag == "!!binary":
            return _binary(node)
        if node.tag not in RESOLVED or node.tag == "!!str":
            return node.value
        found = resolve(node.value, timestamps=node.plain or node.tag == "!!timestamp")
        if node.tag == "!!float" and found.tag == "!!int":
            return float(found.value)
        if found.tag != node.tag:
            raise YamlError(
                f"`{shown(node.value)}` is no {node.tag.removeprefix('!!')}, as its tag says; "
                "take the tag away or correct the value",
                node.line,
            )
        return found.value

    def _written(self, node: Node, path: tuple[str, ...], value: Any) -> Any:
        """The value of a scalar after the second pass."""
        final = value
        if isinstance(value, float):
            between = resolve(shortest(value))
            final = between.value
            if not math.isfinite(final):
                raise YamlError(
                    f"`{shown(node.value)}` is no number that a config may hold; write a"
                    " finite one",
                    node.line,
                )
        if isinstance(value, Moment):
            final = value.text()
        if isinstance(final, int) and not -(2**63) <= final < 2**63 and len(path) > _TOP:
            final = float(final)
        self._note(node, path, final, value)
        return final

    def _note(self, node: Node, path: tuple[str, ...], becomes: Any, value: Any) -> None:
        written = _resolved(node)
        if written.plain and _differs(written.value, value):
            self.altered.append(
                Altered(path=path, line=node.line, text=written.value, becomes=becomes)
            )


_LOST: Final = "\n\t\x85\u2028\u2029"
_TEXTUAL: Final = ((), ("config",))
"""Maps in which the CLI wants keys to be text."""
_TOP: Final = 2
"""Length of the path of a config value as such: `config`, then its key."""
_NO_NUMBERS: Final = {".inf": "+Inf", "-.inf": "-Inf"}
"""How the CLI writes keys that are floating point but no number."""


def _resolved(node: Node) -> Node:
    return node if node.target is None else _resolved(node.target)


def _tag(key: Node) -> str:
    return _resolved(key).tag


def _key(tag: str, name: Any) -> str:
    """A key as the CLI's config holds it."""
    if tag == "!!null":
        return "<nil>"
    if isinstance(name, float):
        # a whole number by now, if it is one
        between = shortest(name)
        value = resolve(between).value
        if isinstance(value, float):
            return _NO_NUMBERS.get(between, between)
        return str(value)
    return name.text() if isinstance(name, Moment) else key_text(name)


def _is_merge(key: Node) -> bool:
    return key.kind == "scalar" and key.value == "<<" and key.tag == "!!merge"


def _sources(merged: Node) -> Iterator[Node]:
    for each in merged.children if merged.kind == "list" else (merged,):
        source = _resolved(each)
        if source.kind != "map":
            raise YamlError("`<<` merges maps only; write an alias of a map", each.line)
        yield source


def _refuse_doubles(node: Node) -> None:
    seen: dict[tuple[str, str], int] = {}
    for key, _ in node.pairs():
        if (first := seen.get((key.kind, key.value))) is not None:
            raise _double(key.value, key.line, first)
        seen[key.kind, key.value] = key.line


def _double(text: str, line: int, first: int | None) -> YamlError:
    before = f", first in line {first}" if first else ""
    return YamlError(f"the key `{shown(text)}` is given twice{before}; keep one of the two", line)


def _binary(node: Node) -> str:
    try:
        data = base64.b64decode(re.sub("[\r\n]", "", node.value), validate=True)
        return data.decode("utf-8")
    except (binascii.Error, ValueError):
        raise YamlError(
            "`!!binary` is not the base64 of UTF-8 text; write the text in quotes", node.line
        ) from None


def _differs(text: str, value: Any) -> bool:
    """Whether a value says something else than the text that stands for it."""
    if isinstance(value, bool) or value is None:
        return False
    if isinstance(value, int):
        return _USUAL_INTEGER.fullmatch(text) is None or abs(value) > _EXACT
    if isinstance(value, float):
        usual = _USUAL_FLOAT.fullmatch(text) is not None
        return not usual or Decimal(text) != Decimal(repr(value))
    return isinstance(value, Moment)
