"""Customer keys (KMS) of log groups: with one that CloudWatch Logs may not use, what is sent to the
group is lost, and what stands in it cannot be read.

Rules: CloudWatch Logs user guide, "Encrypt log data in CloudWatch Logs using AWS Key Management
Service"; API reference, AssociateKmsKey. AWS documents no words for a call to a group whose key has
become unusable: those are taken that it has for a key that cannot be associated. Changes hold at
once, where AWS takes up to five minutes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from localcloud.iam.policy_evaluation import resource_policy_allows
from localcloud.moto.state import AwsState
from localcloud.protocol.wire import Call, WireError

Params = dict[str, Any]
_READS_AND_WRITES: Final = frozenset({"PutLogEvents", "GetLogEvents", "FilterLogEvents"})
_OF_THE_SERVICE: Final = "kms:GenerateDataKey"


class LogKeys:
    """The keys of one account's log groups.

    Attributes:
        operations: The API's operations that give a group a key or take it, by name.
    """

    def __init__(self, state: AwsState) -> None:
        self._state = state
        state.is_readable = self.usable
        self.operations: dict[str, Callable[[Params], Params]] = {
            "AssociateKmsKey": self._associate,
            "DisassociateKmsKey": self._disassociate,
        }

    def usable(self, group: str) -> bool:
        """Whether CloudWatch Logs may use the group's key; true where it has none."""
        key = self._state.log_group_key(group)
        return key is None or self._may_use(key, group)

    def check(self, call: Call) -> None:
        """Raises WireError where the call needs a key that cannot be used."""
        if call.operation == "CreateLogGroup":
            if key := str(call.params.get("kmsKeyId") or ""):
                self._require(key, str(call.params.get("logGroupName") or ""))
        elif call.operation in _READS_AND_WRITES:
            group = _group(call.params)
            if self._state.has_log_group(group) and not self.usable(group):
                raise WireError("AccessDeniedException", self._sentence(group))

    def _associate(self, params: Params) -> Params:
        group = self._existing(params)
        self._require(str(params["kmsKeyId"]), group)
        self._state.set_log_group_key(group, str(params["kmsKeyId"]))
        return {}

    def _disassociate(self, params: Params) -> Params:
        self._state.set_log_group_key(self._existing(params), None)
        return {}

    def _existing(self, params: Params) -> str:
        group = str(params.get("logGroupName") or "")
        if not group:
            raise WireError(
                "InvalidParameterException", "the local CloudWatch Logs encrypts no query results"
            )
        if not self._state.has_log_group(group):
            raise WireError("ResourceNotFoundException", "The specified log group does not exist.")
        return group

    def _require(self, key: str, group: str) -> None:
        if not self._may_use(key, group):
            raise WireError("InvalidParameterException", self._sentence(group))

    def _may_use(self, key_id: str, group: str) -> bool:
        key = self._state.key(key_id)
        if key is None or not key.enabled:
            return False
        service = {"Service": f"logs.{self._state.region}.amazonaws.com"}
        context = {"kms:encryptioncontext:aws:logs:arn": self._arn(group)}
        return resource_policy_allows(
            json.loads(key.policy), service, _OF_THE_SERVICE, key.arn, context
        )

    def _sentence(self, group: str) -> str:
        return (
            "The specified KMS key does not exist or is not allowed to be used with Arn"
            f" '{self._arn(group)}'"
        )

    def _arn(self, group: str) -> str:
        return self._state.arn("logs", f"log-group:{group}")


def _group(params: Params) -> str:
    """Name of the log group that a call is about, which may give its ARN instead."""
    identifier = str(params.get("logGroupIdentifier") or "")
    named = identifier.partition(":log-group:")[2].removesuffix(":*") or identifier
    return str(params.get("logGroupName") or named)
