"""The blocked-queue events of AWS Batch about a job, as the notify function wrote them down."""

from __future__ import annotations

from typing import Any

from cli.why.account import AbsentError, Account
from workloads import metrics


def blocked_events(account: Account, job: dict[str, Any]) -> list[str]:
    """A sentence for each reason for which AWS Batch has called the job's queue blocked by it."""
    table = str(account.outputs.get("table") or "")
    if not table:
        return []
    # an array is told of once, under its own id
    submitted = str(job["jobId"]).partition(":")[0]
    try:
        answer = account.ask(
            "dynamodb",
            "query",
            TableName=table,
            KeyConditionExpression="pk = :job",
            ExpressionAttributeValues={":job": {"S": f"{metrics.BLOCKED_KEY_PREFIX}{submitted}"}},
        )
    except AbsentError:
        return []
    return [
        f"AWS Batch sent an event that the job blocks its queue: {item['sk']['S']}"
        for item in (answer or {}).get("Items") or []
    ]
