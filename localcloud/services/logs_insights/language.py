"""The language of Logs Insights: from text to a query.

What is taken: fields, display, filter, sort, limit, dedup, and stats with count, count_distinct,
sum, avg, min, max by fields and bin(). Everything else is refused by name: an answer of all lines
to a question about some of them would be worse than none. Grammar: CloudWatch Logs User Guide,
"CloudWatch Logs Insights query syntax".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

Row = dict[str, Any]
Test = Callable[[Row], bool]

MOST_ROWS: Final = 10_000
_COMMANDS: Final = ("fields", "display", "filter", "sort", "limit", "dedup", "stats")
_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<regex>/(?:\\.|[^/\\\n])+/)|(?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|(?P<number>-?\d+(?:\.\d+)?)(?![\w.@])"""
    r"""|`(?P<quoted>[^`]+)`|(?P<name>[\w@][\w.@-]*)|(?P<sign>=~|!=|<=|>=|[=<>(),\[\]*]))"""
)
_COMMENT: Final = re.compile(r"^\s*#.*$", re.MULTILINE)
_UNITS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_AGGREGATES: Final = ("count", "count_distinct", "sum", "avg", "min", "max")


class MalformedQueryError(Exception):
    """The query cannot be run; the message says where and why."""


@dataclass(frozen=True, kw_only=True)
class Aggregate:
    """One figure of `stats`."""

    function: str
    of: str
    """Field; `*` for all lines."""
    label: str


@dataclass(kw_only=True)
class Step:
    """One command of a query."""

    command: str
    test: Test | None = None
    names: list[tuple[str, str]] = field(default_factory=list)
    """(field, label); of `sort`, (field, `asc` or `desc`)."""
    aggregates: list[Aggregate] = field(default_factory=list)
    bin_ms: int = 0
    """Width of the bins of `stats … by bin()`; 0 without."""
    bin_label: str = ""
    limit: int = 0


def parse(text: str) -> list[Step]:
    """The commands of a query, in order. Raises MalformedQueryError."""
    steps = [_Parser(part).step() for part in _commands(_COMMENT.sub("", text))]
    if not steps:
        raise MalformedQueryError("the query is empty")
    return steps


def _commands(text: str) -> Iterator[str]:
    """The parts between pipes, which also stand in patterns and texts."""
    start, position = 0, 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is not None and match.end() > position:
            position = match.end()
        elif text[position] == "|":
            yield text[start:position]
            start = position = position + 1
        else:
            position += 1
    if text[start:].strip() or start:
        yield text[start:]


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text.strip()
        self._tokens: list[tuple[str, str]] = []
        position = 0
        while position < len(self._text):
            match = _TOKEN.match(self._text, position)
            if match is None or match.end() == position:
                raise self._malformed(f"unexpected {self._text[position:].split()[0]!r}")
            kind = str(match.lastgroup)
            self._tokens.append(("name" if kind == "quoted" else kind, match[kind]))
            position = match.end()
        self._next = 0

    def _malformed(self, why: str) -> MalformedQueryError:
        return MalformedQueryError(f"{why} in the command {self._text!r}")

    # ---- tokens ----------------------------------------------------------------------------------

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._next] if self._next < len(self._tokens) else ("end", "")

    def _take(self) -> tuple[str, str]:
        token = self._peek()
        self._next += 1
        return token

    def _is(self, *words: str) -> bool:
        kind, value = self._peek()
        return kind in ("name", "sign") and value.lower() in words

    def _accept(self, *words: str) -> str:
        return self._take()[1].lower() if self._is(*words) else ""

    def _expect(self, *words: str) -> str:
        found = self._accept(*words)
        if not found:
            raise self._malformed(
                f"expected {' or '.join(words)}, found {self._peek()[1] or 'the end'!r}"
            )
        return found

    def _name(self) -> str:
        kind, value = self._take()
        if kind != "name":
            raise self._malformed(f"expected a field, found {value or 'the end'!r}")
        if self._is("("):
            raise self._malformed(
                f"the function {value}() is not run here; fields, comparisons, like and stats are,"
            )
        return value

    # ---- commands --------------------------------------------------------------------------------

    def step(self) -> Step:
        kind, word = self._take()
        command = word.lower()
        if kind != "name" or command not in _COMMANDS:
            raise self._malformed(
                f"the command {word or '(nothing)'} is not run here; {', '.join(_COMMANDS)} are; it"
                " stands"
            )
        step: Step = getattr(self, f"_{command}")()
        if self._peek()[0] != "end":
            raise self._malformed(f"unexpected {self._peek()[1]!r}")
        return step

    def _list(self) -> list[tuple[str, str]]:
        found = []
        while True:
            name = self._name()
            found.append((name, self._name() if self._accept("as") else name))
            if not self._accept(","):
                return found

    def _fields(self) -> Step:
        return Step(command="fields", names=self._list())

    def _display(self) -> Step:
        return Step(command="display", names=self._list())

    def _dedup(self) -> Step:
        return Step(command="dedup", names=self._list())

    def _limit(self) -> Step:
        kind, value = self._take()
        if kind != "number" or not value.isdigit() or not 1 <= int(value) <= MOST_ROWS:
            raise self._malformed(
                f"a limit is a whole number from 1 to {MOST_ROWS}, found {value!r}"
            )
        return Step(command="limit", limit=int(value))

    def _sort(self) -> Step:
        names = []
        while True:
            name = self._name()
            names.append((name, self._accept("asc", "desc") or "asc"))
            if not self._accept(","):
                return Step(command="sort", names=names)

    def _stats(self) -> Step:
        step = Step(command="stats")
        while True:
            step.aggregates.append(self._aggregate())
            if not self._accept(","):
                break
        while self._accept("by" if not (step.names or step.bin_ms) else ","):
            if self._is("bin"):
                self._take()
                step.bin_ms, step.bin_label = self._bin()
            else:
                name = self._name()
                step.names.append((name, self._name() if self._accept("as") else name))
        return step

    def _aggregate(self) -> Aggregate:
        _, word = self._take()
        function = word.lower()
        if function not in _AGGREGATES:
            raise self._malformed(
                f"stats takes {', '.join(_AGGREGATES)} here, found {word or 'nothing'!r}"
            )
        self._expect("(")
        of = "*" if self._accept("*") or self._is(")") else self._name()
        if of == "*" and function != "count":
            raise self._malformed(f"{function}() needs a field")
        self._expect(")")
        return Aggregate(
            function=function,
            of=of,
            label=self._name() if self._accept("as") else f"{function}({of})",
        )

    def _bin(self) -> tuple[int, str]:
        self._expect("(")
        written = ""
        while self._peek()[0] != "end" and not self._is(")"):
            written += self._take()[1]
        self._expect(")")
        match = re.fullmatch(r"(\d+)\s*(ms|s|m|h|d|w)\w*", written)
        if match is None or not int(match[1]):
            raise self._malformed(f"bin() takes a time such as 5m, found {written!r}")
        label = f"bin({written})"
        return int(match[1]) * _UNITS[match[2]], self._name() if self._accept("as") else label

    # ---- conditions ------------------------------------------------------------------------------

    def _filter(self) -> Step:
        return Step(command="filter", test=self._or())

    def _or(self) -> Test:
        left = self._and()
        while self._accept("or"):
            left = _either(left, self._and())
        return left

    def _and(self) -> Test:
        left = self._not()
        while self._accept("and"):
            left = _both(left, self._not())
        return left

    def _not(self) -> Test:
        if self._accept("not"):
            inner = self._not()
            return lambda row: not inner(row)
        if self._accept("("):
            inner = self._or()
            self._expect(")")
            return inner
        if self._is("ispresent", "isempty", "isblank"):
            return self._presence(self._take()[1].lower())
        return self._comparison(self._name())

    def _presence(self, function: str) -> Test:
        self._expect("(")
        name = self._name()
        self._expect(")")
        if function == "ispresent":
            return lambda row: row.get(name) is not None
        return lambda row: not str(row.get(name) or "").strip(" " if function == "isblank" else "")

    def _comparison(self, name: str) -> Test:
        negated = bool(self._accept("not"))
        operator = self._expect("=", "!=", "<", "<=", ">", ">=", "=~", "like", "in")
        if operator in ("like", "=~"):
            test = _matches(name, self._pattern())
        elif operator == "in":
            values = self._values()
            test = lambda row: any(_compared(row.get(name), "=", value) for value in values)  # noqa: E731 - one of three
        else:
            other = self._value()
            test = lambda row: _compared(row.get(name), operator, other)  # noqa: E731 - one of three
        return (lambda row: not test(row)) if negated else test

    def _values(self) -> list[str | float]:
        self._expect("[")
        values = [self._value()]
        while self._accept(","):
            values.append(self._value())
        self._expect("]")
        return values

    def _value(self) -> str | float:
        kind, value = self._take()
        if kind == "text":
            return re.sub(r"\\(.)", r"\1", value[1:-1])
        if kind == "number":
            return float(value)
        raise self._malformed(
            f"expected a text in quotes or a number, found {value or 'the end'!r}"
        )

    def _pattern(self) -> re.Pattern[str]:
        kind, value = self._take()
        try:
            if kind == "regex":
                return re.compile(value[1:-1].replace(r"\/", "/"))
            if kind == "text":
                return re.compile(re.escape(re.sub(r"\\(.)", r"\1", value[1:-1])))
        except re.error as error:
            raise self._malformed(
                f"the pattern {value} is no regular expression ({error})"
            ) from None
        raise self._malformed(f"like takes a text or a /pattern/, found {value or 'the end'!r}")


def _either(left: Test, right: Test) -> Test:
    return lambda row: left(row) or right(row)


def _both(left: Test, right: Test) -> Test:
    return lambda row: left(row) and right(row)


def _matches(name: str, pattern: re.Pattern[str]) -> Test:
    return lambda row: row.get(name) is not None and pattern.search(str(row[name])) is not None


def number(value: Any) -> float | None:
    """A value as a number, where it is one or reads as one."""
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError):
        return None


def _compared(value: Any, operator: str, other: str | float) -> bool:
    """Numbers compare as numbers, everything else as text; what is not there equals nothing."""
    if value is None:
        return operator == "!="
    left, right = number(value), number(other)
    pair: tuple[Any, Any] = (
        (left, right) if left is not None and right is not None else (str(value), _text(other))
    )
    results: dict[str, bool] = {
        "=": pair[0] == pair[1],
        "!=": pair[0] != pair[1],
        "<": pair[0] < pair[1],
        "<=": pair[0] <= pair[1],
        ">": pair[0] > pair[1],
        ">=": pair[0] >= pair[1],
    }
    return results[operator]


def _text(value: str | float) -> str:
    return f"{value:g}" if isinstance(value, float) else value
