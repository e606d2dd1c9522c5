"""What becomes of a living stack when its file changes: which fields differ, and what each of them does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import BaseModel

from config.environments import FargateEnvironment
from config.stack import SECTIONS, StackConfig

Kind = Literal["in place", "new revision", "replaces", "drained queue", "created"]

_SCALING: Final = frozenset({"max_vcpus", "min_vcpus", "enabled", "update_timeout_minutes", "terminate_jobs_on_update"})
"""Fields of environments of instances that take effect without an infrastructure update (AWS Batch user guide,
updating-compute-environments)."""
_EFFECTS: Final[dict[str, str]] = {
    "in place": "updated; what runs goes on",
    "new revision": "a new revision of the job definition; jobs that were submitted before keep the old one",
    "replaces": "made anew, and the old one deleted",
    "drained queue": "made anew, and running jobs would be stopped: wait until the queue is empty",
}
_SECTION_EFFECTS: Final[dict[tuple[str, str], str]] = {
    ("network", "replaces"): "the network, and with it every environment, is made anew: wait until the queues are empty",
    ("queues", "replaces"): "a new queue takes its place, and AWS terminates the jobs that are left in the old one: wait until it is empty",
    ("environments", "replaces"): "a new environment takes its place; if AWS says that the old one still has a queue, run the update again",
}


@dataclass(frozen=True, kw_only=True)
class Change:
    """One field that differs."""

    path: str
    before: Any
    """None where there was nothing."""
    after: Any
    kind: Kind
    effect: str
    """What happens, as a sentence without its first capital and its full stop."""


def changes(before: StackConfig, after: StackConfig) -> list[Change]:
    """Every field whose value differs, defaults included, in the order of the sections. Writing a default out is no change."""
    found = [change for name in SECTIONS for change in _compare(name, getattr(before, name), getattr(after, name), "in place")]
    return [_told(change, before) for change in found]


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
    elif isinstance(before, BaseModel) and isinstance(after, BaseModel):  # another member of a union on `kind`
        yield Change(
            path=f"{path}.kind", before=getattr(before, "kind", None), after=getattr(after, "kind", None), kind="replaces", effect=""
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
                    kind="drained queue" if gone else "created",
                    effect="",
                )
            else:
                yield Change(path=f"{path}.{name}", before=before.get(name), after=after.get(name), kind=kind, effect="")
    else:
        yield Change(path=path, before=_plain(before), after=_plain(after), kind=kind, effect="")


def _told(change: Change, before: StackConfig) -> Change:
    effect = _effect(change, before)
    return Change(path=change.path, before=change.before, after=change.after, kind=change.kind, effect=effect)


def _effect(change: Change, before: StackConfig) -> str:
    section, _, rest = change.path.partition(".")
    name, _, field = rest.partition(".")
    if section in {"environments", "queues"} and not field:
        what = "environment" if section == "environments" else "queue"
        if change.kind == "created":
            return f"a new {what}"
        return f"the {what} is deleted, and the jobs on it are stopped: wait until it is empty"
    if section == "environments" and change.kind == "in place" and field not in _SCALING:
        return _infrastructure_update(before, name)
    if section == "jobs" and change.kind == "in place":
        return "from the next run on"
    if change.path == "network.nat":
        return "routes and gateways are updated; connections through a gateway that goes are cut"
    if section == "tags":
        return "every resource is updated; the instances' tags by an infrastructure update of each environment"
    return _SECTION_EFFECTS.get((section, change.kind), _EFFECTS[change.kind])


def _infrastructure_update(before: StackConfig, name: str) -> str:
    environment = before.environments[name]
    if isinstance(environment, FargateEnvironment):
        return _EFFECTS["in place"]
    if environment.terminate_jobs_on_update:
        return "an infrastructure update: running jobs are stopped at once, and start again where attempts are left"
    minutes = environment.update_timeout_minutes
    return f"an infrastructure update: jobs that still run after {minutes} minutes are stopped, and start again where attempts are left"


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_defaults=True)
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
