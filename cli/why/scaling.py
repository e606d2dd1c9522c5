"""What EC2 refused an environment: its Auto Scaling group's activities, as causes.

Sources: AWS Batch user guide, "Jobs stuck in a RUNNABLE status"; EC2 Auto Scaling user guide,
"Troubleshoot EC2 instance launch failures". Batch names the groups
`AWSBatch-<environment>-<uuid>-asg-<uuid>`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from cli.why.account import Account
from cli.why.model import Cause

_RECENT_SECONDS: Final = 6 * 3600
_SAID: Final[tuple[tuple[str, str, str, str], ...]] = (
    (
        r"do not have sufficient (?P<type>[\w.-]+) capacity.*?\((?P<zone>[\w, -]*)\)",
        "CAPACITY",
        "EC2 has no {type} in {zone} at the moment",
        (
            "wait, or allow more: other types in {setting}, another zone, or a reservation"
            " (capacity_reservation_id)"
        ),
    ),
    (
        (
            r"no Spot capacity|UnfulfillableCapacity|Insufficient(?:Instance|Host)Capacity"
            r"|ReservationCapacityExceeded"
        ),
        "CAPACITY",
        "EC2 has no such capacity at the moment",
        (
            "wait, or allow other types in {setting} or another zone, or put an On-Demand"
            " environment behind this one in the queue"
        ),
    ),
    (
        r"vCPU limit of (?P<limit>[\d.]+)",
        "QUOTA",
        "the account's quota of {limit} vCPUs for these instance types is used up",
        (
            "ask for more: aws service-quotas request-service-quota-increase; `preflight` names the"
            " quota"
        ),
    ),
    (
        r"[Mm]ax(?:imum)? spot instance count exceeded|MaxSpotInstanceCountExceeded",
        "QUOTA",
        "the account's quota of Spot vCPUs for these instance types is used up",
        (
            "ask for more: aws service-quotas request-service-quota-increase; `preflight` names the"
            " quota"
        ),
    ),
    (
        r"VolumeLimitExceeded|maximum (?P<kind>\w+) storage (?:limit|quota)",
        "QUOTA",
        "the account's quota of storage on volumes of EBS is used up",
        (
            "make root_volume_gib or scratch.size_gib of the environment smaller, or ask for more:"
            " aws service-quotas request-service-quota-increase --service-code ebs"
        ),
    ),
    (
        r"free addresses in subnet '?(?P<subnet>subnet-\w+)",
        "ADDRESSES",
        "subnet {subnet} has not enough free addresses",
        (
            "find what holds them (aws ec2 describe-network-interfaces --filters"
            " Name=subnet-id,Values={subnet}), or use more zones (network.az_count)"
        ),
    ),
    (
        (
            r"instance type \((?P<type>[\w.-]+)\) is not supported in your requested Availability"
            r" Zone \((?P<zone>[\w, -]*)\)"
        ),
        "OFFERING",
        "{type} is not sold in {zone}",
        "choose another zone or another type ({setting})",
    ),
    (
        r"(?:image id '?\[?|AMI )(?P<ami>ami-\w+)",
        "AMI",
        "the AMI {ami} of the environment does not exist or may not be used",
        (
            "where it has a prepared_image, run pulumi up: it takes the newest AMI that is there;"
            " else take image_id out of the environment, or name one that is there"
        ),
    ),
    (
        # the second is what Auto Scaling says where its role may not use the key (EC2 Auto Scaling
        # user guide, key-policy-requirements-EBS-encryption)
        r"KMS|kms:|InvalidKMSKey|Client\.InternalError: Client error on launch",
        "KMS",
        "the key that encrypts the volumes may not be used",
        (
            "let AWSServiceRoleForAutoScaling use the account's default EBS key (a grant of the KMS"
            " key), or take the AWS managed one"
        ),
    ),
    (
        r"security group '?(?P<group>sg-\w+)'? does not exist",
        "SECURITY-GROUP",
        "security group {group} does not exist",
        "run pulumi up: it puts back what the stack owns",
    ),
    (
        r"[Pp]lacement ?[Gg]roup",
        "PLACEMENT-GROUP",
        "the placement group cannot take the instances",
        "end what else runs in it, or set placement_group: false on the environment",
    ),
    (
        r"[Ss]pot (?:request )?price|SpotMaxPriceTooLow",
        "SPOT-PRICE",
        "Spot costs more than the environment bids",
        "take bid_percent out of the environment: without it the limit is the On-Demand price",
    ),
    (
        r"not authorized|UnauthorizedOperation|AuthFailure",
        "PERMISSION",
        "AWS Batch may not start the instances",
        (
            "see that AWSServiceRoleForBatch (and for Spot AWSServiceRoleForEC2Spot) exists: "
            "`preflight` asks; and that no organization policy denies ec2:RunInstances"
        ),
    ),
)


def refused_launches(
    account: Account, environment: dict[str, Any], setting: str
) -> Iterator[Cause]:
    """Why instances of an environment did not start since one last did, the newest reason of each
    kind first.
    """
    name = str(environment["computeEnvironmentName"])
    seen: dict[str, Cause] = {}
    for activity in _failed(account, name):
        said = str(activity.get("StatusMessage") or activity.get("Description") or "")
        cause = _cause(said, activity, account.now(), setting)
        seen.setdefault(cause.code if cause.code != "LAUNCH" else said, cause)
    yield from seen.values()


def _failed(account: Account, environment: str) -> Iterator[dict[str, Any]]:
    groups = account.listed("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups")
    pattern = re.compile(rf"AWSBatch-{re.escape(environment)}-[0-9a-f-]*-?asg-")
    for group in groups:
        if not pattern.match(str(group["AutoScalingGroupName"])):
            continue
        for activity in account.listed(
            "autoscaling",
            "describe_scaling_activities",
            "Activities",
            pages=False,
            AutoScalingGroupName=group["AutoScalingGroupName"],
            MaxRecords=50,
        ):
            if account.now() - activity["StartTime"].timestamp() > _RECENT_SECONDS:
                return
            if activity["StatusCode"] == "Successful":
                return  # what failed before has passed
            if activity["StatusCode"] in {"Failed", "Cancelled"}:
                yield activity


def _cause(said: str, activity: dict[str, Any], now: float, setting: str) -> Cause:
    minutes = max(0, int((now - activity["StartTime"].timestamp()) / 60))
    when = f"{minutes} min ago" if minutes else "just now"
    for pattern, code, what, fix in _SAID:
        match = re.search(pattern, said)
        if match:
            words = {**match.groupdict(), "setting": setting}
            return Cause(
                code=code,
                weight="waits" if code == "CAPACITY" else "blocks",
                what=f"{what.format(**words)} (a launch failed {when})",
                setting=setting,
                found=said,
                fix=fix.format(**words),
            )
    return Cause(
        code="LAUNCH",
        what=f"EC2 did not start an instance ({when}): {said}",
        setting=setting,
        found=said,
        fix="the sentence is EC2's own; mend what it names and run pulumi up",
    )
