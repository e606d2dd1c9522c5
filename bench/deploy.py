"""How long it takes to evaluate the program of a stack, and to deploy it into the local AWS.

    python -m bench.deploy [stack] [runs]

`preview` runs the program with every output unknown and no AWS call; `deploy` also makes every
resource through the API of a fresh local AWS, in the same process. The first deployment pays for
reading botocore's service models, so it stands on its own; the medians are over the runs after it.
The limit to compare with is measured in the same run: as many of the cheapest AWS calls as the
deployment makes, one after the other, to the same endpoint.
"""

from __future__ import annotations

import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from localcloud.cloud import LocalCloud
from localcloud.deployment.deploy import Deployment, deploy

ROOT = Path(__file__).parents[1]
SECRETS = {"batch-reference:slack-webhook-url": "https://hooks.slack.com/services/T0/B0/x"}


def no_aws(service: str) -> Any:
    raise AssertionError(f"a preview asked for a client of {service}")


class Counter:
    """A client factory that counts the calls made through it."""

    def __init__(self, client: Callable[[str], Any]) -> None:
        self.calls = 0
        self._client = client
        self._seen: set[str] = set()

    def __call__(self, service: str) -> Any:
        client = self._client(service)
        if service not in self._seen:
            self._seen.add(service)
            client.meta.events.register("before-send", self._count)
        return client

    def _count(self, **_: Any) -> None:
        self.calls += 1


def deployed(stack: str) -> tuple[Deployment, int, float]:
    """A deployment into a fresh AWS, the AWS calls it made, and the seconds for as many of the
    cheapest calls in a row.
    """
    with tempfile.TemporaryDirectory() as folder, LocalCloud(Path(folder), images={}) as cloud:
        client = Counter(cloud.client)
        deployment = deploy(ROOT, stack, client, secrets=SECRETS)
        sts = cloud.client("sts")
        sts.get_caller_identity()
        started = time.perf_counter()
        for _ in range(client.calls):
            sts.get_caller_identity()
        return deployment, client.calls, time.perf_counter() - started


def main() -> None:
    stack = sys.argv[1] if len(sys.argv) > 1 else "prod"
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    cold_preview = deploy(ROOT, stack, no_aws, secrets=SECRETS, preview=True)
    previews = [
        deploy(ROOT, stack, no_aws, secrets=SECRETS, preview=True).total_seconds
        for _ in range(runs)
    ]
    cold, calls, _ = deployed(stack)
    warm = [deployed(stack) for _ in range(runs)]
    floor = statistics.median(seconds for _, _, seconds in warm)
    custom = sum(r.custom for r in cold.resources)
    load = os.getloadavg()[0]
    print(
        f"{os.cpu_count()} cores, load {load:.1f}, {platform.machine()}, Python"
        f" {platform.python_version()}, median of {runs}"
    )
    print(
        f"stack {stack}: {len(cold.resources)} resources, {custom} of them in AWS, {calls} AWS"
        " calls\n"
    )
    rows = [
        ("preview, first in the process", cold_preview.total_seconds),
        ("preview", statistics.median(previews)),
        ("deploy, first in the process", cold.total_seconds),
        ("deploy", statistics.median(d.total_seconds for d, _, _ in warm)),
        (f"{calls} cheapest calls in a row", floor),
    ]
    print(f"{'what':<32}{'seconds':>9}{'ms / resource':>15}")
    for what, seconds in rows:
        print(f"{what:<32}{seconds:>9.2f}{1000 * seconds / custom:>15.1f}")


if __name__ == "__main__":
    main()
