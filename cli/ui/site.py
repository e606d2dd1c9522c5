"""What `ui` serves: pages and streams of what changes, by the AWS API as the other commands."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from botocore.exceptions import BotoCoreError, ClientError

from cli import runs_index
from cli.errors import CliError, ExitCode, of_aws
from cli.logs import Reader, Wanted
from cli.results import stored
from cli.target import Target
from cli.ui import run_page
from workloads.contract import ContractError, Run
from workloads.page.gathering import Pages
from workloads.page.render import Page
from workloads.page.rows import Row
from workloads.page.shell import source
from workloads.run_index import Entry, RunIndex

_FOLDER: Final = Path(__file__).parent
_FRESH_SECONDS: Final = 1.0
"""So long a look serves all who ask."""
_MONTHS_SECONDS: Final = 60.0
_CALM_SECONDS: Final = 15.0
"""Between two looks at a run that has ended, which somebody may begin again."""
LINES_AT_FIRST: Final = 5000
_LINES_AT_ONCE: Final = 500
_REPORT_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A whole answer."""

    body: bytes
    status: HTTPStatus = HTTPStatus.OK
    headers: Mapping[str, str]

    @classmethod
    def html(cls, body: bytes, **headers: str) -> Self:
        """A page."""
        return cls(body=body, headers={"Content-Type": "text/html; charset=utf-8", **headers})

    @classmethod
    def text(cls, said: str, status: HTTPStatus) -> Self:
        """A sentence."""
        kind = {"Content-Type": "text/plain; charset=utf-8"}
        return cls(body=f"{said}\n".encode(), status=status, headers=kind)


class Event(NamedTuple):
    """What a stream sends: `data` becomes JSON."""

    name: str
    data: Any


@dataclass
class Site:
    """The pages of one stack."""

    target: Target
    pause_seconds: float = 2.0
    """Between two looks of a stream."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _known: dict[str, dict[str, Row]] = field(default_factory=dict)
    """Month, or nothing for the newest runs -> what the last look found."""
    _newest_at: float = -math.inf
    _months: tuple[str, ...] = ()
    _months_at: float = -math.inf

    def __post_init__(self) -> None:
        """Finds out whether the stack has what is read. Raises CliError."""
        index = RunIndex(client=self.target.client("dynamodb"), table=self.target.output("table"))
        self._pages = Pages(index=index)
        self.target.output("results_bucket")

    @property
    def stack(self) -> str:
        """Its name."""
        return self.target.stack or "rehearsal"

    def newest(self) -> Answer:
        """The first page."""
        return Answer.html(self._page().html())

    def newest_events(self) -> Iterator[Event | None]:
        """`main` with the markup of the first page whenever it changes, `trouble` where AWS does
        not answer; None after each look.
        """
        said = None
        while True:
            try:
                event = Event("main", self._page().changing())
            except (CliError, ClientError, BotoCoreError) as error:
                event = Event("trouble", sentence(error))
            if event != said:
                yield event
                said = event
            yield None

    def month(self, month: str) -> Answer:
        """The page of a month, YYYYMM."""
        with self._lock:
            rows = self._pages.look().month(month, self._known.get(month, {}))
            self._known[month] = {row.run_id: row for row in rows}
        page = Page(
            stack=self.stack,
            rows=rows,
            month=month,
            months=self._months_now(),
            made_ms=int(time.time() * 1000),
            served=True,
        )
        return Answer.html(page.html())

    def report(self, run_id: str) -> Answer:
        """The report of a run, as it lies in the bucket. Raises CliError."""
        entry = self._entry(run_id)
        body = stored(self.target, entry, entry.run.report_key)
        return Answer.html(body, **{"Content-Security-Policy": _REPORT_POLICY})

    def run(self, run_id: str) -> Answer:
        """The page of a run. Raises CliError."""
        run = self._entry(run_id).run
        return Answer.html(run_page.html(self.target, run, self.stack))

    def run_events(self, run_id: str) -> Iterator[Event | None]:
        """`main` with the markup of a run whenever it changes, `lines` of its log, `cut` with the
        number of lines before them that are left out, `trouble`; None after each look.
        """
        run = self._entry(run_id).run
        reader, said, first, looked = Reader(self.target, run, Wanted()), "", True, 0.0
        ended = False
        while True:
            if not ended or time.monotonic() - looked >= _CALM_SECONDS:
                looked = time.monotonic()
                try:
                    main, ended = run_page.look(self.target, run)
                    lines = list(reader.new())
                except (CliError, ClientError, BotoCoreError) as error:
                    yield Event("trouble", sentence(error))
                    yield None
                    continue
                if main != said:
                    yield Event("main", main)
                    said = main
                if first and len(lines) > LINES_AT_FIRST:
                    yield Event("cut", len(lines) - LINES_AT_FIRST)
                    lines = lines[-LINES_AT_FIRST:]
                first = False
                for start in range(0, len(lines), _LINES_AT_ONCE):
                    some = lines[start : start + _LINES_AT_ONCE]
                    yield Event("lines", [run_page.line(each) for each in some])
                yield Event("looked", {"ended": ended})
            yield None

    def _page(self) -> Page:
        return Page(
            stack=self.stack,
            rows=self._newest_now(),
            months=self._months_now(),
            made_ms=int(time.time() * 1000),
            served=True,
            refreshing=source("live.js", _FOLDER),
        )

    def _newest_now(self) -> list[Row]:
        with self._lock:
            known = self._known.get("", {})
            if time.monotonic() - self._newest_at > _FRESH_SECONDS:
                known = {row.run_id: row for row in self._pages.look().newest(known)}
                self._known[""] = known
                self._newest_at = time.monotonic()
            return list(known.values())

    def _months_now(self) -> tuple[str, ...]:
        with self._lock:
            if time.monotonic() - self._months_at > _MONTHS_SECONDS:
                self._months = tuple(self._pages.months())
                self._months_at = time.monotonic()
            return self._months

    def _entry(self, run_id: str) -> Entry:
        """A run by its whole id. Raises CliError."""
        try:
            Run(run_id)
        except ContractError as error:
            raise CliError(str(error), ExitCode.NOT_FOUND) from error
        return runs_index.find(self.target, run_id)


def sentence(error: Exception) -> str:
    """What AWS or the stack said, for the page."""
    return str(of_aws(error) or error)
