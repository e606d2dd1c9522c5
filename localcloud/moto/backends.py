"""Where moto keeps what it knows of one account and region."""

from __future__ import annotations

from typing import Any, Final

from moto.backends import get_backend
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

from localcloud.moto.turns import Turns

ACCOUNT_ID: Final = "123456789012"
PARTITION: Final = "aws"


class Backends:
    """Finds moto's backends. Its heirs are the only ones who touch them.

    Attributes:
        turns: whose turn it is to change something.
    """

    def __init__(self, region: str) -> None:
        self.region = region
        self.turns = Turns()
        self._backends: dict[tuple[str, str], Any] = {}

    def _regional(self, service: str) -> Any:
        return self._backend(service, self.region)

    def _global(self, service: str) -> Any:
        return self._backend(service, PARTITION)

    def _backend(self, service: str, scope: str) -> Any:
        # one for the life of a cloud, and moto takes some time to find it
        if (service, scope) not in self._backends:
            self._backends[service, scope] = get_backend(service)[ACCOUNT_ID][scope]  # type: ignore[call-overload]
        return self._backends[service, scope]

    def _state_machine_backend(self) -> Any:
        # moto keeps what it runs apart from what it only stores
        return stepfunctions_parser_backends[ACCOUNT_ID][self.region]

    def arn(self, service: str, resource: str) -> str:
        """The ARN of a resource of this account and region."""
        return f"arn:{PARTITION}:{service}:{self.region}:{ACCOUNT_ID}:{resource}"
