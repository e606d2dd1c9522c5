"""boto3 clients of a cloud, one for each service and identity."""

from __future__ import annotations

import functools
import threading
from typing import Any, Final

import boto3
from botocore.config import Config

from localcloud.iam.access import Access

_CLIENT_CONFIG: Final = Config(
    retries={"max_attempts": 2, "mode": "standard"},
    max_pool_connections=128,
    s3={"addressing_style": "path"},
    user_agent="localcloud",  # nobody reads botocore's, which it puts together twice for each call
)


class Clients:
    """Safe to share between threads.

    Args:
        access: Gives the credentials of roles.
        endpoint_url: Where the cloud answers.
        region: Of the clients.
    """

    def __init__(self, access: Access, endpoint_url: str, region: str) -> None:
        self._access, self._endpoint_url, self._region = access, endpoint_url, region
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, str], Any] = {}

    def of_role(self, service: str, role_arn: str, principal: str, source_arn: str = "") -> Any:
        """A client with the credentials of a role that a service assumes.

        Raises AssumeRoleError where the role does not trust the principal.
        """
        context = {"aws:sourcearn": source_arn} if source_arn else None
        self._access.trusts(role_arn, principal, context)
        with self._lock:
            cached = self._clients.get((service, role_arn))
        if cached is not None:
            return cached
        variables = self._access.assume_role(
            role_arn, service=principal, session=principal.partition(".")[0], context=context
        )
        return self.of(service, role_arn, {key.lower(): value for key, value in variables.items()})

    def of(self, service: str, who: str, credentials: dict[str, str]) -> Any:
        """A client with such credentials, or the one that `who` has already."""
        # one session for all, and one client at a time: making a session is slow and making clients
        # is not thread safe
        with self._lock:
            if (service, who) not in self._clients:
                self._clients[service, who] = _session(self._region).client(
                    service, endpoint_url=self._endpoint_url, config=_CLIENT_CONFIG, **credentials
                )
            return self._clients[service, who]

    def close(self) -> None:
        """Closes and forgets all clients."""
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()


@functools.cache
def _session(region: str) -> Any:
    """One session of the process: it holds the parsed service models."""
    return boto3.Session(region_name=region)
