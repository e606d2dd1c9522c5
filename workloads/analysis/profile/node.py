"""What is stored of a tree node, and how two of them become one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy.typing as npt

from workloads.analysis.profile import moments as moments_module
from workloads.analysis.profile import sketch as sketch_module
from workloads.analysis.profile.moments import Integers, Moments
from workloads.analysis.profile.sketch import Sketch
from workloads.analysis.tree import NodeId

_MOMENT_FIELDS = tuple(field.name for field in fields(Moments))


@dataclass(frozen=True, kw_only=True, eq=False)
class ProfileNode:
    """The profile of a run of units."""

    moments: Moments
    sketch: Sketch

    @classmethod
    def empty(cls, columns: int, compared: Integers) -> ProfileNode:
        """Of no units."""
        return cls(moments=Moments.empty(columns, compared), sketch=Sketch.empty(columns))

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Name -> array, for storage and digest."""
        return {**self.moments.arrays(), **self.sketch.arrays()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> ProfileNode:
        """What arrays() gave. Raises ValueError where something is missing."""
        try:
            moments = Moments(**{name: arrays[name] for name in _MOMENT_FIELDS})
            sketch = Sketch(
                columns=moments.count.size,
                keys=arrays["sketch_keys"],
                counts=arrays["sketch_counts"],
            )
        except KeyError as error:
            raise ValueError(f"array {error} is missing") from error
        return cls(moments=moments, sketch=sketch)


def merge(a: ProfileNode, b: ProfileNode) -> ProfileNode:
    """The profile of the units of `a` followed by those of `b`."""
    return ProfileNode(
        moments=moments_module.merge(a.moments, b.moments),
        sketch=sketch_module.merge(a.sketch, b.sketch),
    )


def object_name(node: NodeId, sha256: str) -> str:
    """Name of a node's object below the prefix of the partial results: by its content, so that no
    other writer can replace it.
    """
    return f"profile/level-{node.level:02}-index-{node.index:06}-{sha256[:16]}.npz"
