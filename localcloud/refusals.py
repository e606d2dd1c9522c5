"""What AWS refuses and moto takes, looked at before a call goes on to moto."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from localcloud.aws_state import AwsState
from localcloud.wire import Call, WireError

Params = Mapping[str, Any]


class Refusals:
    """The account's dependencies and limits, each by the operation that they forbid."""

    def __init__(self, state: AwsState) -> None:
        self._state = state
        self._rules: dict[tuple[str, str], Callable[[Params], None]] = {
            ("iam", "DeletePolicy"): self._policy_is_free,
        }

    def check(self, call: Call) -> None:
        """Raises WireError where AWS would refuse the call."""
        rule = self._rules.get((call.service, call.operation))
        if rule is not None:
            rule(call.params)

    def _policy_is_free(self, params: Params) -> None:
        """API reference of IAM, DeletePolicy: detached from everything, and of one version."""
        policy = self._state.managed_policy(params["PolicyArn"])
        if policy is None:
            return
        if policy.attachment_count:
            raise WireError("DeleteConflict", "Cannot delete a policy attached to entities.", status=409)
        if len(policy.versions) > 1:
            message = "This policy has more than one version. Before you delete a policy, you must delete the policy's versions."
            raise WireError("DeleteConflict", message, status=409)
