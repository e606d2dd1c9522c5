"""The AWS provider of the local engine: checks a Pulumi resource against its type, and creates, updates and deletes it by AWS API calls."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from typing import Any, Final, Protocol

from localcloud.provider import (
    batch,
    budgets,
    compute,
    events,
    functions,
    identity,
    lifecycles,
    messaging,
    monitoring,
    network,
    security,
    storage,
    tables,
)
from localcloud.provider.archive import asset_bytes
from localcloud.provider.calls import HANDLERS, NAMES, Aws, Call, ProviderError, json_object
from localcloud.provider.invokes import INVOKES, PREVIEWED
from localcloud.provider.lifecycle import LIFECYCLES, Removal, Update, lifecycle, without_order
from localcloud.provider.references import missing_references
from localcloud.provider.schema import resource_schema
from localcloud.provider.tagging import retag
from localcloud.provider.values import UNKNOWN, Secret, is_asset, is_unknown, plain, poison

__all__ = ["HANDLERS", "Provider", "ProviderError"]

_CREATORS: Final = (
    batch,
    budgets,
    compute,
    events,
    functions,
    identity,
    messaging,
    monitoring,
    network,
    security,
    storage,
    tables,
)
_MODULES: Final = (*_CREATORS, lifecycles)
_JSON_INPUTS: Final = frozenset(
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
_SECRET_OUTPUTS: Final = {
    "aws:secretsmanager/secretVersion:SecretVersion": ("secretString", "secretBinary"),
    "aws:ssm/parameter:Parameter": ("value",),
}
_PREVIEW_ACCOUNT: Final = "123456789012"


class Before(Protocol):
    """A resource as an earlier deployment left it; all values are plain."""

    @property
    def id(self) -> str: ...
    @property
    def inputs(self) -> Mapping[str, Any]: ...
    @property
    def outputs(self) -> Mapping[str, Any]: ...


class Provider:
    """Creates, updates and deletes resources through boto3. Safe for concurrent calls.

    Args:
        client: Returns a thread-safe boto3 client for a service name.
        config: The stack's config; `aws:region`, `aws:defaultTags` and `aws:allowedAccountIds` count.
        preview: Only check; make no AWS call.
    """

    def __init__(
        self, *, client: Callable[[str], Any], config: Mapping[str, str], preview: bool
    ) -> None:
        self._client, self._config, self._preview = client, config, preview
        default = json.loads(config.get("aws:defaultTags", "{}"))
        self._default_tags: dict[str, dict[str, str]] = {"": default.get("tags", {})}

    @cached_property
    def aws(self) -> Aws:
        """The AWS of this deployment; its account is asked for once, and assumed in a preview."""
        allowed = json.loads(self._config.get("aws:allowedAccountIds", "[]"))
        if self._preview:
            return Aws(
                client=self._client,
                account=str(allowed[0]) if allowed else _PREVIEW_ACCOUNT,
                region=self._region,
            )
        account = self._client("sts").get_caller_identity()["Account"]
        if allowed and account not in map(str, allowed):
            raise ProviderError(
                f"aws:allowedAccountIds is {', '.join(map(str, allowed))}, but these credentials are of account {account}"
            )
        return Aws(client=self._client, account=account, region=self._region)

    @property
    def _region(self) -> str:
        region = self._config.get("aws:region")
        if not region:
            raise ProviderError("aws:region is not set; add it to the stack file")
        return region

    def configure(self, urn: str, package: str, inputs: Mapping[str, Any]) -> str:
        """Takes note of an explicit provider resource and returns its id. Raises ProviderError for settings that are not served."""
        if package != "aws":
            raise ProviderError(
                f"the provider {package!r} is not served by the local engine, only aws is"
            )
        unknown = sorted(
            set(inputs)
            - {"region", "defaultTags", "allowedAccountIds", "version"}
            - _ENDPOINT_SETTINGS
        )
        if unknown:
            raise ProviderError(
                f"the provider settings {', '.join(unknown)} are not served by the local engine"
            )
        if inputs.get("region", self._region) != self._region:
            raise ProviderError(
                f"region is {inputs['region']}, but the stack's aws:region is {self._region}; the local AWS has one region"
            )
        tags = inputs.get("defaultTags") or {}
        tags = json.loads(tags) if isinstance(tags, str) else tags
        self._default_tags[urn] = {**tags.get("tags", {})}
        return "local"

    def create(
        self, token: str, logical: str, inputs: Mapping[str, Any], provider: str
    ) -> tuple[str, dict[str, Any]]:
        """Checks a resource and creates it; in a preview it is only checked.

        Args:
            token: The type, such as `aws:ec2/vpc:Vpc`.
            logical: The resource's name in the program.
            inputs: By wire name, with secrets and, in a preview, unknowns.
            provider: Reference of an explicit provider, `<urn>::<id>`, or empty.

        Returns its id, empty in a preview, and its outputs by wire name: inputs with their secrets, what the creation told, and markers for
        what it did not tell.

        Raises SchemaError where the inputs are not those of the type, ProviderError where the type is not modelled or AWS refuses.
        """
        schema = resource_schema(token)
        handler = HANDLERS.get(token)
        if schema is None or handler is None:
            reason = (
                "is not a type of pulumi_aws"
                if schema is None
                else "is not modelled by the local provider"
            )
            raise ProviderError(f"the type {token} {reason}")
        schema.check(inputs)
        values = {name: plain(value) for name, value in inputs.items()}
        self._check_values(values)
        named = _automatic_name(token, logical, values)
        tags = self._tags(provider, values) if "tags" in schema.inputs else {}
        outputs: dict[str, Any] = {**inputs, **named}
        if "tagsAll" in schema.outputs:
            outputs["tagsAll"] = tags
        _seal(token, outputs)
        if self._preview:
            return "", outputs
        call = Call(
            aws=self.aws, token=token, logical=logical, values={**values, **named}, tags=tags
        )
        call.ignore("tags", "region", "namePrefix")
        handler(call)
        if unused := call.unused():
            raise ProviderError(
                f"{', '.join(unused)} of {token} is not modelled by the local provider"
            )
        _tell(outputs, {"region": self.aws.region, **call.outputs})
        _mark_unmodelled(token, logical, outputs)
        return call.id, outputs

    def update(
        self,
        token: str,
        logical: str,
        inputs: Mapping[str, Any],
        provider: str,
        *,
        before: Before,
        changed: Collection[str],
    ) -> tuple[str, dict[str, Any]]:
        """Checks a resource that exists and brings it to new inputs; in a preview it is only checked.

        Args:
            token: The type.
            logical: The resource's name in the program.
            inputs: The new ones, all of them.
            provider: Reference of an explicit provider, or empty.
            before: What there is.
            changed: Names of the inputs that differ; none of them may need another resource.

        Returns its id and its outputs. Raises SchemaError, or ProviderError where AWS refuses or a change is not modelled.
        """
        schema, cycle = resource_schema(token), lifecycle(token)
        if schema is None:
            raise ProviderError(f"the type {token} is not a type of pulumi_aws")
        schema.check(inputs)
        values = {name: plain(value) for name, value in inputs.items()}
        self._check_values(values)
        naming = NAMES.get(token)
        kept = {
            name: before.outputs[name]
            for name in (*cycle.keeps, *([naming.property] if naming else []))
            if name in before.outputs
        }
        tags = self._tags(provider, values) if "tags" in schema.inputs else {}
        outputs = {
            **{
                name: value
                for name, value in before.outputs.items()
                if name not in schema.inputs or name in kept
            },
            **inputs,
        }
        if "tagsAll" in schema.outputs:
            outputs["tagsAll"] = tags
        _seal(token, outputs)
        real = set(changed) - set(cycle.steers)
        if self._preview:
            return before.id, {**outputs, **(dict.fromkeys(cycle.decided, UNKNOWN) if real else {})}
        call = Update(
            aws=self.aws,
            token=token,
            logical=logical,
            values={**kept, **values},
            tags=tags,
            id=before.id,
            outputs={
                name: value
                for name, value in before.outputs.items()
                if name not in schema.inputs and name != "tagsAll"
            },
            old={**kept, **before.inputs},
            changed=frozenset(real),
        )
        call.ignore("region", "namePrefix", *(() if "tags" in real else ("tags",)))
        if "tags" in real:
            retag(call, before.outputs.get("tagsAll") or {})
        if real - {"tags"} and cycle.update is not None:
            cycle.update(call)
        if left := call.neglected():
            raise ProviderError(
                f"a change of {', '.join(left)} of {token} is not modelled by the local provider"
            )
        _tell(outputs, call.outputs)
        _mark_unmodelled(token, logical, outputs)
        return call.id, outputs

    def delete(self, token: str, before: Before) -> None:
        """Deletes a resource. Raises ProviderError where AWS refuses or the deletion is not modelled."""
        removal = lifecycle(token).delete
        if removal is not None:
            removal(Removal(aws=self.aws, id=before.id, values={**before.inputs, **before.outputs}))

    def replacing(
        self, token: str, old: Mapping[str, Any], new: Mapping[str, Any], changed: Collection[str]
    ) -> list[str]:
        """Paths of the changed inputs that need another resource. Raises ProviderError where changes of the type are not modelled."""
        return lifecycle(token).replacing(old, new, changed)

    def deletes_first(self, token: str, new: Mapping[str, Any]) -> bool:
        """Whether a replacement begins with the deletion: always where the program gives a name that could be automatic.

        (pulumi-terraform-bridge, nameRequiresDeleteBeforeReplace; it does not ask whether the name stays.)
        """
        naming, found = NAMES.get(token), LIFECYCLES.get(token)
        return (naming is not None and new.get(naming.property) is not None) or (
            found is not None and found.deletes_first
        )

    def settled(
        self, token: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """The new inputs, with what AWS keeps of the former ones although it is no longer given."""
        found = LIFECYCLES.get(token)
        return new if found is None or found.stays is None else found.stays(old, new)

    def canonical(self, token: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Plain inputs in the form in which two of them are compared: lists that have no order are sorted."""
        found = LIFECYCLES.get(token)
        return without_order(inputs, found.sets if found is not None else ())

    def digests(self, inputs: Mapping[str, Any]) -> dict[str, str]:
        """What the assets among the inputs hold, as digests."""
        assets = {name: plain(value) for name, value in inputs.items() if is_asset(plain(value))}
        return {
            name: hashlib.sha256(asset_bytes(asset)).hexdigest() for name, asset in assets.items()
        }

    def known_outputs(
        self, token: str, logical: str, inputs: Mapping[str, Any], outputs: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The outputs of a resource that stays as it is, with secrets and markers as its creation gave them."""
        found = {**outputs, **{name: value for name, value in inputs.items() if name in outputs}}
        _seal(token, found)
        _mark_unmodelled(token, logical, found)
        return found

    def tags_differ(
        self, token: str, provider: str, inputs: Mapping[str, Any], outputs: Mapping[str, Any]
    ) -> bool:
        """Whether all tags, the provider's default ones included, are others than before."""
        schema = resource_schema(token)
        if schema is None or "tagsAll" not in schema.outputs:
            return False
        return bool(self._tags(provider, inputs) != (outputs.get("tagsAll") or {}))

    def _check_values(self, values: Mapping[str, Any]) -> None:
        for name in _JSON_INPUTS & values.keys():
            if isinstance(values[name], str) and values[name]:
                json_object(values[name], name)
        region = values.get("region", self._region)
        if region != self._region:
            raise ProviderError(
                f"region is {region}, but the stack's aws:region is {self._region}; the local AWS has one region"
            )

    def _tags(self, provider: str, values: Mapping[str, Any]) -> dict[str, Any]:
        given = values.get("tags") or {}
        return (
            {**self._default_tags[provider.rpartition("::")[0]], **given}
            if isinstance(given, Mapping)
            else given
        )

    def invoke(self, token: str, arguments: Mapping[str, Any]) -> dict[str, Any] | None:
        """The result of a data source; None where a preview cannot know it. Raises ProviderError where it is not modelled or fails."""
        if token not in INVOKES:
            raise ProviderError(f"the data source {token} is not modelled by the local provider")
        if self._preview:
            return PREVIEWED[token](self.aws, arguments) if token in PREVIEWED else None
        return INVOKES[token](self.aws, arguments)

    def missing(self, inputs: Mapping[str, Any], known: frozenset[str]) -> list[str]:
        """One sentence for each input that names something which is neither among `known` ids and ARNs nor in AWS."""
        return missing_references(self.aws, inputs, known)


def _seal(token: str, outputs: dict[str, Any]) -> None:
    for name in _SECRET_OUTPUTS.get(token, ()):
        if name in outputs and not isinstance(outputs[name], Secret):
            outputs[name] = Secret(outputs[name])


def _tell(outputs: dict[str, Any], told: Mapping[str, Any]) -> None:
    outputs |= {
        name: value
        for name, value in told.items()
        if value is not None and not isinstance(outputs.get(name), Secret)
    }


def _mark_unmodelled(token: str, logical: str, outputs: dict[str, Any]) -> None:
    schema = resource_schema(token)
    for name, hint in schema.always_present() if schema is not None else ():
        if name not in outputs and name not in ("id", "urn"):
            outputs[name] = poison(logical, name) if hint is str else UNKNOWN


def _automatic_name(token: str, logical: str, values: Mapping[str, Any]) -> dict[str, Any]:
    naming = NAMES.get(token)
    if naming is None or values.get(naming.property) is not None:
        return {}
    prefix_unknown = is_unknown(values.get(naming.prefix_property))
    return {naming.property: UNKNOWN if prefix_unknown else naming.name(logical, values)}


# settings that make the real provider talk to a local endpoint (see the aws:* keys of a local stack); here the client does that already
_ENDPOINT_SETTINGS: Final = frozenset(
    {
        "accessKey",
        "secretKey",
        "endpoints",
        "maxRetries",
        "s3UsePathStyle",
        "skipCredentialsValidation",
        "skipMetadataApiCheck",
        "skipRegionValidation",
        "skipRequestingAccountId",
    }
)
