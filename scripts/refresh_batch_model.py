"""Writes config/batch_model.json: what botocore says of container and node properties, without the
parts for EKS and the documentation.

Run it after an update of botocore; a test tells when it is due.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import botocore
from botocore.loaders import Loader

TARGET: Final = Path(__file__).resolve().parents[1] / "config" / "batch_model.json"
_ROOTS: Final = ("ContainerProperties", "NodeProperties")
_LEFT_OUT: Final = "EksProperties"


def batch_model() -> dict[str, Any]:
    """The shapes below container and node properties, by name: type, members, required members,
    allowed values.
    """
    shapes = Loader().load_service_model("batch", "service-2")["shapes"]
    found: dict[str, dict[str, Any]] = {}
    waiting = list(_ROOTS)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = _short(shapes[name])
            waiting += [
                *found[name].get("members", {}).values(),
                *(found[name][k] for k in ("member", "value") if k in found[name]),
            ]
    source = f"service model of AWS Batch in botocore {botocore.__version__}"
    return {"source": source, "shapes": dict(sorted(found.items()))}


def _short(shape: dict[str, Any]) -> dict[str, Any]:
    short: dict[str, Any] = {"type": shape["type"]}
    if shape["type"] == "structure":
        short["members"] = {
            name: member["shape"]
            for name, member in shape["members"].items()
            if member["shape"] != _LEFT_OUT
        }
    short |= {key: shape[key] for key in ("required", "enum") if shape.get(key)}
    short |= {key: shape[key]["shape"] for key in ("member", "value") if key in shape}
    return short


def text(model: dict[str, Any]) -> str:
    """The data file: one shape a line."""
    lines = ",\n".join(
        f"  {json.dumps(name)}: {json.dumps(shape)}" for name, shape in model["shapes"].items()
    )
    return f'{{\n "source": {json.dumps(model["source"])},\n "shapes": {{\n{lines}\n }}\n}}\n'


if __name__ == "__main__":
    TARGET.write_text(text(batch_model()), encoding="utf-8")
    print(f"wrote {TARGET.name}")
