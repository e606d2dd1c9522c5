"""The structure of the first document of a YAML file, with the line of everything in it."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

import yaml

from localcloud.deployment.stack_yaml.scalars import resolve

_BYTES: Final = 1 << 20
_DEPTH: Final = 64
_SHOWN: Final = 40
_CORE: Final = "tag:yaml.org,2002:"
_UTF8_MARK: Final = b"\xef\xbb\xbf"
_UTF16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")


def shown(text: str) -> str:
    """A piece of a file for a sentence: one line, and not too long."""
    line = text if text.isprintable() else repr(text)[1:-1]
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 1]}…"


class YamlError(ValueError):
    """What cannot be read; `line` counts from 1 and is None where the fault has no place.

    The message says what was found and how to mend it.
    """

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(f"line {line}: {message}" if line else message)
        self.line = line


@dataclass(eq=False, kw_only=True)
class Node:
    """A scalar, a map or a list as it stands in the file."""

    kind: Literal["scalar", "map", "list", "alias"]
    tag: str
    """Short form (`!!str`); of a plain scalar without a tag the one that its text stands for."""
    value: str = ""
    """Text of a scalar, name of an alias."""
    line: int
    plain: bool = False
    """A scalar without quotes, which may stand for something else than text."""
    children: list[Node] = field(default_factory=list)
    """Keys and values by turns, or entries of a list."""
    target: Node | None = None
    """What an alias stands for."""

    def pairs(self) -> Iterator[tuple[Node, Node]]:
        """Keys and values of a map."""
        return zip(self.children[::2], self.children[1::2], strict=True)


@dataclass(frozen=True, kw_only=True)
class Document:
    """The first document of a file; `root` is None where there is none."""

    root: Node | None
    next_line: int | None
    """Where a second document begins, which the CLI does not read."""


@functools.lru_cache(maxsize=16)
def compose(data: bytes) -> Document:
    """Reads the first document, whose nodes nobody changes. Raises YamlError."""
    if len(data) > _BYTES:
        raise YamlError(f"{len(data)} bytes are no stack file; at most {_BYTES} are read")
    composer = None
    try:
        composer = _Composer(data.removeprefix(_UTF8_MARK))
        return composer.document()
    except (ValueError, OverflowError) as error:
        if isinstance(error, YamlError):
            raise
        # PyYAML makes characters of escapes, and numbers of versions, without a look at their size
        raise YamlError(
            "an escape or a version is out of range; an escape stands for U+0000 to U+10FFFF",
            composer.line if composer else None,
        ) from None
    except yaml.reader.ReaderError as error:
        raise _unreadable(data, error) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = " ".join(str(error.problem or error.context).split())
        raise YamlError(f"{problem}; {_fix(problem)}", mark.line + 1 if mark else None) from None


def _fix(problem: str) -> str:
    if "'\\t'" in problem:
        return "indent with spaces, YAML takes no tabs there"
    if "`?`" in problem:
        return "write the key as text before a colon, or the question mark in quotes"
    if "escape character" in problem:
        return "write a backslash twice, or the text in single quotes"
    if "colon" in problem:
        return "write a space between `:` and the value"
    if "anchor" in problem or "alias" in problem:
        return "an alias (*name) needs its anchor (&name) before it"
    return "check indentation, quotes and brackets around here"


def _unreadable(data: bytes, error: yaml.reader.ReaderError) -> YamlError:
    code = ord(error.character) if isinstance(error.character, (str, bytes)) else error.character
    if error.encoding != "unicode":
        return YamlError(
            f"the byte 0x{code:02x} is not {error.encoding.upper()}; save the file as UTF-8",
            data.count(b"\n", 0, error.position) + 1,
        )
    # the position of a forbidden character counts characters
    text = data.decode("utf-16" if data.startswith(_UTF16_MARKS) else "utf-8", errors="replace")
    return YamlError(
        f"the character U+{code:04X} may not stand in YAML; "
        f'take it out, or write it as an escape in double quotes ("\\x{code:02x}")',
        text.count("\n", 0, error.position) + 1,
    )


class _Scanner(yaml.SafeLoader):
    # those of yaml.v3 (its scannerc.go), which knows no `\/`, and `\'`
    ESCAPE_REPLACEMENTS = {  # type: ignore[misc]  # noqa: RUF012 - an attribute of PyYAML's class
        **{key: text for key, text in yaml.SafeLoader.ESCAPE_REPLACEMENTS.items() if key != "/"},
        "'": "'",
    }

    def scan_plain(self) -> yaml.ScalarToken:
        token = super().scan_plain()
        # PyYAML ends a key here; for the CLI the colon belongs to the text
        if self.flow_level and self.peek() == ":" and self.peek(1) in ",[]{}":
            raise yaml.scanner.ScannerError(
                None, None, "a colon without a space after it", self.get_mark()
            )
        return token

    def fetch_key(self) -> None:
        raise yaml.scanner.ScannerError(None, None, "a key after `?`", self.get_mark())


class _Composer:
    def __init__(self, data: bytes) -> None:
        self._loader = _Scanner(data)
        self._anchors: dict[str, Node] = {}

    @property
    def line(self) -> int:
        """Where the reading stands."""
        return int(self._loader.line) + 1

    def document(self) -> Document:
        root = self._root()
        return Document(root=root, next_line=self._next() if root is not None else None)

    def _event(self) -> yaml.Event:
        event: yaml.Event = self._loader.get_event()  # type: ignore[no-untyped-call]
        return event

    def _root(self) -> Node | None:
        root: Node | None = None
        open_: list[Node] = []
        while True:
            event = self._event()
            if isinstance(event, yaml.StreamEndEvent):
                return None
            if isinstance(event, yaml.DocumentEndEvent):
                return root
            if isinstance(event, yaml.CollectionEndEvent):
                open_.pop()
                continue
            if isinstance(event, yaml.DocumentStartEvent) and event.version not in (None, (1, 1)):
                raise YamlError(
                    "the Pulumi CLI reads no other `%YAML` than 1.1; take the line away",
                    _line(event),
                )
            node = self._node(event)
            if node is None:
                continue
            root = root or node
            if open_:
                open_[-1].children.append(node)
            if node.kind in ("map", "list"):
                open_.append(node)
                if len(open_) > _DEPTH:
                    raise YamlError(f"more than {_DEPTH} levels; no section is so deep", node.line)

    def _node(self, event: yaml.Event) -> Node | None:
        line = _line(event)
        if isinstance(event, yaml.AliasEvent):
            name = str(event.anchor)
            target = self._anchors.get(name)
            if target is None:
                raise YamlError(
                    f"the alias *{name} has no anchor before it; write &{name} "
                    "at what it stands for",
                    line,
                )
            return Node(kind="alias", tag="", value=name, line=line, target=target)
        if isinstance(event, yaml.ScalarEvent):
            text = event.value or ""
            if any("\ud800" <= character <= "\udfff" for character in text):
                raise YamlError(
                    "an escape stands for half of a character; write the character itself, or all "
                    "of it after \\U",
                    line,
                )
            plain = not event.style
            node = Node(
                kind="scalar",
                tag=_scalar_tag(event.tag, text, plain=plain),
                value=text,
                line=line,
                plain=plain,
            )
        elif isinstance(event, yaml.MappingStartEvent):
            node = Node(kind="map", tag=_short(event.tag) or "!!map", line=line)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = Node(kind="list", tag=_short(event.tag) or "!!seq", line=line)
        else:
            return None
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _next(self) -> int | None:
        event = self._event()
        if isinstance(event, yaml.DocumentStartEvent):
            return _line(event)
        return None


def _line(event: yaml.Event) -> int:
    return int(event.start_mark.line) + 1 if event.start_mark is not None else 1


def _short(tag: str | None) -> str:
    if tag in (None, "!"):
        return ""
    return f"!!{tag.removeprefix(_CORE)}" if tag.startswith(_CORE) else str(tag)


def _scalar_tag(tag: str | None, value: str, *, plain: bool) -> str:
    if found := _short(tag):
        return found
    if not plain:
        return "!!str"
    return "!!merge" if value == "<<" else resolve(value).tag
