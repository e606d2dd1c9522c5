"""The budget of a stack: what is spent, and whether its action has stopped new runs."""

from __future__ import annotations

import json
from collections.abc import Iterator

from cli.doctor.patient import UP, Patient, asked, error, ok, warning
from cli.questions import Finding
from components.context import PROJECT_TAG, STACK_TAG


def budget(patient: Patient) -> Iterator[Finding]:
    """The budget is not used up, and its action has not stopped new runs."""
    account_id = str(asked(patient, "sts", "get_caller_identity").get("Account", ""))
    if not account_id:
        return
    tags = _stack_tags(patient)
    found = [
        each
        for each in patient.account.listed(
            "budgets", "describe_budgets", "Budgets", AccountId=account_id
        )
        if tags and all(value in json.dumps(each.get("FilterExpression") or {}) for value in tags)
    ]
    if not found:
        yield warning("budget", "no budget over the stack's tags can be seen", UP)
    for each in found:
        limit = float(each["BudgetLimit"]["Amount"])
        spent = float(
            ((each.get("CalculatedSpend") or {}).get("ActualSpend") or {}).get("Amount") or 0
        )
        words = f"{spent:.2f} of {limit:.2f} US dollars of the month are spent"
        yield from _stops(patient, account_id, str(each["BudgetName"]))
        if spent >= limit:
            yield error("budget", words, "docs/runbook.md, The budget is used up")
        elif spent >= 0.8 * limit:
            yield warning(
                "budget",
                words,
                "raise budget.monthly_usd, or see what it went for: "
                f"{patient.account.command('runs --cost-above 1')}",
            )
        else:
            yield ok("budget", words)


def _stops(patient: Patient, account_id: str, name: str) -> Iterator[Finding]:
    actions = patient.account.listed(
        "budgets",
        "describe_budget_actions_for_budget",
        "Actions",
        AccountId=account_id,
        BudgetName=name,
    )
    for action in actions:
        if action["Status"] == "EXECUTION_SUCCESS":
            fix = (
                f"aws budgets execute-budget-action --account-id {account_id} "
                f"--budget-name {name} --action-id {action['ActionId']} "
                "--execution-type REVERSE_BUDGET_ACTION"
            )
            yield error("budget", "its action has stopped new runs", fix)
        elif action["Status"] == "EXECUTION_FAILURE":
            yield error(
                "budget",
                "its action failed: new runs go on",
                "see the action in the console (Billing, Budgets)",
            )


def _stack_tags(patient: Patient) -> list[str]:
    """Values of the tags by which the stack's resources are known."""
    for environment in patient.environments:
        tags = environment.get("tags") or {}
        if PROJECT_TAG in tags and STACK_TAG in tags:
            return [f'"{tags[PROJECT_TAG]}"', f'"{tags[STACK_TAG]}"']
    return []
