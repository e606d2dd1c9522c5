"""Typed reading of the PIPELINE_* variables; a wrong value is one sentence and exit code 2."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from workloads.contract import ContractError, require_env
from workloads.runtime.errors import EXIT_ENVIRONMENT, StageError

_FLAGS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def text(name: str, environ: Mapping[str, str] = os.environ) -> str:
    """A value that the stage cannot do without. Raises StageError."""
    try:
        return require_env(name, environ)
    except ContractError as error:
        raise StageError(str(error), exit_code=EXIT_ENVIRONMENT) from error


def number(
    name: str, *, default: float, low: float, high: float, environ: Mapping[str, str] = os.environ
) -> float:
    """A number within bounds, both included. Raises StageError."""
    found = environ.get(name, "").strip()
    if not found:
        return default
    try:
        value = float(found)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise _wrong(name, found, f"a number from {low:g} to {high:g}")
    return value


def whole(
    name: str, *, default: int, low: int, high: int, environ: Mapping[str, str] = os.environ
) -> int:
    """A whole number within bounds, both included. Raises StageError."""
    found = environ.get(name, "").strip()
    if not found:
        return default
    if not (found.isascii() and found.isdecimal()) or not low <= int(found) <= high:
        raise _wrong(name, found, f"a whole number from {low} to {high}")
    return int(found)


def choice(
    name: str, *, allowed: Sequence[str], default: str, environ: Mapping[str, str] = os.environ
) -> str:
    """One of a few words. Raises StageError."""
    found = environ.get(name, "").strip() or default
    if found not in allowed:
        raise _wrong(name, found, " or ".join(repr(word) for word in allowed))
    return found


def flag(name: str, *, default: bool, environ: Mapping[str, str] = os.environ) -> bool:
    """True or false in the spellings true/false, yes/no, 1/0. Raises StageError."""
    found = environ.get(name, "").strip().lower()
    if not found:
        return default
    if found not in _FLAGS:
        raise _wrong(name, found, "'true' or 'false'")
    return _FLAGS[found]


def directory(name: str, environ: Mapping[str, str] = os.environ) -> Path | None:
    """An absolute path; None where there is none. Raises StageError."""
    found = environ.get(name, "").strip()
    if not found:
        return None
    path = Path(found)
    if not path.is_absolute():
        raise _wrong(name, found, "an absolute path, such as '/mnt/shared'")
    return path


def _wrong(name: str, found: str, allowed: str) -> StageError:
    return StageError(
        f"environment variable {name} is {found!r}; expected {allowed}", exit_code=EXIT_ENVIRONMENT
    )
