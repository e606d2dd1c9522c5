"""One build of EC2 Image Builder, and the removal of AMIs by life cycle policies.

What the building instance does is a script, which nothing runs here. Its calls of AWS are known
all the same: those of Systems Manager and Image Builder, which every build makes, and those that
stand in the document (`aws ssm get-parameter`, `docker pull` of what that says). Each is asked for
as the instance would ask: by its subnet's ways out and its role.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from botocore.exceptions import ClientError

from localcloud.iam.access import Access
from localcloud.moto.state import ACCOUNT_ID, AwsState

Params = dict[str, Any]
Unreached = Callable[[list[str], list[str], str], str | None]
"""(subnets, security groups, service) -> why calls get no answer, None where they get one."""
_SERVICES: Final = ("ssm", "ssmmessages", "ec2messages", "imagebuilder", "s3", "logs")
_PULL_SERVICES: Final = ("ecr.api", "ecr.dkr")
_MESSAGES: Final = (
    "ssm:UpdateInstanceInformation",
    "ssmmessages:OpenDataChannel",
    "ec2messages:GetMessages",
)
_PULL: Final = ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
_PARAMETER: Final = re.compile(r"aws ssm get-parameter [^|)]*--name (\S+)")
_DATE: Final = "{{ imagebuilder:buildDate }}"
_BUILDER: Final = "EC2 Image Builder"
"""Value of the tag CreatedBy."""
_DAY_SECONDS: Final = 86_400
_UNITS: Final = {"DAYS": 1, "WEEKS": 7, "MONTHS": 30, "YEARS": 365}


class Builds:
    """The images that were built, and how.

    Attributes:
        images: By ARN, the oldest first.
        broken: Why the test of each further AMI fails; empty where it does not.
    """

    def __init__(
        self,
        state: AwsState,
        access: Access,
        unreached: Unreached,
        client: Callable[[str], Any],
    ) -> None:
        self._state, self._access, self._way_out = state, access, unreached
        self._client = client
        self.images: dict[str, Params] = {}
        self.broken = ""

    def build(
        self,
        *,
        recipe: Params,
        components: list[Params],
        machines: Params,
        distribution: Params | None,
        tags: dict[str, str],
    ) -> Params:
        """A new image of a recipe, AVAILABLE with its AMI or FAILED with the reason."""
        version = recipe["arn"].replace(":image-recipe/", ":image/")
        number = 1 + sum(arn.startswith(f"{version}/") for arn in self.images)
        image: Params = {
            "arn": f"{version}/{number}",
            "type": "AMI",
            "name": recipe["name"],
            "version": f"{recipe['version']}/{number}",
            "platform": "Linux",
            "osVersion": "Amazon Linux 2023",
            "enhancedImageMetadataEnabled": True,
            "imageRecipe": recipe,
            "infrastructureConfiguration": machines,
            **({"distributionConfiguration": distribution} if distribution else {}),
            "imageTestsConfiguration": {"imageTestsEnabled": True, "timeoutMinutes": 720},
            "dateCreated": datetime.now(UTC).isoformat(),
            "tags": tags,
        }
        base = self._base(recipe["parentImage"])
        failure = (
            (None if base else f"the base image {recipe['parentImage']} does not exist")
            or self._directed(machines, components)
            or self._pulled(machines, components)
            or self.broken
        )
        if failure:
            image["state"] = {"status": "FAILED", "reason": failure}
        else:
            ami = self._register(image, recipe, distribution)
            image["state"] = {"status": "AVAILABLE"}
            image["outputResources"] = {"amis": [ami]}
        self.images[image["arn"]] = image
        return image

    def _base(self, parent: str) -> str | None:
        kind, _, name = parent.partition(":")
        if kind != "ssm":
            return parent if self._state.image(parent) is not None else None
        return self._parameter(name)

    def _parameter(self, name: str) -> str | None:
        try:
            return str(self._client("ssm").get_parameter(Name=name)["Parameter"]["Value"])
        except ClientError:
            return None

    def _directed(self, machines: Params, components: list[Params]) -> str | None:
        """Why Systems Manager cannot direct the instance, or this not read the documents."""
        for service in _SERVICES:
            found = self._unreached(machines, service)
            if found is not None:
                return f"SSM execution failed: the instance was not available [found here: {found}]"
        role = self._role(machines)
        wanted = [(action, "*") for action in _MESSAGES]
        wanted += [("imagebuilder:GetComponent", each["arn"]) for each in components]
        return self._lacking(role, wanted)

    def _pulled(self, machines: Params, components: list[Params]) -> str | None:
        """Why a step of a document fails that calls AWS."""
        role = self._role(machines)
        for name in _PARAMETER.findall("\n".join(each["data"] for each in components)):
            arn = self._state.arn("ssm", f"parameter/{name.lstrip('/')}")
            found = self._lacking(role, [("ssm:GetParameter", arn)])
            if found is not None:
                return found
            value = self._parameter(name)
            if value is None:
                return f"there is no parameter {name}"
            for reference in value.split():
                found = self._unpulled(machines, role, reference)
                if found is not None:
                    return f"docker pull {reference}: {found}"
        return None

    def _unpulled(self, machines: Params, role: str, reference: str) -> str | None:
        host, _, rest = reference.partition("/")
        repository = re.split(r"[@:]", rest)[0]
        if host.split(".")[0] != ACCOUNT_ID:
            return "the rehearsal has no registry of others"
        for service in _PULL_SERVICES:
            found = self._unreached(machines, service)
            if found is not None:
                return found
        try:
            self._client("ecr").describe_repositories(repositoryNames=[repository])
        except ClientError:
            return f"there is no repository {repository}"
        arn = self._state.arn("ecr", f"repository/{repository}")
        return self._lacking(role, [("ecr:GetAuthorizationToken", "*"), *((a, arn) for a in _PULL)])

    def _unreached(self, machines: Params, service: str) -> str | None:
        return self._way_out(
            [machines["subnetId"]], list(machines.get("securityGroupIds") or []), service
        )

    def _role(self, machines: Params) -> str:
        return str(self._state.instance_profile_role(machines["instanceProfileName"]))

    def _lacking(self, role: str, wanted: list[tuple[str, str]]) -> str | None:
        missing = [
            action for action, resource in wanted if not self._access.may(role, action, resource)
        ]
        return f"role {role} lacks {', '.join(missing)}" if missing else None

    def _register(self, image: Params, recipe: Params, distribution: Params | None) -> Params:
        ec2, region = self._client("ec2"), self._state.region
        settings = _of_region(distribution, region)
        moment = f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%S.%fZ}"
        name = str(settings.get("name") or f"{recipe['name']} {_DATE}").replace(_DATE, moment)
        mapping = [
            {"DeviceName": each["deviceName"], "Ebs": {"VolumeSize": each["ebs"]["volumeSize"]}}
            for each in recipe.get("blockDeviceMappings", [])
        ]
        description = settings.get("description", "")
        image_id = ec2.register_image(
            Name=name,
            Description=description,
            BlockDeviceMappings=mapping,
            RootDeviceName="/dev/xvda",
            VirtualizationType="hvm",
        )["ImageId"]
        snapshots = _snapshots(ec2, image_id)
        own = {"CreatedBy": _BUILDER, "Ec2ImageBuilderArn": image["arn"]}
        ec2.create_tags(Resources=[image_id, *snapshots], Tags=_pairs(own))
        ec2.create_tags(Resources=[image_id], Tags=_pairs(settings.get("amiTags") or {}))
        return {
            "region": region,
            "image": image_id,
            "name": name,
            "description": description,
            "accountId": ACCOUNT_ID,
        }


class Cleaning:
    """What life cycle policies of kind COUNT remove."""

    def __init__(
        self,
        access: Access,
        client: Callable[[str], Any],
        launched: Callable[[str], float | None],
        now: Callable[[], float],
    ) -> None:
        self._access, self._client = access, client
        self._launched, self._now = launched, now

    def apply(self, policy: Params, images: dict[str, Params]) -> None:
        """Removes the images of a policy's recipes that are beyond its count and not in use."""
        if policy.get("status", "ENABLED") != "ENABLED":
            return
        recipes = {
            (each["name"], each["semanticVersion"])
            for each in policy["resourceSelection"].get("recipes", [])
        }
        for detail in policy["policyDetails"]:
            if detail["filter"]["type"] != "COUNT" or detail["action"]["type"] != "DELETE":
                continue
            there = [
                image
                for image in images.values()
                if (image["imageRecipe"]["name"], image["imageRecipe"]["version"]) in recipes
                and image["state"]["status"] == "AVAILABLE"
            ]
            for image in there[: -detail["filter"]["value"]]:
                ami = image["outputResources"]["amis"][0]["image"]
                if not self._in_use(detail, ami) and self._remove(policy["executionRole"], ami):
                    del images[image["arn"]]

    def _in_use(self, detail: Params, ami: str) -> bool:
        rule = detail.get("exclusionRules", {}).get("amis", {}).get("lastLaunched")
        moment = self._launched(ami)
        if rule is None or moment is None:
            return False
        seconds: int = rule["value"] * _UNITS[rule["unit"]] * _DAY_SECONDS
        return self._now() - moment < seconds

    def _remove(self, role: str, ami: str) -> bool:
        ec2 = self._client("ec2")
        (found,) = ec2.describe_images(ImageIds=[ami])["Images"]
        context = {
            f"aws:resourcetag/{each['Key']}".lower(): each["Value"] for each in found["Tags"]
        }
        arn = f"arn:aws:ec2:{ec2.meta.region_name}::image/{ami}"
        if not self._access.may(role, "ec2:DeregisterImage", arn, context):
            return False
        snapshots = _snapshots(ec2, ami)
        ec2.deregister_image(ImageId=ami)
        for snapshot in snapshots:
            ec2.delete_snapshot(SnapshotId=snapshot)
        return True


def _of_region(distribution: Params | None, region: str) -> Params:
    for each in (distribution or {}).get("distributions", []):
        if each["region"] == region:
            return dict(each.get("amiDistributionConfiguration") or {})
    return {}


def _snapshots(ec2: Any, image_id: str) -> list[str]:
    (found,) = ec2.describe_images(ImageIds=[image_id])["Images"]
    return [
        each["Ebs"]["SnapshotId"]
        for each in found["BlockDeviceMappings"]
        if each.get("Ebs", {}).get("SnapshotId")
    ]


def _pairs(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
