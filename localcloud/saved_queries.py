"""Saved queries of CloudWatch Logs Insights, which moto lacks: kept and shown, not run."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any

Params = dict[str, Any]


class SavedQueries:
    """The query definitions of one account.

    Attributes:
        operations: The API's operations, by name.
    """

    def __init__(self) -> None:
        self._kept: dict[str, Params] = {}
        self.operations: dict[str, Callable[[Params], Params]] = {
            "PutQueryDefinition": self._put,
            "DescribeQueryDefinitions": self._describe,
            "DeleteQueryDefinition": self._delete,
        }

    def _put(self, params: Params) -> Params:
        identity = str(params.get("queryDefinitionId") or uuid.uuid4())
        kept: Params = {name: params[name] for name in ("name", "queryString", "logGroupNames") if name in params}
        self._kept[identity] = {**kept, "queryDefinitionId": identity, "lastModified": int(time.time() * 1000)}
        return {"queryDefinitionId": identity}

    def _delete(self, params: Params) -> Params:
        return {"success": self._kept.pop(str(params["queryDefinitionId"]), None) is not None}

    def _describe(self, params: Params) -> Params:
        prefix = str(params.get("queryDefinitionNamePrefix") or "")
        return {"queryDefinitions": [each for each in self._kept.values() if str(each["name"]).startswith(prefix)]}
