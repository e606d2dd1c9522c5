"""Which lines are names, which are rows, and which are neither: on the kinds of files that people
publish.
"""

from __future__ import annotations

import pytest

from tests.workloads.preprocess.reading import lines, read

CASES = {
    # id: (text, names, first row, codes of remarks, reasons of rejected lines)
    "years over numbers": (
        "region,2019,2020,2021\n" + lines(lambda i: f"r{i},{10 + i},{20 + 2 * i},{30 + 3 * i}"),
        ["region", "2019", "2020", "2021"],
        ["r0", "10", "20", "30"],
        set(),
        {},
    ),
    "years alone": (
        "2015,2016,2017\n" + lines(lambda i: f"{i},{2 * i},{3 * i}"),
        ["2015", "2016", "2017"],
        ["0", "0", "0"],
        set(),
        {},
    ),
    "years as values": (
        lines(lambda i: f"{1980 + i},{1990 + i}"),
        ["", ""],
        ["1980", "1990"],
        {"no-header"},
        {},
    ),
    "dates over numbers": (
        "site,2020-01-01,2020-01-02\n" + lines(lambda i: f"s{i},{i},{i + 1}"),
        ["site", "2020-01-01", "2020-01-02"],
        ["s0", "0", "1"],
        set(),
        {},
    ),
    "counted columns": (
        "id,1,2,3\n" + lines(lambda i: f"s{i},{i * 0.5},{i + 1.5},{i + 2.5}"),
        ["id", "1", "2", "3"],
        ["s0", "0.0", "1.5", "2.5"],
        set(),
        {},
    ),
    "sodium": (
        "sample,Na\n" + lines(lambda i: f"s{i},{1.5 + i / 4}"),
        ["sample", "Na"],
        ["s0", "1.5"],
        set(),
        {},
    ),
    "names that are words for missing": (
        "NA,None,x\n" + lines(lambda i: f"{i},{2 * i},{i}"),
        ["NA", "None", "x"],
        ["0", "0", "0"],
        set(),
        {},
    ),
    "text only": (
        "department,entity,note\n" + lines(lambda i: f"D{i % 4},E{i},spoke with {i}"),
        ["department", "entity", "note"],
        ["D0", "E0", "spoke with 0"],
        set(),
        {},
    ),
    "names over words": (
        "name,city\n" + lines(lambda i: f"{['ann', 'bob', 'cy'][i % 3]},{['rome', 'oslo'][i % 2]}"),
        ["name", "city"],
        ["ann", "rome"],
        set(),
        {},
    ),
    "words without names": (
        lines(lambda i: f"{['ann', 'bob', 'cy'][i % 3]},{['rome', 'oslo'][i % 2]}"),
        ["", ""],
        ["ann", "rome"],
        {"no-header"},
        {},
    ),
    "numbers without names": (
        lines(lambda i: f"{i / 3},{2 * i},0.{i + 10}"),
        ["", "", ""],
        ["0.0", "0", "0.10"],
        {"no-header"},
        {},
    ),
    "mixed without names": (
        lines(lambda i: f"1,{i},f{i}.wav,di,0.{i + 10}"),
        [""] * 5,
        ["1", "0", "f0.wav", "di", "0.10"],
        {"no-header"},
        {},
    ),
    "words, numbers and dates without names": (
        lines(lambda i: f"site{i % 4},{i},2020-01-{i % 28 + 1:02}"),
        ["", "", ""],
        ["site0", "0", "2020-01-01"],
        {"no-header"},
        {},
    ),
    "one column": ("value\n" + lines(lambda i: f"{i * 1.5}"), ["value"], ["0.0"], set(), {}),
    "one column of dates with times": (
        "when\n" + lines(lambda i: f"2020-01-{i % 28 + 1:02} 10:{i:02}:00"),
        ["when"],
        ["2020-01-01 10:00:00"],
        set(),
        {},
    ),
    "one column without a name": (lines(lambda i: f"{i * 1.5}"), [""], ["0.0"], {"no-header"}, {}),
    "units": (
        "year,temp,oxygen\n,degC,umol/kg\n" + lines(lambda i: f"{1980 + i},{20 + i / 8},{200 - i}"),
        ["year", "temp", "oxygen"],
        ["1980", "20.0", "200"],
        {"header-row-left-out"},
        {2: "units row"},
    ),
    "units in brackets": (
        "site;t;v\n;[s];[m/s]\n" + lines(lambda i: f"s{i};{i};{i / 2}"),
        ["site", "t", "v"],
        ["s0", "0", "0.0"],
        {"header-row-left-out"},
        {2: "units row"},
    ),
    "units in parentheses, rows quoted": (
        "Time,Load\n(s),(N)\n" + lines(lambda i: f'"{i / 10:.1f}","{i * 2.5}"'),
        ["Time", "Load"],
        ["0.0", "0.0"],
        {"header-row-left-out"},
        {2: "units row"},
    ),
    "types below the names": (
        "id,name,v\nint,string,float\n" + lines(lambda i: f"{i},n{i},{i / 2}"),
        ["id", "name", "v"],
        ["0", "n0", "0.0"],
        {"header-row-left-out"},
        {2: "units row"},
    ),
    "station, names, units, process": (
        '"LOGGER","CR9","68","p.CR3"\n"TIMESTAMP","RECORD","ux","co2"\n"TS","RN","m/s","mg/m^3"\n"","","Smp","Smp"\n'
        + lines(lambda i: f'"2012-06-07 13:{i:02}:00",{i},{0.5 + i / 8},{659 + i / 4}'),
        ["TIMESTAMP", "RECORD", "ux", "co2"],
        ["2012-06-07 13:00:00", "0", "0.5", "659.0"],
        {"preamble", "header-row-left-out"},
        {3: "units row", 4: "further header row"},
    ),
    "two header rows": (
        "control,,treated,\nx,y,x,y\n" + lines(lambda i: f"{i / 7},{i * 1.1},{i / 3},{i * 2.2}"),
        ["control x", "control y", "treated x", "treated y"],
        ["0.0", "0.0", "0.0", "0.0"],
        {"header-rows"},
        {},
    ),
    "three header rows": (
        "A,,B,\nx,y,x,y\nlo,hi,lo,hi\n" + lines(lambda i: f"{i},{2 * i},{3 * i},{4 * i}"),
        ["A x lo", "A y hi", "B x lo", "B y hi"],
        ["0", "0", "0", "0"],
        {"header-rows"},
        {},
    ),
    "years under names": (
        "country,GDP,,People,\n,2019,2020,2019,2020\n"
        + lines(lambda i: f"c{i},{i},{i + 1},{2 * i},{2 * i + 1}"),
        ["country", "GDP 2019", "GDP 2020", "People 2019", "People 2020"],
        ["c0", "0", "1", "0", "1"],
        {"header-rows"},
        {},
    ),
    "the header twice": (
        "COM;NOM;DEP\nCOM;NOM;DEP\n"
        + lines(lambda i: f"{1001 + i:05};V{i};{['01', '2A', '2B'][i % 3]}"),
        ["COM", "NOM", "DEP"],
        ["01001", "V0", "01"],
        {"header-row-left-out"},
        {2: "repeated header"},
    ),
    "the header every ten rows": (
        lines(lambda i: ("k,v\n" if i % 10 == 0 else "") + f"{i},{2 * i}"),
        ["k", "v"],
        ["0", "0"],
        set(),
        {12: "repeated header", 23: "repeated header", 34: "repeated header"},
    ),
    "two titles": (
        '"Set: demo     Name: made up"\n"C=186; E=21.62"\n"id","label","score"\n'
        + lines(lambda i: f'"g{i}","text {i}","{i / 4}"'),
        ["id", "label", "score"],
        ["g0", "text 0", "0.0"],
        {"preamble"},
        {},
    ),
    "a title and an empty row": (
        "Monthly water use,,\n,,\nmonth,site,litres\n"
        + lines(lambda i: f"m{i},s{i % 3},{1000 + i}"),
        ["month", "site", "litres"],
        ["m0", "s0", "1000"],
        {"preamble"},
        {},
    ),
    "a quoted title with delimiters": (
        '"Sales, by region, 2020"\n\nregion,sales\n' + lines(lambda i: f"r{i},{2 * i}"),
        ["region", "sales"],
        ["r0", "0"],
        {"preamble"},
        {},
    ),
    "names and values before the table": (
        "Station,Rome\nElevation,21\nOwner,City\n\ntime,temp,wind\n"
        + lines(lambda i: f"2020-01-{i % 28 + 1:02},{i},{3 * i}"),
        ["time", "temp", "wind"],
        ["2020-01-01", "0", "0"],
        {"preamble"},
        {},
    ),
    "names and values as wide as the table": (
        "Station,Rome\nElevation,21\n\ntime,temp\n"
        + lines(lambda i: f"2020-01-{i % 28 + 1:02},{i}"),
        ["time", "temp"],
        ["2020-01-01", "0"],
        {"preamble"},
        {},
    ),
    "a title over a trailing delimiter": (
        "Report;\nid;name;v;\n" + lines(lambda i: f"{i};n{i};{2 * i};"),
        ["id", "name", "v"],
        ["0", "n0", "0"],
        {"preamble", "spare-fields"},
        {},
    ),
    "comments": (
        "# station 12\n# lat 52.1, lon 13.4\ntime,co2\n"
        + lines(lambda i: f"{2000 + i},{370 + i * 1.5}"),
        ["time", "co2"],
        ["2000", "370.0"],
        {"preamble"},
        {},
    ),
    "a hash before the names": (
        "# energy (MeV), n\n" + lines(lambda i: f"{i / 10}, {i / 1000:.3f}"),
        ["energy (MeV)", "n"],
        ["0.0", "0.000"],
        {"blanks"},
        {},
    ),
    "comments, then a hash before the names": (
        "##version 1\n##source x\n#CHROM\tPOS\tQUAL\n"
        + lines(lambda i: f"chr{i % 3}\t{100 * i}\t{i / 2}"),
        ["CHROM", "POS", "QUAL"],
        ["chr0", "0", "0.0"],
        {"preamble"},
        {},
    ),
    "a hash as a name": (
        "#,name,v\n" + lines(lambda i: f"{i},n{i},{2 * i}"),
        ["#", "name", "v"],
        ["0", "n0", "0"],
        set(),
        {},
    ),
    "a header with one delimiter more": (
        "id,label,value,\n" + lines(lambda i: f"{i},x{i},{i / 2}"),
        ["id", "label", "value"],
        ["0", "x0", "0.0"],
        {"surplus-names"},
        {},
    ),
    "a header with one name more": (
        "id,label,value,extra\n" + lines(lambda i: f"{i},x{i},{i / 2}"),
        ["id", "label", "value"],
        ["0", "x0", "0.0"],
        {"surplus-names"},
        {},
    ),
    "a header with one delimiter less": (
        "id,labelvalue\n" + lines(lambda i: f"{i},x{i},{i / 2}"),
        ["id", "labelvalue", ""],
        ["0", "x0", "0.0"],
        {"columns-without-name"},
        {},
    ),
    "row names of R": (
        '"mpg" "cyl"\n' + lines(lambda i: f'"car {i}" {20 + i}.5 {i % 8}'),
        ["", "mpg", "cyl"],
        ["car 0", "20.5", "0"],
        {"row-names", "delimiter"},
        {},
    ),
    "an index without a name": (
        ",a,b\n" + lines(lambda i: f"{i},{2 * i},x{i}"),
        ["", "a", "b"],
        ["0", "0", "x0"],
        {"columns-without-name"},
        {},
    ),
    "names that repeat": (
        "a,a,b\n" + lines(lambda i: f"{i},{i},{2 * i}"),
        ["a", "a", "b"],
        ["0", "0", "0"],
        set(),
        {},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_every_line_is_taken_for_what_it_is(case):
    text, names, first, codes, reasons = CASES[case]
    reading = read(text)
    assert reading.names == names
    assert reading.rows[0] == first
    assert len(reading.rows) == 40
    assert reading.codes == codes
    assert reading.reasons == reasons


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    ("end", "encoding"), [("\r\n", "utf-8-sig"), ("\r", "utf-8"), ("\n", "utf-16")]
)
def test_line_ends_and_encodings_make_no_difference(case, end, encoding):
    text, names, _, codes, reasons = CASES[case]
    reading = read(text.replace("\n", end), encoding=encoding)
    plain = read(text)
    assert (reading.names, reading.rows, reading.codes, reading.reasons) == (
        names,
        plain.rows,
        codes,
        reasons,
    )
    assert reading.lines == plain.lines


def test_what_was_decided_can_be_told():
    dialect = read("Title\n\na;b\n" + lines(lambda i: f"{i};'x {i}'")).dialect
    assert dialect.facts() == {
        "delimiter": ";",
        "quote": "'",
        "escape": "",
        "header": True,
        "header_rows": 1,
        "header_line": 3,
        "first_line": 4,
        "preamble": ["Title"],
    }


def test_unsure_remarks_are_marked():
    sure = {
        remark.code: remark.sure
        for remark in read("Title\n\n" + lines(lambda i: f"{i};'x {i}'")).remarks
    }
    assert sure == {"preamble": False, "no-header": False, "quote": True}
