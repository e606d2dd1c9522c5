"""EC2 Image Builder: what AMIs are made of, by whom, where and when, and which of them go.

moto has none of it. A build is over at once, where AWS takes half an hour (image_builds.py); what a
pipeline's schedule does on AWS, StartImagePipelineExecution does here.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from localcloud.moto.state import AwsState
from localcloud.protocol.wire import WireError
from localcloud.services.image_builds import Builds, Cleaning

Params = dict[str, Any]
_VERSION: Final = re.compile(r"\d{1,10}\.\d{1,10}\.\d{1,10}")
_NAME: Final = re.compile(r"[-_A-Za-z0-9][-_A-Za-z0-9 ]{1,126}[-_A-Za-z0-9]")
_LARGEST: Final = 2**30 - 1
"""Of a number of a version (Image Builder API, CreateImageRecipe)."""
_KINDS: Final = {
    "infrastructureConfiguration": "infrastructure-configuration",
    "distributionConfiguration": "distribution-configuration",
    "imagePipeline": "image-pipeline",
    "lifecyclePolicy": "lifecycle-policy",
}
"""What has no versions: the member of answers, and the word in ARNs."""


class ImageBuilder:
    """The operations (EC2 Image Builder API reference). Thread safe."""

    def __init__(self, state: AwsState, builds: Builds, cleaning: Cleaning) -> None:
        self._state, self._builds, self._cleaning = state, builds, cleaning
        self._found: dict[str, Params] = {}
        """Everything but images, by ARN."""
        self._lock = threading.RLock()
        self.operations: dict[str, Callable[[Params], Params]] = {
            "CreateComponent": self._create_component,
            "GetComponent": lambda params: self._get(params, "component", "ComponentBuildVersion"),
            "DeleteComponent": lambda params: self._delete(params, "componentBuildVersionArn"),
            "CreateImageRecipe": self._create_recipe,
            "GetImageRecipe": lambda params: self._get(params, "imageRecipe", "imageRecipe"),
            "DeleteImageRecipe": lambda params: self._delete(params, "imageRecipeArn"),
            "CreateImage": self._create_image,
            "GetImage": lambda params: {"image": self._image(params["imageBuildVersionArn"])},
            "DeleteImage": self._delete_image,
            "StartImagePipelineExecution": self._start,
            "TagResource": self._tag,
            "UntagResource": self._untag,
            "ListTagsForResource": lambda params: {
                "tags": self._any(params["resourceArn"])["tags"]
            },
        }
        for member in _KINDS:
            self._offer(member)

    def _offer(self, member: str) -> None:
        name, arn = member[0].upper() + member[1:], f"{member}Arn"
        self.operations |= {
            f"Create{name}": lambda params: self._create(params, member),
            f"Get{name}": lambda params: self._get(params, member, member),
            f"Update{name}": lambda params: self._update(params, member),
            f"Delete{name}": lambda params: self._delete(params, arn),
        }

    def tags(self) -> list[tuple[str, dict[str, str]]]:
        """ARN and tags of everything."""
        with self._lock:
            return [
                (each["arn"], each["tags"])
                for each in (*self._found.values(), *self._builds.images.values())
            ]

    # ---- what has versions -----------------------------------------------------------------------

    def _create_component(self, params: Params) -> Params:
        if not params.get("data"):
            raise _bad("the local Image Builder takes a component's document as data")
        arn = self._versioned("component", params) + "/1"
        self._keep(arn, {**_given(params), "type": "BUILD", "encrypted": True, "owner": "self"})
        return {"componentBuildVersionArn": arn}

    def _create_recipe(self, params: Params) -> Params:
        for each in params.get("components", []):
            self._known(each["componentArn"])
        arn = self._versioned("image-recipe", params)
        self._keep(arn, {**_given(params), "platform": "Linux", "owner": "self"})
        return {"imageRecipeArn": arn}

    def _versioned(self, kind: str, params: Params) -> str:
        version = params["semanticVersion"]
        if not _VERSION.fullmatch(version) or any(
            int(part) > _LARGEST for part in version.split(".")
        ):
            raise _bad(
                f"The value supplied for parameter 'semanticVersion' is not valid: {version}; it"
                f" has three numbers of at most {_LARGEST}"
            )
        return self._free(f"{kind}/{_normal(params['name'])}/{version}")

    # ---- what has none ---------------------------------------------------------------------------

    def _create(self, params: Params, member: str) -> Params:
        given = _given(params)
        self._check(member, given)
        if member == "imagePipeline":
            given.setdefault("status", "ENABLED")
        arn = self._free(f"{_KINDS[member]}/{_normal(params['name'])}")
        self._keep(arn, given)
        return {f"{member}Arn": arn}

    def _update(self, params: Params, member: str) -> Params:
        """All but name, tags and what was never to change is as it is given now."""
        arn_member = f"{member}Arn"
        with self._lock:
            known = self._known(params[arn_member])
            given = {name: value for name, value in _given(params).items() if name != arn_member}
            self._check(member, given)
            kept = {name: known[name] for name in ("arn", "name", "tags", "dateCreated")}
            known.clear()
            known |= {**given, **kept}
        return {arn_member: params[arn_member]}

    def _check(self, member: str, given: Params) -> None:
        if member == "infrastructureConfiguration":
            self._check_profile(given)
        if member == "imagePipeline":
            self._check_parts(given)

    def _check_profile(self, given: Params) -> None:
        name = given["instanceProfileName"]
        if self._state.instance_profile_role(name) is None:
            raise WireError(
                "InvalidParameterValueException",
                "The value supplied for parameter 'instanceProfileName' is not valid. The provided"
                f" instance profile does not exist: {name}",
            )

    def _check_parts(self, given: Params) -> None:
        for name in ("imageRecipeArn", "infrastructureConfigurationArn"):
            self._known(given[name])
        if given.get("distributionConfigurationArn"):
            self._known(given["distributionConfigurationArn"])

    # ---- images ----------------------------------------------------------------------------------

    def _create_image(self, params: Params) -> Params:
        with self._lock:
            self._check_parts(params)
            recipe = self._known(params["imageRecipeArn"])
            image = self._builds.build(
                recipe=recipe,
                components=[self._known(each["componentArn"]) for each in recipe["components"]],
                machines=self._known(params["infrastructureConfigurationArn"]),
                distribution=self._found.get(params.get("distributionConfigurationArn", "")),
                tags=dict(params.get("tags") or {}),
            )
            for policy in [each for each in self._found.values() if "policyDetails" in each]:
                self._cleaning.apply(policy, self._builds.images)
        return {"imageBuildVersionArn": image["arn"]}

    def _start(self, params: Params) -> Params:
        pipeline = self._known(params["imagePipelineArn"])
        wanted: Params = {
            name: pipeline[name]
            for name in (
                "imageRecipeArn",
                "infrastructureConfigurationArn",
                "distributionConfigurationArn",
            )
            if name in pipeline
        }
        return self._create_image(wanted)

    def _image(self, arn: str) -> Params:
        found = self._builds.images.get(arn)
        if found is None:
            raise _absent(arn)
        return found

    def _delete_image(self, params: Params) -> Params:
        """The AMI stays, as on AWS."""
        with self._lock:
            arn = self._image(params["imageBuildVersionArn"])["arn"]
            del self._builds.images[arn]
        return {"imageBuildVersionArn": arn}

    # ---- all -------------------------------------------------------------------------------------

    def _free(self, resource: str) -> str:
        arn = self._state.arn("imagebuilder", resource)
        with self._lock:
            if any(known == arn or known.startswith(f"{arn}/") for known in self._found):
                raise WireError(
                    "ResourceAlreadyExistsException",
                    f"The resource with the ARN '{arn}' already exists.",
                )
        return arn

    def _keep(self, arn: str, given: Params) -> None:
        with self._lock:
            self._found[arn] = {
                **given,
                "arn": arn,
                "tags": dict(given.get("tags") or {}),
                "dateCreated": datetime.now(UTC).isoformat(),
            }

    def _known(self, arn: str) -> Params:
        with self._lock:
            found = self._found.get(arn)
        if found is None:
            raise _absent(arn)
        return found

    def _any(self, arn: str) -> Params:
        return self._builds.images[arn] if arn in self._builds.images else self._known(arn)

    def _get(self, params: Params, member: str, named: str) -> Params:
        arn = params[f"{named[0].lower()}{named[1:]}Arn"]
        return {member: self._known(arn)}

    def _delete(self, params: Params, arn_member: str) -> Params:
        """Refused where a recipe names the component, or a pipeline the rest: images do not count
        (Image Builder API, the Delete operations; user guide, delete-resources).
        """
        arn = params[arn_member]
        with self._lock:
            self._known(arn)
            for other in self._found.values():
                if other["arn"] != arn and arn in _names(other):
                    raise WireError(
                        "ResourceDependencyException",
                        f"Resource dependency error: The resource ARN '{arn}' has other resources"
                        " depended on it.",
                    )
            del self._found[arn]
        return {arn_member: arn}

    def _tag(self, params: Params) -> Params:
        with self._lock:
            found = self._any(params["resourceArn"])
            found["tags"] = {**found["tags"], **params["tags"]}
        return {}

    def _untag(self, params: Params) -> Params:
        gone = params["tagKeys"]
        with self._lock:
            found = self._any(params["resourceArn"])
            found["tags"] = {key: text for key, text in found["tags"].items() if key not in gone}
        return {}


def _given(params: Params) -> Params:
    """What a resource is described by, of what it is made with."""
    renamed = {"semanticVersion": "version"}
    return {
        renamed.get(name, name): value for name, value in params.items() if name != "clientToken"
    }


def _names(resource: Params) -> set[str]:
    """ARNs that a resource names."""
    own = {value for name, value in resource.items() if name.endswith("Arn")}
    return own | {each["componentArn"] for each in resource.get("components", [])}


def _normal(name: str) -> str:
    """A name in ARNs: names that differ only in case, spaces or underscores are the same."""
    if not _NAME.fullmatch(name):
        raise _bad(f"The value supplied for parameter 'name' is not valid: {name}")
    return re.sub(r"[ _]", "-", name).lower()


def _absent(arn: str) -> WireError:
    return WireError(
        "ResourceNotFoundException", f"The resource ARN '{arn}' does not exist.", status=404
    )


def _bad(text: str) -> WireError:
    return WireError("InvalidParameterValueException", text)
