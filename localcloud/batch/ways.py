"""The calls to AWS by which a container is made ready: whether the network lets them through, and
the role's policies and those of endpoints allow them.
"""

from __future__ import annotations

from typing import Final

from localcloud.batch.reachability import Reachability
from localcloud.batch.records import ComputeEnvironment
from localcloud.batch.tasks import StartError
from localcloud.iam.access import Access
from localcloud.protocol.wire import WireError

PULL_FAILED: Final = "CannotPullContainerError: "


class Ways:
    """Raises StartError, in ECS's words, where a call gets no answer or a refusal."""

    def __init__(self, reachability: Reachability, access: Access) -> None:
        self._reachability = reachability
        self._access = access

    def reach_registry(self, environment: ComputeEnvironment, region: str, image: str) -> None:
        """ECR's API gives the password, its registry the manifest, S3 the layers (ECR user guide,
        vpc-endpoints).
        """
        bucket = f"prod-{region}-starport-layer-bucket"
        registry, layers = image.partition("/")[0], f"{bucket}.s3.{region}.amazonaws.com"
        steps = {
            "ecr.api": f"https://api.ecr.{region}.amazonaws.com/",
            "ecr.dkr": f"https://{registry}/v2/",
            "s3": f"https://{layers}/",
        }
        for service, url in steps.items():
            self.reach(environment, service, PULL_FAILED, url)
        layer = f"arn:aws:s3:::{bucket}/layer"
        if self._reachability.refused(environment, "s3", "*", "s3:GetObject", layer):
            raise StartError(f"{PULL_FAILED}Get {steps['s3']}: 403 Forbidden")

    def reach(self, environment: ComputeEnvironment, service: str, prefix: str, url: str) -> None:
        """Raises StartError where the network keeps the service back: minutes later, on AWS."""
        found = self._reachability.unreached(environment, service)
        if found is not None:
            raise StartError(
                f'{prefix}RequestError: send request failed caused by: Post "{url}": dial tcp: i/o'
                f" timeout [found here: {found}]"
            )

    def require(
        self,
        environment: ComputeEnvironment,
        service: str,
        prefix: str,
        role: str | None,
        action: str,
        resource: str,
    ) -> None:
        """Raises StartError, with `prefix` before the reason, where the role or an endpoint of the
        service refuses the action.
        """
        if role is None:
            raise StartError(f"{prefix}no role allows {action} on {resource}")
        try:
            self._access.require(role, "ecs-agent", action, resource)
            if self._reachability.refused(environment, service, role, action, resource):
                raise self._access.refused_by_endpoint(role, "ecs-agent", action, resource)
        except WireError as error:
            raise StartError(f"{prefix}AccessDeniedException: {error.message}") from None
