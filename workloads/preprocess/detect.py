"""Decides from a sample how a CSV file is built."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import Final

import pyarrow as pa

from workloads.preprocess.body import Body
from workloads.preprocess.columns import Array
from workloads.preprocess.dialect import Dialect
from workloads.preprocess.grammar import Grammar
from workloads.preprocess.layout import Row, Structure
from workloads.preprocess.parse import read_cells
from workloads.preprocess.ragged import with_one_literal_quote
from workloads.preprocess.records import Block, line_ends
from workloads.preprocess.shapes import shape
from workloads.preprocess.sniff import separator_line, sniff, with_late_escape
from workloads.preprocess.source import Text
from workloads.preprocess.structure import structure_of
from workloads.records import Remark
from workloads.runtime.errors import StageError
from workloads.runtime.quoting import quoted

MAX_COLUMNS: Final = 4096
_LOOK_CHARACTERS: Final = 256 << 10
_SNIFF_CHARACTERS: Final = 64 << 10
_LOOK_ROWS: Final = 600
_WORDS: Final = re.compile(r"\S*[^\W\d_]\S*")
_COMMENTS: Final = ("#", "//", "%", "!")


def detect(text: Text, *, show_values: bool = True, escaped: bool = False) -> Dialect:
    """Decides the dialect from the sample. Raises StageError where there is no table in it.

    `show_values`: whether remarks may show what the file holds. `escaped`: whether a backslash is
    known to escape, because of rows after the sample.
    """
    look = _look(text)
    lines = io.StringIO(look, newline="").readlines()
    declared = separator_line(look)
    skipped = 1 if declared else 0
    skipped, comment = _comments(lines, skipped)
    rest = "".join(lines[skipped:])
    rest = rest if rest.strip() else look
    grammar = sniff(_cut(rest, _SNIFF_CHARACTERS), delimiter=declared)
    grammar = replace(grammar, escape="\\") if escaped else with_late_escape(rest, grammar)
    rows = _rows(grammar, lines, skipped)
    named = _commented_header(lines[:skipped], comment, grammar, rows)
    if named is not None:
        rows.insert(0, Row(skipped, named))
    filled = [row for row in rows if row.filled]
    if not filled:
        raise StageError(
            "the file holds comments only",
            hint="upload a CSV file with a header row and at least one row of data",
        )
    if (
        len(filled) > 1
        and not text.whole
        and len(rows) < _LOOK_ROWS
        and len(look) == len(text.sample)
    ):
        rows.pop()  # may be cut
    found = structure_of(rows)
    _check(found, filled, whole=text.whole)
    before = [
        line.rstrip("\r\n")
        for line in lines[bool(declared) : skipped - (named is not None)]
        if line.strip()
    ]
    before += [
        " ".join(cell.strip() for cell in row.cells if cell.strip()) for row in found.preamble
    ]
    dialect = Dialect(
        grammar=grammar,
        structure=found,
        source_names=found.names,
        preamble=tuple(before),
        comment=comment if skipped > bool(declared) + (named is not None) else "",
        remarks=(
            *_file_remarks(text, grammar, declared, values=show_values, late_escape=escaped),
            *_structure_remarks(found, before, values=show_values),
        ),
    )
    if found.header and _row_names(found, lines, grammar):
        dialect = _with_row_names(dialect)
    return replace(dialect, cells=_sample_cells(text, dialect))


def _sample_cells(text: Text, dialect: Dialect) -> list[Array]:
    """The cells of the table in the sample, as strings, column by column."""
    sample = text.sample.decode(errors="replace").encode()
    if not text.whole and len(ends := line_ends(sample, final=False)):
        sample = sample[: int(ends[-1])]
    body = Body(dialect)
    width = dialect.structure.width
    types: dict[str, pa.DataType] = {str(number): pa.string() for number in range(width)}
    tables = [pa.table({name: pa.array([], kind) for name, kind in types.items()})]
    for part in body.parts(iter([sample])):
        if not isinstance(part, Block):
            continue
        ragged: dict[int, int] = {}
        table = read_cells(
            part.data,
            delimiter=dialect.separator,
            decimal=".",
            types=types,
            on_ragged=ragged.__setitem__,
        )
        mended = body.mend(part, list(ragged))[0] if ragged else None
        if mended is not None:
            table = read_cells(
                mended.data, delimiter=dialect.separator, decimal=".", types=types, on_ragged=None
            )
        tables.append(table)
    return [column.combine_chunks() for column in pa.concat_tables(tables).columns]


def _look(text: Text) -> str:
    """The beginning of the text, whole lines; more of it where lines are long."""
    decoded = text.sample.decode(errors="replace")
    for size in (_LOOK_CHARACTERS, len(decoded)):
        look = decoded[:size]
        if text.whole and len(look) == len(decoded):
            return look
        end = max(look.rfind("\n"), look.rfind("\r", 0, -1))
        if look.count("\n", 0, end) + look.count("\r", 0, end) >= 20 or size == len(decoded):
            break
    if end < 0:
        raise StageError(
            f"the first row is longer than {len(text.sample):,} bytes",
            hint="is this a CSV file with line breaks?",
        )
    return look[: end + 1]


def _cut(text: str, size: int) -> str:
    """The beginning of a text, whole lines."""
    return text if len(text) <= size else text[: text.find("\n", size) + 1] or text


def _rows(grammar: Grammar, lines: Sequence[str], skipped: int) -> list[Row]:
    """The first records, those of a single line with odd quotes by the looser reading."""
    found = list(islice(grammar.rows("".join(lines[skipped:])), _LOOK_ROWS + 1))
    rows = []
    for (line, cells), (following, _) in zip(
        found, [*found[1:], (len(lines) - skipped + 1, [])], strict=True
    ):
        loose = None
        if following == line + 1 and grammar.odd(text := lines[skipped + line - 1]):
            loose = grammar.loose(text)
        rows.append(Row(line + skipped, cells if loose is None else loose))
    return _with_readable_head(grammar, lines, rows[:_LOOK_ROWS])


def _with_readable_head(grammar: Grammar, lines: Sequence[str], rows: list[Row]) -> list[Row]:
    """The rows; the first that is not blank with one quote as an ordinary character, where a quote
    in it makes it unlike the others.
    """
    widths = Counter(len(row.cells) for row in rows if row.filled)
    number = next((number for number, row in enumerate(rows) if row.filled), 0)
    if not widths:
        return rows
    width = widths.most_common(1)[0][0]
    line = rows[number].line
    lost = range(line, rows[number + 1].line if number + 1 < len(rows) else line + 1)
    if len(rows[number].cells) == width and not (
        len(lost) > 1 and grammar.odd("".join(lines[line - 1 : lost[-1]]))
    ):
        return rows
    readings = [
        cells
        for cells in with_one_literal_quote(grammar, lines[line - 1].rstrip("\r\n"))
        if len(cells) == width
    ]
    if not readings:
        return rows
    below = [
        Row(at, cells)
        for at in lost[1:]
        if (cells := next(iter(grammar.rows(lines[at - 1])), (0, []))[1])
    ]
    return [*rows[:number], Row(line, readings[0]), *below, *rows[number + 1 :]]


def _comments(lines: Sequence[str], skipped: int) -> tuple[int, str]:
    """How many lines at the beginning are none of the table's because a comment sign begins them,
    and that sign.
    """
    first = next((line for line in lines[skipped:] if line.strip()), "")
    comment = next((sign for sign in _COMMENTS if first.startswith(sign)), "")
    if not comment:
        return skipped, ""
    count = skipped
    while count < len(lines) and (lines[count].startswith(comment) or not lines[count].strip()):
        count += 1
    return (count, comment) if any(line.strip() for line in lines[count:]) else (skipped, "")


def _commented_header(
    lines: Sequence[str], comment: str, grammar: Grammar, rows: Sequence[Row]
) -> list[str] | None:
    """The names in the last comment line, where it has as many as the rows have fields and the
    first row is none of names.
    """
    filled = [row for row in rows if row.filled][:20]
    if not comment or not filled or not lines or not lines[-1].startswith(comment):
        return None
    text = lines[-1].lstrip(comment).strip(" \r\n")
    names = next(iter(grammar.rows(text)), (0, []))[1]
    typed = any(shape(cell) in ("number", "date", "time") for cell in filled[0].cells)
    alike = len(names) == len(filled[0].cells) and (len(names) > 1 or len(lines) == 1)
    if not alike or not typed or any(shape(name) in ("number", "date", "time") for name in names):
        return None
    if not names[0].strip():
        names[0] = comment
    return names


def _row_names(found: Structure, lines: Sequence[str], grammar: Grammar) -> bool:
    """Whether the first column has no name because it holds row names, as R writes them: all names
    quoted, one too few, rows quoted too.
    """
    names = [name for name in found.names if name]
    quote = grammar.quote
    if not quote or len(names) != found.width - 1 or found.names[-1]:
        return False
    header, row = lines[found.header[-1].line - 1], lines[found.body_line - 1]
    return header.count(quote) == 2 * len(names) and row.lstrip().startswith(quote)


def _with_row_names(dialect: Dialect) -> Dialect:
    told = Remark(
        code="row-names",
        column="",
        sentence="the first column has no name and was taken for row names; the names follow",
        sure=False,
    )
    others = tuple(remark for remark in dialect.remarks if remark.code != "columns-without-name")
    return replace(dialect, source_names=("", *dialect.source_names[:-1]), remarks=(*others, told))


def _check(found: Structure, filled: Sequence[Row], *, whole: bool) -> None:
    if found.width > MAX_COLUMNS:
        raise StageError(
            f"the first row has {found.width:,} fields; at most {MAX_COLUMNS:,} columns are"
            " supported",
            hint="split the table, or turn columns into rows",
        )
    if whole and filled[-1].line < found.body_line:
        raise StageError(
            "the file holds a header and no data", hint="at least one row has to follow the header"
        )


def _file_remarks(
    text: Text, grammar: Grammar, declared: str | None, *, values: bool, late_escape: bool
) -> list[Remark]:
    told: list[tuple[str, str, bool]] = []
    if text.guessed:
        word = next(
            (
                word
                for word in _WORDS.findall(text.sample.decode(errors="replace"))
                if not word.isascii()
            ),
            "",
        )
        example = f", so that it holds {quoted(word, values=values)}" if word else ""
        told.append(
            (
                "encoding",
                f"the file is not UTF-8; by its characters it was read as {text.encoding}{example}",
                False,
            )
        )
    if declared:
        told.append(
            (
                "separator-line",
                f"the first line declares the {grammar.delimiter_name} as delimiter",
                True,
            )
        )
    if grammar.delimiter not in (",", ";", "\t", "|"):
        told.append(
            ("delimiter", f"the delimiter was taken to be: {grammar.delimiter_name}", False)
        )
    if grammar.quote == "'":
        told.append(("quote", "fields are quoted with apostrophes", True))
    if not grammar.quote:
        told.append(
            (
                "quote",
                "quotation marks were read as ordinary characters: they do not enclose fields",
                False,
            )
        )
    if grammar.escape:
        late = "; the first rows do not show it, but later ones make sense only so"
        told.append(
            (
                "escape",
                "a backslash takes the special meaning from the character after it"
                + late * late_escape,
                not late_escape,
            )
        )
    if grammar.wrapped:
        told.append(
            (
                "wrapped",
                "every line was quoted once more as a whole; these quotes were taken off",
                False,
            )
        )
    if grammar.blanks:
        told.append(("blanks", "blanks around fields were left out", True))
    return [
        Remark(code=code, column="", sentence=sentence, sure=sure) for code, sentence, sure in told
    ]


def _structure_remarks(found: Structure, preamble: Sequence[str], *, values: bool) -> list[Remark]:
    told: list[tuple[str, str, bool]] = []
    if preamble:
        count = len(preamble)
        which = (
            "one line before the table was"
            if count == 1
            else f"{count:,} lines before the table were"
        )
        first = quoted(preamble[0], values=values)
        told.append(("preamble", f"{which} set aside, the first: {first}", False))
    if not found.header:
        made_up = "column_1" if found.width == 1 else f"column_1 to column_{found.width}"
        told.append(
            ("no-header", f"no row of names was found; the columns are called {made_up}", False)
        )
    if len(found.header) > 1:
        lines = " and ".join(f"{row.line:,}" for row in found.header)
        told.append(
            ("header-rows", f"the names are joined from the header rows in lines {lines}", False)
        )
    told += [
        ("header-row-left-out", f"line {row.line:,} below the header was left out: {what}", True)
        for row, what in found.between
    ]
    told += found.notes
    return [
        Remark(code=code, column="", sentence=sentence, sure=sure) for code, sentence, sure in told
    ]
