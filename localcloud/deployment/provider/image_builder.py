"""EC2 Image Builder: what AMIs are made of, images, pipelines and life cycle policies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from localcloud.deployment.provider.calls import (
    Call,
    Naming,
    ProviderError,
    Row,
    handles,
    names,
    rows,
)
from localcloud.deployment.provider.lifecycle import Update, Updater
from localcloud.deployment.provider.reading import Described, Reading, readers

KINDS: Final = {
    "distributionConfiguration": "DistributionConfiguration",
    "imagePipeline": "ImagePipeline",
    "infrastructureConfiguration": "InfrastructureConfiguration",
    "lifecyclePolicy": "LifecyclePolicy",
}
"""What has no versions: the member of answers, and the name in operations."""
names(
    {
        f"imagebuilder/{kind}:{name}": Naming(longest=126)
        for kind, name in (
            *KINDS.items(),
            ("component", "Component"),
            ("imageRecipe", "ImageRecipe"),
        )
    }
)
rows(
    {
        "imagebuilder/component:Component": Row(
            "imagebuilder",
            "CreateComponent",
            "componentBuildVersionArn",
            {"arn": "componentBuildVersionArn"},
            {"version": "semanticVersion"},
            ignore=("skipDestroy",),
        ),
        "imagebuilder/imageRecipe:ImageRecipe": Row(
            "imagebuilder",
            "CreateImageRecipe",
            "imageRecipeArn",
            {"arn": "imageRecipeArn"},
            {"version": "semanticVersion"},
        ),
        **{
            f"imagebuilder/{kind}:{name}": Row(
                "imagebuilder",
                f"Create{name}",
                f"{kind}Arn",
                {"arn": f"{kind}Arn"},
            )
            for kind, name in KINDS.items()
        },
    }
)


@handles("imagebuilder/image:Image")
def image(call: Call) -> None:
    """Image: waits until it is built, and fails with it."""
    call.id = call.create("imagebuilder", "CreateImage")["imageBuildVersionArn"]
    found = call.send("imagebuilder", "GetImage", imageBuildVersionArn=call.id)["image"]
    state = found["state"]
    if state["status"] != "AVAILABLE":
        raise ProviderError(
            f"waiting for Image Builder Image ({call.id}) to become available: unexpected state"
            f" '{state['status']}', wanted target 'AVAILABLE': {state.get('reason')}"
        )
    call.outputs |= {
        "arn": call.id,
        "dateCreated": found["dateCreated"],
        "name": found["name"],
        "osVersion": found.get("osVersion", ""),
        "platform": found["platform"],
        "version": found["version"],
        "outputResources": [dict(found["outputResources"])],
    }


def read_image(_: Reading, found: Mapping[str, Any]) -> Mapping[str, Any]:
    """What an image was made of, by the ARNs of the descriptions that it has."""
    parts = ("imageRecipe", "infrastructureConfiguration", "distributionConfiguration")
    told = {f"{part}Arn": found[part]["arn"] for part in parts if part in found}
    resources = found.get("outputResources")
    return {**told, "outputResources": [resources] if resources else []}


def describe_anew(kind: str) -> Updater:
    """The update of what has no versions: it takes the whole description."""

    def change(update: Update) -> None:
        update.ignore("name", "region", "tags")
        operation = f"Update{KINDS[kind]}"
        body = update.aws.request("imagebuilder", operation, update.rest())
        update.sent_whole()
        update.send("imagebuilder", operation, **{f"{kind}Arn": update.id}, **body)

    return change


readers(
    {
        "imagebuilder/component:Component": Described(
            service="imagebuilder",
            operation="GetComponent",
            request={"componentBuildVersionArn": "{id}"},
            at="component",
        ),
        "imagebuilder/image:Image": Described(
            service="imagebuilder",
            operation="GetImage",
            request={"imageBuildVersionArn": "{id}"},
            at="image",
            more=read_image,
        ),
        "imagebuilder/imageRecipe:ImageRecipe": Described(
            service="imagebuilder",
            operation="GetImageRecipe",
            request={"imageRecipeArn": "{id}"},
            at="imageRecipe",
        ),
        **{
            f"imagebuilder/{kind}:{name}": Described(
                service="imagebuilder",
                operation=f"Get{name}",
                request={f"{kind}Arn": "{id}"},
                at=kind,
            )
            for kind, name in KINDS.items()
        },
    }
)
