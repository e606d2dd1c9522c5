"""Every pollution of the Pollock benchmark, made anew from the descriptions of its authors, on
tables of our own; and its metrics.

G. Vitagliano, M. Hameed, L. Jiang, L. Reisener, E. Wu, F. Naumann, "Pollock: A Data Loading
Benchmark", PVLDB 16 (2023): one table is written in some two thousand ways, each with one fault of
a kind that was found in published files. A reader gets up to ten points for a file: one for reading
it at all, and precision, recall and F1 of the header's names, of the records, and of the cells.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

Table = list[list[str]]


@dataclass(frozen=True)
class Writing:
    """How a table is written."""

    delimiter: str = ","
    quote: str = '"'
    escape: str | None = None
    """In place of a second quote; empty for none at all."""
    end: str = "\r\n"
    always: tuple[int, ...] = ()
    """Columns that are quoted without need."""

    def cell(self, text: str, column: int) -> str:
        if column in self.always or any(
            sign in text for sign in (self.delimiter, self.quote, "\n", "\r")
        ):
            doubled = self.quote if self.escape is None else self.escape
            return self.quote + text.replace(self.quote, doubled + self.quote) + self.quote
        return text

    def fields(self, row: Sequence[str]) -> list[str]:
        return [self.cell(text, column) for column, text in enumerate(row)]

    def lines(self, table: Table) -> list[str]:
        return [self.delimiter.join(self.fields(row)) for row in table]

    def text(self, table: Table) -> str:
        return "".join(line + self.end for line in self.lines(table))


@dataclass(frozen=True)
class Polluted:
    name: str
    text: str
    header: list[str]
    records: Table


def shop(rows: int = 83) -> tuple[Table, Writing]:
    """Sales with dates, codes, prices, titles with inches and commas, quoted descriptions and
    links, and a column that is always empty.
    """
    draw = random.Random(7)  # noqa: S311
    things = [
        "Kite",
        "Men's Rain Boots",
        "Lamp, Oak",
        'Table, Round 36"',
        "Kids' Cap",
        'Hose, 5/8"',
        "Wool Hat",
        "Women's Vest, Print",
    ]
    praise = [
        "keeps its shape, wash after wash",
        "light, warm and quick to dry",
        "made to last",
        "fits a 15\" frame, and you'll like it",
    ]
    table = [["DAY", "AT", "Pieces", "CODE", "Price", "Kind", "Text", "Link", "Remarks"]]
    for number in range(rows):
        code = f"{draw.choice(['MX', 'RT', 'BQ'])}-{draw.randint(1000, 9999)}"
        table.append(
            [
                f"{number % 28 + 1:02}/{number % 12 + 1:02}/2018",
                f"{number % 24:02}:{number % 4 * 15:02}",
                str(draw.randint(0, 30)),
                code,
                f"${draw.randint(1, 9000) / 100}",
                draw.choice(things),
                f"This one {draw.choice(praise)}, number {number}.",
                f"https://shop.example.org/item/{code}.html",
                "",
            ]
        )
    return table, Writing(always=(6, 7))


def sensors(rows: int = 60) -> tuple[Table, Writing]:
    """Measurements: a time stamp, a station code, numbers, a remark that is sometimes there."""
    draw = random.Random(11)  # noqa: S311
    table = [["taken", "station", "level", "flow", "note"]]
    for number in range(rows):
        note = "" if number % 3 else f"checked, ok {number}"
        at = f"2021-03-{number % 28 + 1:02} {number % 24:02}:30:00"
        table.append(
            [at, f"S{number % 7}", f"{draw.random() * 9:.3f}", str(draw.randint(10, 400)), note]
        )
    return table, Writing()


def one_per_cell(table: Table, how: Writing) -> Iterator[Polluted]:
    """A delimiter more, a delimiter less, and a stray quote, at each field of each row; a row
    written with blanks as delimiter.
    """
    lines = how.lines(table)
    for number, row in enumerate(table):
        fields = how.fields(row)

        def with_line(
            name: str, line: str, row: list[str] | None = None, number: int = number
        ) -> Polluted:
            text = "".join(
                other + how.end for other in [*lines[:number], line, *lines[number + 1 :]]
            )
            rows = table if row is None else [*table[:number], row, *table[number + 1 :]]
            return Polluted(name, text, rows[0], rows[1:])

        for column in range(len(row)):
            more = how.delimiter.join([*fields[:column], "", *fields[column:]])
            yield with_line(f"more-{number}-{column}", more)
            if column:
                less = how.delimiter.join(
                    [
                        *fields[: column - 1],
                        fields[column - 1] + fields[column],
                        *fields[column + 1 :],
                    ]
                )
                yield with_line(f"less-{number}-{column}", less)
            stray = [*fields]
            quoted = stray[column].startswith(how.quote)
            stray[column] = (
                how.quote + stray[column] if not quoted else how.quote * 2 + stray[column][1:]
            )
            want = [*row[:column], how.quote + row[column], *row[column + 1 :]]
            yield with_line(f"quote-{number}-{column}", how.delimiter.join(stray), want)
        yield with_line(f"blanks-{number}", " ".join(fields))


def whole_file(table: Table, how: Writing) -> Iterator[Polluted]:
    """The pollutions of which there is one file each."""
    header, records = table[0], table[1:]
    width = len(header)

    def made(name: str, text: str, names: list[str] = header, rows: Table = records) -> Polluted:
        return Polluted(name, text, names, rows)

    text = how.text(table)
    yield made("source", text)
    yield made("no trailing newline", text.removesuffix(how.end))
    yield made("double trailing newline", text + how.end)
    yield made("no header", how.text(records), [])
    yield made("two header rows", how.text([[f"{name} group" for name in header], *table]))
    yield made("preamble", how.text([["PREAMBLE"] + [""] * (width - 1), [""] * width]) + text)
    yield made("footnote", text + how.text([[""] * width, ["FOOTNOTE"] + [""] * (width - 1)]))
    yield made("one row", how.text(table[:2]), header, records[:1])
    yield made(
        "second table, wider",
        text + how.text([[*row, "x" if index else "more"] for index, row in enumerate(table)]),
    )
    yield made("second table, narrower", text + how.text([row[:-1] for row in table]))
    for name, delimiter in (
        ("semicolon", ";"),
        ("tab", "\t"),
        ("comma and blank", ", "),
        ("vertical bar", "|"),
        ("two tabs", "\t\t"),
    ):
        yield made(f"delimiter: {name}", replace(how, delimiter=delimiter).text(table))
    for name, end in (("LF", "\n"), ("CR", "\r")):
        yield made(f"line end: {name}", replace(how, end=end).text(table))
    apostrophes = [[cell.replace("'", "") for cell in row] for row in table]
    yield made(
        "apostrophes as quotes",
        replace(how, quote="'").text(apostrophes),
        apostrophes[0],
        apostrophes[1:],
    )
    yield made("backslash escapes", replace(how, escape="\\").text(table))
    yield made("quotes not escaped", replace(how, escape="").text(table))


def score(polluted: Polluted, header: Sequence[str], records: Sequence[Sequence[str]]) -> float:
    """Points of ten for what was read."""
    points = 1.0
    joined = ["\x1f".join(row) for row in polluted.records]
    cells = [cell for row in polluted.records for cell in row]
    for want, found in (
        (list(polluted.header), list(header)),
        (joined, ["\x1f".join(row) for row in records]),
        (cells, [cell for row in records for cell in row]),
    ):
        points += sum(_measures(want, found))
    return points


def _measures(want: list[str], found: list[str]) -> tuple[float, float, float]:
    if not want:
        return 1.0, 1.0, 1.0
    common = (Counter(want) & Counter(found)).total()
    if not common:
        return 0.0, 0.0, 0.0
    precision, recall = common / len(found), common / len(want)
    return precision, recall, 2 * precision * recall / (precision + recall)
