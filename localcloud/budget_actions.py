"""Actions, tags and updates of AWS Budgets, which moto does not have. Nobody runs the actions, for no cost arises here."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, Final

from localcloud.aws_state import AwsState
from localcloud.wire import WireError

_DEFINITIONS: Final = {
    "APPLY_IAM_POLICY": "IamActionDefinition",
    "APPLY_SCP_POLICY": "ScpActionDefinition",
    "RUN_SSM_DOCUMENTS": "SsmActionDefinition",
}
Params = dict[str, Any]


class BudgetActions:
    """The actions and later changes of the account's budgets, and the operations on them."""

    def __init__(self, state: AwsState) -> None:
        self._state = state
        self._actions: dict[str, list[Params]] = {}
        self._tags: dict[str, dict[str, str]] = {}
        self.operations: dict[str, Callable[[Params], Params]] = {
            "CreateBudgetAction": self._create,
            "DescribeBudgetActionsForBudget": self._describe,
            "UpdateBudgetAction": self._change,
            "DeleteBudgetAction": self._delete,
            "UpdateBudget": self._update,
            "TagResource": self._tag,
            "UntagResource": self._untag,
        }

    def _create(self, params: Params) -> Params:
        name = self._budget(params)
        self._check(params["ActionType"], params)
        told = {member: value for member, value in params.items() if member not in ("AccountId", "ResourceTags")}
        action = {"ActionId": str(uuid.uuid4()), "Status": "STANDBY", **told}
        self._actions.setdefault(name, []).append(action)
        return {"AccountId": params["AccountId"], "BudgetName": name, "ActionId": action["ActionId"]}

    def _describe(self, params: Params) -> Params:
        return {"Actions": self._actions.get(self._budget(params), [])}

    def _change(self, params: Params) -> Params:
        action = self._action(params)
        new = {member: value for member, value in params.items() if member not in ("AccountId", "BudgetName", "ActionId")}
        self._check(action["ActionType"], {**action, **new})
        old = dict(action)
        action.update(new)
        return {"AccountId": params["AccountId"], "BudgetName": params["BudgetName"], "OldAction": old, "NewAction": dict(action)}

    def _delete(self, params: Params) -> Params:
        action = self._action(params)
        self._actions[params["BudgetName"]].remove(action)
        return {"AccountId": params["AccountId"], "BudgetName": params["BudgetName"], "Action": action}

    def _check(self, kind: str, params: Params) -> None:
        """Raises WireError where AWS Budgets would not take the action."""
        if set(params["Definition"]) != {_DEFINITIONS[kind]}:
            raise WireError("InvalidParameterException", f"an action of type {kind} is defined by {_DEFINITIONS[kind]} alone")
        for role in params["Definition"].get("IamActionDefinition", {}).get("Roles", []):
            if self._state.role(role) is None:
                raise WireError("InvalidParameterException", f"role {role} does not exist")
        if not 1 <= len(params["Subscribers"]) <= 11:
            raise WireError("InvalidParameterException", "an action has 1 to 11 subscribers")

    def _action(self, params: Params) -> Params:
        name = self._budget(params)
        found = next((each for each in self._actions.get(name, []) if each["ActionId"] == params["ActionId"]), None)
        if found is None:
            raise WireError("NotFoundException", f"budget {name} has no action {params['ActionId']}", status=404)
        return found

    def _update(self, params: Params) -> Params:
        new = params["NewBudget"]
        kept = self._state.budget(self._budget(new)) or {}
        for name in ("BudgetLimit", "CostFilters", "CostTypes", "BudgetType", "TimeUnit"):
            kept.pop(name, None)
        kept.update(new)
        return {}

    def _tag(self, params: Params) -> Params:
        self._tags.setdefault(params["ResourceARN"], {}).update({tag["Key"]: tag["Value"] for tag in params["ResourceTags"]})
        return {}

    def _untag(self, params: Params) -> Params:
        for key in params["ResourceTagKeys"]:
            self._tags.get(params["ResourceARN"], {}).pop(key, None)
        return {}

    def _budget(self, params: Params) -> str:
        name: str = params["BudgetName"]
        if self._state.budget(name) is None:
            raise WireError("NotFoundException", f"there is no budget {name}", status=404)
        return name
