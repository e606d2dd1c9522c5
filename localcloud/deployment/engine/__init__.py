"""A Pulumi engine in this process: what the unmodified Pulumi SDK talks to while a program runs.

The SDK sends each resource to a *resource monitor*, which the Pulumi CLI normally is. This one
checks the inputs, compares them with what an earlier deployment left, has the provider create or
update the resource at once, and answers with the outputs. When the program has ended it deletes
what is no longer wanted. A failed resource does not end the deployment: what depends on it is
skipped, the rest goes on, all failures are told together, and nothing is deleted.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NoReturn

from google.protobuf import empty_pb2
from pulumi.runtime.proto import engine_pb2, resource_pb2

from localcloud.deployment.engine.autonaming import Names
from localcloud.deployment.engine.changes import PROVIDER_PREFIX, Changes
from localcloud.deployment.engine.hooks import Hooks
from localcloud.deployment.engine.registrations import (
    Registrations,
    needs,
    options,
    registered,
)
from localcloud.deployment.engine.state import Failure, Resource, State, Step
from localcloud.deployment.engine.wanted import HalfMadeError, Made, Wanted
from localcloud.deployment.provider import Provider, ProviderError, unmodelled
from localcloud.deployment.provider.schema import SchemaError
from localcloud.deployment.provider.values import (
    Secret,
    decode,
    encode,
    first_path,
    is_unknown,
    leaves,
    plain,
    poisoned,
)

__all__ = ["Engine", "EngineRefusalError", "Failure", "Resource", "State", "Step"]

_FEATURES: Final = (
    # Not among them: references and output values (inputs then come as plain ids and values),
    # parameterized packages, state migrations. Transforms are listed so that the refusal is this
    # engine's own sentence and not the SDK's advice to update the CLI.
    resource_pb2.RESOURCE_MONITOR_FEATURE_SECRETS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_ALIAS_SPECS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_REPLACEMENT_TRIGGER,
    resource_pb2.RESOURCE_MONITOR_FEATURE_DELETED_WITH,
    resource_pb2.RESOURCE_MONITOR_FEATURE_REPLACE_WITH,
    resource_pb2.RESOURCE_MONITOR_FEATURE_TRANSFORMS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_INVOKE_TRANSFORMS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_RESOURCE_HOOKS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_ERROR_HOOKS,
)


class EngineRefusalError(Exception):
    """A request of the SDK that this engine does not serve."""


class Engine:
    """Monitor and engine of one deployment; the methods in capitals are the RPCs of the SDK.

    Safe for concurrent calls.
    """

    def __init__(
        self,
        *,
        project: str,
        stack: str,
        program: Path,
        provider: Provider,
        preview: bool,
        names: Names | None = None,
        previous: State | None = None,
        destroy: bool = False,
    ) -> None:
        self.failures: list[Failure] = []
        self.resources: dict[str, Resource] = {}
        self.exports: dict[str, Any] = {}
        self.log: list[tuple[str, str]] = []
        self.skipped: list[str] = []
        self._requests = Registrations(project=project, stack=stack, program=program.resolve())
        self._provider, self._preview = provider, preview
        self._registered: dict[str, str] = {}
        self._unavailable: set[str] = set()
        self._hooks = Hooks(self._note)
        self._destroy = destroy
        self._changes = Changes(
            provider=provider,
            hooks=self._hooks,
            names=names or Names({}, project=project, stack=stack),
            previous=previous or State(),
            preview=preview,
            destroy=destroy,
            skipped=self.skipped,
        )
        self._lock = threading.Lock()

    @property
    def steps(self) -> tuple[Step, ...]:
        """What was done so far, or would be in a preview."""
        return tuple(self._changes.steps)

    @property
    def state(self) -> State:
        """What exists now."""
        return self._changes.state(self.resources)

    # ---- what the SDK calls ----------------------------------------------------------------------

    def GetDeploymentInfo(self, _request: Any, _context: Any = None) -> Any:  # noqa: N802 - the name of the RPC, like the others below
        """What this engine can do."""
        return resource_pb2.DeploymentInfo(supportedFeatures=list(_FEATURES))

    def RegisterResource(self, request: Any, _context: Any = None) -> Any:  # noqa: N802
        """Creates or updates a resource, or notes a component.

        The answer says whether it failed or was skipped; it does not raise.
        """
        urn = self._requests.urn(request.type, request.name, request.parent)
        trail = self._requests.trail(request.stackTrace)
        location = trail[0] if trail else ""
        failure = Failure(
            message="", urn=urn, type=request.type, name=request.name, location=location
        )
        with self._lock:
            first = self._registered.get(urn)
            self._registered.setdefault(urn, location or "an unknown place")
        if first is not None:
            return self._fail(
                failure,
                f"a resource of this type and name was already made at {first}; one of them needs"
                " another name",
            )
        if request.transforms:
            return self._fail(
                failure,
                "resource transforms are not served by the local engine; use transformations or set"
                " the property directly",
            )
        if request.importId:
            return self._fail(failure, "import is not served by the local engine")
        aliases = tuple(self._requests.alias(alias, request) for alias in request.aliases)
        unknown = self._destroy and request.custom and not self._changes.knows(urn, aliases)
        if unknown or self._unavailable.intersection(needs(request)):
            self._unavailable.add(urn)
            self.skipped.append(urn)
            return resource_pb2.RegisterResourceResponse(urn=urn, unknown=True)
        inputs = {
            name: value
            for name, value in decode(request.object).items()
            if not name.startswith("__") and value is not None
        }
        try:
            wanted = self._wanted(urn, request, inputs, aliases)
            made = self._apply(wanted, request, trail)
        except SchemaError as error:
            return self._fail(failure, *error.problems)
        except (ProviderError, EngineRefusalError) as error:
            return self._fail(failure, str(error))
        except Exception as error:  # noqa: BLE001 - a defect of the provider is told with the resource, like any other failure
            return self._fail(failure, f"the local provider broke: {type(error).__name__}: {error}")
        self._record(wanted, request, made, trail)
        sent = {
            name: Secret(value) if name in request.additionalSecretOutputs else value
            for name, value in made.outputs.items()
        }
        return resource_pb2.RegisterResourceResponse(
            urn=urn, id=made.id, object=encode(sent) if request.custom else request.object
        )

    def RegisterResourceOutputs(self, request: Any, _context: Any = None) -> Any:  # noqa: N802
        """Outputs of a component; those of the stack are the exports, which a deletion has none
        of.
        """
        outputs = decode(request.outputs)
        if self._destroy:
            return empty_pb2.Empty()
        if request.urn == self._requests.stack_urn:
            self.exports = outputs
            complete = (
                not self.failures and not self._preview
            )  # otherwise unknown exports are nothing new
            for name, value in outputs.items():
                marker = poisoned(value)
                if marker:
                    self._note(
                        Failure(
                            message=(
                                f"export {name!r} uses {marker}, an output that the local provider"
                                " does not model"
                            )
                        )
                    )
                elif complete and (path := first_path(value, is_unknown)) is not None:
                    self._note(
                        Failure(
                            message=(
                                f"export {f'{name}.{path}'.rstrip('.')!r} uses an output that the"
                                " local provider does not model"
                            )
                        )
                    )
        else:
            with self._lock:
                known = self.resources.get(request.urn)
                if known is not None:
                    self.resources[request.urn] = replace(known, outputs=plain(outputs))
        return empty_pb2.Empty()

    def Invoke(self, request: Any, _context: Any = None) -> Any:  # noqa: N802
        """A data source, such as the availability zones of the region."""
        arguments = {
            name: value for name, value in plain(decode(request.args)).items() if value is not None
        }
        try:
            result = self._provider.invoke(request.tok, arguments)
        except (ProviderError, SchemaError) as error:
            failure = resource_pb2.ResourceInvokeResponse()
            failure.failures.add(reason=str(error))
            return failure
        if result is None:
            return resource_pb2.ResourceInvokeResponse(unknown=True)
        return resource_pb2.ResourceInvokeResponse(**{"return": encode(result)})

    def ReadResource(self, request: Any, _context: Any = None) -> Any:  # noqa: N802
        """Refused: what exists outside of the program is its config's matter."""
        urn, trail = (
            self._requests.urn(request.type, request.name, request.parent),
            self._requests.trail(request.stackTrace),
        )
        message = "`get` is not served by the local engine; pass the id as configuration instead"
        self._fail(
            Failure(
                message="",
                urn=urn,
                type=request.type,
                name=request.name,
                location=trail[0] if trail else "",
            ),
            message,
        )
        return resource_pb2.ReadResourceResponse(urn=urn, result=resource_pb2.Result.FAIL)

    def Call(self, request: Any, _context: Any = None) -> NoReturn:  # noqa: N802
        """Refused: no component of another language runs here."""
        raise EngineRefusalError(f"the method call {request.tok} is not served by the local engine")

    def RegisterPackage(self, request: Any, _context: Any = None) -> NoReturn:  # noqa: N802
        """Refused: only pulumi_aws is modelled."""
        raise EngineRefusalError(
            f"the parameterized package {request.name} is not served by the local engine"
        )

    def RegisterStackTransform(self, _request: Any, _context: Any = None) -> NoReturn:  # noqa: N802
        """Refused."""
        raise EngineRefusalError(
            "stack transforms are not served by the local engine; use"
            " pulumi.runtime.register_stack_transformation"
        )

    def RegisterStackInvokeTransform(self, _request: Any, _context: Any = None) -> NoReturn:  # noqa: N802
        """Refused."""
        raise EngineRefusalError("invoke transforms are not served by the local engine")

    def RegisterResourceHook(self, request: Any, _context: Any = None) -> Any:  # noqa: N802
        """Notes a hook."""
        self._hooks.add(request)
        return empty_pb2.Empty()

    def RegisterErrorHook(self, request: Any, _context: Any = None) -> Any:  # noqa: N802
        """Notes an error hook, which may have a failed operation tried again."""
        self._hooks.add(request)
        return empty_pb2.Empty()

    def SignalAndWaitForShutdown(self, _request: Any, _context: Any = None) -> Any:  # noqa: N802
        """The program has ended and waits, so that its hooks can be called: what is no longer
        wanted is deleted now.
        """
        if not self.failures:
            for failure in self._changes.finish():
                self._note(failure)
        return empty_pb2.Empty()

    def Log(self, request: Any, _context: Any = None) -> Any:  # noqa: N802
        """A message of the program.

        An error message fails the deployment, as it does with the CLI.
        """
        severity = engine_pb2.LogSeverity.Name(request.severity).lower()
        if severity != "debug":
            self.log.append((severity, request.message))
        if severity == "error":
            known = self.resources.get(request.urn)
            self._note(Failure(message=request.message, location=known.location if known else ""))
        return empty_pb2.Empty()

    # ---- after the program -----------------------------------------------------------------------

    def check_references(self) -> None:
        """Notes a failure for each input of a created resource that names something which does not
        exist.
        """
        made = [resource for resource in self.resources.values() if resource.custom]
        known = frozenset(text for resource in made for text in _made_by(resource))
        missing = self._provider.missing([each.inputs for each in made], known)
        for resource, messages in zip(made, missing, strict=True):
            for message in messages:
                self._note(
                    Failure(
                        message=message,
                        urn=resource.urn,
                        type=resource.type,
                        name=resource.name,
                        location=resource.location,
                    )
                )

    # ---- how -------------------------------------------------------------------------------------

    def _wanted(
        self, urn: str, request: Any, inputs: dict[str, Any], aliases: tuple[str, ...]
    ) -> Wanted:
        if request.custom:
            unmodelled(inputs)
        aws = request.custom and not request.type.startswith(PROVIDER_PREFIX)
        if (
            aws
            and not self._preview
            and not self._destroy
            and (path := first_path(inputs, is_unknown)) is not None
        ):
            sources = request.propertyDependencies[path.partition(".")[0].partition("[")[0]].urns
            names = (
                ", ".join(repr(source.rpartition("::")[2]) for source in sorted(sources))
                or "a resource"
            )
            raise ProviderError(
                f"{path} is not known although all it depends on exists: "
                f"it comes from an output of {names} that the local provider does not model"
            )
        return Wanted(
            urn=urn,
            type=request.type,
            name=request.name,
            custom=request.custom,
            provider=request.provider,
            inputs=inputs,
            options=options(request, aliases),
        )

    def _apply(self, wanted: Wanted, request: Any, trail: tuple[str, ...]) -> Made:
        try:
            return self._changes.apply(wanted)
        except HalfMadeError as error:
            self._record(wanted, request, error.made, trail)
            raise

    def _record(self, wanted: Wanted, request: Any, made: Made, trail: tuple[str, ...]) -> None:
        resource = registered(wanted, request, made, trail)
        with self._lock:
            self.resources[wanted.urn] = resource

    def _fail(self, failure: Failure, *messages: str) -> Any:
        for message in messages:
            self._note(replace(failure, message=message))
        self._unavailable.add(failure.urn)
        return resource_pb2.RegisterResourceResponse(
            urn=failure.urn, result=resource_pb2.Result.FAIL
        )

    def _note(self, failure: Failure) -> None:
        with self._lock:
            self.failures.append(failure)


def _made_by(resource: Resource) -> Iterator[str]:
    # inputs come back as outputs, and what a resource was merely told is no proof that it exists
    told = {leaf for leaf in leaves(resource.inputs) if isinstance(leaf, str)}
    if resource.id not in told:
        yield resource.id
    yield from (
        leaf for leaf in leaves(resource.outputs) if isinstance(leaf, str) and leaf not in told
    )
