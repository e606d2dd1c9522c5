"""What the machines of a stage cost, as the job definition tells."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping

from workloads.contract import STAGES
from workloads.runtime.errors import EXIT_ENVIRONMENT, StageError
from workloads.variables import ENV_STAGE_PRICES


def prices(environ: Mapping[str, str] = os.environ) -> dict[str, float]:
    """US dollars per hour by stage, and of `fallback`, as far as PIPELINE_STAGE_PRICES tells.

    Raises StageError where it is set and wrong.
    """
    text = environ.get(ENV_STAGE_PRICES, "").strip() or "{}"
    problem = (
        f"environment variable {ENV_STAGE_PRICES} is {text[:200]!r}; expected a JSON"
        " object stage -> US dollars per hour"
    )
    try:
        found = json.loads(text)
    except ValueError as error:
        raise StageError(problem, exit_code=EXIT_ENVIRONMENT) from error
    if not isinstance(found, dict):
        raise StageError(problem, exit_code=EXIT_ENVIRONMENT)
    known: dict[str, float] = {}
    for stage in (*STAGES, "fallback"):
        price = found.get(stage)
        if price is None:
            continue
        if (
            isinstance(price, bool)
            or not isinstance(price, (int, float))
            or not 0 <= price < math.inf
        ):
            raise StageError(problem, exit_code=EXIT_ENVIRONMENT)
        known[stage] = float(price)
    return known
