"""The AWS provider of the local engine: checks a Pulumi resource against its type, and creates,
updates and deletes it by AWS API calls.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from localcloud.deployment.provider import (
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
    readers,
    security,
    shared_files,
    storage,
    tables,
)
from localcloud.deployment.provider.calls import (
    HANDLERS,
    JSON_INPUTS,
    NAMES,
    Aws,
    Call,
    CreatedError,
    ProviderError,
    json_object,
    make,
)
from localcloud.deployment.provider.differences import Before, Difference, differences, touches
from localcloud.deployment.provider.invokes import INVOKES, PREVIEWED
from localcloud.deployment.provider.lifecycle import LIFECYCLES, Removal, Update, lifecycle
from localcloud.deployment.provider.looking import adopt, read
from localcloud.deployment.provider.naming import Autonaming, automatic_name
from localcloud.deployment.provider.outputs import (
    mark_unmodelled,
    seal,
    tell,
    undecided,
    unmodelled,
)
from localcloud.deployment.provider.references import missing_references
from localcloud.deployment.provider.schema import ResourceSchema, resource_schema
from localcloud.deployment.provider.settings import Settings
from localcloud.deployment.provider.tagging import retag
from localcloud.deployment.provider.values import DEFAULTS, UNKNOWN, plain, without_bookkeeping

__all__ = [
    "HANDLERS",
    "Autonaming",
    "Before",
    "CreatedError",
    "Difference",
    "Provider",
    "ProviderError",
    "unmodelled",
]

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
    shared_files,
    storage,
    tables,
)
_MODULES: Final = (*_CREATORS, lifecycles, readers)


class Provider:
    """Creates, updates and deletes resources through boto3. Safe for concurrent calls.

    Args:
        client: Returns a thread-safe boto3 client for a service name.
        config: The stack's config; `aws:region`, `aws:defaultTags` and `aws:allowedAccountIds`
            count.
        preview: Only check; make no AWS call.
    """

    def __init__(
        self, *, client: Callable[[str], Any], config: Mapping[str, str], preview: bool
    ) -> None:
        self._preview = preview
        self.settings = Settings(client=client, config=config, preview=preview)

    @property
    def aws(self) -> Aws:
        """The AWS of this deployment."""
        return self.settings.aws

    # ---- what is wanted --------------------------------------------------------------------------

    def check(
        self,
        token: str,
        logical: str,
        inputs: Mapping[str, Any],
        *,
        provider: str = "",
        olds: Mapping[str, Any] | None = None,
        naming: Autonaming | None = None,
    ) -> dict[str, Any]:
        """The inputs of a resource as they are compared and applied: checked, tagged and named.

        Args:
            token: The type, such as `aws:ec2/vpc:Vpc`.
            logical: The resource's name in the program.
            inputs: By wire name, with secrets and, in a preview, unknowns.
            provider: Reference of an explicit provider, `<urn>::<id>`, or empty.
            olds: What an earlier check gave for the resource; None where it is new, or another one
                takes its place.
            naming: How the resource is named where the program does not; None is the provider's own
                way.

        `__defaults` among them names those that the program did not give. Raises SchemaError where
        the inputs are not those of the type, ProviderError where the type is not modelled.
        """
        schema = self._schema(token)
        given = without_bookkeeping(inputs)
        schema.check(given)
        self._check_values({name: plain(value) for name, value in given.items()})
        if "tags" in schema.inputs and (tags := self.settings.tags(provider, given)):
            given["tags"] = tags
        chosen = automatic_name(token, logical, given, olds=olds, naming=naming or Autonaming())
        found = LIFECYCLES.get(token)
        if olds is not None and found is not None and found.stays is not None:
            given = found.stays(plain(without_bookkeeping(olds)), given)
        return {**given, **chosen, DEFAULTS: sorted(chosen)}

    def diff(self, token: str, before: Before, inputs: Mapping[str, Any]) -> Difference:
        """What is between a resource and checked inputs.

        Raises ProviderError where changes of the type are not modelled.
        """
        old, new = plain(without_bookkeeping(before.inputs)), plain(without_bookkeeping(inputs))
        found = LIFECYCLES.get(token)
        sets, defaults = (found.sets, found.defaults) if found is not None else ((), {})
        paths = differences(old, new, texts=JSON_INPUTS, sets=sets, defaults=defaults)
        changed = tuple(dict.fromkeys(re.split(r"[.\[]", path, maxsplit=1)[0] for path in paths))
        if not changed:
            return Difference()
        forced = [
            dotted
            for dotted in lifecycle(token).replacing(old, new, changed)
            if any(touches(path, dotted) for path in paths)
        ]
        first = self._deletes_first(token, inputs)
        return Difference(changed=changed, paths=paths, replaces=tuple(forced), deletes_first=first)

    # ---- what is done ----------------------------------------------------------------------------

    def create(
        self, token: str, logical: str, inputs: Mapping[str, Any], *, preview: bool = False
    ) -> tuple[str, dict[str, Any]]:
        """Creates a resource.

        Args:
            token: The type.
            logical: The resource's name in the program.
            inputs: Checked ones.
            preview: Only say what would be.

        Returns its id, empty in a preview, and its outputs by wire name: inputs with their secrets,
        what the creation told, and markers for what it did not tell. Raises ProviderError where AWS
        refuses; CreatedError where the resource exists all the same.
        """
        schema, inputs = self._schema(token), without_bookkeeping(inputs)
        values = {name: plain(value) for name, value in inputs.items()}
        outputs: dict[str, Any] = dict(inputs)
        if "tagsAll" in schema.outputs:
            outputs["tagsAll"] = values.get("tags") or {}
        seal(token, outputs)
        place = {"region": self.settings.region} if "region" in schema.outputs else {}
        if preview or self._preview:
            return "", {**undecided(token), **place, **outputs}
        tags = values.get("tags") or {}
        call = Call(aws=self.aws, token=token, logical=logical, values=values, tags=tags)
        call.ignore("tags", "region", "namePrefix")
        try:
            make(call)
        except ProviderError as error:
            if not (call.id and call.begun):
                raise
            tell(outputs, {**place, **call.outputs})
            # as it is, and not as it was to be: the next comparison finds what it lacks
            found = self.read(token, call.id, inputs, outputs)
            if found is None:
                raise
            raise CreatedError(str(error), id=call.id, inputs=found[0], outputs=found[1]) from error
        tell(outputs, {**place, **call.outputs})
        mark_unmodelled(token, logical, outputs)
        return call.id, outputs

    def update(
        self,
        token: str,
        logical: str,
        inputs: Mapping[str, Any],
        *,
        before: Before,
        preview: bool = False,
    ) -> tuple[str, dict[str, Any]]:
        """Brings a resource that exists to other inputs, none of which may need another resource.

        Args:
            token: The type.
            logical: The resource's name in the program.
            inputs: The new ones, all of them, checked.
            before: What there is.
            preview: Only say what would be.

        Returns its id and its outputs. Raises ProviderError where AWS refuses or a change is not
        modelled.
        """
        schema, cycle = self._schema(token), lifecycle(token)
        changed = self.diff(token, before, inputs).changed
        inputs, formerly = without_bookkeeping(inputs), without_bookkeeping(before.inputs)
        values = {name: plain(value) for name, value in inputs.items()}
        naming = NAMES.get(token)
        kept = {
            name: before.outputs[name]
            for name in (*cycle.keeps, *([naming.property] if naming else []))
            if name in before.outputs
        }
        outputs = {
            **{
                name: value
                for name, value in before.outputs.items()
                if name not in formerly or name in kept or name in cycle.computed
            },
            **{name: cycle.defaults[name] for name in formerly if name in cycle.defaults},
            **inputs,
        }
        tags = values.get("tags") or {}
        if "tagsAll" in schema.outputs:
            outputs["tagsAll"] = tags
        seal(token, outputs)
        real = set(changed) - set(cycle.steers)
        values |= {
            name: cycle.defaults[name] for name in real & cycle.defaults.keys() - values.keys()
        }
        if preview or self._preview:
            # another tag makes no new revision and no new version
            decided = cycle.decided if real - {"tags"} else ()
            return before.id, {**outputs, **dict.fromkeys(decided, UNKNOWN)}
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
            old={**kept, **formerly},
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
        tell(outputs, call.outputs)
        mark_unmodelled(token, logical, outputs)
        return call.id, outputs

    def read(
        self,
        token: str,
        id: str,  # noqa: A002
        inputs: Mapping[str, Any],
        outputs: Mapping[str, Any],
    ) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """What there is of a resource: its inputs and outputs.

        Args:
            token: The type.
            id: The provider's.
            inputs: What is known of it, with secrets; nothing at an import.
            outputs: The same.

        Returns None where it does not exist. Raises ProviderError where AWS refuses or the type
        cannot be read.
        """
        self._schema(token)
        return read(self.aws, token, id, inputs, outputs)

    def adopt(
        self,
        token: str,
        id: str,  # noqa: A002
    ) -> tuple[str, dict[str, Any], dict[str, Any]] | None:
        """A resource of which only an id is known: its id, its inputs and its outputs.

        Args:
            token: The type.
            id: In the form that the real provider takes at an import.

        Returns None where it does not exist. Raises ProviderError where AWS refuses, the type
        cannot be read or the id is none of the type.
        """
        self._schema(token)
        return adopt(self.aws, token, id)

    def delete(self, token: str, before: Before) -> None:
        """Deletes a resource.

        Raises ProviderError where AWS refuses or the deletion is not modelled.
        """
        removal = lifecycle(token).delete
        if removal is not None:
            values = {**without_bookkeeping(before.inputs), **before.outputs}
            removal(Removal(aws=self.aws, id=before.id, values=values))

    def known_outputs(
        self, token: str, logical: str, inputs: Mapping[str, Any], outputs: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The outputs of a resource that stays as it is, with secrets and markers as its creation
        gave them.
        """
        found = {**outputs, **{name: value for name, value in inputs.items() if name in outputs}}
        seal(token, found)
        mark_unmodelled(token, logical, found)
        return found

    # ---- how -------------------------------------------------------------------------------------

    def _schema(self, token: str) -> ResourceSchema:
        schema = resource_schema(token)
        if schema is None:
            raise ProviderError(f"the type {token} is not a type of pulumi_aws")
        if token not in HANDLERS:
            raise ProviderError(f"the type {token} is not modelled by the local provider")
        return schema

    def _deletes_first(self, token: str, new: Mapping[str, Any]) -> bool:
        """Whether a replacement begins with the deletion: always where the program gives a name
        that could be automatic.

        (pulumi-terraform-bridge, nameRequiresDeleteBeforeReplace; it does not ask whether the name
        stays.)
        """
        naming = NAMES.get(token)
        if naming is None or new.get(naming.property) is None:
            return lifecycle(token).deletes_first
        return naming.property not in new.get(DEFAULTS, ()) or lifecycle(token).deletes_first

    def _check_values(self, values: Mapping[str, Any]) -> None:
        for name in JSON_INPUTS & values.keys():
            if isinstance(values[name], str) and values[name]:
                json_object(values[name], name)
        region = values.get("region", self.settings.region)
        if region != self.settings.region:
            raise ProviderError(
                f"region is {region}, but the stack's aws:region is {self.settings.region}; the"
                " local AWS has one region"
            )

    def invoke(self, token: str, arguments: Mapping[str, Any]) -> dict[str, Any] | None:
        """The result of a data source; None where a preview cannot know it.

        Raises ProviderError where it is not modelled or fails.
        """
        if token not in INVOKES:
            raise ProviderError(f"the data source {token} is not modelled by the local provider")
        if self._preview:
            return PREVIEWED[token](self.aws, arguments) if token in PREVIEWED else None
        return INVOKES[token](self.aws, arguments)

    def missing(
        self, inputs: Iterable[Mapping[str, Any]], known: frozenset[str]
    ) -> list[list[str]]:
        """For the inputs of each resource, one sentence for each that names something which is
        neither among `known` ids and ARNs nor in AWS.
        """
        return missing_references(self.aws, inputs, known)
