"""Whether instances of a compute environment can join its ECS cluster, from role, routes, endpoints
and security groups.

Rules: ECS Developer Guide (interface endpoints for ECS and ECR), Batch User Guide ("INVALID compute
environment", VPC endpoints).
"""

from __future__ import annotations

import json
from typing import Any, Final

from localcloud.batch.records import ComputeEnvironment
from localcloud.iam.access import Access
from localcloud.iam.policy_evaluation import resource_policy_allows
from localcloud.moto.state import AwsState

_AGENT_ACTIONS: Final = (
    "ecs:RegisterContainerInstance",
    "ecs:DiscoverPollEndpoint",
    "ecs:Poll",
    "ecs:StartTelemetrySession",
    "ecs:SubmitTaskStateChange",
    "ecs:SubmitContainerStateChange",
)
_INTERFACE_ENDPOINTS: Final = ("ecs", "ecs-agent", "ecs-telemetry", "ecr.api", "ecr.dkr", "logs")
_FARGATE_ENDPOINTS: Final = ("ecr.api", "ecr.dkr", "logs")
_INVALIDATED: Final = (
    "CLIENT_ERROR - Your compute environment has been INVALIDATED and scaled down because none of"
    " the instances joined the underlying ECS Cluster. Common issues preventing instances joining"
    " are the following: VPC/Subnet configuration preventing communication to ECS, incorrect"
    " Instance Profile policy preventing authorization to ECS, or customized AMI or LaunchTemplate"
    " configurations affecting ECS agent."
)


class Reachability:
    """Looks at the deployed network and roles."""

    def __init__(self, state: AwsState, access: Access) -> None:
        self._state = state
        self._access = access

    def problem(self, environment: ComputeEnvironment) -> str | None:
        """AWS's reason why the environment is INVALID, with what was found here; None where
        instances can join.
        """
        found = self._role_problem(environment) or self._network_problem(environment)
        return None if found is None else f"{_INVALIDATED} [found here: {found}]"

    def _role_problem(self, environment: ComputeEnvironment) -> str | None:
        if environment.is_fargate:
            return None
        role = self._state.instance_profile_role(environment.resources["instanceRole"])
        if role is None:
            return f"instance profile {environment.resources['instanceRole']} has no role"
        missing = [
            action
            for action in _AGENT_ACTIONS
            if not self._access.may(role, action, self._state.arn("ecs", "cluster/AWSBatch"))
        ]
        if len(missing) == len(_AGENT_ACTIONS):
            # an action without resource types may be granted on "*" only
            missing = [action for action in missing if not self._access.may(role, action, "*")]
        return f"role {role} lacks {', '.join(missing)}" if missing else None

    def _network_problem(self, environment: ComputeEnvironment) -> str | None:
        resources = environment.resources
        names = self._state.environment_groups(resources)
        groups = [self._state.security_group(group) for group in names]
        if groups and not any(group is not None and group.egress_rules for group in groups):
            return f"security groups {', '.join(names)} let nothing out"
        for subnet_id in resources["subnets"]:
            problem = self._subnet_problem(
                subnet_id, _FARGATE_ENDPOINTS if environment.is_fargate else _INTERFACE_ENDPOINTS
            )
            if problem is not None:
                return problem
        return None

    def _subnet_problem(self, subnet_id: str, needed: tuple[str, ...]) -> str | None:
        subnet = self._state.subnet(subnet_id)
        if subnet is None:
            return f"subnet {subnet_id} does not exist any more"
        table = self._state.route_table(subnet)
        routes = [] if table is None else list(table.routes)
        if any(
            route.destination_cidr_block == "0.0.0.0/0" and (route.nat_gateway or route.gateway)
            for route in routes
        ):
            return None
        endpoints = self._state.vpc_endpoints(subnet.vpc_id)
        present = {
            endpoint.service_name.removeprefix(f"com.amazonaws.{self._state.region}.")
            for endpoint in endpoints
        }
        missing = [name for name in (*needed, "s3") if name not in present]
        if missing:
            return (
                f"subnet {subnet_id} has no route to the internet and its VPC has no endpoint for"
                f" {', '.join(missing)}"
            )
        hidden = [
            each.service_name
            for each in endpoints
            if each.vpc_endpoint_type == "Interface" and not _truthy(each.private_dns_enabled)
        ]
        if hidden:
            return f"private DNS is off for the endpoints {', '.join(sorted(hidden))}"
        gateway = [
            each
            for each in endpoints
            if each.service_name.endswith(".s3") and each.vpc_endpoint_type != "Interface"
        ]
        if (
            gateway
            and table is not None
            and not any(table.id in (each.route_table_ids or []) for each in gateway)
        ):
            return (
                f"the S3 endpoint is not attached to route table {table.id} of subnet {subnet_id}"
            )
        layer = f"arn:aws:s3:::prod-{self._state.region}-starport-layer-bucket/layer"
        if gateway and not any(_lets_anybody_read(each, layer) for each in gateway):
            return (
                "the policy of the S3 endpoint keeps the layers of images back"
                f" ({layer.rpartition('/')[0]})"
            )
        return None


def _lets_anybody_read(endpoint: Any, arn: str) -> bool:
    """ECR hands out links to layers that are signed by itself (ECR user guide, vpc-endpoints)."""
    policy = json.loads(endpoint.policy_document) if endpoint.policy_document else None
    return policy is None or resource_policy_allows(policy, {"AWS": "*"}, "s3:GetObject", arn, {})


def _truthy(value: Any) -> bool:
    return str(value).lower() == "true"
