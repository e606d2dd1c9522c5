"""What whoever ends a run may do for the page of runs (workloads/page)."""

from __future__ import annotations

from typing import Any

import pulumi

from components.policies import leading_keys, statement
from components.storage import Storage
from workloads import contract, operating


def page_statements(storage: Storage) -> list[dict[str, Any]]:
    """Policy statements; besides them the bucket has to be listable, which tells what is missing
    from what is denied, and which months have a page.
    """
    keys = (contract.RUNS_PAGE_KEY, f"{contract.MONTH_PAGES_PREFIX}*.html")
    return [
        # reading belongs to writing on a condition (S3 user guide, "Conditional writes")
        statement(
            "KeepPages",
            actions=["s3:GetObject", "s3:PutObject"],
            resources=[pulumi.Output.concat(storage.results_arn, "/", key) for key in keys],
        ),
        statement(
            "FindRuns",
            actions=["dynamodb:Query"],
            resources=[
                pulumi.Output.concat(storage.table_arn, "/index/", index)
                for index in operating.SORT_KEYS
            ],
        ),
        statement(
            "ReadRunItems",
            actions=["dynamodb:BatchGetItem"],
            resources=[storage.table_arn],
            conditions=leading_keys(contract.DATA_SET_KEY_PREFIX),
        ),
    ]
