"""The boot script of an environment's instances: the user data of its launch template, as text."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from localcloud.moto.state import AwsState


def script_of(state: AwsState, resources: Mapping[str, Any]) -> str:
    """Empty where the compute resources name no template, or the template has no user data."""
    data = state.launch_template_data(resources.get("launchTemplate") or {}) or {}
    text = data.get("UserData")  # of the first version moto's own type, of later ones a str
    return base64.b64decode(str(text)).decode("utf-8", "replace") if text else ""
