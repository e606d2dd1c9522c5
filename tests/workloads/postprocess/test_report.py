"""The report: one file, safe, accessible, whatever the table."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from tests.workloads.postprocess.conftest import RUN, process, stored, strict, table


class _Page(HTMLParser):
    """What a browser would load, run, or read out."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.unnamed = 0
        self.header_cells = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append(tag)
        self.loads += [
            f"{tag} {name}={value}"
            for name, value in attrs
            if name in {"src", "href", "srcset", "data", "action", "xlink:href"}
        ]
        self.unnamed += tag == "svg" and not (
            found.get("role") == "img" and found.get("aria-label")
        )
        if tag == "th":
            self.header_cells += 1
            assert found.get("scope") in {"row", "col"}


@pytest.mark.parametrize(
    "kind", ["usual", "one column", "200 columns", "text only", "nothing finite"]
)
def test_the_report_is_one_safe_accessible_file(world, kind):
    rng = np.random.default_rng(3)
    frame = {
        "usual": table(),
        "one column": pd.DataFrame({"x": rng.normal(size=50)}),
        "200 columns": pd.DataFrame(
            rng.normal(size=(80, 200)), columns=[f"c{i}" for i in range(200)]
        ),
        "text only": pd.DataFrame({"word": ["a", "b"]}),
        "nothing finite": pd.DataFrame({"empty": [np.nan] * 5, "endless": [np.inf] * 5}),
    }[kind]
    process(RUN, frame)
    strict(stored(RUN.summary_key))
    html = stored(RUN.report_key).decode()
    page = _Page()
    page.feed(html)
    assert page.loads == []
    assert not {"script", "link", "iframe", "img", "object"} & set(page.tags)
    assert not re.search(r"@import|url\(|\son\w+=", html)
    assert page.unnamed == 0
    assert page.header_cells > len(frame.columns)
    assert page.tags.count("h1") == 1
    pictures = {
        "usual": 8,
        "one column": 1,
        "200 columns": 201,
        "text only": 0,
        "nothing finite": 0,
    }
    assert page.tags.count("svg") == pictures[kind]
    assert "too many &lt;fields&gt;" in html
    words = set(re.sub(r"<[^>]*>", " ", html.split("</style>")[1]).split())
    assert not {"nan", "inf", "None", "null", "-inf"} & words
    if kind == "usual":
        assert "&lt;script&gt;alert(" in html
