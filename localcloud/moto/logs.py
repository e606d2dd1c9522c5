"""The log groups of the in-memory AWS, and the lines that services write into them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from localcloud.moto.backends import Backends


class LogGroups(Backends):
    """What is read and written of CloudWatch Logs without HTTP.

    Attributes:
        on_log_line: called with each line that stands in a log.
        is_readable: whether what is sent to a group arrives there, and what stands in it is shown.
    """

    def __init__(self, region: str) -> None:
        super().__init__(region)
        self.on_log_line: Callable[[str], None] = lambda _: None
        self.is_readable: Callable[[str], bool] = lambda _: True

    def has_log_group(self, name: str) -> bool:
        """Whether the log group exists."""
        return name in self._regional("logs").groups

    def has_log_stream(self, group: str, stream: str) -> bool:
        """Whether the stream exists in an existing group."""
        return stream in self._regional("logs").groups[group].streams

    def create_log_group(self, name: str) -> None:
        """Makes a log group that AWS itself would make; one that exists stays as it is."""
        logs = self._regional("logs")
        with self.turns.of_service("logs"):
            if name not in logs.groups:
                logs.create_log_group(name, {})

    def create_log_stream(self, group: str, stream: str) -> None:
        """Makes a stream in an existing group; one that exists stays as it is."""
        with self.turns.of_service("logs"):
            self._regional("logs").ensure_log_stream(group, stream)

    def put_log_lines(self, group: str, stream: str, lines: Iterable[str]) -> None:
        """Appends lines that were written just now.

        Lines for a group that was deleted meanwhile, or that takes none, are lost, as on AWS.
        """
        now = int(time.time() * 1000)
        events = [{"timestamp": now, "message": line} for line in lines]
        if events and self.has_log_group(group) and self.is_readable(group):
            self._regional("logs").put_log_events(group, stream, events)
            for event in events:
                self.on_log_line(str(event["message"]))

    def log_events(self, group: str) -> list[tuple[str, Any]]:
        """(stream, moto's event) of all that is in a log group and may be read; LookupError where
        there is none of that name.
        """
        found = self._regional("logs").groups.get(group)
        if found is None:
            raise LookupError(group)
        streams = list(found.streams.values()) if self.is_readable(group) else []
        return [
            (stream.log_stream_name, event) for stream in streams for event in list(stream.events)
        ]

    def log_group_key(self, name: str) -> str | None:
        """Id or ARN of the KMS key of a log group; None where it has none, or is not there."""
        group = self._regional("logs").groups.get(name)
        return None if group is None else group.kms_key_id

    def set_log_group_key(self, name: str, key: str | None) -> None:
        """Gives an existing log group another key, or takes it."""
        self._regional("logs").groups[name].kms_key_id = key
