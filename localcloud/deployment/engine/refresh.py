"""What was changed by hand since a deployment: every resource is read, and the state brought to
what there is.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Final

from localcloud.deployment.engine.state import Failure, Resource, State
from localcloud.deployment.provider import Provider, ProviderError
from localcloud.deployment.provider.values import DEFAULTS, Secret, is_secret, plain

_PARALLEL: Final = 8
_ENGINES_OWN: Final = "pulumi:"


@dataclass(frozen=True, kw_only=True)
class Drift:
    """One resource that is not as it was left.

    `paths` says what a deployment would do to bring it back, by path: `update`, `add` again or
    `delete`. `gone` is one that does not exist any more.
    """

    resource: Resource
    now: Resource | None
    paths: Mapping[str, str] = field(default_factory=dict)

    @property
    def gone(self) -> bool:
        """Whether it does not exist any more."""
        return self.now is None


@dataclass(frozen=True, kw_only=True)
class Refreshed:
    """What there is, what of it has changed, and what could not be read."""

    state: State
    drift: tuple[Drift, ...]
    failures: tuple[Failure, ...]


def refresh(state: State, provider: Provider) -> Refreshed:
    """Reads every resource of a state.

    What cannot be read stays as it was, and is told as a failure.
    """

    def look(resource: Resource) -> Resource | Drift | Failure:
        if not resource.custom or resource.type.startswith(_ENGINES_OWN):
            return resource
        try:
            return _read(resource, provider)
        except ProviderError as error:
            return Failure(
                message=f"not read: {error}",
                urn=resource.urn,
                type=resource.type,
                name=resource.name,
                location=resource.location,
            )

    with ThreadPoolExecutor(max_workers=_PARALLEL, thread_name_prefix="refresh") as executor:
        found = list(executor.map(look, state.resources))
    drift = tuple(each for each in found if isinstance(each, Drift))
    now = {each.resource.urn: each.now for each in drift}
    now |= {each.urn: each for each in found if isinstance(each, Resource)}
    resources = (now.get(resource.urn, resource) for resource in state.resources)
    return Refreshed(
        state=replace(state, resources=tuple(each for each in resources if each is not None)),
        drift=drift,
        failures=tuple(each for each in found if isinstance(each, Failure)),
    )


def _read(resource: Resource, provider: Provider) -> Resource | Drift:
    """What there is; as drift, where a deployment would change it."""
    inputs: dict[str, Any] = {
        name: Secret(value) if name in resource.secret_inputs else value
        for name, value in resource.inputs.items()
    }
    found = provider.read(resource.type, resource.id, inputs, resource.outputs)
    if found is None:
        return Drift(resource=resource, now=None)
    now = replace(
        resource,
        inputs=plain(found[0]),
        outputs=plain(found[1]),
        secret_inputs=frozenset(name for name, value in found[0].items() if is_secret(value)),
    )
    wanted = {**resource.inputs, DEFAULTS: resource.inputs.get(DEFAULTS, [])}
    difference = provider.diff(resource.type, now, wanted)
    if difference:
        return Drift(resource=resource, now=now, paths=difference.paths)
    return replace(resource, outputs=now.outputs)
