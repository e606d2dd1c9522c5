"""What becomes of a resource after its creation: which changes replace it, how it is updated, how
it is deleted.

A type without an entry can be created only; a change that its entry does not know is refused, never
passed over.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import ClientError

from localcloud.deployment.provider.calls import HANDLERS, Aws, Call, ProviderError

_ABSENT: Final = (
    "NotFound",
    "NoSuch",
    "NonExistent",
    "Unknown",
    "does not exist",
    "DoesNotExist",
)


@dataclass(kw_only=True)
class Update(Call):
    """One resource being updated.

    `values` and `tags` are the new ones, `old` the former inputs with the automatic name.
    """

    old: Mapping[str, Any]
    changed: frozenset[str]
    outputs: dict[str, Any] = field(default_factory=dict)

    def new(self, name: str) -> Any:
        """The new value of an input that has changed, else None; from now on it counts as dealt
        with.

        Raises ProviderError where the input is no longer given; for those that AWS lets go of, see
        `new_or_nothing`.
        """
        value = self.new_or_nothing(name)
        if value is None and name in self.changed:
            raise ProviderError(f"{name} cannot be taken back by an update")
        return value

    def new_or_nothing(self, name: str) -> Any:
        """The same, for an input that may be taken back."""
        value = self.take(name)
        return value if name in self.changed else None

    def has(self, name: str) -> bool:
        """Whether an input has changed."""
        return name in self.changed

    def sent_whole(self) -> None:
        """All inputs have gone to AWS anew, and what is no longer given has gone with the former
        ones.
        """
        self.ignore(*self.changed)

    def neglected(self) -> list[str]:
        """Changed inputs that the handler has not looked at."""
        return sorted(self.changed - self._taken)


@dataclass(frozen=True, kw_only=True)
class Removal:
    """One resource being deleted. `values` are its inputs and outputs."""

    aws: Aws
    id: str
    values: Mapping[str, Any]

    def send(self, service: str, operation: str, **request: Any) -> dict[str, Any]:
        """Sends one request; members that are None stay away."""
        return self.aws.call(
            service,
            operation,
            {name: value for name, value in request.items() if value is not None},
        )

    def send_if_there(self, service: str, operation: str, **request: Any) -> bool:
        """Sends one request; False where what it names does not exist any more, which is as
        good.
        """
        try:
            self.send(service, operation, **request)
        except ProviderError as error:
            if is_absent(error):
                return False
            raise
        return True


Updater = Callable[[Update], None]
Deleter = Callable[[Removal], None]


@dataclass(frozen=True, kw_only=True)
class Lifecycle:
    """Everything after the creation of one type.

    `replaces` are dotted paths of inputs whose change needs another resource; `when` says more of
    it where a path is not enough. `steers` are inputs that only guide the Pulumi provider. `sets`
    are paths of lists without an order. `defaults` are what counts where the program gives nothing,
    and `computed` the paths of inputs that AWS decides then. `decided` are outputs that an update
    may change in ways that a preview cannot know, `keeps` inputs that the provider chose at the
    creation. `stays` puts back into new inputs what AWS keeps although the program no longer gives
    it (Optional and Computed). `deletes_first` where a replacement cannot stand beside what it
    replaces. `delete` is None where the resource goes with its owner.
    """

    delete: Deleter | None
    update: Updater | None = None
    replaces: Collection[str] = ()
    when: Callable[[Mapping[str, Any], Mapping[str, Any]], list[str]] | None = None
    steers: Collection[str] = ()
    sets: Collection[str] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    computed: Collection[str] = ()
    decided: Collection[str] = ()
    keeps: Collection[str] = ()
    stays: Callable[[Mapping[str, Any], Mapping[str, Any]], dict[str, Any]] | None = None
    deletes_first: bool = False

    def replacing(
        self, old: Mapping[str, Any], new: Mapping[str, Any], changed: Collection[str]
    ) -> list[str]:
        """The changes that need another resource."""
        found = [
            path
            for path in self.replaces
            if path.partition(".")[0] in changed and at(old, path) != at(new, path)
        ]
        return found + (self.when(old, new) if self.when is not None else [])


LIFECYCLES: Final[dict[str, Lifecycle]] = {}


@cache
def rules() -> dict[str, Any]:
    """What the schemas of the real provider say of types, and the file where they say it; `about`
    says what is what.
    """
    found: dict[str, Any] = json.loads(Path(__file__).with_name("rules.json").read_text())
    return found


def lifecycles(table: Mapping[str, Lifecycle]) -> None:
    """Registers what becomes of types, by token without the package; rules.json says the rest of
    each.
    """
    for token, given in table.items():
        if f"aws:{token}" in LIFECYCLES:
            raise ValueError(f"aws:{token} has two lifecycles")
        rule = rules()["types"][token]
        LIFECYCLES[f"aws:{token}"] = replace(
            given,
            replaces=tuple(rule.get("replaces", ())),
            sets=tuple(rule.get("sets", ())),
            defaults=rule.get("defaults", {}),
            computed=tuple(rule.get("computed", ())),
            deletes_first=bool(rule.get("deletes_first")),
        )


def lifecycle(token: str) -> Lifecycle:
    """What becomes of a type. Raises ProviderError where the provider models its creation only."""
    found = LIFECYCLES.get(token)
    if found is None:
        raise ProviderError(
            f"changes and deletion of {token} are not modelled by the local provider"
        )
    return found


def remove(service: str, operation: str, **request: Any) -> Deleter:
    """Deletion by one call; texts in the request are templates of id, account, region, inputs and
    outputs. What is gone already is fine.
    """

    def delete(removal: Removal) -> None:
        known = {
            **removal.values,
            "id": removal.id,
            "account": removal.aws.account,
            "region": removal.aws.region,
        }
        removal.send_if_there(service, operation, **_filled(request, known))

    return delete


def _filled(value: Any, known: Mapping[str, Any]) -> Any:
    if isinstance(value, str):
        return value.format_map(known)
    if isinstance(value, Mapping):
        return {name: _filled(item, known) for name, item in value.items()}
    return [_filled(item, known) for item in value] if isinstance(value, list) else value


def put_again(update: Update) -> None:
    """An update for which AWS has the same call as for the creation."""
    # on what exists already these calls pass tags over; they have calls of their own
    update.tags = {}
    identity = update.id
    HANDLERS[update.token](update)
    if unused := update.unused():
        raise ProviderError(
            f"{', '.join(unused)} of {update.token} is not modelled by the local provider"
        )
    update.id = update.id or identity
    update.sent_whole()


def changes(
    service: str,
    operation: str,
    *,
    rename: Mapping[str, str] | None = None,
    ignore: Collection[str] = (),
    **owner: str,
) -> Updater:
    """An update by one call that takes whatever has changed.

    `owner` says by templates what is updated.
    """

    def change(update: Update) -> None:
        update.ignore(*ignore)
        known = {**update.old, "id": update.id}
        values = {name: update.new(name) for name in sorted(update.changed - {"tags"})}
        body = update.aws.request(service, operation, values, rename)
        update.aws.call(service, operation, {**_filled(dict(owner), known), **body})

    return change


def at(values: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path; None where there is none."""
    found: Any = values
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def is_absent(error: ProviderError) -> bool:
    """Whether AWS refused because the thing does not exist."""
    cause = error.__cause__
    if not isinstance(cause, ClientError):
        return False
    details = cause.response.get("Error", {})
    return any(word in f"{details.get('Code')} {details.get('Message')}" for word in _ABSENT)
