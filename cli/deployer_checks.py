"""What whoever deploys may have to be allowed beside the resources themselves, asked by doing
it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from botocore.exceptions import ClientError

from cli.questions import Finding, Questions

_SMALLEST: Final = {"StartAt": "End", "States": {"End": {"Type": "Succeed"}}}
_DENIED: Final = ("AccessDenied", "AccessDeniedException")


def state_machine_validation(asked: Questions) -> Iterator[Finding]:
    """The definition of a state machine may be checked, as the provider has it done while it plans.

    (terraform-provider-aws, internal/service/sfn/state_machine.go, CustomizeDiff.)
    """
    pipeline = asked.config.pipeline
    if pipeline.orchestrator != "step-functions" and pipeline.daily is None:
        return
    try:
        asked.client("stepfunctions").validate_state_machine_definition(
            definition=json.dumps(_SMALLEST)
        )
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") not in _DENIED:
            raise
        yield Finding(
            level="warning",
            check="deployer",
            what=(
                "these credentials may not have the definition of a state machine validated, as the"
                " provider does in every preview and update"
            ),
            fix="allow states:ValidateStateMachineDefinition to whoever deploys",
        )
    else:
        yield Finding(
            level="ok", check="deployer", what="definitions of state machines may be validated"
        )
