"""What becomes of a living stack when its file changes: which fields differ, and what each of them
does.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import BaseModel

from config.environments import (
    DEFAULT_UPDATE_MINUTES,
    Environment,
    FargateEnvironment,
    HpcEnvironment,
)
from config.stack import SECTIONS, StackConfig

Kind = Literal["in place", "new revision", "replaces", "drained queue", "created", "removed"]

_SCALING: Final = frozenset(
    {"max_vcpus", "min_vcpus", "enabled", "update_timeout_minutes", "terminate_jobs_on_update"}
)
"""Fields of environments of instances that take effect without an infrastructure update (AWS Batch
user guide, updating-compute-environments).
"""
_EFFECTS: Final[dict[str, str]] = {
    "in place": "updated; what runs goes on",
    "new revision": (
        "a new revision of the job definition; jobs that were submitted before keep the old one"
    ),
    "replaces": "made anew, and the old one deleted",
    "drained queue": "made anew, and running jobs would be stopped: wait until the queue is empty",
}
_FILE_SYSTEMS: Final = ("storage.efs", "storage.lustre")
_LUSTRE_SIZE: Final = "storage.lustre.size_gib"
"""Grows in place; a smaller one is another file system (terraform-provider-aws,
internal/service/fsx/lustre_file_system.go).
"""
_OLD_TARGETS: Final = (
    "AWS allows mount targets of EFS in one VPC at a time, so destroy those first (pulumi destroy"
    " --target '**efs/mountTarget:MountTarget**' --target-dependents)"
)
_ORCHESTRATOR: Final = "pipeline.orchestrator"
_USERS: Final = ("storage.efs.user_id", "storage.efs.group_id")
_SECTION_EFFECTS: Final[dict[tuple[str, str], str]] = {
    (
        "network",
        "replaces",
    ): "the network, and with it every environment, is made anew: wait until the queues are empty",
    (
        "storage",
        "replaces",
    ): "another file system takes its place, without the files of the old one",
    (
        "queues",
        "replaces",
    ): (
        "a new queue takes its place, and AWS terminates the jobs that are left in the old one:"
        " wait until it is empty"
    ),
}


@dataclass(frozen=True, kw_only=True)
class Change:
    """One field that differs."""

    path: str
    before: Any
    """Value before the change, None where there was none."""
    after: Any
    kind: Kind
    effect: str
    """What happens, as a sentence without its first capital and its full stop."""


def changes(before: StackConfig, after: StackConfig) -> list[Change]:
    """Every field whose value differs, defaults included, in the order of the sections.

    Writing a default out is no change.
    """
    found = [
        change
        for name in SECTIONS
        for change in _compare(name, getattr(before, name), getattr(after, name), "in place")
    ]
    return [_told(change, before, after) for change in found]


def _compare(path: str, before: Any, after: Any, kind: Kind) -> Iterator[Change]:
    if before == after:
        return
    if isinstance(before, BaseModel) and type(before) is type(after):
        for name, field in type(before).model_fields.items():
            extra = field.json_schema_extra
            yield from _compare(
                f"{path}.{name}",
                getattr(before, name),
                getattr(after, name),
                extra["change"] if isinstance(extra, dict) else kind,  # type: ignore[arg-type]
            )
    elif isinstance(before, BaseModel) and isinstance(
        after, BaseModel
    ):  # another member of a union on `kind`
        kinds = getattr(before, "kind", None), getattr(after, "kind", None)
        yield Change(
            path=f"{path}.kind",
            before=kinds[0],
            after=kinds[1],
            kind=_of_kinds(before, after) if path.startswith("environments.") else "replaces",
            effect="",
        )
    elif isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in dict.fromkeys((*before, *after)):
            if name in before and name in after:
                yield from _compare(f"{path}.{name}", before[name], after[name], kind)
            elif path in {"environments", "queues"}:
                gone = name in before
                yield Change(
                    path=f"{path}.{name}",
                    before=_plain(before.get(name)),
                    after=_plain(after.get(name)),
                    kind=(
                        "created"
                        if not gone
                        else "removed"
                        if path == "environments"
                        else "drained queue"
                    ),
                    effect="",
                )
            else:
                yield Change(
                    path=f"{path}.{name}",
                    before=before.get(name),
                    after=after.get(name),
                    kind=kind,
                    effect="",
                )
    else:
        yield Change(path=path, before=_plain(before), after=_plain(after), kind=kind, effect="")


def _of_kinds(before: BaseModel, after: BaseModel) -> Kind:
    """What another kind of environment does.

    The provider updates between On-Demand and Spot in place. It replaces where the launch template
    comes or goes, as to and from Fargate, or the placement group (terraform-provider-aws,
    internal/service/batch/compute_environment.go).
    """
    to_or_from_fargate = isinstance(before, FargateEnvironment) or isinstance(
        after, FargateEnvironment
    )
    groups = [isinstance(each, HpcEnvironment) and each.placement_group for each in (before, after)]
    return "replaces" if to_or_from_fargate or groups[0] != groups[1] else "in place"


def _told(change: Change, before: StackConfig, after: StackConfig) -> Change:
    section, _, field = change.path.partition(".")
    put_in_or_away = (change.before is None) != (change.after is None)
    if section == "environments" and field.endswith(".image_id") and put_in_or_away:
        change = dataclasses.replace(change, kind="replaces")
    if change.path == _LUSTRE_SIZE and change.after < change.before:
        change = dataclasses.replace(change, kind="replaces")
    if change.path in _FILE_SYSTEMS and change.after is None:
        change = dataclasses.replace(change, kind="replaces")
    if change.path == _ORCHESTRATOR and change.before == "step-functions":
        change = dataclasses.replace(change, kind="removed")
    effect = _effect(change, before, after)
    return Change(
        path=change.path, before=change.before, after=change.after, kind=change.kind, effect=effect
    )


def _effect(change: Change, before: StackConfig, after: StackConfig) -> str:
    section, _, rest = change.path.partition(".")
    name, _, field = rest.partition(".")
    if change.kind == "created":
        return "a new environment" if section == "environments" else "a new queue"
    if section == "queues" and not field:
        return "the queue is deleted, and the jobs in it are stopped: wait until it is empty"
    if section == "environments" and change.kind in {"removed", "replaces"}:
        first = (
            "no queue uses it any more"
            if change.kind == "removed"
            else "a new environment is made and the queues move to it"
        )
        return f"{first}; {_departure(before.environments[name], after.environments.get(name))}"
    if section == "environments" and change.kind == "in place" and field not in _SCALING:
        return _infrastructure_update(before, name)
    if change.path == _ORCHESTRATOR:
        return (
            "the state machine is deleted: runs under way end at its next look at a job, after at"
            f" most {before.pipeline.poll_seconds} s, and what they have submitted goes on with"
            " nobody to follow it: wait until no run is under way"
            if change.kind == "removed"
            else "a state machine is made; runs under way go on as the chained jobs that they are"
        )
    if section == "jobs" and change.kind == "in place":
        return "from the next run on"
    if section in {"network", "storage"} and (told := _of_surroundings(change, before)):
        return told
    if section == "tags":
        return (
            "every resource is updated; the instances' tags by an infrastructure update of each"
            " environment"
        )
    return _SECTION_EFFECTS.get((section, change.kind), _EFFECTS[change.kind])


def _of_surroundings(change: Change, before: StackConfig) -> str:
    """What a change of network or file systems does; empty where it is what its kind says."""
    if change.path == "network.nat":
        return "routes and gateways are updated; connections through a gateway that goes are cut"
    if change.path == "network.az_count":
        return (
            "subnets come or go and no other moves; an infrastructure update of each environment of"
            " instances that is not of kind hpc"
        )
    if change.path.startswith("network.") and change.kind == "replaces":
        told = _SECTION_EFFECTS["network", "replaces"]
        return told if before.storage.efs is None else f"{told}; {_OLD_TARGETS}"
    if change.path in _USERS:
        return "new access points; files that the old user wrote keep their owner"
    if change.path not in _FILE_SYSTEMS:
        return ""
    if change.before is None:
        return (
            "a new file system, and an infrastructure update of the environments whose jobs mount"
            " it"
            if change.path == "storage.lustre"
            else "a new file system"
        )
    return "the file system is deleted with its files, unless it is one that was there before"


def _departure(old: Environment, new: Environment | None) -> str:
    """What becomes of the old environment; components/environment_hooks.py does it."""
    section = old if new is None or isinstance(new, FargateEnvironment) else new
    if not isinstance(section, FargateEnvironment) and section.terminate_jobs_on_update:
        return "the old one is deleted at once, and the jobs that run there are stopped"
    minutes = (
        DEFAULT_UPDATE_MINUTES
        if isinstance(section, FargateEnvironment)
        else section.update_timeout_minutes
    )
    return (
        "the old one is deleted when the jobs that run there have ended. The update waits"
        f" {minutes} minutes for them; if some still run then, it fails, nothing is stopped, and"
        " the next update deletes it"
    )


def _infrastructure_update(before: StackConfig, name: str) -> str:
    environment = before.environments[name]
    if isinstance(environment, FargateEnvironment):
        return _EFFECTS["in place"]
    if environment.terminate_jobs_on_update:
        return (
            "an infrastructure update: running jobs are stopped at once, and start again where"
            " attempts are left"
        )
    minutes = environment.update_timeout_minutes
    return (
        f"an infrastructure update: jobs that still run after {minutes} minutes are stopped, and"
        " start again where attempts are left"
    )


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_defaults=True)
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
