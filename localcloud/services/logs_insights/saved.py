"""The operations of CloudWatch Logs that are about queries: saved ones, and runs of any."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from localcloud.moto.state import ACCOUNT_ID, AwsState
from localcloud.protocol.wire import WireError
from localcloud.services.logs_insights.language import MOST_ROWS, MalformedQueryError, parse
from localcloud.services.logs_insights.run import row, run

Params = dict[str, Any]
_MOST_GROUPS: Final = 50


@dataclass(frozen=True, kw_only=True)
class _Run:
    text: str
    groups: list[str]
    created: float
    results: list[list[dict[str, str]]]
    scanned: int
    matched: int
    size: int


class Queries:
    """The queries of one account. A query runs when it is started, and is complete with the answer.

    Attributes:
        operations: The API's operations, by name.
    """

    def __init__(self, state: AwsState) -> None:
        self._state = state
        self._kept: dict[str, Params] = {}
        self._runs: dict[str, _Run] = {}
        self.operations: dict[str, Callable[[Params], Params]] = {
            "PutQueryDefinition": self._put,
            "DescribeQueryDefinitions": self._describe,
            "DeleteQueryDefinition": self._delete,
            "StartQuery": self._start,
            "StopQuery": self._stop,
            "GetQueryResults": self._results,
            "DescribeQueries": self._list,
        }

    def _put(self, params: Params) -> Params:
        identity = str(params.get("queryDefinitionId") or uuid.uuid4())
        kept: Params = {
            name: params[name]
            for name in ("name", "queryString", "logGroupNames")
            if name in params
        }
        self._kept[identity] = {
            **kept,
            "queryDefinitionId": identity,
            "lastModified": int(time.time() * 1000),
        }
        return {"queryDefinitionId": identity}

    def _delete(self, params: Params) -> Params:
        return {"success": self._kept.pop(str(params["queryDefinitionId"]), None) is not None}

    def _describe(self, params: Params) -> Params:
        prefix = str(params.get("queryDefinitionNamePrefix") or "")
        return {
            "queryDefinitions": [
                each for each in self._kept.values() if str(each["name"]).startswith(prefix)
            ]
        }

    # ---- runs ------------------------------------------------------------------------------------

    def _start(self, params: Params) -> Params:
        if params.get("queryLanguage", "CWLI") != "CWLI":
            raise WireError(
                "InvalidParameterException",
                f"queryLanguage {params['queryLanguage']} is not run here; CWLI is",
            )
        groups = _groups(params)
        limit = int(params.get("limit") or MOST_ROWS)
        start, end = params.get("startTime"), params.get("endTime")
        if start is None or end is None or start > end or not 1 <= limit <= MOST_ROWS:
            found = f"found {start}, {end} and {limit}"
            raise WireError(
                "InvalidParameterException",
                f"startTime is not after endTime, and limit is from 1 to {MOST_ROWS}; {found}",
            )
        try:
            steps = parse(str(params.get("queryString", "")))
        except MalformedQueryError as error:
            raise WireError("MalformedQueryException", str(error)) from None
        rows, size = [], 0
        for group in groups:
            try:
                events = self._state.log_events(group)
            except LookupError:
                raise WireError(
                    "ResourceNotFoundException",
                    f"Log group '{group}' does not exist for account ID '{ACCOUNT_ID}'",
                ) from None
            within = [
                each
                for each in events
                if _milliseconds(start) <= each[1].timestamp <= _milliseconds(end) + 999
            ]
            rows += [row(ACCOUNT_ID, group, *each) for each in within]
            size += sum(len(event.message) for _, event in within)
        results = run(steps, rows, limit)
        identity = str(uuid.uuid4())
        self._runs[identity] = _Run(
            text=str(params["queryString"]),
            groups=groups,
            created=time.time(),
            results=results,
            scanned=len(rows),
            matched=(
                len(run([each for each in steps if each.command == "filter"], rows)) if rows else 0
            ),
            size=size,
        )
        return {"queryId": identity}

    def _run(self, params: Params) -> _Run:
        found = self._runs.get(str(params.get("queryId")))
        if found is None:
            raise WireError("ResourceNotFoundException", "The specified query does not exist.")
        return found

    def _stop(self, params: Params) -> Params:
        self._run(params)
        raise WireError(
            "InvalidParameterException",
            f"Query {params['queryId']} has already ended, with status Complete",
        )

    def _results(self, params: Params) -> Params:
        found = self._run(params)
        statistics = {
            "recordsMatched": float(found.matched),
            "recordsScanned": float(found.scanned),
            "bytesScanned": float(found.size),
        }
        return {
            "queryLanguage": "CWLI",
            "results": found.results,
            "statistics": statistics,
            "status": "Complete",
        }

    def _list(self, params: Params) -> Params:
        group, status = params.get("logGroupName"), params.get("status", "Complete")
        found = [
            {
                "queryLanguage": "CWLI",
                "queryId": identity,
                "queryString": each.text,
                "status": "Complete",
                "createTime": int(each.created * 1000),
                "logGroupName": each.groups[0],
            }
            for identity, each in self._runs.items()
            if group in (None, *each.groups) and status == "Complete"
        ]
        return {"queries": found[::-1][: int(params.get("maxResults") or 1000)]}


def _groups(params: Params) -> list[str]:
    ways = [
        params.get(name)
        for name in ("logGroupName", "logGroupNames", "logGroupIdentifiers")
        if params.get(name)
    ]
    if len(ways) != 1:
        raise WireError(
            "InvalidParameterException",
            "give one of logGroupName, logGroupNames and logGroupIdentifiers",
        )
    names = [ways[0]] if isinstance(ways[0], str) else list(ways[0] or [])
    if len(names) > _MOST_GROUPS:
        raise WireError(
            "InvalidParameterException",
            f"a query is of at most {_MOST_GROUPS} log groups, found {len(names)}",
        )
    return [
        name.partition(":log-group:")[2].removesuffix(":*") if name.startswith("arn:") else name
        for name in names
    ]


def _milliseconds(moment: float) -> int:
    """StartTime and endTime are seconds; values of 13 digits are taken as milliseconds, as AWS
    does.
    """
    return int(moment if moment > 10**11 else moment * 1000)
