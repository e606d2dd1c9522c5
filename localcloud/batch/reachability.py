"""Whether instances of a compute environment can join its ECS cluster, and whether its containers
reach a service, from role, routes, endpoints and security groups.

Rules: ECS Developer Guide (interface endpoints for ECS and ECR), Batch User Guide ("INVALID compute
environment", VPC endpoints), VPC User Guide (private DNS, security groups and policies of
endpoints). An endpoint with private DNS takes all calls of its VPC, also beside a NAT gateway.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from localcloud.batch.records import ComputeEnvironment
from localcloud.iam.access import Access
from localcloud.iam.policy_evaluation import resource_policy_allows
from localcloud.moto.state import ACCOUNT_ID, AwsState

_AGENT_ACTIONS: Final = (
    "ecs:RegisterContainerInstance",
    "ecs:DiscoverPollEndpoint",
    "ecs:Poll",
    "ecs:StartTelemetrySession",
    "ecs:SubmitTaskStateChange",
    "ecs:SubmitContainerStateChange",
)
_JOINING: Final = ("ecs", "ecs-agent", "ecs-telemetry")
"""What an instance has to reach to join the cluster. Image and log are wanted when a container
starts.
"""
_HTTPS: Final = 443
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
        instances can join, and on Fargate, where none have to.
        """
        if environment.is_fargate:
            return None
        found = self._role_problem(environment)
        for service in () if found else _JOINING:
            found = found or self.unreached(environment, service)
        return None if found is None else f"{_INVALIDATED} [found here: {found}]"

    def unreached(self, environment: ComputeEnvironment, service: str) -> str | None:
        """Why calls of the environment to a service get no answer; None where they get one.

        Args:
            environment: from whose subnets, of which all have to reach it.
            service: as endpoints are called, for example `ecr.api`, `logs` or `s3`.
        """
        resources = environment.resources
        ids = self._state.environment_groups(resources)
        return self.unreached_from(resources["subnets"], ids, service)

    def unreached_from(self, subnets: list[str], ids: list[str], service: str) -> str | None:
        """The same from some subnets, with some security groups."""
        groups = [self._state.security_group(group) for group in ids]
        if groups and not any(group is not None and group.egress_rules for group in groups):
            return f"security groups {', '.join(ids)} let nothing out"
        for subnet_id in subnets:
            found = self._from_subnet(subnet_id, ids, service)
            if found is not None:
                return found
        return None

    def refused(
        self, environment: ComputeEnvironment, service: str, role: str, action: str, resource: str
    ) -> bool:
        """Whether the policy of an endpoint on the way refuses a call."""
        account = {"aws:principalaccount": ACCOUNT_ID, "aws:resourceaccount": ACCOUNT_ID}
        for subnet_id in environment.resources["subnets"]:
            subnet = self._state.subnet(subnet_id)
            endpoint = None if subnet is None else self._endpoint(subnet, service)
            if endpoint is not None and not _lets(endpoint, role, action, resource, account):
                return True
        return False

    def _role_problem(self, environment: ComputeEnvironment) -> str | None:
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

    def _from_subnet(self, subnet_id: str, groups: list[str], service: str) -> str | None:
        subnet = self._state.subnet(subnet_id)
        if subnet is None:
            return f"subnet {subnet_id} does not exist any more"
        endpoint = self._endpoint(subnet, service)
        if endpoint is not None:
            inside = endpoint.vpc_endpoint_type != "Interface" or self._lets_in(
                endpoint, subnet, groups
            )
            return None if inside else f"the security group of endpoint {service} lets them not in"
        table = self._state.route_table(subnet)
        routes = [] if table is None else list(table.routes)
        if any(
            route.destination_cidr_block == "0.0.0.0/0" and (route.nat_gateway or route.gateway)
            for route in routes
        ):
            return None
        there = self._endpoints(subnet.vpc_id, service)
        if not there:
            return (
                f"subnet {subnet_id} has no route to the internet and its VPC has no endpoint for"
                f" {service}"
            )
        if there[0].vpc_endpoint_type == "Interface":
            return f"private DNS is off for the endpoint {service}"
        return f"the {service} endpoint is not attached to the route table of subnet {subnet_id}"

    def _endpoints(self, vpc_id: str, service: str) -> list[Any]:
        name = f"com.amazonaws.{self._state.region}.{service}"
        return [each for each in self._state.vpc_endpoints(vpc_id) if each.service_name == name]

    def _endpoint(self, subnet: Any, service: str) -> Any | None:
        """The endpoint that calls from the subnet to the service go by; None where there is
        none.
        """
        table = self._state.route_table(subnet)
        for each in self._endpoints(subnet.vpc_id, service):
            if each.vpc_endpoint_type == "Interface":
                if _truthy(each.private_dns_enabled):
                    return each
            elif table is not None and table.id in (each.route_table_ids or []):
                return each
        return None

    def _lets_in(self, endpoint: Any, subnet: Any, groups: list[str]) -> bool:
        default = self._state.default_security_group(subnet.vpc_id)
        own = list(endpoint.security_group_ids or [])
        own = own or ([] if default is None else [default.id])
        return self._state.lets_through(groups, str(subnet.cidr_block), own, _HTTPS)


def _lets(endpoint: Any, role: str, action: str, resource: str, account: Mapping[str, str]) -> bool:
    """Whether the policy of an endpoint lets a call through; without one all pass.

    ECR hands out links to image layers that it has signed itself: of whose account they are the
    policy cannot ask (ECR user guide, vpc-endpoints).
    """
    if not endpoint.policy_document:
        return True
    by_link = endpoint.service_name.endswith(".s3")
    return resource_policy_allows(
        json.loads(endpoint.policy_document),
        {"AWS": "*" if by_link else role},
        action,
        resource,
        {} if by_link else account,
    )


def _truthy(value: Any) -> bool:
    return str(value).lower() == "true"
