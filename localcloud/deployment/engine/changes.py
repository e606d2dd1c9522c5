"""What a registered resource means for what exists already: nothing, a creation, an update, a
replacement; and what has to go.

As in the real engine: a replacement is created first and the old half deleted after the program has
ended, unless the program demands otherwise or both would have the same name; deletions happen in
reverse order of dependence, and only where nothing has failed before.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Final

from localcloud.deployment.engine.autonaming import Names
from localcloud.deployment.engine.dependents import dependents
from localcloud.deployment.engine.hooks import Hooks
from localcloud.deployment.engine.plans import Plan, plan
from localcloud.deployment.engine.state import (
    Failure,
    Operation,
    Resource,
    State,
    Step,
    by_urn,
    deletion_order,
)
from localcloud.deployment.engine.wanted import (
    NO_REASON,
    HalfMadeError,
    Made,
    Reason,
    Wanted,
    kept,
    undeletable,
    unreplaceable,
)
from localcloud.deployment.provider import CreatedError, Provider, ProviderError
from localcloud.deployment.provider.archive import with_hashes
from localcloud.deployment.provider.values import Secret, encode, plain

PROVIDER_PREFIX: Final = "pulumi:providers:"
_PARALLEL: Final = 8


class Changes:
    """Brings one resource after the other from the previous state to what the program wants. Safe
    for concurrent calls.

    Attributes:
        steps: What was done, or would be in a preview.
    """

    def __init__(
        self,
        *,
        provider: Provider,
        hooks: Hooks,
        names: Names,
        previous: State,
        preview: bool,
        destroy: bool,
        skipped: list[str],
    ) -> None:
        self.steps: list[Step] = []
        self._provider, self._hooks, self._names = provider, hooks, names
        self._preview, self._destroy = preview, destroy
        self._before = by_urn(previous.resources)
        self._matched: set[str] = set()
        self._replaced: set[str] = set()
        self._condemned: dict[str, tuple[str, ...]] = {}
        self._pending_deletion = list(previous.pending_deletion)
        self._skipped = skipped
        self._previous = previous
        self._lock, self._deleting_first = threading.Lock(), threading.Lock()

    # ---- one resource ----------------------------------------------------------------------------

    def apply(self, wanted: Wanted) -> Made:
        """Creates, updates or replaces the resource, or leaves it as it is.

        Raises ProviderError or SchemaError where AWS, the type or the resource's protection does
        not allow it.
        """
        old, again = self._old(wanted), self._deleted(wanted)
        if not wanted.custom or wanted.type.startswith(PROVIDER_PREFIX):
            return self._without_aws(wanted, old)
        if self._destroy and old is not None:
            return self._same(wanted, old)
        given = replace(wanted, inputs=with_hashes(kept(wanted, old) if old else wanted.inputs))
        checked = self._checked(given, old)
        if old is None and again is None:
            return self._create(checked)
        if old is None:  # it had to go before something that it depends on
            with self._lock:
                self._replaced.add(wanted.urn)
            return self._create(checked, "replace", Reason(replaces=again or ()))
        # another provider of the same region changes in place (providerChanged in the CLI's
        # step_generator.go), and there is no other region here
        with self._lock:
            replaced = frozenset(self._replaced)
        found = plan(checked, old, provider=self._provider, names=self._names, replaced=replaced)
        if found is None:
            return self._same(checked, old)
        if found.replace:
            return self._replace(self._checked(given, None), old, found)
        return self._update(checked, old, found.reason)

    def knows(self, wanted_urn: str, aliases: tuple[str, ...]) -> bool:
        """Whether the resource exists since an earlier deployment."""
        return any(urn in self._before for urn in (wanted_urn, *aliases))

    def _old(self, wanted: Wanted) -> Resource | None:
        found = next(
            (urn for urn in (wanted.urn, *wanted.options.aliases) if urn in self._before), None
        )
        if found is None:
            return None
        with self._lock:
            self._matched.add(found)
        return self._before[found]

    def _deleted(self, wanted: Wanted) -> tuple[str, ...] | None:
        """Why the resource was deleted before it was registered; None where it was not."""
        with self._lock:
            urns = (wanted.urn, *wanted.options.aliases)
            return next((self._condemned[urn] for urn in urns if urn in self._condemned), None)

    def _without_aws(self, wanted: Wanted, old: Resource | None) -> Made:
        if not self._destroy:
            self._note("create" if old is None else "same", wanted)
        if not wanted.custom:
            return Made(id="", inputs=wanted.inputs, outputs={})
        made = self._provider.settings.add(
            wanted.urn, wanted.type.removeprefix(PROVIDER_PREFIX), plain(wanted.inputs)
        )
        return Made(id=made, inputs=wanted.inputs, outputs=dict(wanted.inputs))

    def _checked(self, wanted: Wanted, old: Resource | None) -> Wanted:
        inputs = self._provider.check(
            wanted.type,
            wanted.name,
            wanted.inputs,
            provider=wanted.provider,
            olds=old.inputs if old is not None else None,
            naming=self._names.proposal(wanted.type, wanted.name),
        )
        return replace(wanted, inputs=inputs)

    def _same(self, wanted: Wanted, old: Resource) -> Made:
        if not self._destroy:
            self._note("same", wanted)
        outputs = self._provider.known_outputs(wanted.type, wanted.name, wanted.inputs, old.outputs)
        return Made(id=old.id, inputs=wanted.inputs, outputs=outputs)

    def _create(
        self, wanted: Wanted, operation: Operation = "create", reason: Reason = NO_REASON
    ) -> Made:
        def create() -> tuple[str, dict[str, Any]]:
            return self._provider.create(
                wanted.type, wanted.name, wanted.inputs, preview=self._preview
            )

        try:
            made, outputs = self._around_creation(wanted, create)
        except CreatedError as error:
            self._note(operation, wanted, reason)
            half = Made(id=error.id, inputs=error.inputs, outputs=error.outputs)
            raise HalfMadeError(str(error), half) from error
        self._note(operation, wanted, reason)
        return Made(id=made, inputs=wanted.inputs, outputs=outputs)

    def _around_creation(
        self, wanted: Wanted, create: Callable[[], tuple[str, dict[str, Any]]]
    ) -> tuple[str, dict[str, Any]]:
        return self._hooks.around(
            "create",
            create,
            bound=wanted.options.hooks,
            fields={**_identity(wanted), "new_inputs": encode(wanted.inputs)},
            told=lambda done: {"id": done[0], "new_outputs": encode(done[1])},
            preview=self._preview,
        )

    def _update(self, wanted: Wanted, old: Resource, reason: Reason) -> Made:
        def update() -> tuple[str, dict[str, Any]]:
            return self._provider.update(
                wanted.type, wanted.name, wanted.inputs, before=old, preview=self._preview
            )

        _, outputs = self._hooks.around(
            "update",
            update,
            bound=wanted.options.hooks,
            fields={
                **_identity(wanted),
                "id": old.id,
                "new_inputs": encode(wanted.inputs),
                **_formerly(old),
            },
            told=lambda done: {"new_outputs": encode(done[1])},
            preview=self._preview,
        )
        self._note("update", wanted, reason)
        # an id is for life, as in the real engine
        return Made(id=old.id, inputs=wanted.inputs, outputs=outputs)

    def _replace(self, wanted: Wanted, old: Resource, found: Plan) -> Made:
        with self._lock:
            self._replaced.add(wanted.urn)
        if old.options.protect and wanted.options.protect:
            raise ProviderError(unreplaceable(old.urn))
        if found.first:
            with self._deleting_first:
                self._delete_with_dependents(old)
            return self._create(wanted, "replace", found.reason)
        made = self._create(wanted, "replace", found.reason)
        with self._lock:
            self._pending_deletion.append(old)
        return made

    def _delete_with_dependents(self, old: Resource) -> None:
        with self._lock:
            waiting = [each for urn, each in self._before.items() if urn not in self._matched]
        going = dependents(old, waiting, self._provider.diff)
        for each in going:
            if each.resource.options.protect:
                raise ProviderError(unreplaceable(each.resource.urn, old.urn))
        for each in reversed(going):
            self._delete(each.resource, "delete replaced")
            with self._lock:
                del self._before[each.resource.urn]
                self._condemned[each.resource.urn] = each.replaces
        self._delete(old, "delete replaced")
        with self._lock:
            del self._before[old.urn]

    # ---- the end ---------------------------------------------------------------------------------

    def finish(self) -> list[Failure]:
        """Deletes what the program no longer has and the old halves of replacements; returns what
        could not be deleted, and why.
        """
        halves = {id(old) for old in self._pending_deletion}
        removed = [
            old for urn, old in self._before.items() if self._destroy or urn not in self._matched
        ]
        protected = [old for old in removed if old.options.protect]
        if protected:
            return [
                replace(_failure(old, undeletable(old.urn)), deletion=False) for old in protected
            ]
        failures: list[Failure] = []
        groups = deletion_order([*self._pending_deletion, *removed])
        failed: list[Resource] | None = None
        with ThreadPoolExecutor(max_workers=_PARALLEL, thread_name_prefix="delete") as executor:
            while True:
                try:
                    group = groups.send(failed)
                except StopIteration:
                    break
                failed = []
                told = executor.map(
                    lambda old: self._try_delete(
                        old, "delete replaced" if id(old) in halves else "delete"
                    ),
                    group,
                )
                for old, reason in zip(group, told, strict=True):
                    if reason is not None:
                        failures.append(_failure(old, reason))
                        failed.append(old)
        # what those need had to stay
        told_of = {failure.urn for failure in failures}
        left = [
            *self._pending_deletion,
            *(old for old in removed if old.urn in self._before and not self._preview),
        ]
        self._skipped.extend(
            old.urn for old in left if failures and old.urn not in told_of and old.custom
        )
        return failures

    def state(self, resources: Mapping[str, Resource]) -> State:
        """What exists now.

        `resources` are those that the program has registered without a failure.
        """
        if self._preview:
            return self._previous
        if self._destroy:
            return State(
                resources=tuple(self._before.values()),
                pending_deletion=tuple(self._pending_deletion),
            )
        replaced = {old.urn for old in self._pending_deletion}
        left = {
            urn: old
            for urn, old in self._before.items()
            if urn not in resources and urn not in replaced
        }
        renamed = {urn for urn in self._matched if urn not in resources} & {
            a for r in resources.values() for a in r.options.aliases
        }
        kept = {urn: old for urn, old in left.items() if urn not in renamed}
        return State(
            resources=(*kept.values(), *resources.values()),
            pending_deletion=tuple(self._pending_deletion),
        )

    def _try_delete(self, old: Resource, operation: Operation) -> str | None:
        try:
            self._delete(old, operation)
        except ProviderError as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 - a defect of the provider is told with the resource, like any other failure
            return f"the local provider broke: {type(error).__name__}: {error}"
        with self._lock:
            if operation == "delete replaced":
                self._pending_deletion.remove(old)
            else:
                del self._before[old.urn]
        return None

    def _delete(self, old: Resource, operation: Operation) -> None:
        if old.options.retain_on_delete:
            self.steps.append(Step(operation="retain", urn=old.urn, type=old.type, name=old.name))
            return
        with_another = bool(old.options.deleted_with) and (
            self._destroy or old.options.deleted_with not in self._matched
        )
        if (
            old.custom
            and not old.type.startswith(PROVIDER_PREFIX)
            and not self._preview
            and not with_another
        ):
            self._hooks.around(
                "delete",
                lambda: self._provider.delete(old.type, old),
                bound=old.options.hooks,
                fields={**_identity(old), "id": old.id, **_formerly(old)},
                told=lambda _: {},
                preview=False,
            )
        self.steps.append(Step(operation=operation, urn=old.urn, type=old.type, name=old.name))

    def _note(self, operation: Operation, wanted: Wanted, reason: Reason = NO_REASON) -> None:
        with self._lock:
            self.steps.append(
                Step(
                    operation=operation,
                    changed=reason.changed,
                    replaces=reason.replaces,
                    urn=wanted.urn,
                    type=wanted.type,
                    name=wanted.name,
                )
            )


def _identity(resource: Wanted | Resource) -> dict[str, str]:
    return {"urn": resource.urn, "name": resource.name, "type": resource.type}


def _formerly(old: Resource) -> dict[str, Any]:
    inputs = {
        name: Secret(value) if name in old.secret_inputs else value
        for name, value in old.inputs.items()
    }
    return {"old_inputs": encode(inputs), "old_outputs": encode(old.outputs)}


def _failure(old: Resource, message: str) -> Failure:
    return Failure(
        message=message,
        deletion=True,
        urn=old.urn,
        type=old.type,
        name=old.name,
        location=old.location,
    )
