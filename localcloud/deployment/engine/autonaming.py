"""`pulumi:autonaming` of a project or stack: how resources that the program does not name are to be
named.

The Pulumi engine makes a proposal of the pattern for a type, and its provider takes it where the
type has an automatic name (pkg/resource/autonaming, pkg/cmd/pulumi/autonaming of pulumi/pulumi).
"""

from __future__ import annotations

import json
import re
import secrets
import string
import uuid
from collections.abc import Mapping
from typing import Any, Final, Literal, cast

from localcloud.deployment.provider import Autonaming

_KEY: Final = "pulumi:autonaming"
_RANDOM: Final = re.compile(r"\$\{(hex|alphanum|string|num)\((\d+)\)\}|\$\{uuid\}")
_CONFIG: Final = re.compile(r"\$\{config\.([^}]+)\}")
_ALPHABETS: Final = {
    "hex": string.hexdigits[:16],
    "alphanum": string.ascii_lowercase + string.digits,
    "string": string.ascii_lowercase,
    "num": string.digits,
}
_MODES: Final = ("default", "verbatim", "disabled")
_SETTINGS: Final = frozenset({"mode", "pattern", "enforce"})
_DISABLED: Final = Autonaming(mode="disable")


class NamingError(ValueError):
    """A setting that the Pulumi CLI would refuse; one sentence."""


class Names:
    """The naming of one stack.

    Args:
        config: The stack's config as text, by full key.
        project: Name of the project.
        stack: Name of the stack.
        organization: Of the backend; `organization` where there is none, as in the CLI.

    Raises NamingError.
    """

    def __init__(
        self,
        config: Mapping[str, str],
        *,
        project: str,
        stack: str,
        organization: str = "organization",
    ) -> None:
        self._config, self._project = config, project
        self._words = {"organization": organization, "project": project, "stack": stack}
        self._rules: dict[str, Mapping[str, Any]] = {}
        if _KEY in config:
            self._read(config[_KEY])

    def proposal(self, type_: str, name: str) -> Autonaming:
        """How a resource of a type token and a logical name is to be named."""
        rule = self._rule(type_)
        mode = rule.get("mode", "default")
        if mode == "disabled":
            return _DISABLED
        if mode == "verbatim":
            return Autonaming(proposal=name, mode="enforce")
        if "pattern" not in rule:
            return Autonaming()
        way: Literal["enforce", "propose"] = "enforce" if rule.get("enforce") else "propose"
        whole = str(rule["pattern"]).replace("${name}", name)
        return Autonaming(proposal=_RANDOM.sub(_digits, whole), mode=way)

    def fixed(self, type_: str) -> bool:
        """Whether names of the type have nothing random, so that a replacement begins with the
        deletion.
        """
        rule = self._rule(type_)
        if rule.get("mode", "default") != "default":
            return True
        return "pattern" in rule and _RANDOM.search(str(rule["pattern"])) is None

    def _rule(self, type_: str) -> Mapping[str, Any]:
        package = type_.partition(":")[0]
        return self._rules.get(type_) or self._rules.get(f"{package}:") or self._rules.get("", {})

    def _read(self, text: str) -> None:
        try:
            given = json.loads(text)
        except ValueError:
            given = None
        if not isinstance(given, dict):
            raise NamingError(f"{_KEY} is no map; write `pattern:` or `mode:` below it")
        self._rules[""] = self._checked(given, "", _SETTINGS | {"providers"})
        for package, settings in _maps(given, "providers", ""):
            self._add(f"{package}:", settings, f".providers.{package}", _SETTINGS | {"resources"})
            for type_, own in _maps(settings, "resources", f".providers.{package}"):
                self._add(type_, own, f".providers.{package}.resources.{type_}", _SETTINGS)

    def _add(self, key: str, given: Mapping[str, Any], where: str, known: frozenset[str]) -> None:
        rule = self._checked(given, where, known)
        if rule:
            self._rules[key] = rule
        elif not key.endswith(":"):
            raise NamingError(f"{_KEY}{where} says nothing; write `mode` or `pattern`")

    def _checked(
        self, given: Mapping[str, Any], where: str, known: frozenset[str]
    ) -> dict[str, Any]:
        unknown = sorted(given.keys() - known)
        if unknown:
            raise NamingError(
                f"{_KEY}{where} has no {', '.join(unknown)}; known are {', '.join(sorted(known))}"
            )
        rule = {name: given[name] for name in sorted(_SETTINGS & given.keys())}
        if "mode" in rule and len(rule) > 1:
            raise NamingError(f"{_KEY}{where} has a mode and a pattern; keep one")
        if "enforce" in rule and "pattern" not in rule:
            raise NamingError(f"{_KEY}{where} enforces no pattern; add one")
        if rule.get("mode", "default") not in _MODES:
            raise NamingError(
                f"{_KEY}{where} has the mode {rule['mode']!r}; known are {', '.join(_MODES)}"
            )
        if "pattern" in rule:
            rule["pattern"] = self._of_stack(str(rule["pattern"]), where)
        return rule

    def _of_stack(self, pattern: str, where: str) -> str:
        for word, value in self._words.items():
            pattern = pattern.replace(f"${{{word}}}", value)

        def value_of(match: re.Match[str]) -> str:
            key = f"{self._project}:{match[1]}"
            if key not in self._config:
                raise NamingError(f"{_KEY}{where} uses {match[0]}, but {key} is not set")
            return self._config[key]

        return _CONFIG.sub(value_of, pattern)


def _maps(given: Mapping[str, Any], name: str, where: str) -> list[tuple[str, Mapping[str, Any]]]:
    found = given.get(name) or {}
    if not isinstance(found, dict) or not all(isinstance(each, dict) for each in found.values()):
        raise NamingError(f"{_KEY}{where}.{name} is no map of maps")
    return cast("list[tuple[str, Mapping[str, Any]]]", list(found.items()))


def _digits(match: re.Match[str]) -> str:
    if match[1] is None:
        return str(uuid.uuid4())
    alphabet = _ALPHABETS[match[1]]
    return "".join(alphabet[byte % len(alphabet)] for byte in secrets.token_bytes(int(match[2])))
