"""Stack files made from random numbers: odd numbers, dates, keys, anchors, merges, tags and
styles.
"""

from __future__ import annotations

from random import Random
from typing import Final

_SIGNS: Final = ("", "", "", "-", "+", "--")
_NUMBERS: Final = (
    *("0", "00", "07", "08", "010", "0o10", "0O10", "0x1F", "0X1f", "0xg", "0b11", "0B11", "0b12"),
    *("1_000", "1__0", "1_", "0_7", "0x_1", "16.0", "1e2", "1E+2", "1e-7", "1e400", "1.5e300"),
    *(".5", "5.", ".", "..5", "1.10", "1.2.3", "1e", "e1", ".inf", ".nan", ".Inf", ".INF", "inf"),
    *("9007199254740993", "9223372036854775808", "18446744073709551615", "18446744073709551616"),
    *("12345678901234567", "0.12345678901234567890", "123456789012", "012345678901", "3.14159265"),
    *("100000000.0", "1e21", "1e20", "123456789.5", "0.00001", "0.000001", "1e-5", "0.0", "1_0.5"),
    *(
        "0b-11",
        "0o-7",
        "0o+7",
        "0b+1",
        "1:30",
        "1:30:00",
        "190:20:30",
        "5e-324",
        "1.7976931348623157e308",
    ),
)
_DATES: Final = (
    *(
        "2026-01-01",
        "2026-1-1",
        "2026-02-30",
        "2024-02-29",
        "0000-01-01",
        "2026-13-01",
        "20260-01-01",
    ),
    *(
        "2026-01-01T10:00:00Z",
        "2026-01-01t1:2:3.50+02:00",
        "2026-01-01 10:00:00",
        "2026-01-01  1:2:3",
    ),
    *(
        "2026-01-01T10:00Z",
        "2026-01-01T25:00:00Z",
        "2026-01-01T10:00:00.123456789012Z",
        "2026-01-01T10:00:00",
    ),
    *(
        "2026-01-01 10:00:00Z",
        "2026-01-01T10:00:00-05:30",
        "2026-01-01T10:00:00,5Z",
        "2026-01-01T23:59:60Z",
    ),
)
_WORDS: Final = (
    *("yes", "no", "on", "off", "y", "n", "true", "True", "TRUE", "false", "tRUE", "null", "Null"),
    *(
        "NULL",
        "nULL",
        "~",
        "<<",
        "=",
        "-",
        "?",
        "a b",
        "é",
        "\U0001f600",
        "a#b",
        "a:b",
        "x: y",
        "-a",
    ),
    *(
        "*",
        "&",
        "!",
        "|",
        "%a",
        "@a",
        "`a",
        "{",
        "]",
        ",",
        "a,b",
        "[]",
        "{}",
        '"',
        "'",
        "a'b",
        "a\\b",
    ),
    *("<&>", "\u2028", "\u0085", "\ufeff", "a\tb", "\u00a0", "---", "...", "# no"),
)
_TAGS: Final = (
    *(
        "!!str ",
        "!!int ",
        "!!float ",
        "!!bool ",
        "!!null ",
        "!!timestamp ",
        "!!binary ",
        "!x ",
        "! ",
    ),
    *("!!set ", "!<tag:yaml.org,2002:str> ", "!!merge ", "!!map ", "!!seq "),
)
_ESCAPES: Final = (
    "\\n",
    "\\t",
    "\\x41",
    "\\u2028",
    "\\U0001F600",
    "\\e",
    "\\0",
    "\\q",
    "\\ ",
    "\\\\",
)


class Maker:
    """Stack files from one stream of random numbers, `wild` of 0 to 1 for how odd they are."""

    def __init__(self, random: Random, *, wild: float = 0.3) -> None:
        self.random, self.wild = random, wild
        self.anchors: list[str] = []

    def file(self) -> bytes:
        """One stack file."""
        odd = self._odd
        self.anchors = []
        names = self.random.sample(["network", "tags", "queues", "jobs", "other"], 3)
        lines = ["%YAML 1.2\n---" if odd(0.05) else "---" if odd(0.1) else "# a stack file"]
        lines.append("config:" + (" # here" if odd(0.1) else ""))
        for name in names:
            space = self.random.choice(
                ["batch-reference:"] * 5 + ["", "aws:", "batch-reference:config:"]
            )
            lines.append(f"  {space}{name}: {self._value(2, 3)}")
        if odd(0.2):
            lines.append(f"  {self._scalar()}: {self._scalar()}")
        if odd(0.1):
            lines += ["---", "config: {a: 1}"]
        if odd(0.05):
            lines.append(self.random.choice(["encryptionsalt: 5", "config: {}", "foo: [1]", "..."]))
        text = "\n".join(lines) + ("" if odd(0.1) else "\n")
        if odd(0.1):
            text = text.replace("\n", self.random.choice(["\r\n", "\r", "\n\n", " \n", "\t\n"]))
        encoding = self.random.choice(["utf-16", "utf-8-sig", "latin-1"]) if odd(0.1) else "utf-8"
        return text.encode(encoding, errors="replace")

    def _odd(self, chance: float) -> bool:
        return self.random.random() < chance * self.wild * 3

    def _value(self, indent: int, depth: int) -> str:
        anchor = ""
        if self._odd(0.15):
            name = f"a{len(self.anchors)}"
            anchor = f"&{name} "
            self.anchors.append(name)
        kind = self.random.random()
        if depth and kind < 0.3:
            return anchor + self._block_map(indent + 2, depth - 1)
        if depth and kind < 0.4:
            return anchor + self._block_list(indent + 2, depth - 1)
        if depth and kind < 0.6:
            return anchor + self._flow(depth - 1)
        return anchor + self._scalar(indent + 2)

    def _block_map(self, indent: int, depth: int) -> str:
        pad = "\n" + " " * indent
        entries = [f"{self._key()}: {self._value(indent, depth)}" for _ in range(self._few())]
        if self._odd(0.2) and self.anchors:
            entries.insert(self.random.randint(0, len(entries)), self._merge())
        return pad + pad.join(entries) if entries else "{}"

    def _block_list(self, indent: int, depth: int) -> str:
        pad = "\n" + " " * indent + "- "
        return pad + pad.join(self._value(indent, depth) for _ in range(self._few()))

    def _flow(self, depth: int) -> str:
        colon = self.random.choice([": ", ": ", ": ", ":"]) if self._odd(0.5) else ": "
        if self.random.random() < 0.5:
            entries = [f"{self._key()}{colon}{self._inner(depth)}" for _ in range(self._few())]
            if self._odd(0.2) and self.anchors:
                entries.append(self._merge())
            return "{" + ", ".join(entries) + self._maybe(",") + "}"
        return (
            "[" + ", ".join(self._inner(depth) for _ in range(self._few())) + self._maybe(",") + "]"
        )

    def _inner(self, depth: int) -> str:
        return self._flow(depth - 1) if depth and self.random.random() < 0.3 else self._scalar()

    def _merge(self) -> str:
        name = self.random.choice(self.anchors)
        return (
            f"<<: [*{name}, *{self.random.choice(self.anchors)}]"
            if self._odd(0.3)
            else f"<<: *{name}"
        )

    def _key(self) -> str:
        if self._odd(0.3):
            return self._scalar()
        return self.random.choice(
            ["a", "b", "c", "max_vcpus", "'1'", "1", "0x1", "yes", "true", "e.f"]
        )

    def _scalar(self, indent: int = 0) -> str:
        choose = self.random.choice
        tag = choose(_TAGS) if self._odd(0.15) else ""
        if self._odd(0.15) and self.anchors:
            return f"*{choose(self.anchors)} "
        text = (
            choose(_SIGNS) + choose(_NUMBERS)
            if self._odd(0.6)
            else choose(["x", "5", "true", "", "a b"])
        )
        if self._odd(0.15):
            text = choose(_DATES)
        if self._odd(0.3):
            text = choose(_WORDS)
        style = self.random.random()
        if style < 0.1:
            return f"{tag}'" + text.replace("'", "''") + "'"
        if style < 0.2:
            return f'{tag}"{text.replace(chr(34), "")}{choose(_ESCAPES) if self._odd(0.5) else ""}"'
        if style < 0.25 and indent:
            pad = "\n" + " " * indent
            mark = choose(["|", ">", "|-", ">-", "|+", ">+", "|2", ">1-"])
            return f"{tag}{mark}{pad}{text}{pad}{self._maybe('  ')}{text}{self._maybe(' ')}"
        if style < 0.28 and indent:
            return f"{tag}{text}\n{' ' * indent}{text}"
        return tag + text + self._maybe(" # x")

    def _few(self) -> int:
        return self.random.choice([0, 1, 2, 3]) if self._odd(0.3) else self.random.randint(1, 3)

    def _maybe(self, text: str) -> str:
        return text if self._odd(0.1) else ""


def damaged(random: Random, data: bytes) -> bytes:
    """A file with a few bytes changed, put in, taken out or doubled."""
    result = bytearray(data)
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(result) + 1)
        piece = random.choice(
            [
                b"\t",
                b"\x00",
                b"\xff",
                b":",
                b" ",
                b"\n",
                b"-",
                b"{",
                b"'",
                b"&a ",
                b"*a",
                b"!",
                b"\xc3",
                b"#",
                b"\r",
            ]
        )
        match random.randrange(4):
            case 0:
                result[at:at] = piece
            case 1:
                del result[at : at + random.randint(1, 6)]
            case 2:
                result[at : at + 1] = piece
            case _:
                end = min(len(result), at + random.randint(1, 40))
                result[at:at] = result[at:end]
    return bytes(result)
