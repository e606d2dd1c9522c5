"""How long a burst of uploads takes in localcloud, with stages that do nothing and events that come
one to three times in random order.

python -m bench.burst --uploads 1000 --orchestrator batch
"""

from __future__ import annotations

import argparse
import json
import secrets
import tempfile
from pathlib import Path
from random import Random

from tests.end_to_end.bursting import trivial_stack
from workloads.contract import STAGES


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--uploads", type=int, default=1000)
    parser.add_argument("--orchestrator", choices=("batch", "step-functions"), default="batch")
    parser.add_argument("--seed", type=int, default=secrets.randbits(32))
    options = parser.parse_args()
    config = {"batch-reference:pipeline": json.dumps({"orchestrator": options.orchestrator})}
    with (
        tempfile.TemporaryDirectory() as folder,
        trivial_stack(Path(folder), config=config) as stack,
    ):
        found = stack.burst(options.uploads, Random(options.seed))  # noqa: S311 - no secret
    once = sum(all(len(found.job(run, stage)) == 1 for stage in STAGES) for run in found.runs)
    print(
        f"seed {options.seed}: {options.uploads:,} uploads, {found.deliveries:,} deliveries,"
        f" {found.workers} workers of the submit function"
    )
    print(
        f"{once:,} runs with one job for each stage, {len(found.jobs):,} jobs,"
        f" {found.failed_deliveries} failed deliveries"
    )
    print(
        "seconds since the first upload: "
        + ", ".join(f"{seconds:.1f} {what}" for what, seconds in found.seconds.items())
    )


if __name__ == "__main__":
    main()
