"""The outputs of a resource: what is secret in them, what AWS has told, and a marker for what is
not modelled.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from localcloud.deployment.provider.calls import ProviderError
from localcloud.deployment.provider.schema import resource_schema
from localcloud.deployment.provider.values import UNKNOWN, Secret, poison, poisoned

_SECRET_OUTPUTS: Final = {
    "aws:secretsmanager/secretVersion:SecretVersion": ("secretString", "secretBinary"),
    "aws:ssm/parameter:Parameter": ("value",),
}


def unmodelled(inputs: Mapping[str, Any]) -> None:
    """Raises ProviderError where inputs hold the marker of an output that this provider does not
    model.
    """
    for name, value in inputs.items():
        if marker := poisoned(value):
            raise ProviderError(
                f"{name} uses {marker}, an output that the local provider does not model"
            )


def seal(token: str, outputs: dict[str, Any]) -> None:
    """Makes secret what the real provider keeps secret of its own."""
    for name in _SECRET_OUTPUTS.get(token, ()):
        if name in outputs and not isinstance(outputs[name], Secret):
            outputs[name] = Secret(outputs[name])


def tell(outputs: dict[str, Any], told: Mapping[str, Any]) -> None:
    """Adds what AWS has told."""
    outputs |= {
        name: value
        for name, value in told.items()
        if value is not None and not isinstance(outputs.get(name), Secret)
    }


def undecided(token: str) -> dict[str, Any]:
    """The outputs that AWS alone decides, as the real provider has them before AWS has said so.

    A preview that shows what is and what will be, as the CLI does of a replacement that the engine
    alone demands, would else say that they go.
    """
    schema = resource_schema(token)
    inputs = schema.inputs if schema is not None else {}
    return {name: UNKNOWN for name, _ in _always_present(token) if name not in inputs}


def mark_unmodelled(token: str, logical: str, outputs: dict[str, Any]) -> None:
    """Puts markers where the real provider would have an output."""
    for name, hint in _always_present(token):
        if name not in outputs:
            outputs[name] = poison(logical, name) if hint is str else UNKNOWN


def _always_present(token: str) -> Iterator[tuple[str, Any]]:
    schema = resource_schema(token)
    if schema is not None:
        yield from (each for each in schema.always_present() if each[0] not in ("id", "urn"))
