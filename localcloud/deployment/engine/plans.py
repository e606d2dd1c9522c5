"""What is to be done with a resource that exists and is wanted again (pulumi's
pkg/resource/deploy/step_generator.go, diff and continueStepsFromDiff).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from localcloud.deployment.engine.autonaming import Names
from localcloud.deployment.engine.state import Resource
from localcloud.deployment.engine.wanted import Reason, Wanted, demanded, told
from localcloud.deployment.provider import Provider


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be done with a resource that exists: an update, or where it says `replace` another
    one, for which the former goes `first` or, as a rule, last.
    """

    reason: Reason
    replace: bool
    first: bool


def plan(
    wanted: Wanted, old: Resource, *, provider: Provider, names: Names, replaced: Collection[str]
) -> Plan | None:
    """What is to be done; None for nothing.

    Args:
        wanted: With checked inputs.
        old: What there is.
        provider: Compares.
        names: Where a name has nothing random the former resource goes first.
        replaced: URNs of what was replaced in this deployment.

    Raises ProviderError where the change is not modelled.
    """
    demand = wanted.options.delete_before_replace
    fixed = names.fixed(wanted.type) if demand is None else demand
    if (cascade := _cascade(wanted, old, replaced)) is not None:
        return Plan(reason=Reason(replaces=cascade), replace=True, first=fixed)
    difference = provider.diff(wanted.type, old, wanted.inputs)
    if not difference:
        return None
    paths, changed = wanted.options.replace_on_changes, difference.changed
    forced = [path for path in difference.paths if difference.forces(path)]
    demands = demanded(paths, difference.paths)
    return Plan(
        reason=Reason(
            changed=changed, replaces=tuple(dict.fromkeys([*forced, *told(paths, changed)]))
        ),
        replace=bool(forced or demands),
        first=(demand is None and difference.deletes_first) or fixed,
    )


def _cascade(wanted: Wanted, old: Resource, replaced: Collection[str]) -> tuple[str, ...] | None:
    """The options that replace a resource whatever its inputs are; None where none does. The
    provider is not asked then.
    """
    options = wanted.options
    then, now = old.options.replacement_trigger, options.replacement_trigger
    if then and now and then != now:
        return ()
    if any(urn in replaced for urn in options.replace_with):
        return ("replaceWith",)
    return ("deletedWith",) if options.deleted_with in replaced else None
