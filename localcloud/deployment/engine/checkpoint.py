"""The state of the local engine as the Pulumi CLI keeps it, for `pulumi stack import`: the CLI goes
on where this engine stopped.

(pulumi's sdk/go/common/apitype: UntypedDeployment, DeploymentV3, ResourceV3.)
"""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import json
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from localcloud.deployment.engine.hooks import Hooks
from localcloud.deployment.engine.state import Options, Resource, State
from localcloud.deployment.provider.values import SECRET, SIGNATURE_KEY, Secret, is_secret, plain

_VERSION: Final = 3
_PROVIDER: Final = "pulumi:providers:aws"
_ROUNDS: Final = 1_000_000
_PROBE: Final = b"pulumi"
_HOOKS: Final = {
    kind: "".join(word.capitalize() for word in kind.split("_")) for kind in Hooks.KINDS
}
"""Kinds of hooks as the state names them (sdk/go/common/resource, HookType)."""


def checkpoint(
    state: State, *, exports: Mapping[str, Any], settings: Mapping[str, str], passphrase: str
) -> str:
    """A deployment as JSON, with secrets in plain text: whoever writes it keeps it to its owner.

    Args:
        state: What exists.
        exports: Of the program, with their secrets.
        settings: The stack's `aws:*` config by name, which the default provider has.
        passphrase: By which the CLI will keep the secrets.
    """
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    version = importlib.metadata.version("pulumi_aws")
    stack = next(r for r in state.resources if r.type == "pulumi:pulumi:Stack")
    provider = _default_provider(stack, version, settings)
    reference = f"{provider['urn']}::{provider['id']}"
    resources = [_entry(resource, reference, exports) for resource in state.resources]
    former = [_entry(each, reference, {}) | {"delete": True} for each in state.pending_deletion]
    position = state.resources.index(stack) + 1
    return json.dumps(
        {
            "version": _VERSION,
            "deployment": {
                "manifest": {"time": now, "magic": "", "version": ""},
                "secrets_providers": {"type": "passphrase", "state": {"salt": _salt(passphrase)}},
                "resources": [*resources[:position], provider, *resources[position:], *former],
            },
        }
    )


@dataclass(frozen=True, kw_only=True)
class Restored:
    """What a deployment as JSON holds; `exports` have their secrets."""

    state: State
    exports: Mapping[str, Any]
    settings: Mapping[str, str]


def restored(text: str) -> Restored:
    """The inverse of `checkpoint`; what only a running program knows of a resource, such as its
    line, is empty.
    """
    entries = json.loads(text)["deployment"]["resources"]
    provider = next(e for e in entries if e["type"] == _PROVIDER)
    stack = next(e for e in entries if e["type"] == "pulumi:pulumi:Stack")
    reference = f"{provider['urn']}::{provider['id']}"
    settings = {name: value for name, value in provider["inputs"].items() if name != "version"}
    there = [entry for entry in entries if entry is not provider]
    return Restored(
        state=State(
            resources=tuple(_resource(e, reference) for e in there if not e.get("delete")),
            pending_deletion=tuple(_resource(e, reference) for e in there if e.get("delete")),
        ),
        exports=_opened(stack.get("outputs", {})),
        settings=settings,
    )


def _resource(entry: Mapping[str, Any], default: str) -> Resource:
    inputs, outputs = _opened(entry.get("inputs", {})), _opened(entry.get("outputs", {}))
    provider = entry.get("provider", "")
    needs = entry.get("propertyDependencies", {})
    return Resource(
        urn=entry["urn"],
        type=entry["type"],
        name=entry["urn"].split("::", 3)[3],
        parent=entry.get("parent", ""),
        custom=entry.get("custom", False),
        id=entry.get("id", ""),
        inputs=plain(inputs),
        outputs=plain(outputs),
        secret_inputs=frozenset(name for name, value in inputs.items() if is_secret(value)),
        provider="" if provider == default else provider,
        dependencies=tuple(entry.get("dependencies", ())),
        property_dependencies={name: tuple(urns) for name, urns in needs.items()},
        options=Options(
            protect=entry.get("protect", False),
            retain_on_delete=entry.get("retainOnDelete", False),
            deleted_with=entry.get("deletedWith", ""),
            ignore_changes=tuple(entry.get("ignoreChanges", ())),
            replace_on_changes=tuple(entry.get("replaceOnChanges", ())),
            replace_with=tuple(entry.get("replaceWith", ())),
            replacement_trigger=(
                json.dumps(entry["replacementTrigger"], sort_keys=True)
                if "replacementTrigger" in entry
                else ""
            ),
            hooks={
                kind: tuple(entry["resourceHooks"][told])
                for kind, told in _HOOKS.items()
                if told in entry.get("resourceHooks", {})
            },
        ),
        location="",
        trail=(),
    )


def _opened(value: Any) -> Any:
    """The inverse of `_plain`."""
    if isinstance(value, Mapping):
        if value.get(SIGNATURE_KEY) == SECRET:
            return Secret(_opened(json.loads(value["plaintext"])))
        return {name: _opened(item) for name, item in value.items()}
    return [_opened(item) for item in value] if isinstance(value, list) else value


def _salt(passphrase: str) -> str:
    """The CLI's note of a passphrase: a salt, and a word that only the passphrase opens (pulumi's
    pkg/secrets/passphrase).
    """
    salt, nonce = secrets.token_bytes(8), secrets.token_bytes(12)
    key = hashlib.pbkdf2_hmac("sha256", passphrase.encode(), salt, _ROUNDS)
    sealed = AESGCM(key).encrypt(nonce, _PROBE, None)
    texts = [base64.b64encode(part).decode() for part in (salt, nonce, sealed)]
    return f"v1:{texts[0]}:v1:{texts[1]}:{texts[2]}"


def _default_provider(stack: Resource, version: str, settings: Mapping[str, str]) -> dict[str, Any]:
    place = stack.urn.rpartition("::")[0].rpartition("::")[0]
    name = f"default_{version.replace('.', '_')}"
    inputs = {**settings, "version": version}
    return {
        "urn": f"{place}::pulumi:providers:aws::{name}",
        "custom": True,
        "id": str(uuid.uuid4()),
        "type": _PROVIDER,
        "inputs": inputs,
        "outputs": inputs,
    }


def _entry(resource: Resource, default: str, exports: Mapping[str, Any]) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "urn": resource.urn,
        "custom": resource.custom,
        "type": resource.type,
        "parent": resource.parent,
        "protect": resource.options.protect,
        "retainOnDelete": resource.options.retain_on_delete,
        "deletedWith": resource.options.deleted_with,
        "ignoreChanges": resource.options.ignore_changes,
        "replaceOnChanges": resource.options.replace_on_changes,
        "replaceWith": resource.options.replace_with,
        "replacementTrigger": json.loads(resource.options.replacement_trigger or "null"),
        "resourceHooks": {_HOOKS[kind]: names for kind, names in resource.options.hooks.items()},
        "dependencies": list(resource.dependencies),
        "propertyDependencies": dict(resource.property_dependencies),
        "outputs": exports if resource.type == "pulumi:pulumi:Stack" else resource.outputs,
    }
    if resource.custom:
        secret = resource.secret_inputs
        entry |= {
            "id": resource.id,
            "provider": resource.provider or default,
            "inputs": _sealed(resource.inputs, secret),
            "outputs": _sealed(resource.outputs, secret),
        }
    return {
        name: _plain(value)
        for name, value in entry.items()
        if value not in (None, "", (), [], {}, False)
    }


def _sealed(values: Mapping[str, Any], secret: frozenset[str]) -> dict[str, Any]:
    return {name: Secret(value) if name in secret else value for name, value in values.items()}


def _plain(value: Any) -> Any:
    """A property value as the state has it: a secret is its JSON in an envelope."""
    if isinstance(value, Secret):
        return {SIGNATURE_KEY: SECRET, "plaintext": json.dumps(_plain(value.value))}
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value
