"""Resource hooks and error hooks: functions of the program that the engine calls around a creation.

The SDK keeps the functions behind a callback server of its own and hands out their address and a token.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

import grpc
from pulumi.runtime.proto import callback_pb2, callback_pb2_grpc, resource_pb2

from localcloud.provider import ProviderError
from localcloud.provider.values import encode

_MOST_RETRIES: Final = 100  # of the real engine, after which an error hook is no longer asked
_TIMEOUT_SECONDS: Final = 60.0

Create = Callable[[], tuple[str, dict[str, Any]]]


class Hooks:
    """The hooks that a program has registered, by name."""

    KINDS: ClassVar[tuple[str, ...]] = (
        "before_create",
        "after_create",
        "before_update",
        "after_update",
        "before_delete",
        "after_delete",
        "on_error",
    )

    def __init__(self) -> None:
        self._hooks: dict[str, Any] = {}

    def add(self, request: Any) -> None:
        """Notes one registration."""
        self._hooks[request.name] = request

    def around(self, create: Create, request: Any, *, urn: str, preview: bool) -> tuple[str, dict[str, Any]]:
        """Creates with the hooks that the registration names.

        Raises ProviderError where a hook fails, or where the creation fails and no error hook wants another try.
        """
        common = {"urn": urn, "name": request.name, "type": request.type, "new_inputs": request.object}
        self._run(request.hooks.before_create, common, preview=preview)
        created_id, outputs = self._persist(create, list(request.hooks.on_error), common)
        self._run(request.hooks.after_create, {**common, "id": created_id, "new_outputs": encode(outputs)}, preview=preview)
        return created_id, outputs

    def _run(self, names: Any, fields: Mapping[str, Any], *, preview: bool) -> None:
        for name in names:
            hook = self._hooks[name]
            if preview and not hook.on_dry_run:
                continue
            answer = resource_pb2.ResourceHookResponse.FromString(_call(hook.callback, resource_pb2.ResourceHookRequest(**fields)))
            if answer.error and not hook.ignore_errors:
                raise ProviderError(f"hook {name!r} failed: {answer.error}")

    def _persist(self, create: Create, names: list[str], fields: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        errors: list[str] = []
        while True:
            try:
                return create()
            except ProviderError as error:
                errors.insert(0, str(error))
                if len(errors) > _MOST_RETRIES or not any(self._wants_retry(name, errors, fields) for name in names):
                    raise

    def _wants_retry(self, name: str, errors: list[str], fields: Mapping[str, Any]) -> bool:
        request = resource_pb2.ErrorHookRequest(failed_operation="create", errors=errors, **fields)
        answer = resource_pb2.ErrorHookResponse.FromString(_call(self._hooks[name].callback, request))
        if answer.error:
            raise ProviderError(f"error hook {name!r} failed: {answer.error}")
        return bool(answer.retry)


def _call(callback: Any, request: Any) -> bytes:
    with grpc.insecure_channel(callback.target) as channel:
        invoke = callback_pb2.CallbackInvokeRequest(token=callback.token, request=request.SerializeToString())
        response: bytes = callback_pb2_grpc.CallbacksStub(channel).Invoke(invoke, timeout=_TIMEOUT_SECONDS).response
    return response
