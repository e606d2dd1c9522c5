"""The provider behind Pulumi's provider protocol, so that the Pulumi CLI can drive it
(PULUMI_DEBUG_PROVIDERS=aws:<port>).
"""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, Literal

import grpc
from google.protobuf import any_pb2, empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from localcloud.deployment.provider import (
    Autonaming,
    CreatedError,
    Provider,
    ProviderError,
    unmodelled,
)
from localcloud.deployment.provider.neighbours import refusal
from localcloud.deployment.provider.package import package_schema
from localcloud.deployment.provider.schema import SchemaError
from localcloud.deployment.provider.values import (
    DEFAULTS,
    decode,
    encode,
    is_unknown,
    leaves,
    plain,
)

_HOST: Final = "127.0.0.1"
_WORKERS: Final = 64
"""Operations at once; each may wait for AWS, and a cancellation has to come through."""
_LARGEST_MESSAGE: Final = 400 << 20  # of the CLI
_MODES: Final[Mapping[int, Literal["propose", "enforce", "disable"]]] = {
    provider_pb2.CheckRequest.AutonamingOptions.PROPOSE: "propose",
    provider_pb2.CheckRequest.AutonamingOptions.ENFORCE: "enforce",
    provider_pb2.CheckRequest.AutonamingOptions.DISABLE: "disable",
}
_KINDS: Final = {
    "add": (provider_pb2.PropertyDiff.ADD, provider_pb2.PropertyDiff.ADD_REPLACE),
    "delete": (provider_pb2.PropertyDiff.DELETE, provider_pb2.PropertyDiff.DELETE_REPLACE),
    "update": (provider_pb2.PropertyDiff.UPDATE, provider_pb2.PropertyDiff.UPDATE_REPLACE),
}


@dataclass(frozen=True, kw_only=True)
class _Existing:
    """A resource as a request describes it."""

    id: str
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]


class Plugin(provider_pb2_grpc.ResourceProviderServicer):
    """The RPCs. Safe for concurrent calls, and for several engines at once: each connection has a
    configuration of its own.

    Args:
        client: Returns a thread-safe boto3 client for a service name.
        region: Of the AWS behind it.
    """

    def __init__(self, *, client: Callable[[str], Any], region: str) -> None:
        self._client, self._region = client, region
        self._providers: dict[str, Provider] = {}
        self._last: Provider | None = None

    # ---- the connection --------------------------------------------------------------------------

    def Handshake(self, _request: Any, _context: Any) -> Any:  # noqa: N802 - the name of the RPC, like the others below
        """What this provider can do."""
        return provider_pb2.ProviderHandshakeResponse(
            accept_secrets=True, supports_autonaming_configuration=True
        )

    def Attach(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        """An engine has come; nothing is told to it but answers."""
        return empty_pb2.Empty()

    def Cancel(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        """The engine wants to end; what runs is finished, which takes AWS in memory no time."""
        return empty_pb2.Empty()

    def GetPluginInfo(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        """The version of pulumi_aws that this provider is held to."""
        return plugin_pb2.PluginInfo(version=importlib.metadata.version("pulumi_aws"))

    def GetSchema(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        """What the types accept and give, from which the CLI writes code for an import."""
        return provider_pb2.GetSchemaResponse(schema=package_schema())

    def GetMapping(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        """No mapping: nothing is converted from Terraform here."""
        return provider_pb2.GetMappingResponse()

    def GetMappings(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        """None either."""
        return provider_pb2.GetMappingsResponse()

    def CheckConfig(self, request: Any, _context: Any) -> Any:  # noqa: N802
        """The settings of the stack (`aws:…`) or of an explicit provider."""
        response = provider_pb2.CheckResponse(inputs=request.news)
        settings = _settings(plain(decode(request.news)))
        try:
            self._provider({}).settings.check(settings)
        except ProviderError as error:
            response.failures.add(reason=str(error))
        return response

    def DiffConfig(self, request: Any, _context: Any) -> Any:  # noqa: N802
        """Another region is another provider; everything else changes in place."""
        old, new = plain(decode(request.old_inputs)), plain(decode(request.news))
        response = provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)
        names = {*old, *new} - {"version"}
        if changed := sorted(name for name in names if old.get(name) != new.get(name)):
            response.changes = provider_pb2.DiffResponse.DIFF_SOME
            response.diffs.extend(changed)
            response.replaces.extend(name for name in changed if name == "region")
        return response

    def Configure(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Takes the settings of one engine."""
        settings = _settings(plain(decode(request.args)))
        self._provider({}).settings.check(settings)
        provider = self._provider(settings)
        _ = provider.aws  # the account is looked at now, before anything is made
        self._providers[context.peer()] = self._last = provider
        return provider_pb2.ConfigureResponse(
            acceptSecrets=True, supportsPreview=True, supports_autonaming_configuration=True
        )

    # ---- resources -------------------------------------------------------------------------------

    def Check(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Checks, tags and names the inputs of a resource."""
        inputs, response = decode(request.news), provider_pb2.CheckResponse()
        has_naming = request.HasField("autonaming")
        try:
            unmodelled(inputs)
            checked = self._of(context).check(
                _type(request),
                _name(request),
                inputs,
                olds=decode(request.olds) if request.HasField("olds") else None,
                naming=Autonaming(
                    proposal=request.autonaming.proposed_name if has_naming else "",
                    mode=_MODES[request.autonaming.mode] if has_naming else "propose",
                    seed=request.randomSeed,
                ),
            )
        except (ProviderError, SchemaError) as error:
            for problem in error.problems if isinstance(error, SchemaError) else [str(error)]:
                response.failures.add(reason=problem)
            return response
        response.inputs.CopyFrom(encode(checked))
        return response

    def Diff(self, request: Any, context: Any) -> Any:  # noqa: N802
        """What is between a resource and its checked inputs, path by path."""
        before, news = _before(request, request.olds), decode(request.news)
        for name in request.ignoreChanges:
            if name in before.inputs:
                news[name] = before.inputs[name]
            else:
                news.pop(name, None)
        difference = self._of(context).diff(_type(request), before, news)
        response = provider_pb2.DiffResponse(
            changes=(
                provider_pb2.DiffResponse.DIFF_SOME
                if difference
                else provider_pb2.DiffResponse.DIFF_NONE
            ),
            diffs=difference.changed,
            deleteBeforeReplace=difference.deletes_first,
            hasDetailedDiff=True,
        )
        for path, kind in difference.paths.items():
            forced = difference.forces(path)
            response.detailedDiff[path].kind = _KINDS[kind][forced]
            response.detailedDiff[path].inputDiff = True
            if forced:
                response.replaces.append(path)
        return response

    def Create(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Creates a resource, or says in a preview what would be."""
        inputs = decode(request.properties)
        try:
            made, outputs = self._of(context).create(
                _type(request), _name(request), inputs, preview=request.preview
            )
        except CreatedError as error:
            details = provider_pb2.ErrorResourceInitFailed(
                id=error.id,
                properties=encode(_told(error.outputs, preview=False)),
                reasons=[str(error)],
                inputs=encode({DEFAULTS: inputs.get(DEFAULTS, []), **error.inputs}),
            )
            _abort(context, str(error), details)
        return provider_pb2.CreateResponse(
            id=made, properties=encode(_told(outputs, preview=request.preview))
        )

    def Read(self, request: Any, context: Any) -> Any:  # noqa: N802
        """What there is of a resource; an answer without an id is that there is nothing."""
        inputs, outputs = decode(request.inputs), decode(request.properties)
        provider, token = self._of(context), _type(request)
        if inputs or outputs:
            found = provider.read(token, request.id, inputs, outputs)
            whole = None if found is None else (request.id, *found)
        else:
            whole = provider.adopt(token, request.id)
        if whole is None:
            return provider_pb2.ReadResponse()
        return provider_pb2.ReadResponse(
            id=whole[0], inputs=encode(whole[1]), properties=encode(whole[2])
        )

    def Update(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Brings a resource to other inputs, or says in a preview what would be."""
        _, outputs = self._of(context).update(
            _type(request),
            _name(request),
            decode(request.news),
            before=_before(request, request.olds),
            preview=request.preview,
        )
        return provider_pb2.UpdateResponse(
            properties=encode(_told(outputs, preview=request.preview))
        )

    def Delete(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Deletes a resource."""
        self._of(context).delete(_type(request), _before(request, request.properties))
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: Any) -> Any:  # noqa: N802
        """A data source."""
        arguments = plain(decode(request.args))
        given = {name: value for name, value in arguments.items() if value is not None}
        response = provider_pb2.InvokeResponse()
        try:
            result = self._of(context).invoke(request.tok, given)
        except (ProviderError, SchemaError) as error:
            response.failures.add(reason=str(error))
            return response
        getattr(response, "return").CopyFrom(encode(result or {}))
        return response

    # ---- how -------------------------------------------------------------------------------------

    def _provider(self, settings: Mapping[str, Any]) -> Provider:
        given = {"region": self._region, **settings}
        texts = {
            f"aws:{name}": value if isinstance(value, str) else json.dumps(value)
            for name, value in given.items()
        }
        return Provider(client=self._client, config=texts, preview=False)

    def _of(self, context: Any) -> Provider:
        # an engine that has been idle for long comes back by another port, and is as a rule the one
        # that came last
        found = self._providers.get(context.peer(), self._last)
        if found is None:
            raise ProviderError("the provider is not configured")
        return found


class Server:
    """A provider that listens on a port of the loopback interface, for processes of its own user.

    Args:
        client: Returns a thread-safe boto3 client for a service name.
        region: Of the AWS behind it.
        port: 0 takes a free one.

    Raises OSError where the port is taken.
    """

    def __init__(self, *, client: Callable[[str], Any], region: str, port: int = 0) -> None:
        self._server = grpc.server(
            ThreadPoolExecutor(max_workers=_WORKERS, thread_name_prefix="provider"),
            interceptors=[_Door(self)],
            options=[
                ("grpc.max_receive_message_length", _LARGEST_MESSAGE),
                ("grpc.so_reuseport", 0),  # a port that is taken is an error
            ],
        )
        plugin = Plugin(client=client, region=region)
        provider_pb2_grpc.add_ResourceProviderServicer_to_server(plugin, self._server)
        try:
            self.port = int(self._server.add_insecure_port(f"{_HOST}:{port}"))
        except RuntimeError as error:
            raise OSError(f"port {port} is taken") from error
        self._server.start()

    def stop(self) -> None:
        """Ends what runs and closes the port."""
        self._server.stop(None).wait()


class _Door(grpc.ServerInterceptor):  # type: ignore[misc]
    """Looks at who calls, and answers what goes wrong as a sentence."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
        """One call."""
        handler = continuation(details)
        if handler is None or handler.unary_unary is None:
            return handler

        def answer(request: Any, context: Any) -> Any:
            if reason := refusal(context.peer(), self._server.port):
                context.abort(grpc.StatusCode.PERMISSION_DENIED, reason)
            try:
                return handler.unary_unary(request, context)
            except (ProviderError, SchemaError) as error:
                _abort(context, str(error))

        return grpc.unary_unary_rpc_method_handler(
            answer, handler.request_deserializer, handler.response_serializer
        )


def _abort(context: Any, message: str, details: Any = None) -> None:
    """Ends a call with an error, and with details in the form of gRPC's richer error model."""
    if details is not None:
        packed = any_pb2.Any()
        packed.Pack(details)
        status = status_pb2.Status(
            code=grpc.StatusCode.UNKNOWN.value[0], message=message, details=[packed]
        )
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(grpc.StatusCode.UNKNOWN, message)


def _settings(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value for name, value in values.items() if value is not None and name != "version"
    }


def _type(request: Any) -> str:
    return str(request.type or request.urn.split("::")[2].rpartition("$")[2])


def _name(request: Any) -> str:
    return str(request.name or request.urn.split("::", 3)[3])


def _before(request: Any, outputs: Any) -> _Existing:
    return _Existing(
        id=request.id, inputs=plain(decode(request.old_inputs)), outputs=plain(decode(outputs))
    )


def _told(outputs: Mapping[str, Any], *, preview: bool) -> dict[str, Any]:
    """Outputs for an engine, which takes no unknowns of what is done."""
    return {
        name: value
        for name, value in outputs.items()
        if preview or not any(is_unknown(leaf) for leaf in leaves(value))
    }
