"""The page as HTML: what stands out, trends by data set, all runs as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from workloads import formats
from workloads.contract import RUNS_PAGE_KEY, month_page_key
from workloads.page import table, trends
from workloads.page.gathering import NEWEST, OF_MONTH
from workloads.page.rows import Row, to_json
from workloads.page.shell import document, source, text


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page of runs."""

    stack: str
    rows: Sequence[Row]
    """In the order in which they are shown."""
    month: str = ""
    """YYYYMM; empty for the first page, of the newest runs."""
    months: Sequence[str] = ()
    """Those that have a page, the last first."""
    made_ms: int
    console: str = ""
    """Where the AWS console opens an object of the bucket: the URL to which a key is appended."""
    served: bool = False
    """In `batchref ui`: each run has a page of its own, and no writer reads this one."""
    refreshing: str = ""
    """Script by which the page refreshes itself; it says in the element `live` how that goes."""

    def html(self) -> bytes:
        """The file."""
        where = f" of {_month(self.month)}" if self.month else ""
        return document(
            title=f"Runs{where}, stack {self.stack}",
            body=f'<a class="skip" href="#runs">To the runs</a>\n{self._head()}\n'
            f"<main>\n{self._main()}\n</main>",
            style=source("base.css") + source("page.css"),
            script=source("page.js") + self.refreshing,
            data="" if self.served else to_json(self.rows),
            attributes={"console": self.console},
        )

    def changing(self) -> str:
        """What may differ from one look to the next, each part with its id."""
        return f"{self._which()}{self._nav()}{self._main()}"

    def _main(self) -> str:
        runs = table.section(
            self.rows,
            sorted_by="Run" if self.month else "Begun",
            up=self._up,
            live=self.served,
        )
        return f"{self._tiles()}\n{trends.section(self.rows)}\n{runs}"

    @property
    def _up(self) -> str:
        """From the page's folder to that of the bucket's keys."""
        return "../" if self.month else ""

    def _head(self) -> str:
        as_of = f"as of {table.moment(self.made_ms)}"
        if self.refreshing:
            as_of = '<span id="live" role="status">refreshes itself</span>'
        what = f"Runs of {_month(self.month)}" if self.month else "Runs"
        return (
            '<header>\n<p class="eyebrow">Batch Reference</p>\n'
            f'<h1>{what} <span class="soft">{text(self.stack)}</span></h1>\n'
            f'<p class="soft">{self._which()}; {as_of}. Times are UTC.</p>\n'
            f"{self._nav()}</header>"
        )

    def _which(self) -> str:
        number = table.count(len(self.rows), "run")
        if self.month and len(self.rows) < OF_MONTH:
            said = f"{number}, by the date of the folder"
        elif self.month:
            said = f"The last {number} of the month; <code>batchref runs --from --to</code> has all"
        elif len(self.rows) < NEWEST:
            said = f"{number} so far"
        else:
            said = f"The {number} that were begun last; earlier ones by month"
        return f'<span id="which">{said}</span>'

    def _nav(self) -> str:
        links = [f'<a href="{self._up}{RUNS_PAGE_KEY}">newest</a>'] if self.month else []
        for month in self.months:
            here = ' aria-current="page"' if month == self.month else ""
            address = f"{self._up}{month_page_key(month)}"
            links.append(f'<a href="{address}"{here}>{_month(month)}</a>')
        return f'<nav id="months" aria-label="Months">{" ".join(links)}</nav>'

    def _tiles(self) -> str:
        by_state = Counter(row.state for row in self.rows)
        costs = [row.usd for row in self.rows if row.usd is not None]
        ended = ("SUCCEEDED", "FAILED", "CANCELLED")
        tiles = [(name.capitalize(), f"{by_state[name]:,}") for name in ended]
        tiles.append(("Not ended", f"{sum(not row.ended for row in self.rows):,}"))
        tiles.append(("Cost", formats.dollars(sum(costs)) if costs else formats.DASH))
        inner = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in tiles)
        return f'<dl class="tiles" id="tiles">{inner}</dl>'


def _month(month: str) -> str:
    return f"{month[:4]}-{month[4:]}"
