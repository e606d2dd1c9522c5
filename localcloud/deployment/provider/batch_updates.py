"""Updates of compute environments and job definitions, as the real provider does them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from localcloud.deployment.provider.batch import job_definition
from localcloud.deployment.provider.calls import ProviderError
from localcloud.deployment.provider.lifecycle import Update, at
from localcloud.deployment.provider.removals import until

UPDATE_MINUTES = 20.0
"""How long the real provider waits for an update, whatever the resource says of timeouts: its
schema has no block for them (terraform-provider-aws, internal/service/batch/compute_environment.go;
pulumi-terraform-bridge, configWithTimeouts).
"""


def environment_replacements(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What of a compute environment's change the provider cannot do in place.

    A block of launch template or images that comes or goes always replaces; most else does so
    unless the environment has the service-linked role and one of three strategies
    (terraform-provider-aws, internal/service/batch/compute_environment.go, schema and
    CustomizeDiff).
    """
    blocks = ("computeResources.launchTemplate", "computeResources.ec2Configurations")
    found = [path for path in blocks if bool(at(old, path)) != bool(at(new, path))]
    strategies = [at(values, "computeResources.allocationStrategy") for values in (old, new)]
    if new.get("serviceRole") or not all(strategy in _UPDATABLE for strategy in strategies):
        then, now = old.get("computeResources") or {}, new.get("computeResources") or {}
        fargate = str(now.get("type", "")).startswith("FARGATE")
        names = () if fargate else _IN_PLACE_ONLY_IF_UPDATABLE
        found += [f"computeResources.{name}" for name in names if then.get(name) != now.get(name)]
    return found


def environment_keeps(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """AWS's side of `ec2Configurations` and of its image: both are Optional and Computed, so taking
    them away changes nothing.
    """
    resources, before = new.get("computeResources"), at(old, "computeResources.ec2Configurations")
    if (
        not isinstance(resources, Mapping)
        or not before
        or str(resources.get("type", "")).startswith("FARGATE")
    ):
        return dict(new)
    after = resources.get("ec2Configurations") or before
    images = [
        {"imageIdOverride": each["imageIdOverride"]} if each.get("imageIdOverride") else {}
        for each in before
    ]
    kept = [{**image, **now} for image, now in zip(images, after, strict=False)]
    return {
        **new,
        "computeResources": {**resources, "ec2Configurations": [*kept, *after[len(kept) :]]},
    }


_UPDATABLE: Final = (
    "BEST_FIT_PROGRESSIVE",
    "SPOT_CAPACITY_OPTIMIZED",
    "SPOT_PRICE_CAPACITY_OPTIMIZED",
)
_IN_PLACE_ONLY_IF_UPDATABLE: Final = (
    "allocationStrategy",
    "bidPercentage",
    "ec2Configurations",
    "ec2KeyPair",
    "imageId",
    "instanceRole",
    "instanceTypes",
    "launchTemplate",
    "securityGroupIds",
    "subnets",
    "tags",
)
_EMPTY: Final[Mapping[str, Any]] = {
    "bidPercentage": 0,
    "securityGroupIds": [],
    "tags": {},
    "minVcpus": 0,
}
"""What the provider sends for an input that is no longer given."""


def compute_environment(update: Update) -> None:
    """Only what differs is sent, and the ceiling always, without which AWS takes no resources at
    all.
    """
    then, now = update.old.get("computeResources") or {}, update.take("computeResources") or {}
    values: dict[str, Any] = {"maxVcpus": now.get("maxVcpus")}
    for name in sorted({*then, *now}):
        if then.get(name) != now.get(name):
            if name not in now and name not in _EMPTY:
                raise ProviderError(f"computeResources.{name} cannot be taken back by an update")
            values[name] = now.get(name, _EMPTY.get(name))
    rename = {"ec2Configurations": "ec2Configuration"}
    policy, role, state = update.new("updatePolicy"), update.new("serviceRole"), update.new("state")
    update.send(
        "batch",
        "UpdateComputeEnvironment",
        computeEnvironment=update.id,
        computeResources=update.aws.part("batch", "ComputeResourceUpdate", values, rename),
        updatePolicy=update.aws.part("batch", "UpdatePolicy", policy) if policy else None,
        serviceRole=role,
        state=state,
    )

    def found() -> dict[str, Any]:
        answer: dict[str, Any] = update.send(
            "batch", "DescribeComputeEnvironments", computeEnvironments=[update.id]
        )
        first: dict[str, Any] = answer["computeEnvironments"][0]
        return first

    until(
        lambda: found()["status"] != "UPDATING",
        f"waiting for Batch Compute Environment ({update.id}) update: timeout while waiting for"
        f" state to become 'VALID' (last state: 'UPDATING', timeout: {UPDATE_MINUTES:g}m0s)",
        seconds=UPDATE_MINUTES * 60,
    )
    update.outputs |= {name: found().get(name) for name in ("status", "statusReason", "state")}


def definition_replacements(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Another number of retry rules replaces a job definition; what they say, its type and all else
    make a revision.

    (terraform-provider-aws, internal/service/batch/job_definition.go: `evaluate_on_exit` is a list
    with ForceNew.)
    """
    path = "retryStrategy.evaluateOnExits"
    counts = [len(at(values, path) or ()) for values in (old, new)]
    return [path] if counts[0] != counts[1] else []


def new_revision(update: Update) -> None:
    """A new revision; the one before goes only where `deregisterOnNewRevision` is not false."""
    # the id stays that of the first revision, which the engine keeps over an update
    before, drop = str(update.outputs["arn"]), update.values.get("deregisterOnNewRevision", True)
    job_definition(update)
    update.sent_whole()
    if drop:
        update.send("batch", "DeregisterJobDefinition", jobDefinition=before)
