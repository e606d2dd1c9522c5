"""Actions, tags and updates of AWS Budgets, which moto does not have.

No cost arises here by itself: somebody says what a budget has spent (`spend`), and then the
automatic actions whose threshold that passes are run, under the execution role that each names
(Cost Management user guide, "Configuring AWS Budgets actions").
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, Final

from botocore.exceptions import ClientError

from localcloud.iam.access import AssumeRoleError
from localcloud.moto.state import ACCOUNT_ID, AwsState
from localcloud.protocol.wire import WireError

_BUDGETS: Final = "budgets.amazonaws.com"
RoleClient = Callable[[str, str, str, str], Any]
"""(service, role ARN, service principal, ARN on whose behalf) -> boto3 client of a role."""

_DEFINITIONS: Final = {
    "APPLY_IAM_POLICY": "IamActionDefinition",
    "APPLY_SCP_POLICY": "ScpActionDefinition",
    "RUN_SSM_DOCUMENTS": "SsmActionDefinition",
}
Params = dict[str, Any]


class BudgetActions:
    """The actions and later changes of the account's budgets, and the operations on them."""

    def __init__(self, state: AwsState, role_client: RoleClient) -> None:
        self._state = state
        self._role_client = role_client
        self._actions: dict[str, list[Params]] = {}
        self._tags: dict[str, dict[str, str]] = {}
        self.operations: dict[str, Callable[[Params], Params]] = {
            "CreateBudgetAction": self._create,
            "DescribeBudgetAction": self._describe_one,
            "DescribeBudgetActionsForBudget": self._describe,
            "DescribeSubscribersForNotification": self._subscribers,
            "UpdateBudgetAction": self._change,
            "DeleteBudgetAction": self._delete,
            "ExecuteBudgetAction": self._execute,
            "UpdateBudget": self._update,
            "TagResource": self._tag,
            "UntagResource": self._untag,
        }

    def spend(self, name: str, usd: float) -> None:
        """The actual cost of a budget's month; runs the automatic actions whose threshold it
        passes.

        Raises WireError where there is no such budget.
        """
        budget = self._state.budget(self._budget({"AccountId": ACCOUNT_ID, "BudgetName": name}))
        if budget is None:
            raise WireError("NotFoundException", f"Unable to get budget: {name}")
        budget["CalculatedSpend"] = {"ActualSpend": {"Amount": f"{usd:.2f}", "Unit": "USD"}}
        limit = float(budget["BudgetLimit"]["Amount"])
        for action in self._actions.get(name, []):
            threshold = action["ActionThreshold"]
            least = float(threshold["ActionThresholdValue"])
            passed = usd > (
                limit * least / 100 if threshold["ActionThresholdType"] == "PERCENTAGE" else least
            )
            if passed and action["NotificationType"] == "ACTUAL" and action["Status"] == "STANDBY":
                automatic = action["ApprovalModel"] == "AUTOMATIC"
                action["Status"] = (
                    self._run(action, "attach_role_policy", "EXECUTION") if automatic else "PENDING"
                )

    def _execute(self, params: Params) -> Params:
        """ExecuteBudgetAction: by hand, what `spend` does by itself, and its reversal."""
        name, kind = self._budget(params), params["ExecutionType"]
        action = self._action(params)
        before = {
            "APPROVE_BUDGET_ACTION": ("PENDING",),
            "RETRY_BUDGET_ACTION": ("EXECUTION_FAILURE",),
            "REVERSE_BUDGET_ACTION": ("EXECUTION_SUCCESS", "REVERSE_FAILURE"),
            "RESET_BUDGET_ACTION": ("REVERSE_SUCCESS",),
        }[kind]
        if action["Status"] not in before:
            raise WireError(
                "ResourceLockedException", f"an action in status {action['Status']} takes no {kind}"
            )
        if kind == "RESET_BUDGET_ACTION":
            action["Status"] = "STANDBY"
        elif kind == "REVERSE_BUDGET_ACTION":
            action["Status"] = self._run(action, "detach_role_policy", "REVERSE")
        else:
            action["Status"] = self._run(action, "attach_role_policy", "EXECUTION")
        return {
            "AccountId": params["AccountId"],
            "BudgetName": name,
            "ActionId": action["ActionId"],
            "ExecutionType": kind,
        }

    def _run(self, action: Params, method: str, word: str) -> str:
        """Attaches the action's policy to its roles, or takes it off; the status that follows."""
        definition = action["Definition"].get("IamActionDefinition")
        if definition is None or definition.get("Groups") or definition.get("Users"):
            raise WireError(
                "InvalidParameterException",
                "the local AWS Budgets runs actions that attach a policy to roles, no others",
            )
        try:
            budget = f"arn:aws:budgets::{ACCOUNT_ID}:budget/{action['BudgetName']}"
            iam = self._role_client("iam", action["ExecutionRoleArn"], _BUDGETS, budget)
            for role in definition.get("Roles", []):
                getattr(iam, method)(RoleName=role, PolicyArn=definition["PolicyArn"])
        except (AssumeRoleError, ClientError):
            return f"{word}_FAILURE"
        return f"{word}_SUCCESS"

    def _create(self, params: Params) -> Params:
        name = self._budget(params)
        self._check(params["ActionType"], params)
        told = {
            member: value
            for member, value in params.items()
            if member not in ("AccountId", "ResourceTags")
        }
        action = {"ActionId": str(uuid.uuid4()), "Status": "STANDBY", **told}
        self._actions.setdefault(name, []).append(action)
        return {
            "AccountId": params["AccountId"],
            "BudgetName": name,
            "ActionId": action["ActionId"],
        }

    def _describe(self, params: Params) -> Params:
        return {"Actions": self._actions.get(self._budget(params), [])}

    def _describe_one(self, params: Params) -> Params:
        told = {name: params[name] for name in ("AccountId", "BudgetName")}
        return {**told, "Action": self._action(params)}

    def _subscribers(self, params: Params) -> Params:
        name = self._budget(params)
        found = self._state.subscribers(name, params["Notification"])
        if found is None:
            raise WireError(
                "NotFoundException", f"budget {name} has no such notification", status=404
            )
        return {"Subscribers": found}

    def _change(self, params: Params) -> Params:
        action = self._action(params)
        new = {
            member: value
            for member, value in params.items()
            if member not in ("AccountId", "BudgetName", "ActionId")
        }
        self._check(action["ActionType"], {**action, **new})
        old = dict(action)
        action.update(new)
        return {
            "AccountId": params["AccountId"],
            "BudgetName": params["BudgetName"],
            "OldAction": old,
            "NewAction": dict(action),
        }

    def _delete(self, params: Params) -> Params:
        action = self._action(params)
        self._actions[params["BudgetName"]].remove(action)
        return {
            "AccountId": params["AccountId"],
            "BudgetName": params["BudgetName"],
            "Action": action,
        }

    def _check(self, kind: str, params: Params) -> None:
        """Raises WireError where AWS Budgets would not take the action."""
        if set(params["Definition"]) != {_DEFINITIONS[kind]}:
            raise WireError(
                "InvalidParameterException",
                f"an action of type {kind} is defined by {_DEFINITIONS[kind]} alone",
            )
        for role in params["Definition"].get("IamActionDefinition", {}).get("Roles", []):
            if self._state.role(role) is None:
                raise WireError("InvalidParameterException", f"role {role} does not exist")
        if not 1 <= len(params["Subscribers"]) <= 11:
            raise WireError("InvalidParameterException", "an action has 1 to 11 subscribers")

    def _action(self, params: Params) -> Params:
        name = self._budget(params)
        found = next(
            (
                each
                for each in self._actions.get(name, [])
                if each["ActionId"] == params["ActionId"]
            ),
            None,
        )
        if found is None:
            raise WireError(
                "NotFoundException", f"budget {name} has no action {params['ActionId']}"
            )
        return found

    def _update(self, params: Params) -> Params:
        new = params["NewBudget"]
        kept = self._state.budget(self._budget(new)) or {}
        for name in (
            "BudgetLimit",
            "CostFilters",
            "CostTypes",
            "FilterExpression",
            "Metrics",
            "BudgetType",
            "TimeUnit",
        ):
            kept.pop(name, None)
        kept.update(new)
        return {}

    def _tag(self, params: Params) -> Params:
        self._tags.setdefault(params["ResourceARN"], {}).update(
            {tag["Key"]: tag["Value"] for tag in params["ResourceTags"]}
        )
        return {}

    def _untag(self, params: Params) -> Params:
        for key in params["ResourceTagKeys"]:
            self._tags.get(params["ResourceARN"], {}).pop(key, None)
        return {}

    def _budget(self, params: Params) -> str:
        name: str = params["BudgetName"]
        if self._state.budget(name) is None:
            raise WireError("NotFoundException", f"there is no budget {name}")
        return name
