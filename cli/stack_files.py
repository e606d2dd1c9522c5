"""Stack files as the commands without a cloud read them: from the working tree or from a commit, with the line of every value."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from cli.errors import CliError, ExitCode
from cli.paths import ROOT
from config import Problem, StackConfig, load_stack_config
from config.schema import NAMESPACE
from config.stack import SECRETS, SECTIONS
from localcloud.stackfile import Loader


@dataclass(frozen=True, kw_only=True)
class StackFile:
    """One stack file."""

    label: str
    """How it was asked for, short enough to print."""
    stack: str
    values: Mapping[str, Any]
    """Of the program's own keys, without the namespace."""
    region: str | None
    lines: Mapping[str, int]
    """Dotted path below the namespace -> line, from 1."""

    def load(self) -> tuple[StackConfig, list[Problem]]:
        """The checked config and its warnings. Raises config.ConfigError with all problems."""
        plain = [
            key for key in SECRETS if key in self.values and not _is_encrypted(self.values[key])
        ]
        return load_stack_config(
            self.stack, self.values.get, self.values, plain=plain, region=self.region or ""
        )

    def unchecked(self) -> StackConfig:
        """The config without a look at the rules. Raises CliError (USAGE) where a section has the wrong shape."""
        sections: dict[str, Any] = {}
        for name, adapter in SECTIONS.items():
            try:
                sections[name] = adapter.validate_json(
                    json.dumps(self.values.get(name) or {}, default=str), strict=True
                )
            except ValidationError as error:
                raise CliError(
                    f"section {name} of {self.label} has the wrong shape; `check {self.label}` says how",
                    ExitCode.USAGE,
                ) from error
        return StackConfig.model_construct(name=self.stack, **sections)

    def line(self, path: str) -> int | None:
        """Line of a value, or of the nearest thing around it that the file holds; None where it holds nothing of the kind."""
        while path:
            if path in self.lines:
                return self.lines[path]
            path = path.rpartition(".")[0]
        return None


def all_stacks() -> list[str]:
    """Names of the stack files of this checkout."""
    return sorted(path.name.split(".")[1] for path in ROOT.glob("Pulumi.*.yaml"))


def read(source: str) -> StackFile:
    """Reads a stack file.

    Args:
        source: the name of a stack of this checkout (`prod`), a path, or `git:<revision>:<path from the root of the checkout>`.

    Raises CliError (USAGE) where there is no such file, or where it is not a stack file.
    """
    if source.startswith("git:"):
        revision, _, path = source.removeprefix("git:").partition(":")
        if not revision or not path or revision.startswith("-"):
            raise CliError(
                f"{source} names no file of a commit; write git:<revision>:<path>", ExitCode.USAGE
            )
        return parse(source, Path(path).name, _from_git(revision, path))
    file = (
        Path(source) if Path(source).suffix in {".yaml", ".yml"} else ROOT / f"Pulumi.{source}.yaml"
    )
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        known = ", ".join(all_stacks())
        raise CliError(
            f"there is no {file.name if file.parent == ROOT else file}; stack files stand here for: {known}",
            ExitCode.USAGE,
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise CliError(f"{file} cannot be read: {error}", ExitCode.USAGE) from error
    return parse(file.name if file.parent == ROOT else str(file), file.name, text)


def _from_git(revision: str, path: str) -> str:
    shown = subprocess.run(
        ["git", "show", f"{revision}:{path}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if shown.returncode:
        raise CliError(
            f"git has no {path} at {revision}: {shown.stderr.strip().removeprefix('fatal: ')}",
            ExitCode.USAGE,
        )
    return shown.stdout


def parse(label: str, name: str, text: str) -> StackFile:
    """The stack file that a text is. Raises CliError (USAGE).

    `label`: how it is called to people; `name`: of the file, `Pulumi.prod.yaml`.
    """
    loader = Loader(text)
    try:
        node = loader.get_single_node()
        content = loader.construct_document(node) if node is not None else {}
    except yaml.YAMLError as error:
        raise CliError(
            f"{label} is not YAML: {' '.join(str(error).split())}", ExitCode.USAGE
        ) from error
    finally:
        loader.dispose()
    config = content.get("config", {}) if isinstance(content, dict) else None
    if not isinstance(config, dict):
        raise CliError(
            f"{label} is not a stack file; it holds a map with the key `config`, and below it `{NAMESPACE}:network` and so on",
            ExitCode.USAGE,
        )
    parts = name.split(".")
    return StackFile(
        label=label,
        stack=parts[1] if len(parts) > 2 else parts[0],
        values={_own(key): value for key, value in config.items() if _own(key)},
        region=str(config["aws:region"]) if config.get("aws:region") else None,
        lines=dict(_lines(node)),
    )


def _is_encrypted(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {"secure"}


def _own(key: Any) -> str:
    """The key without the program's namespace; empty for a key of another. A key without a namespace is the project's, as for Pulumi."""
    namespace, colon, name = str(key).partition(":")
    return (name if namespace == NAMESPACE else "") if colon else namespace


def _lines(root: yaml.Node | None) -> Iterator[tuple[str, int]]:
    for key, section in root.value if isinstance(root, yaml.MappingNode) else ():
        if key.value == "config" and isinstance(section, yaml.MappingNode):
            for name, value in section.value:
                if own := _own(name.value):
                    yield own, name.start_mark.line + 1
                    yield from _below(own, value)


def _below(path: str, node: yaml.Node) -> Iterator[tuple[str, int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield f"{path}.{key.value}", key.start_mark.line + 1
            yield from _below(f"{path}.{key.value}", value)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield f"{path}.{index}", value.start_mark.line + 1
            yield from _below(f"{path}.{index}", value)
