"""The physical name of a resource that the program does not name (Pulumi's autonaming)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from localcloud.deployment.provider.calls import NAMES, ProviderError
from localcloud.deployment.provider.values import DEFAULTS, UNKNOWN, is_unknown, plain


@dataclass(frozen=True, kw_only=True)
class Autonaming:
    """What the engine says about names.

    `proposal` is the name that the project's or the stack's `pulumi:autonaming` makes; without one
    the provider's own is taken. `mode` is what may be done with it: `propose` lets the provider fit
    it to the type, `enforce` takes it as it is, `disable` gives no name at all. `seed` makes the
    random part of the provider's own name the same each time; without one it is new.
    """

    proposal: str = ""
    mode: Literal["propose", "enforce", "disable"] = "propose"
    seed: bytes = b""


def automatic_name(
    token: str,
    logical: str,
    inputs: Mapping[str, Any],
    *,
    olds: Mapping[str, Any] | None,
    naming: Autonaming,
) -> dict[str, Any]:
    """The name property of a resource whose program gives none; nothing for a type without one.

    A resource that exists keeps the name that it was given. Raises ProviderError where AWS would
    not take the name.
    """
    rule = NAMES.get(token)
    if rule is None or inputs.get(rule.property) is not None:
        return {}
    if olds is not None and rule.property in olds.get(DEFAULTS, ()):
        return {rule.property: olds[rule.property]}
    if olds is not None and olds and rule.property not in olds and rule.late:
        return {}
    if is_unknown(plain(inputs.get(rule.prefix_property))):
        return {rule.property: UNKNOWN}
    if naming.mode == "disable":
        raise ProviderError(
            f"{rule.property} is required, because pulumi:autonaming is disabled for this resource"
        )
    proposal = "" if inputs.get(rule.prefix_property) else naming.proposal
    if proposal and naming.mode == "enforce":
        return {rule.property: rule.fitting(proposal)}
    return {rule.property: rule.name(logical, plain(inputs), proposal=proposal, seed=naming.seed)}
