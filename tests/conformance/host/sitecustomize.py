"""Read by Python at its start, in the programs that the CLI runs in these tests: half of their
time goes into what nobody looks at.
"""

from __future__ import annotations

import atexit
import functools
import gc
import importlib
import json
import os
import re
import sys
import sysconfig
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any, Final

_SDK: Final = "pulumi_aws"
_EAGER: Final = f"{_SDK}.config"
"""Replaces its own class, and holds little."""
_SHARED: Final = ("_inputs", "_enums")
"""Modules of a service that hold what belongs to several of its resources."""
_LISTING: Final = ["-m", "pip", "list", "-v", "--format", "json"]
"""Before each program the host asks so which packages have a plugin."""


class OnDemand(MetaPathFinder):
    """Finds the packages of the SDK's services: what stands in one of their modules is imported
    when it is asked for, and not with the five hundred others.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The package of a service with a loader that waits; None for all other modules."""
        if fullname.rpartition(".")[0] != _SDK or fullname == _EAGER:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.submodule_search_locations and spec.loader:
            spec.loader = _Waiting(spec.loader)
        return spec


class _Waiting(Loader):
    def __init__(self, whole: Loader) -> None:
        self._whole = whole

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._whole.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__getattr__"] = functools.partial(self._member, module)

    def _member(self, module: ModuleType, name: str) -> Any:
        if name.startswith("_") or name == "outputs":
            raise AttributeError(name)  # the import system asks so before it imports a module
        snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.removesuffix("Args")).lower()
        for each in (snake, *_SHARED):
            try:
                part = importlib.import_module(f"{module.__name__}.{each}")
            except ModuleNotFoundError:
                continue
            if hasattr(part, name):
                module.__dict__[name] = getattr(part, name)
                return module.__dict__[name]
        del module.__dict__["__getattr__"]
        self._whole.exec_module(module)  # it is somewhere else, or not there at all
        return getattr(module, name)


def packages() -> list[dict[str, str]]:
    """What pip lists of packages with a plugin, which are those of Pulumi's providers."""
    folder = sysconfig.get_path("purelib")
    names = sorted(path.stem for path in Path(folder).glob("pulumi_*.dist-info"))
    return [
        {"name": name, "version": version, "location": folder}
        for name, version in (each.split("-") for each in names)
    ]


if sys.orig_argv[1:] == _LISTING:
    sys.stdout.write(json.dumps(packages()))
    sys.stdout.flush()
    os._exit(0)
elif any(each.endswith("pulumi-language-python-exec") for each in sys.orig_argv):
    # what is imported lives as long as the program, which ends in seconds (tests/conftest.py)
    gc.set_threshold(200_000, 50, 1000)
    atexit.register(gc.freeze)
    sys.meta_path.insert(0, OnDemand())

    import pulumi.log

    # the SDK sends four messages for each resource, and waits for each; the CLI drops them all
    pulumi.log.debug = lambda *_, **__: None

    root = str(Path(__file__).parents[3])
    sys.path.append(root)
    from localcloud.deployment import sdk_types, source_positions

    sys.path.remove(root)
    sdk_types.hasten()
    source_positions.hasten()
