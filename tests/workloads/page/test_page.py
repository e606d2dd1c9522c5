"""The page as a file: nothing from outside becomes markup, nothing is loaded, and the next writer
reads what stands in it.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from workloads.page import rows, writing
from workloads.page.render import Page
from workloads.page.rows import Row
from workloads.run_index import Entry

HOSTILE = "</script><img src=x onerror=alert(1)>\"'&<!--\u202e]]>{{7*7}}"
ROW = Row(
    run_id="20260131-sales-0123456789ab",
    state="SUCCEEDED",
    attempt=2,
    begun_ms=1_769_824_800_000,
    ended_ms=1_769_828_400_000,
    usd=1.25,
    key=f"data/20260131/{HOSTILE}.csv",
    failure="",
    rows=900,
    rejected=100,
    psi=0.31,
    column=HOSTILE,
)
FAILED = replace(
    ROW, run_id="20260130-sales-0123456789ab", state="FAILED", failure=HOSTILE, rows=None, psi=None
)


class Markup(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, page: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.inside: dict[str, str] = {}
        self.feed(page.decode())

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        self.tags.append((f"/{tag}", {}))

    def handle_data(self, data):
        tag, attributes = self.tags[-1] if self.tags else ("", {})
        if tag in ("script", "style"):
            key = str(attributes.get("id") or tag)
            self.inside[key] = self.inside.get(key, "") + data
        self.texts.append(data)


def page(*found: Row, **more) -> bytes:
    return Page(stack=HOSTILE, rows=found, made_ms=1_769_900_000_000, **more).html()


def test_nothing_from_outside_becomes_markup_and_nothing_is_loaded() -> None:
    made = page(ROW, FAILED, console=HOSTILE, months=("202601",))
    markup = Markup(made)
    known = {tag for tag, _ in markup.tags}
    assert not known & {"img", "iframe", "object", "base", "form"}
    for _, attributes in markup.tags:
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        for name in ("src", "href", "action"):
            target = attributes.get(name) or "#"
            assert target.startswith(("#", "data:,", "runs/", "months/")), target
    said = "".join(markup.texts)
    shown = HOSTILE.replace("\u202e", "\\u202e")
    assert said.count(shown) >= 4, "name of the file, reason, column and stack, as they are"
    assert "\u202e" not in said.replace(markup.inside["data"], "")

    policy = next(
        attributes["content"] or ""
        for tag, attributes in markup.tags
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert "default-src 'none'" in policy
    for kind in ("style", "script"):
        digest = hashlib.sha256(markup.inside[kind].encode()).digest()
        assert f"{kind}-src 'sha256-{base64.b64encode(digest).decode()}'" in policy


def test_links_lead_to_the_reports_of_runs_that_have_one() -> None:
    for month, up in (("", ""), ("202601", "../")):
        markup = Markup(page(ROW, FAILED, month=month, months=("202601", "202512")))
        links = [attributes.get("href") for tag, attributes in markup.tags if tag == "a"]
        assert links.count(f"{up}{ROW.run.report_key}") == 1
        assert f"{up}{FAILED.run.report_key}" not in links
        assert f"{up}months/2025-12.html" in links


def test_the_next_writer_reads_what_stands_in_the_page() -> None:
    assert writing.rows_in(page(ROW, FAILED)) == {each.run_id: each for each in (ROW, FAILED)}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        '{"format": 0, "rows": []}',
        '{"format": 1, "rows": 7}',
        '{"format": 1, "rows": [[1]]}',
        '{"format": 1, "rows": [["x"]]}',
        rows.to_json([ROW]).replace("SUCCEEDED", "DONE"),
        rows.to_json([ROW]).replace("sales", "../../x"),
        rows.to_json([ROW]).replace("1769824800000", '"soon"'),
        rows.to_json([ROW]).replace("900", "true"),
        "[" * 100_000,
    ],
)
def test_what_is_no_such_page_is_made_anew(text: str) -> None:
    assert rows.from_json(text) == {}
    body = f'<script type="application/json" id="data">{text}</script>'
    assert writing.rows_in(body.encode()) == {}


def test_a_page_of_nothing_and_of_one_run_says_so() -> None:
    assert b"0 runs so far" in page()
    assert b"There is none" in page()
    assert b"1 run so far" in page(ROW)
    without = replace(ROW, rows=None, rejected=None, psi=None, usd=None, begun_ms=0, key="")
    assert re.search(rb"Rows of sales|nothing to show", page(without))


def test_odd_items_are_no_fault_of_the_page() -> None:
    item = {"failure": None, "ended_ms": None, "upload": None, "attempt": None}
    entry = Entry(run_id=ROW.run_id, state="FAILED", claimed_ms=0, item=item)
    row = rows.row_of(entry)
    assert row is not None
    assert rows.row_of(replace(entry, state="NEW")) is None
    odd: tuple[dict[str, Any], ...] = (
        {},
        {"table": None, "drift": {"strongest": [{}]}},
        {"drift": None},
    )
    for summary in odd:
        assert row.described(summary).psi is None
    assert FAILED.run_id.encode() in page(replace(row, run_id=FAILED.run_id))
