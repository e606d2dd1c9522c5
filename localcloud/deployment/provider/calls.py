"""The creation of one resource: its inputs, the AWS calls it makes, its id and outputs; and the
table of types that can be created.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from botocore import xform_name
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from localcloud.deployment.provider.mapping import (
    MappingError,
    convert,
    member_of,
    pair_list,
    to_request,
)
from localcloud.protocol import model_check

_LONGEST_ERROR: Final = 400
_READING: Final = ("Describe", "Get", "List")
Handler = Callable[["Call"], None]
JSON_INPUTS: Final = frozenset(
    {
        "assumeRolePolicy",
        "containerProperties",
        "dashboardBody",
        "definition",
        "deliveryPolicy",
        "ecsProperties",
        "eventPattern",
        "filterPolicy",
        "input",
        "nodeProperties",
        "policy",
        "policyDocument",
        "redriveAllowPolicy",
        "redrivePolicy",
    }
)
"""Inputs that are JSON texts, whatever type has them."""
HANDLERS: Final[dict[str, Handler]] = {}
NAMES: Final[dict[str, Naming]] = {}


class ProviderError(Exception):
    """A resource that cannot be created; the message is one sentence without the resource's
    name.
    """


class CreatedError(ProviderError):
    """A creation that failed half way: the resource exists, with this id, and is as these inputs
    and outputs say.
    """

    def __init__(
        self,
        message: str,
        *,
        id: str,  # noqa: A002
        inputs: Mapping[str, Any],
        outputs: Mapping[str, Any],
    ) -> None:
        super().__init__(message)
        self.id, self.inputs, self.outputs = id, inputs, outputs


@dataclass(frozen=True, kw_only=True)
class Naming:
    """How a type is named where the program does not: `<logical name>-<7 hex digits>`, or the
    prefix and 26 digits.
    """

    property: str = "name"
    prefix_property: str = "namePrefix"
    longest: int = 255
    lower: bool = False
    suffix_input: str = ""
    """Input that, where true, demands the ending `.fifo`."""
    stem: str = ""
    """What every name of the type starts with."""
    characters: str = r"."
    """Pattern of one character that AWS takes in such a name."""
    late: bool = False
    """Whether resources of former releases, which chose the name while creating, may have none
    here.
    """

    def name(
        self, logical: str, inputs: Mapping[str, Any], *, proposal: str = "", seed: bytes = b""
    ) -> str:
        """The physical name: what is proposed, or one with random digits, which a seed makes the
        same each time.

        Raises ProviderError where it would pass the longest that AWS allows.
        """
        prefix = inputs.get(self.prefix_property)
        digits = hashlib.shake_256(seed).hexdigest(13) if seed else secrets.token_hex(13)
        name = f"{prefix}{digits}" if prefix else proposal or f"{logical}-{digits[:7]}"
        name = name if name.startswith(self.stem) else f"{self.stem}{name}"
        fifo = bool(self.suffix_input and inputs.get(self.suffix_input))
        name = f"{name}.fifo" if fifo and not name.endswith(".fifo") else name
        return self.fitting(name.lower() if self.lower else name)

    def fitting(self, name: str) -> str:
        """The name itself. Raises ProviderError where AWS would not take it."""
        if wrong := re.sub(self.characters, "", name):
            raise ProviderError(
                f"the automatic name {name!r} has {wrong[0]!r}, which AWS does not take there; "
                "change the pattern of pulumi:autonaming, or the name of the stack or resource"
            )
        if len(name) > self.longest:
            raise ProviderError(
                f"the automatic name {name!r} has {len(name)} characters, AWS allows"
                f" {self.longest}; shorten the name of the stack or resource, or the pattern of"
                " pulumi:autonaming"
            )
        return name


@dataclass(frozen=True)
class Aws:
    """The AWS that resources are created in.

    `client` returns a thread-safe boto3 client for a service name.
    """

    client: Callable[[str], Any]
    account: str
    region: str
    partition: str = "aws"

    def call(self, service: str, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Sends one request.

        Raises ProviderError where botocore's model or the service refuses it.
        """
        client = self.client(service)
        shape = client.meta.service_model.operation_model(operation).input_shape
        problems = list(model_check.violations(shape, request))
        if problems:
            raise ProviderError("; ".join(problems))
        try:
            response: dict[str, Any] = getattr(client, xform_name(operation))(**request)
        except ClientError as error:
            details = error.response.get("Error", {})
            if error.response["ResponseMetadata"]["HTTPStatusCode"] in (500, 501):
                raise ProviderError(
                    f"the AWS behind this deployment has no {service}:{operation}, or broke in it"
                ) from error
            raise ProviderError(
                f"{service}:{operation} answered {details.get('Code')}: {details.get('Message')}"
            ) from error
        except (BotoCoreError, ResponseParserError) as error:
            raise ProviderError(
                f"{service}:{operation}: {' '.join(str(error).split())[:_LONGEST_ERROR]}"
            ) from error
        return response

    def request(
        self,
        service: str,
        operation: str,
        values: Mapping[str, Any],
        rename: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """The request of an operation from Pulumi inputs.

        Raises ProviderError where an input has no counterpart.
        """
        shape = self.client(service).meta.service_model.operation_model(operation).input_shape
        try:
            return to_request(values, shape, rename)
        except MappingError as error:
            raise ProviderError(str(error)) from error

    def part(
        self,
        service: str,
        structure: str,
        value: Any,
        rename: Mapping[str, str] | None = None,
        path: str = "",
    ) -> Any:
        """A value in the form of one named structure of a service model; for parts of a request
        built by hand.
        """
        try:
            return convert(
                value, self.client(service).meta.service_model.shape_for(structure), rename, path
            )
        except MappingError as error:
            raise ProviderError(str(error)) from error

    def tags(
        self, service: str, operation: str, tags: Mapping[str, Any], resource_type: str
    ) -> dict[str, Any]:
        """The part of a request that tags what it creates; nothing where there are no tags."""
        if not tags:
            return {}
        shape = self.client(service).meta.service_model.operation_model(operation).input_shape
        if resource_type:
            return {
                "TagSpecifications": [
                    {
                        "ResourceType": resource_type,
                        "Tags": [{"Key": k, "Value": str(v)} for k, v in sorted(tags.items())],
                    }
                ]
            }
        member = member_of(shape, "tags") or next(
            (name for name in shape.members if name.lower().endswith("tags")), None
        )
        if member is None:
            raise ProviderError(f"tags cannot be given to {service}:{operation}")
        target = shape.members[member]
        return {
            member: (
                pair_list(tags, target)
                if target.type_name == "list"
                else {k: str(v) for k, v in tags.items()}
            )
        }

    def arn(self, service: str, resource: str) -> str:
        """The ARN of a resource of this account and region."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"


@dataclass(kw_only=True)
class Call:
    """One resource being created.

    A handler takes every input, sets `id` and adds to `outputs`. It sets the id as soon as the
    resource exists: where a later call fails, the engine keeps what there is.
    """

    aws: Aws
    token: str
    logical: str
    values: Mapping[str, Any]
    tags: Mapping[str, str]
    id: str = ""
    outputs: dict[str, Any] = field(default_factory=dict)
    begun: bool = False
    """Whether AWS has done something already."""
    _taken: set[str] = field(default_factory=set)

    def take(self, name: str, default: Any = None) -> Any:
        """One input, from now on counted as used."""
        self._taken.add(name)
        return self.values.get(name, default)

    def rest(self) -> dict[str, Any]:
        """All inputs not used so far, from now on used."""
        left = {name: value for name, value in self.values.items() if name not in self._taken}
        self._taken.update(left)
        return left

    def ignore(self, *names: str) -> None:
        """Marks inputs as used that steer the Pulumi provider itself and say nothing to AWS."""
        self._taken.update(names)

    def unused(self) -> list[str]:
        """Inputs that the handler has not looked at: this provider does not model them."""
        return sorted(
            name
            for name, value in self.values.items()
            if name not in self._taken and value not in (None, [], {}, False)
        )

    def send(self, service: str, operation: str, **request: Any) -> dict[str, Any]:
        """Sends one request; members that are None stay away."""
        given = {name: value for name, value in request.items() if value is not None}
        response = self.aws.call(service, operation, given)
        self.begun = self.begun or not operation.startswith(_READING)
        return response

    def create(
        self,
        service: str,
        operation: str,
        *,
        rename: Mapping[str, str] | None = None,
        tagged: str | None = "",
        **request: Any,
    ) -> dict[str, Any]:
        """Sends all inputs that are left, with the tags, as one request.

        Args:
            service: boto3's service name.
            operation: The API's operation name.
            rename: Input paths that are called differently by the API; see mapping.to_request.
            tagged: EC2's resource type for its tag specifications; empty for services with plain
                tags; None where no tags go along.
            request: Members that the inputs do not give.
        """
        self.ignore("tags", "region")
        body = self.aws.request(service, operation, self.rest(), rename)
        body.update({name: value for name, value in request.items() if value is not None})
        if tagged is not None:
            body.update(self.aws.tags(service, operation, self.tags, tagged))
        return self.send(service, operation, **body)


@dataclass(frozen=True)
class Row:
    """A type that one AWS call creates.

    Ids and outputs are written as a dotted path into the response, or as a template with braces:
    {id}, {account}, {region}, {partition} and the names of the inputs.
    """

    service: str
    operation: str
    id: str
    outputs: Mapping[str, str] = field(default_factory=dict)
    rename: Mapping[str, str] = field(default_factory=dict)
    ignore: Collection[str] = ()
    tagged: str | None = ""
    fixed: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, call: Call) -> None:
        """Creates the resource."""
        call.ignore(*self.ignore)
        response = call.create(
            self.service, self.operation, rename=self.rename, tagged=self.tagged, **self.fixed
        )
        known = {
            "account": call.aws.account,
            "region": call.aws.region,
            "partition": call.aws.partition,
            **call.values,
        }
        call.id = str(_read(self.id, response, known))
        known["id"] = call.id
        for name, source in self.outputs.items():
            call.outputs[name] = _read(source, response, known)


def _read(source: str, response: Mapping[str, Any], known: Mapping[str, Any]) -> Any:
    if "{" in source:
        return source.format_map(known)
    value: Any = response
    for part in source.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def handles(token: str, naming: Naming | None = None) -> Callable[[Handler], Handler]:
    """Registers a function as the creator of a resource type, by its token without the package."""

    def register(handler: Handler) -> Handler:
        rows({token: handler})
        if naming is not None:
            names({token: naming})
        return handler

    return register


def rows(table: Mapping[str, Handler]) -> None:
    """Registers creators by token without the package."""
    for token, handler in table.items():
        if f"aws:{token}" in HANDLERS:
            raise ValueError(f"aws:{token} has two creators")
        HANDLERS[f"aws:{token}"] = handler


def names(table: Mapping[str, Naming]) -> None:
    """Registers how types are named, by token without the package."""
    NAMES.update({f"aws:{token}": naming for token, naming in table.items()})


def json_object(text: Any, what: str) -> Any:
    """A JSON-valued input as Python values. Raises ProviderError where it is not JSON."""
    try:
        return json.loads(text)
    except (TypeError, ValueError) as error:
        raise ProviderError(f"{what} is not JSON: {error}") from error


def make(call: Call) -> None:
    """Let the handler of the type make the resource. Raises ProviderError where it fails, or does
    not look at an argument.
    """
    HANDLERS[call.token](call)
    if unused := call.unused():
        raise ProviderError(
            f"{', '.join(unused)} of {call.token} is not modelled by the local provider"
        )
