"""Log lines of the Lambda functions: one JSON object a line, which CloudWatch Logs Insights splits
into fields by itself.
"""

from __future__ import annotations

import json
import sys
from typing import Any


def log(event: str, **fields: Any) -> None:
    """Writes one line; `event` names what happened, in the past tense."""
    sys.stdout.write(json.dumps({"event": event, **fields}, default=str) + "\n")
    sys.stdout.flush()
