"""Which of moto's calls are answered one after the other.

moto looks at what there is and then writes, or goes through all of it, in threads that can change
places at any line: two conditional writes both find nothing, a list grows while somebody goes
through it. AWS does each in one step.
"""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, nullcontext
from typing import Final

from localcloud.protocol.wire import Call

_CHANGES: Final = frozenset({"PutObject", "CopyObject", "CompleteMultipartUpload", "DeleteObject"})
"""Of an object of S3: these take turns by the object, for what it holds may take long to come."""
_LOCKS: Final = 64
_SERVICES: Final = (
    *("autoscaling", "budgets", "cloudwatch", "dynamodb", "ec2", "ecr", "ecs", "efs"),
    *("iam", "kms", "logs", "secretsmanager", "ssm", "sts"),
)
"""Services that answer from memory, so that nobody waits for long. Those that wait for messages,
hand events on or run functions would keep out the calls that come of it.
"""


class Turns:
    """Locks that calls share by what they may change."""

    def __init__(self) -> None:
        self._objects = [threading.Lock() for _ in range(_LOCKS)]
        self._services = {service: threading.Lock() for service in _SERVICES}

    def of_service(self, service: str) -> AbstractContextManager[object]:
        """What to hold for a change that no call makes."""
        return self._services.get(service, nullcontext())

    def of(self, call: Call) -> AbstractContextManager[object]:
        """What to hold while moto answers a call; nothing where calls may overlap."""
        if call.service == "s3" and call.operation in _CHANGES:
            changed = (str(call.uri_params.get("Bucket")), str(call.uri_params.get("Key")))
            return self._objects[hash(changed) % _LOCKS]
        return self.of_service(call.service)
