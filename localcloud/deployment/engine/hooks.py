"""Resource hooks and error hooks: functions of the program that the engine calls around a creation,
an update or a deletion.

The SDK keeps the functions behind a callback server of its own and hands out their address and a
token.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final, Literal, TypeVar

import grpc
from pulumi.runtime.proto import callback_pb2, callback_pb2_grpc, resource_pb2

from localcloud.deployment.engine.state import Failure
from localcloud.deployment.provider import ProviderError

_MOST_FAILURES: Final = 100  # of the real engine, after which an error hook is no longer asked

Done = TypeVar("Done")


class Hooks:
    """The hooks that a program has registered, by name.

    Args:
        tell: Takes the failure of a hook that comes after what was done: that stays done (pulumi's
            pkg/resource/deploy, step.go).
    """

    KINDS: ClassVar[tuple[str, ...]] = (
        "before_create",
        "after_create",
        "before_update",
        "after_update",
        "before_delete",
        "after_delete",
        "on_error",
    )

    def __init__(self, tell: Callable[[Failure], None]) -> None:
        self._tell = tell
        self._hooks: dict[str, Any] = {}

    def add(self, request: Any) -> None:
        """Notes one registration."""
        self._hooks[request.name] = request

    def around(
        self,
        operation: Literal["create", "update", "delete"],
        action: Callable[[], Done],
        *,
        bound: Mapping[str, Sequence[str]],
        fields: Mapping[str, Any],
        told: Callable[[Done], Mapping[str, Any]],
        preview: bool,
    ) -> Done:
        """Does something with the hooks that a resource is bound to, by kind.

        Args:
            operation: What is done.
            action: Does it. It raises ProviderError, and may be called again then.
            bound: Names of hooks by kind.
            fields: What every hook is told.
            told: What the hooks after it are told besides.
            preview: Whether only hooks that want to be part of a preview are called.

        Raises ProviderError where a hook before it fails, or where the action fails and no error
        hook wants another try.
        """
        self._run("before", operation, bound, fields, preview=preview)
        done = self._persist(operation, action, bound.get("on_error", ()), fields)
        try:
            self._run("after", operation, bound, {**fields, **told(done)}, preview=preview)
        except ProviderError as error:
            of = {name: fields[name] for name in ("urn", "type", "name")}
            self._tell(Failure(message=str(error), **of))
        return done

    def _run(
        self,
        when: Literal["before", "after"],
        operation: str,
        bound: Mapping[str, Sequence[str]],
        fields: Mapping[str, Any],
        *,
        preview: bool,
    ) -> None:
        for name in bound.get(f"{when}_{operation}", ()):
            hook = self._registered(name)
            if preview and not hook.on_dry_run:
                continue
            answer = resource_pb2.ResourceHookResponse.FromString(
                _call(hook.callback, resource_pb2.ResourceHookRequest(**fields))
            )
            if answer.error and not hook.ignore_errors:
                raise ProviderError(f'{when} hook "{name}" failed: {answer.error}')

    def _persist(
        self,
        operation: str,
        action: Callable[[], Done],
        names: Sequence[str],
        fields: Mapping[str, Any],
    ) -> Done:
        errors: list[str] = []
        while True:
            try:
                return action()
            except ProviderError as error:
                errors.insert(0, str(error))
                if len(errors) >= _MOST_FAILURES or not any(
                    self._wants_retry(name, operation, errors, fields) for name in names
                ):
                    raise

    def _wants_retry(
        self, name: str, operation: str, errors: list[str], fields: Mapping[str, Any]
    ) -> bool:
        request = resource_pb2.ErrorHookRequest(failed_operation=operation, errors=errors, **fields)
        answer = resource_pb2.ErrorHookResponse.FromString(
            _call(self._registered(name).callback, request)
        )
        if answer.error:
            raise ProviderError(f'error hook "{name}" failed: {answer.error}')
        return bool(answer.retry)

    def _registered(self, name: str) -> Any:
        hook = self._hooks.get(name)
        if hook is None:
            raise ProviderError(
                f'hook "{name}" was not registered. It belongs to this resource since an earlier'
                " deployment; the program has to register it"
            )
        return hook


def _call(callback: Any, request: Any) -> bytes:
    # as long as it takes: a hook may wait for hours, and the real engine does too
    with grpc.insecure_channel(callback.target) as channel:
        invoke = callback_pb2.CallbackInvokeRequest(
            token=callback.token, request=request.SerializeToString()
        )
        response: bytes = callback_pb2_grpc.CallbacksStub(channel).Invoke(invoke).response
    return response
