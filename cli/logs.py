"""`logs`: the log lines of a run, of all its stages, nodes, shards and attempts in the order of
time.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self

from rich.console import Console
from rich.text import Text

from cli import jobs, runs_index
from cli.documents import LogLine
from cli.errors import CliError, ExitCode
from cli.frame import print_json, say
from cli.jobs import Stream
from cli.runs_index import ENDED
from cli.target import Target
from workloads.contract import STAGES, Run
from workloads.runtime.quoting import escaped

_STREAMS_AT_ONCE: Final = 100
"""FilterLogEvents takes no more (API reference)."""
_SECONDS: Final = 2.0
_LATE_SECONDS: Final = 10
"""So long after its time CloudWatch may show an event: a following look goes back by as much."""
_SPAN: Final = re.compile(r"(\d+)\s*([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_OWN: Final = frozenset(
    {"time", "level", "message", "logger", "run_id", "stage", "attempt", "node"}
)
"""Fields of a line of this program's log that are shown otherwise, or that every line of a run
has.
"""
_STYLES: Final = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "bold red"}


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which lines."""

    stage: str = ""
    node: int | None = None
    shard: int | None = None
    attempt: int | None = None
    """Of the job."""
    since_ms: int = 0
    grep: re.Pattern[str] | None = None

    @classmethod
    def read(
        cls,
        *,
        stage: str,
        node: int | None,
        shard: int | None,
        attempt: int | None,
        since: str,
        grep: str,
    ) -> Self:
        """From the options. Raises CliError."""
        if stage and stage not in STAGES:
            raise CliError(f"--stage {stage}: give one of {', '.join(STAGES)}", ExitCode.USAGE)
        try:
            pattern = re.compile(grep) if grep else None
        except re.error as error:
            raise CliError(
                f"--grep {grep} is no regular expression: {error}", ExitCode.USAGE
            ) from None
        return cls(
            stage=stage,
            node=node,
            shard=shard,
            attempt=attempt,
            since_ms=_since(since) if since else 0,
            grep=pattern,
        )

    def takes(self, stream: Stream) -> bool:
        """Whether a stream may hold such lines."""
        return (
            (not self.stage or stream.stage == self.stage)
            and (self.node is None or stream.node == self.node)
            and (self.shard is None or stream.shard == self.shard)
            and (self.attempt is None or stream.attempt == self.attempt)
        )


def show(
    console: Console, target: Target, name: str, wanted: Wanted, *, follow: bool, as_json: bool
) -> int:
    """Prints the lines; with `follow` until the run has ended.

    Raises CliError where the run has no such log.
    """
    run = runs_index.find(target, name).run
    reader = Reader(target, run, wanted)
    if not reader.streams() and not follow:
        raise CliError(_nothing(reader), ExitCode.NOT_FOUND)
    try:
        while True:
            ended = runs_index.state_item(target, run).get("state") in ENDED
            for line in reader.new():
                if as_json:
                    print_json(line, line=True)
                else:
                    console.print(_picture(line, several=reader.several), soft_wrap=True)
            if not follow or ended:
                break
            time.sleep(_SECONDS)
    except KeyboardInterrupt:  # the ordinary end of following
        return ExitCode.OK
    if not reader.printed and not as_json:
        say("no such lines")
    return ExitCode.OK


@dataclass
class Reader:
    """Reads the lines of a run that are new since it read last."""

    target: Target
    run: Run
    wanted: Wanted
    several: bool = False
    """Whether lines come from more than one stream."""
    printed: int = 0
    known: list[Stream] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set)
    _from_ms: int = 0

    def streams(self) -> list[Stream]:
        """The log streams that the run has by now."""
        item = runs_index.state_item(self.target, self.run)
        self.known = [
            stream
            for stage, job in jobs.of_run(self.target, item)
            for stream in jobs.streams(self.target, stage, job)
        ]
        return [stream for stream in self.known if self.wanted.takes(stream)]

    def new(self) -> Iterator[LogLine]:
        """Lines that were not read before, by time."""
        streams = self.streams()
        self.several = self.several or len(streams) > 1
        found = [
            (event, stream)
            for stream, event in self._events(streams)
            if event["eventId"] not in self._seen
        ]
        for event, stream in sorted(found, key=lambda each: int(each[0]["timestamp"])):
            self._seen.add(event["eventId"])
            self._from_ms = max(self._from_ms, int(event["timestamp"]) - _LATE_SECONDS * 1000)
            if self.wanted.grep is None or self.wanted.grep.search(event["message"]):
                self.printed += 1
                yield _line(event, stream)

    def _events(self, streams: Sequence[Stream]) -> Iterator[tuple[Stream, dict[str, Any]]]:
        client = self.target.client("logs")
        for group in dict.fromkeys(stream.group for stream in streams):
            by_name = {stream.name: stream for stream in streams if stream.group == group}
            names = list(by_name)
            for start in range(0, len(names), _STREAMS_AT_ONCE):
                pages = client.get_paginator("filter_log_events").paginate(
                    logGroupName=group,
                    logStreamNames=names[start : start + _STREAMS_AT_ONCE],
                    startTime=max(self.wanted.since_ms, self._from_ms),
                )
                for page in _existing(client, pages):
                    for event in page["events"]:
                        yield by_name[event["logStreamName"]], event


def _existing(client: Any, pages: Any) -> Iterator[dict[str, Any]]:
    """The pages; none where a container has begun and not written yet, for then there is no
    stream.
    """
    try:
        yield from pages
    except client.exceptions.ResourceNotFoundException:
        return


def _line(event: dict[str, Any], stream: Stream) -> LogLine:
    text = str(event["message"]).rstrip("\n")
    try:
        own: Any = json.loads(text)
    except ValueError:
        own = None
    fields = own if isinstance(own, dict) and "message" in own else {}
    return {
        "time": (
            datetime.fromtimestamp(int(event["timestamp"]) / 1000, UTC).isoformat(
                timespec="milliseconds"
            )
        ),
        "stage": stream.stage,
        "node": stream.node,
        "shard": stream.shard,
        "attempt": stream.attempt,
        "level": fields.get("level"),
        "message": str(fields.get("message", text)),
        "fields": {name: value for name, value in fields.items() if name not in _OWN},
        "stream": stream.name,
    }


def _picture(line: LogLine, *, several: bool) -> Text:
    picture = Text(line["time"][11:23] + " ", style="dim")
    if several:
        picture.append(f"{label(line)} ", style="cyan")
    picture.append(escaped(line["message"]), style=_STYLES.get(line["level"] or "", ""))
    short = short_fields(line)
    picture.append(escaped(f"  {short}" if short else ""), style="dim")
    return picture


def label(line: LogLine) -> str:
    """Where a line comes from, as people read it."""
    return Stream(
        stage=line["stage"],  # type: ignore[arg-type]
        group="",
        name="",
        node=line["node"],
        shard=line["shard"],
        attempt=line["attempt"],
    ).label


def short_fields(line: LogLine) -> str:
    """The fields of a line that fit behind its message, `name=value`."""
    return " ".join(
        f"{name}={value}"
        for name, value in line["fields"].items()
        if not isinstance(value, (dict, list)) and value not in (None, "")
    )


def _nothing(reader: Reader) -> str:
    if not reader.known:
        return (
            f"run {reader.run.run_id} has no log: no job of it has begun, or AWS Batch no longer"
            f" knows its jobs; `{reader.target.command(f'show {reader.run.run_id}')}` says which"
        )
    labels = ", ".join(dict.fromkeys(stream.label for stream in reader.known[:8]))
    return f"run {reader.run.run_id} has no such log; it has {labels}"


def _since(text: str) -> int:
    """Milliseconds since 1970 of `10m`, `2h 30m`, `1d`, or a moment in ISO 8601, in UTC where it
    has no zone.
    """
    spans = _SPAN.findall(text)
    if spans and not _SPAN.sub("", text).strip():
        back = timedelta(**{_UNITS[unit]: int(count) for count, unit in spans})
        return int((datetime.now(UTC) - back).timestamp() * 1000)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise CliError(
            f"--since {text}: write a time span (10m, 2h) or a moment (2026-01-31T02:00)",
            ExitCode.USAGE,
        ) from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
