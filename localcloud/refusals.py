"""What AWS refuses for the sake of something else, or of a limit, and moto takes; looked at before a call is answered."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from localcloud.aws_state import AwsState
from localcloud.batch.records import Store
from localcloud.wire import Call, WireError

Params = Mapping[str, Any]


class Refusals:
    """The account's dependencies and limits, each by the operation that they forbid."""

    def __init__(self, state: AwsState, store: Store) -> None:
        self._state, self._store = state, store
        self._rules: dict[tuple[str, str], Callable[[Params], None]] = {
            ("iam", "DeletePolicy"): self._policy_is_free,
            ("ec2", "DeletePlacementGroup"): self._group_is_empty,
        }

    def check(self, call: Call) -> None:
        """Raises WireError where AWS would refuse the call."""
        rule = self._rules.get((call.service, call.operation))
        if rule is not None:
            rule(call.params)

    def _group_is_empty(self, params: Params) -> None:
        """EC2 user guide, placement groups: not before all instances in it are terminated."""
        name = params.get("GroupName", "")
        with self._store.lock:
            members = any(each.instances for each in self._store.environments.values() if each.resources.get("placementGroup") == name)
            if members or time.monotonic() < self._store.placements_busy.get(name, 0.0):
                raise WireError("InvalidPlacementGroup.InUse", f"The placement group {name} is in use and may not be deleted.")

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
