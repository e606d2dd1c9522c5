"""What EC2 answers when a compute environment asks for instances, and the scaling activities of it.

AWS Batch starts the instances of an environment by an Auto Scaling group of the account, named
`AWSBatch-<environment>-<uuid>-asg-<uuid>`; what EC2 refused stands in the scaling activities of
that group (AWS Batch user guide, troubleshooting; EC2 Auto Scaling user guide, "Troubleshoot
issues"). Modelled are AMIs that are gone, capacity, vCPU quotas, zones that do not offer a type,
and subnets without addresses. Addresses of the instances themselves are not counted, here as in
DescribeSubnets.
"""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from config.quotas import VCPU_QUOTAS, Quota, quota_of
from localcloud.batch.records import ComputeEnvironment, Store
from localcloud.moto.ec2 import InstanceShape
from localcloud.protocol.wire import WireError

AMPLE_VCPUS: Final = 100_000.0
"""Each quota at the start: the account of the rehearsal has had its quotas raised. AWS begins with
5 vCPUs for the standard families and none for the others."""
NO_CAPACITY: Final = "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY"
UNSUPPORTED: Final = "MISCONFIGURATION:EC2_INSTANCE_CONFIGURATION_UNSUPPORTED"
UNDETERMINED: Final = "UNDETERMINED"
_MOST_ACTIVITIES: Final = 100
_REPEAT_SECONDS: Final = 60.0
"""A launch that fails again the same way within this time is the same activity."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why EC2 does not start an instance: what Batch makes of it, and EC2's own words."""

    reason: str
    instance_type: str
    said: str


@dataclass(kw_only=True)
class _Activity:
    group: str
    started: float
    description: str
    status: str
    said: str = ""
    id: str = field(default_factory=lambda: str(uuid.uuid4()))


class Launches:
    """Answers for EC2 and Auto Scaling. The caller holds the lock of the store.

    Attributes:
        quotas: Code of a quota -> vCPUs, where it is not ample.
        withheld: Instance types that EC2 has none of at the moment; `*` stands for any type.
        refused: What EC2 says to every launch, in its own words; empty where it starts them.
    """

    def __init__(self, store: Store, now: Callable[[], float]) -> None:
        self._store = store
        self._now = now
        self._activities: deque[_Activity] = deque(maxlen=_MOST_ACTIVITIES)
        self.quotas: dict[str, float] = {}
        self.withheld: set[str] = set()
        self.refused = ""
        self._launched: dict[str, float] = {}
        """When an AMI was last launched."""

    def failure(
        self,
        environment: ComputeEnvironment,
        shape: InstanceShape,
        count: int,
        *,
        multinode: bool = False,
    ) -> Failure | None:
        """Why `count` more instances do not start, noted as a scaling activity; None where they do.

        `multinode`: each has a task with a network interface of its own (awsvpc).
        """
        purchase = "spot" if environment.is_spot else "on-demand"
        found = (
            self._refused(shape)
            or self._no_image(environment, shape)
            or self._beyond_quota(shape, count, purchase)
            or self._not_offered(environment, shape)
            or self._no_addresses(environment, shape, count, multinode=multinode)
            or self._no_capacity(environment, shape)
        )
        if found is not None:
            self._note(
                environment,
                "Launching a new EC2 instance",
                f"{found.said} Launching EC2 instance failed.",
            )
        return found

    def started(self, environment: ComputeEnvironment, instance_id: str) -> None:
        """Notes that an instance has started."""
        if (image := environment.own_image) is not None:
            self._launched[image] = self._now()
        self._note(environment, f"Launching a new EC2 instance: {instance_id}", "")

    def last_launched(self, image: str) -> float | None:
        """When an instance was last started from an AMI; None where none was."""
        return self._launched.get(image)

    # ---- EC2 -------------------------------------------------------------------------------------

    def _refused(self, shape: InstanceShape) -> Failure | None:
        if not self.refused:
            return None
        return Failure(reason=UNDETERMINED, instance_type=shape.name, said=self.refused)

    def _no_image(self, environment: ComputeEnvironment, shape: InstanceShape) -> Failure | None:
        image = environment.own_image
        if image is None or self._store.state.image(image) is not None:
            return None
        said = f"The image id '[{image}]' does not exist"
        return Failure(reason=UNDETERMINED, instance_type=shape.name, said=said)

    def _beyond_quota(self, shape: InstanceShape, count: int, purchase: str) -> Failure | None:
        quota = quota_of(shape.name, purchase)
        if quota is None or quota.code not in self.quotas:
            return None
        running = sum(
            instance.vcpus
            for environment in self._store.environments.values()
            if environment.is_spot == (purchase == "spot") and not environment.is_fargate
            for instance in environment.instances.values()
            if quota_of(instance.type, purchase) == quota
        )
        limit = self.quotas[quota.code]
        if running + count * shape.vcpus <= limit:
            return None
        said = (
            "Max spot instance count exceeded"
            if purchase == "spot"
            else (
                "You have requested more vCPU capacity than your current vCPU limit "
                f"of {limit:g} allows for the instance bucket that the "
                "specified instance type belongs to. Please visit "
                "http://aws.amazon.com/contact-us/ec2-request to request an adjustment to "
                "this limit."
            )
        )
        return Failure(reason=UNDETERMINED, instance_type=shape.name, said=said)

    def _not_offered(self, environment: ComputeEnvironment, shape: InstanceShape) -> Failure | None:
        zones = [
            subnet.availability_zone
            for subnet in map(self._store.state.subnet, environment.resources.get("subnets", []))
            if subnet is not None
        ]
        if not zones or any(self._store.state.offers(zone, shape.name) for zone in zones):
            return None
        said = (
            f"Your requested instance type ({shape.name}) is not supported in your "
            f"requested Availability Zone ({', '.join(zones)}). "
            "Please retry your request by not specifying an Availability Zone or choosing another."
        )
        return Failure(reason=UNSUPPORTED, instance_type=shape.name, said=said)

    def _no_addresses(
        self,
        environment: ComputeEnvironment,
        shape: InstanceShape,
        count: int,
        *,
        multinode: bool,
    ) -> Failure | None:
        subnets = [
            subnet
            for subnet in map(self._store.state.subnet, environment.resources.get("subnets", []))
            if subnet is not None
        ]
        free = [int(subnet.available_ip_address_count) for subnet in subnets]
        template = environment.resources.get("launchTemplate") or {}
        need = count * (self._store.state.addresses_of(template) + multinode)
        if not free or sum(free) >= need:
            return None
        said = (
            f"There are not enough free addresses in subnet '{subnets[0].id}' to "
            "satisfy the requested number of instances."
        )
        return Failure(reason=UNDETERMINED, instance_type=shape.name, said=said)

    def _no_capacity(self, environment: ComputeEnvironment, shape: InstanceShape) -> Failure | None:
        if not self.withheld & {"*", shape.name}:
            return None
        subnets = map(self._store.state.subnet, environment.resources.get("subnets", [])[:1])
        zone = next((each.availability_zone for each in subnets if each is not None), "")
        said = (
            f"We currently do not have sufficient {shape.name} capacity in the "
            f"Availability Zone you requested ({zone}). Our system will "
            "be working on provisioning additional capacity."
        )
        return Failure(reason=NO_CAPACITY, instance_type=shape.name, said=said)

    # ---- Auto Scaling ----------------------------------------------------------------------------

    def _note(self, environment: ComputeEnvironment, description: str, said: str) -> None:
        group, now = group_name(environment), self._now()
        newest = next((each for each in self._activities if each.group == group), None)
        if (
            newest is not None
            and newest.said == said != ""
            and now - newest.started < _REPEAT_SECONDS
        ):
            return
        text = f"{description}.  Status Reason: {said}" if said else description
        self._activities.appendleft(
            _Activity(
                group=group,
                started=now,
                description=text,
                status="Failed" if said else "Successful",
                said=said,
            )
        )

    def describe_groups(self, params: dict[str, Any]) -> dict[str, Any]:
        """DescribeAutoScalingGroups: the groups of the environments on instances."""
        wanted = params.get("AutoScalingGroupNames") or []
        with self._store.lock:
            found = [
                self._group(each)
                for each in self._store.environments.values()
                if each.type == "MANAGED" and not each.is_fargate
            ]
        return {
            "AutoScalingGroups": [
                group for group in found if not wanted or group["AutoScalingGroupName"] in wanted
            ]
        }

    def _group(self, environment: ComputeEnvironment) -> dict[str, Any]:
        subnets = environment.resources.get("subnets", [])
        zones = [self._store.state.subnet(each) for each in subnets]
        return {
            "AutoScalingGroupName": group_name(environment),
            "MinSize": 0,
            "MaxSize": len(environment.instances),
            "DesiredCapacity": len(environment.instances),
            "DefaultCooldown": 300,
            "AvailabilityZones": [zone.availability_zone for zone in zones if zone is not None],
            "HealthCheckType": "EC2",
            "CreatedTime": datetime.fromtimestamp(self._now(), UTC),
            "VPCZoneIdentifier": ",".join(subnets),
        }

    def describe_activities(self, params: dict[str, Any]) -> dict[str, Any]:
        """DescribeScalingActivities, the newest first; ValidationError where there is no such
        group.
        """
        wanted = params.get("AutoScalingGroupName")
        with self._store.lock:
            known = {group_name(each) for each in self._store.environments.values()}
            if wanted and wanted not in known:
                raise WireError(
                    "ValidationError", "AutoScalingGroup name not found - null", status=400
                )
            found = [each for each in self._activities if wanted in (None, each.group)]
        return {
            "Activities": [_described(each) for each in found[: params.get("MaxRecords") or 100]]
        }

    # ---- Service Quotas --------------------------------------------------------------------------

    def get_quota(self, params: dict[str, Any]) -> dict[str, Any]:
        """GetServiceQuota of the quotas on vCPUs; NoSuchResourceException for others."""
        known = self._known(params)
        return {"Quota": self._quota(known)}

    def list_quotas(self, params: dict[str, Any]) -> dict[str, Any]:
        """ListServiceQuotas of a service, as far as they are known here."""
        service = params.get("ServiceCode")
        found = [each for each in VCPU_QUOTAS.values() if each.service == service]
        return {"Quotas": [self._quota(each) for each in found]}

    def increase_quota(self, params: dict[str, Any]) -> dict[str, Any]:
        """RequestServiceQuotaIncrease: granted at once, where AWS takes minutes to days."""
        known, value = self._known(params), float(params["DesiredValue"])
        with self._store.lock:
            if value <= self.quotas.get(known.code, AMPLE_VCPUS):
                raise WireError(
                    "IllegalArgumentException",
                    "You must provide a quota value greater than the current quota value",
                )
            self.quotas[known.code] = value
        return {
            "RequestedQuota": {
                "Id": uuid.uuid4().hex,
                "ServiceCode": known.service,
                "QuotaCode": known.code,
                "DesiredValue": value,
                "Status": "APPROVED",
            }
        }

    def _known(self, params: dict[str, Any]) -> Quota:
        asked = Quota(str(params.get("ServiceCode")), str(params.get("QuotaCode")))
        if asked not in VCPU_QUOTAS.values():
            raise WireError(
                "NoSuchResourceException",
                "The request failed because the specified quota doesn't exist.",
            )
        return asked

    def _quota(self, known: Quota) -> dict[str, Any]:
        name = next(name for name, each in VCPU_QUOTAS.items() if each == known)
        return {
            "ServiceCode": known.service,
            "QuotaCode": known.code,
            "QuotaName": f"vCPUs, {name}",
            "QuotaArn": self._store.state.arn("servicequotas", f"{known.service}/{known.code}"),
            "Value": self.quotas.get(known.code, AMPLE_VCPUS),
            "Unit": "None",
            "Adjustable": True,
            "GlobalQuota": False,
        }


def group_name(environment: ComputeEnvironment) -> str:
    """Of the Auto Scaling group behind an environment."""
    own = uuid.uuid5(uuid.NAMESPACE_URL, environment.uuid)
    return f"AWSBatch-{environment.name}-{environment.uuid}-asg-{own}"


def _described(activity: _Activity) -> dict[str, Any]:
    moment = datetime.fromtimestamp(activity.started, UTC)
    found = {
        "ActivityId": activity.id,
        "AutoScalingGroupName": activity.group,
        "Description": activity.description,
        "Cause": (
            f"At {moment:%Y-%m-%dT%H:%M:%SZ} an instance was started in response "
            "to a difference between desired and actual capacity."
        ),
        "StartTime": moment,
        "EndTime": moment,
        "StatusCode": activity.status,
        "Progress": 100,
        "Details": "{}",
    }
    return {**found, "StatusMessage": activity.said} if activity.said else found
