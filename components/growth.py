"""What functions know of stages that ask for more memory after they were killed for want of it."""

from __future__ import annotations

import json

from config.stack import StackConfig
from config.topology import growing
from workloads.variables import ENV_MEMORY_GROWTH


def growth_environment(config: StackConfig) -> dict[str, str]:
    """Variables of the submit and the notify function; none where no stage grows."""
    steps = {stage: list(job.memory_growth_mib) for stage, job in growing(config).items()}
    return {ENV_MEMORY_GROWTH: json.dumps(steps, sort_keys=True)} if steps else {}
