"""Launch templates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from localcloud.deployment.provider.calls import Call, Naming, handles

_RENAME: Final = {
    "blockDeviceMappings.noDevice": "NoDevice",
    "vpcSecurityGroupIds": "SecurityGroupIds",
    "securityGroupNames": "SecurityGroups",
    "networkInterfaces.securityGroups": "Groups",
    "networkInterfaces.ipv4Addresses": "PrivateIpAddresses",
    "networkInterfaces.associateCarrierIpAddress": "AssociateCarrierIpAddress",
    "placement.groupId": "GroupId",
}


@handles("ec2/launchTemplate:LaunchTemplate", Naming(longest=125))
def launch_template(call: Call) -> None:
    """Launch template with its first version."""
    call.ignore("updateDefaultVersion", "defaultVersion")
    name, description = call.take("name"), call.take("description")
    data = template_data(call)
    request = {
        "LaunchTemplateName": name,
        "VersionDescription": description,
        "LaunchTemplateData": data,
    }
    tags = call.aws.tags("ec2", "CreateLaunchTemplate", call.tags, "launch-template")
    created = call.send("ec2", "CreateLaunchTemplate", **request, **tags)["LaunchTemplate"]
    call.id = created["LaunchTemplateId"]
    call.outputs |= {
        "arn": call.aws.arn("ec2", f"launch-template/{call.id}"),
        "latestVersion": created["LatestVersionNumber"],
        "defaultVersion": created["DefaultVersionNumber"],
    }


def template_data(call: Call) -> dict[str, Any]:
    """The content of a version, of all inputs that are left."""
    data: dict[str, Any] = call.aws.part(
        "ec2", "RequestLaunchTemplateData", _without_empty(call.rest()), _RENAME
    )
    return data


def _without_empty(value: Any) -> Any:
    # Terraform's schema has three-valued booleans as text ("true", "false", ""), and an empty text
    # means: not given; of a tag it is the value
    if isinstance(value, Mapping):
        return {
            name: item if name == "tags" else _without_empty(item)
            for name, item in value.items()
            if item not in (None, "")
        }
    return [_without_empty(item) for item in value] if isinstance(value, list) else value
