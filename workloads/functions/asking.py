"""Asking the submit function for a run in place of S3's event, without waiting for its answer: what
it fails on is tried again and then kept, as with S3's own events.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from workloads import contract
from workloads.functions import clients
from workloads.variables import ENV_SUBMIT_FUNCTION


def event_of(upload: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """What the submit function is called with.

    Args:
        upload: as a state item has it.
        more: what else its detail says.
    """
    found = {"key": upload["key"], "etag": upload["etag"]}
    if upload.get("version_id"):
        found["version-id"] = upload["version_id"]
    return {"detail": {"bucket": {"name": upload["bucket"]}, "object": found, **more}}


def ask(upload: Mapping[str, Any], **more: Any) -> None:
    """Calls it; arguments as in event_of.

    Raises ContractError where the environment does not name it, and botocore's errors.
    """
    clients.functions().invoke(
        FunctionName=contract.require_env(ENV_SUBMIT_FUNCTION),
        InvocationType="Event",
        Payload=json.dumps(event_of(upload, **more)).encode(),
    )
