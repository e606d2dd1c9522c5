"""The page in the results bucket: written anew whenever a run ends, by several at once without one
taking back what another wrote.

Each writer reads the page that is there, puts what it finds in the metrics table over what the page
knows, and replaces the page on the condition that it is still the one that was read (S3 user guide,
"Conditional writes"). Who loses reads again; where the winner's page tells of the loser's run, as
it does when many end together, there is nothing left to write.
"""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Mapping
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from workloads import contract
from workloads.contract import ContractError, Run
from workloads.page.gathering import BusyTableError, Look, Pages
from workloads.page.render import Page
from workloads.page.rows import Row, from_json
from workloads.run_index import RunIndex
from workloads.runtime import s3
from workloads.runtime.errors import StageError
from workloads.variables import ENV_CONSOLE_URL, ENV_RESULTS_BUCKET, ENV_STACK, ENV_TABLE

_ATTEMPTS: Final = 12
_FIRST_WAIT_SECONDS: Final = 0.05
_MOST_SECONDS: Final = 15.0
"""For both pages together: whoever writes has other work to do, and its function a timeout."""
_DATA: Final = re.compile(rb'<script type="application/json" id="data">([^<]*)</script>')
_MONTH: Final = re.compile(
    rf"{re.escape(contract.MONTH_PAGES_PREFIX)}(?P<year>\d{{4}})-(?P<month>\d{{2}})\.html"
)


def refresh(run: Run, dynamodb: Any) -> str:
    """Writes the pages that tell of a run which has just ended; says how that went, for the log.

    `dynamodb` is a client as botocore makes it.

    Never raises for what AWS does: nothing is lost with a page, for the end of the
    next run makes it whole, and `batchref ui` needs none.
    """
    try:
        bucket = contract.require_env(ENV_RESULTS_BUCKET)
        table = contract.require_env(ENV_TABLE)
        pages = Pages(index=RunIndex(client=dynamodb, table=table))
        until, look = time.monotonic() + _MOST_SECONDS, pages.look()
        months = _months(bucket, run.date[:6])
        # the month first, so that the first page links to no page that is not there
        said = [
            _refresh(bucket, look, run, month=month, months=months, until=until)
            for month in (run.date[:6], "")
        ]
    except (ContractError, StageError, ClientError, BotoCoreError, BusyTableError) as error:
        return f"not written: {error}"
    return said[-1]


def _refresh(
    bucket: str, look: Look, run: Run, *, month: str, months: list[str], until: float
) -> str:
    key = contract.month_page_key(month) if month else contract.RUNS_PAGE_KEY
    wait = _FIRST_WAIT_SECONDS
    for attempt in range(_ATTEMPTS):
        found = s3.get_with_etag(bucket, key)
        body, etag = (b"", None) if found is None else found
        known = rows_in(body)
        rows = look.month(month, known, run) if month else look.newest(known, run)
        own = next((row for row in rows if row.run_id == run.run_id), None)
        if attempt and own == known.get(run.run_id):
            return "written by the end of another run"
        page = Page(
            stack=os.environ.get(ENV_STACK, "").strip() or "?",
            rows=rows,
            month=month,
            months=months,
            made_ms=int(time.time() * 1000),
            console=os.environ.get(ENV_CONSOLE_URL, "").strip(),
        )
        try:
            s3.put_if_unchanged(
                bucket, key, page.html(), etag=etag, content_type="text/html; charset=utf-8"
            )
        except s3.ConflictError:
            if time.monotonic() >= until:
                break
            time.sleep(random.uniform(0.5, 1.5) * wait)  # noqa: S311 - jitter, not a secret
            wait, look = min(wait * 2, 1.0), look.pages.look()
            continue
        return "written"
    return f"not written: others wrote {key} at every moment; the end of another run tells of it"


def rows_in(body: bytes) -> Mapping[str, Row]:
    """Run id -> row, of the page that another writer left; empty for what is no such page."""
    found = _DATA.search(body)
    return from_json(found[1].decode(errors="replace")) if found else {}


def _months(bucket: str, own: str) -> list[str]:
    """The months that have a page, and the one that gets it, the last first."""
    keys = s3.keys(bucket, contract.MONTH_PAGES_PREFIX)
    found = {match["year"] + match["month"] for match in map(_MONTH.fullmatch, keys) if match}
    return sorted(found | {own}, reverse=True)
