"""Stack files as the commands without a cloud read them: from the working tree or from a commit,
with the line of every value.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from cli.errors import CliError, ExitCode
from cli.paths import ROOT
from config import ConfigError, Problem, StackConfig, load_stack_config
from config.stack import NAMESPACE, SECRETS, SECTIONS
from localcloud.deployment.stack_file import StackDocument, StackFileError, stack_document, text
from localcloud.deployment.stack_yaml.texts import json_number

_TOO_LONG: Final = re.compile(r"[-+]?[1-9]\d{15,}")
"""Plain digits, of which a double keeps not all."""


@dataclass(frozen=True, kw_only=True)
class StackFile:
    """One stack file."""

    label: str
    """How it was asked for, short enough to print."""
    stack: str
    values: Mapping[str, Any]
    """Values of the program's own keys, without the namespace."""
    region: str | None
    naming: str
    """`pulumi:autonaming` as JSON; empty where the file has none."""
    lines: Mapping[str, int]
    """Dotted path below the namespace, keys of other namespaces in full -> line, from 1."""
    foreign: tuple[str, ...] = ()
    """Keys of other namespaces, in full."""
    doubts: tuple[Problem, ...] = ()
    """What the reading itself found: warnings."""

    def needed_region(self) -> str:
        """The region. Raises CliError where the file names none."""
        if self.region is None:
            raise CliError(f"{self.label} names no region; add aws:region", ExitCode.USAGE)
        return self.region

    def load(self) -> tuple[StackConfig, list[Problem]]:
        """The checked config and its warnings. Raises config.ConfigError with all problems."""
        plain = [
            key for key in SECRETS if key in self.values and not _is_encrypted(self.values[key])
        ]
        try:
            config, warnings = load_stack_config(
                self.stack,
                self.values.get,
                self.values,
                plain=plain,
                empty=[key for key, value in self.values.items() if value is None],
                region=self.region or "",
                naming=self.naming,
                foreign=self.foreign,
            )
        except ConfigError as error:
            raise ConfigError(self.stack, (*error.problems, *self.doubts)) from None
        return config, [*warnings, *self.doubts]

    def unchecked(self) -> StackConfig:
        """The config without a look at the rules.

        Raises CliError (USAGE) where a section has the wrong shape.
        """
        sections: dict[str, Any] = {}
        for name, adapter in SECTIONS.items():
            try:
                sections[name] = adapter.validate_json(
                    json.dumps(self.values.get(name) or {}, default=str), strict=True
                )
            except ValidationError as error:
                raise CliError(
                    f"section {name} of {self.label} has the wrong shape; `check {self.label}`"
                    " says how",
                    ExitCode.USAGE,
                ) from error
        return StackConfig.model_construct(name=self.stack, **sections)

    def line(self, path: str) -> int | None:
        """Line of a value, or of the nearest thing around it that the file holds; None where it
        holds nothing of the kind.
        """
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
        source: the name of a stack of this checkout (`prod`), a path, or `git:<revision>:<path from
            the root of the checkout>`.

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
        data = file.read_bytes()
    except FileNotFoundError:
        known = ", ".join(all_stacks())
        raise CliError(
            f"there is no {file.name if file.parent == ROOT else file}; stack files stand here for:"
            f" {known}",
            ExitCode.USAGE,
        ) from None
    except OSError as error:
        raise CliError(f"{file} cannot be read: {error.strerror}", ExitCode.USAGE) from error
    return parse(file.name if file.parent == ROOT else str(file), file.name, data)


def _from_git(revision: str, path: str) -> bytes:
    shown = subprocess.run(
        ["git", "show", f"{revision}:{path}"], cwd=ROOT, capture_output=True, check=False
    )
    if shown.returncode:
        said = shown.stderr.decode(errors="replace").strip().removeprefix("fatal: ")
        raise CliError(
            f"git has no {path} at {revision}: {said}",
            ExitCode.USAGE,
        )
    return shown.stdout


def parse(label: str, name: str, data: bytes) -> StackFile:
    """The stack file that these bytes are. Raises CliError (USAGE).

    `label`: how it is called to people; `name`: of the file, `Pulumi.prod.yaml`.
    """
    try:
        document = stack_document(data, label, NAMESPACE)
    except StackFileError as error:
        raise CliError(str(error), ExitCode.USAGE) from None
    parts = name.split(".")
    region, naming = (document.config.get(key) for key in ("aws:region", "pulumi:autonaming"))
    return StackFile(
        label=label,
        stack=parts[1] if len(parts) > 2 else parts[0],
        values={
            _path((full,)): _handed(value)
            for full, value in document.config.items()
            if _is_own(full)
        },
        foreign=tuple(full for full in document.config if not _is_own(full)),
        region=None if region is None else text(region),
        naming="" if naming is None else json.dumps(naming, default=str),
        lines={_path(path): line for path, line in document.lines.items()},
        doubts=tuple(_doubts(document)),
    )


def _doubts(document: StackDocument) -> Iterator[Problem]:
    """What the file says and the program does not get, or gets as something else."""
    for altered in document.altered:
        shown = json.dumps(_handed(altered.becomes), ensure_ascii=False)
        long = _TOO_LONG.fullmatch(altered.text)
        kept = "a number of at most 15 digits" if long else "the number in plain digits"
        yield Problem(
            code="YAML-ALTERED",
            level="warning",
            path=_path(altered.path),
            found=altered.text,
            message=f"the Pulumi CLI hands the program {shown} instead",
            fix=f'write "{altered.text}" in quotes where it is text, or {kept}',
        )
    for key in document.unread:
        second = key == "---"
        yield Problem(
            code="YAML-UNREAD",
            level="warning",
            path=key,
            found=key,
            message=(
                "the Pulumi CLI reads only the first document of a file"
                if second
                else "the Pulumi CLI passes over unknown keys beside `config`"
            ),
            fix="keep one document in a file" if second else "remove it, or move it below `config`",
        )
    if document.imports:
        yield Problem(
            code="YAML-ENVIRONMENT",
            level="warning",
            path="environment",
            found="environment",
            message="values from environments of Pulumi ESC are not seen here",
            fix="look at what `pulumi config` shows, which includes them",
        )


def _handed(value: Any) -> Any:
    """A value as the program gets it: through JSON as Go writes it, where 1e3 is a whole number."""
    if isinstance(value, dict):
        return {name: _handed(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_handed(each) for each in value]
    return json.loads(json_number(value)) if isinstance(value, float) else value


def _is_encrypted(value: Any) -> bool:
    """As the CLI sees it: it takes everything else below `secure` for an object in plain text."""
    return isinstance(value, dict) and set(value) == {"secure"} and isinstance(value["secure"], str)


def _is_own(full: str) -> bool:
    return full.startswith(f"{NAMESPACE}:")


def _path(path: tuple[str, ...]) -> str:
    """A dotted path: the program's own keys without their namespace, others in full."""
    return ".".join((path[0].removeprefix(f"{NAMESPACE}:"), *path[1:]))
