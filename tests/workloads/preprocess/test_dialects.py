"""Delimiters, quotes, escapes, line ends and encodings of files as people have them."""

from __future__ import annotations

import gzip

import pytest

from tests.workloads.preprocess.reading import lines, read

CASES = {
    # id: (text, names, last row, codes of remarks)
    "sep line, two columns": (
        "sep=;\nname;value\n" + lines(lambda i: f"n{i};{i * 1.5}"),
        "name value",
        ["n39", "58.5"],
        {"separator-line"},
    ),
    "sep line, CRLF": (
        "sep=|\r\na|b\r\n" + lines(lambda i: f"{i}|x", end="\r\n"),
        "a b",
        ["39", "x"],
        {"separator-line"},
    ),
    "sep line, quoted, after a mark": (
        '\ufeff"sep=\t"\na\tb\n' + lines(lambda i: f"{i}\t{i}"),
        "a b",
        ["39", "39"],
        {"separator-line"},
    ),
    "semicolon, decimal comma": (
        "a;b;c\n" + lines(lambda i: f"{i};{i},5;{i},25"),
        "a b c",
        ["39", "39,5", "39,25"],
        set(),
    ),
    "semicolon, commas in text": (
        "a;b\n" + lines(lambda i: f"{i},5;x, y {i}"),
        "a b",
        ["39,5", "x, y 39"],
        set(),
    ),
    "bars in text": ("a,b\n" + lines(lambda i: f"{i},x|y|{i}"), "a b", ["39", "x|y|39"], set()),
    "lists beside points, tab": (
        "id\tpairs\tscore\n" + lines(lambda i: f"{i}\t{i % 4},{i % 7}\t{0.5 + i / 8}"),
        "id pairs score",
        ["39", "3,4", "5.375"],
        set(),
    ),
    "tab with empty fields": (
        "a\tb\tc\n" + lines(lambda i: f"{i}\t\t{i if i % 2 else ''}"),
        "a b c",
        ["39", "", "39"],
        set(),
    ),
    "tab with blanks in text": (
        "a\tb\n" + lines(lambda i: f"n {i}\tx y {i}"),
        "a b",
        ["n 39", "x y 39"],
        set(),
    ),
    "colon": (
        "a:b:c\n" + lines(lambda i: f"{i}:x{i}:{2 * i}"),
        "a b c",
        ["39", "x39", "78"],
        {"delimiter"},
    ),
    "caret": (
        "a^b^c\n" + lines(lambda i: f"{i}^x{i}^{2 * i}"),
        "a b c",
        ["39", "x39", "78"],
        {"delimiter"},
    ),
    "control A": (
        "a\x01b\n" + lines(lambda i: f"{i}\x01x{i}"),
        "a b",
        ["39", "x39"],
        {"delimiter"},
    ),
    "section sign": ("a§b\n" + lines(lambda i: f"{i}§x{i}"), "a b", ["39", "x39"], {"delimiter"}),
    "two bars": (
        "a||b||c\n" + lines(lambda i: f"{i}||x{i}||{2 * i}"),
        "a b c",
        ["39", "x39", "78"],
        {"delimiter"},
    ),
    "two colons": (
        "a::b::c\n" + lines(lambda i: f"{i}::x{i}::{2 * i}"),
        "a b c",
        ["39", "x39", "78"],
        {"delimiter"},
    ),
    "two tabs": ("a\t\tb\n" + lines(lambda i: f"{i}\t\tx{i}"), "a b", ["39", "x39"], {"delimiter"}),
    "one blank": (
        "a b c\n" + lines(lambda i: f"{i} x{i} {i / 2}"),
        "a b c",
        ["39", "x39", "19.5"],
        {"delimiter"},
    ),
    "one blank, decimal comma": (
        "a b\n" + lines(lambda i: f"{i},5 {i},25"),
        "a b",
        ["39,5", "39,25"],
        {"delimiter"},
    ),
    "one blank, quoted words": (
        '"first name" age\n' + lines(lambda i: f'"Jo {i}" {i}'),
        "first_name age",
        ["Jo 39", "39"],
        {"delimiter"},
    ),
    "columns of blanks": (
        "t      cp\n" + lines(lambda i: f"{5 * i:<6} {i * 0.35:.4f}"),
        "t cp",
        ["195", "13.6500"],
        {"delimiter"},
    ),
    "columns of blanks, right": (
        "   t     v\n" + lines(lambda i: f"{i:4d} {i * 1.5:6.2f}"),
        "t v",
        ["39", "58.50"],
        {"delimiter"},
    ),
    "columns of blanks, text": (
        "station     temp\n" + lines(lambda i: f"st{i:<12} {i:5.1f}"),
        "station temp",
        ["st39", "39.0"],
        {"delimiter"},
    ),
    "blank after commas": (
        "id, label, v\n" + lines(lambda i: f'{i}, "name, {i}", {i / 2}'),
        "id label v",
        ["39", "name, 39", "19.5"],
        {"blanks"},
    ),
    "blank after semicolons": (
        "a; b; c\n" + lines(lambda i: f'{i}; "x; {i}"; {i}'),
        "a b c",
        ["39", "x; 39", "39"],
        {"blanks"},
    ),
    "blank before commas": (
        "a ,b ,c\n" + lines(lambda i: f'{i} ,"x {i}" ,{i}'),
        "a b c",
        ["39", "x 39", "39"],
        {"blanks"},
    ),
    "blanks around bars": (
        "a | b\n" + lines(lambda i: f"{i} | x{i}"),
        "a b",
        ["39", "x39"],
        {"blanks"},
    ),
    "apostrophes": (
        "'id','label'\n" + lines(lambda i: f"'{i}','a, b {i}'"),
        "id label",
        ["39", "a, b 39"],
        {"quote"},
    ),
    "apostrophes where needed": (
        "a,b\n" + lines(lambda i: f"{i},'x, {i}'"),
        "a b",
        ["39", "x, 39"],
        {"quote"},
    ),
    "apostrophes doubled": (
        "id,name\n" + lines(lambda i: f"{i},'Jo''s, {i}'"),
        "id name",
        ["39", "Jo's, 39"],
        {"quote"},
    ),
    "apostrophes in words": (
        "a,b\n" + lines(lambda i: f"{i},it's item {i}"),
        "a b",
        ["39", "it's item 39"],
        set(),
    ),
    "apostrophes before names": (
        "id,name\n" + lines(lambda i: f"{i},'t Hooft {i}"),
        "id name",
        ["39", "'t Hooft 39"],
        set(),
    ),
    "inches": (
        "id,size,v\n" + lines(lambda i: f'{i},{i}" pipe,{i}'),
        "id size v",
        ["39", '39" pipe', "39"],
        set(),
    ),
    "fields that only begin with a quote": (
        "id,text\n" + lines(lambda i: f'{i},"x {i}'),
        "id text",
        ["39", '"x 39'],
        {"quote"},
    ),
    "quotes not doubled": (
        "a,b,c\n" + lines(lambda i: f'{i},"the "best" one, {i}",{i}'),
        "a b c",
        ["39", 'the "best" one, 39', "39"],
        {"odd-quotes"},
    ),
    "backslash before quotes": (
        "name,text,n\n" + lines(lambda i: f'e{i},"x \\" {i}",{i}'),
        "name text n",
        ["e39", 'x " 39', "39"],
        {"escape"},
    ),
    "backslash before quotes, tab": (
        "id\ttext\n" + lines(lambda i: f'{i}\t"he said \\"no\\""'),
        "id text",
        ["39", 'he said "no"'],
        {"escape"},
    ),
    "backslash before delimiters": (
        "id,text\n" + lines(lambda i: f"{i},a\\, b {i}"),
        "id text",
        ["39", "a, b 39"],
        {"escape"},
    ),
    "backslashes of paths": (
        "id,path\n" + lines(lambda i: f'{i},"C:\\data\\f{i}\\"'),
        "id path",
        ["39", "C:\\data\\f39\\"],
        set(),
    ),
    "backslash N": (
        "id,v\n" + lines(lambda i: f"{i},\\N" if i % 3 == 0 else f"{i},{i}"),
        "id v",
        ["39", "\\N"],
        set(),
    ),
    "lines quoted as a whole": (
        '"a,b"\n' + lines(lambda i: f'"{i},x{i}"'),
        "a b",
        ["39", "x39"],
        {"wrapped"},
    ),
    "lines quoted over quotes": (
        '"a,""b"""\n' + lines(lambda i: f'"{i},""x, {i}"""'),
        "a b",
        ["39", "x, 39"],
        {"wrapped"},
    ),
    "line breaks in fields": (
        "a,b\n" + lines(lambda i: f'{i},"two\nlines {i}"'),
        "a b",
        ["39", "two\nlines 39"],
        set(),
    ),
    "line breaks in apostrophes": (
        "a,b\n" + lines(lambda i: f"{i},'two\nlines {i}'"),
        "a b",
        ["39", "two\nlines 39"],
        {"quote"},
    ),
    "line ends mixed": (
        "a,b\r\n" + lines(lambda i: f"{i},{i}" + ("\r\n" if i % 2 else "\n"), end=""),
        "a b",
        ["39", "39"],
        set(),
    ),
    "old Mac line ends": (
        "a,b\r" + lines(lambda i: f"{i},x{i}", end="\r"),
        "a b",
        ["39", "x39"],
        set(),
    ),
    "end of file of DOS": (
        "a,b\n" + lines(lambda i: f"{i},{i}") + "\x1a",
        "a b",
        ["39", "39"],
        {"blank-rows"},
    ),
    "links": (
        "id,url,v\n" + lines(lambda i: f"{i},http://x.org/a?b={i}&c=1,{i}"),
        "id url v",
        ["39", "http://x.org/a?b=39&c=1", "39"],
        set(),
    ),
    "JSON": (
        "id,j,v\n" + lines(lambda i: f'{i},"{{""a"":{i},""b"":2}}",{i}'),
        "id j v",
        ["39", '{"a":39,"b":2}', "39"],
        set(),
    ),
    "times": (
        "at,v\n" + lines(lambda i: f"{i % 24:02}:{i:02},{i}"),
        "at v",
        ["15:39", "39"],
        set(),
    ),
    "thousands in quotes": (
        "m,v\n" + lines(lambda i: f'm{i},"1,{i:03}"'),
        "m v",
        ["m39", "1,039"],
        set(),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_every_field_comes_out_as_it_was_meant(case):
    text, names, last, codes = CASES[case]
    reading = read(text)
    assert [name.replace(" ", "_") for name in reading.names] == names.split()
    assert len(reading.rows) == 40
    assert reading.rows[-1] == last
    assert reading.codes == codes
    assert not reading.rejects


@pytest.mark.parametrize("case", CASES)
def test_the_result_does_not_depend_on_how_the_bytes_arrive(case):
    text = CASES[case][0]
    assert read(text, piece_bytes=7).rows == read(text).rows


@pytest.mark.parametrize(
    ("encoding", "codes"),
    [
        ("utf-8", set()),
        ("utf-8-sig", set()),
        ("utf-16", set()),
        ("utf-16-le", set()),
        ("utf-16-be", set()),
        ("utf-32", set()),
        ("cp1252", {"encoding"}),
        ("latin-1", {"encoding"}),
    ],
)
def test_encodings(encoding, codes):
    text = "Ort;Höhe\n" + lines(lambda i: f"Zürich {i};{i},5 é")
    for data in (text.encode(encoding), gzip.compress(text.encode(encoding), mtime=0)):
        reading = read(data)
        assert reading.names == ["Ort", "Höhe"]
        assert reading.rows[-1] == ["Zürich 39", "39,5 é"]
        assert reading.codes == codes


def test_quotes_and_signs_of_windows():
    reading = read(
        "name,comment,v\n" + lines(lambda i: f"Zoë{i},“quoted” · café €{i},{i}"), encoding="cp1252"
    )
    assert reading.rows[-1] == ["Zoë39", "“quoted” · café €39", "39"]


def test_a_quote_that_stays_open_costs_one_row_whatever_quote_it_is():
    rest = lines(lambda i: f"{i},'b {i}'", count=300)
    reading = read("id,text\n" + lines(lambda i: f"{i},'a {i}'") + "7,'open\n" + rest)
    assert reading.reasons == {42: "quote never closed"}
    assert len(reading.rows) == 340
