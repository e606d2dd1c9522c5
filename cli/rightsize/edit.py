"""Values of a stack file replaced in its text: comments, order and layout stay."""

from __future__ import annotations

from collections.abc import Mapping

import yaml

from config.stack import NAMESPACE


def replaced(text: str, changes: Mapping[str, float]) -> str:
    """The text of a stack file with other values.

    Args:
        text: YAML.
        changes: dotted path below the namespace (`jobs.preprocess.memory_mib`) -> value.

    Raises KeyError with the path where the file holds no value there.
    """
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    spots = []
    for path, value in changes.items():
        section, *rest = path.split(".")
        keys = ("config", f"{NAMESPACE}:{section}", *rest)
        node = _at(root, keys) or _at(root, ("config", section, *rest))
        if not isinstance(node, yaml.ScalarNode):
            raise KeyError(path)
        spots.append((node.start_mark.index, node.end_mark.index, _text(value)))
    for start, end, new in sorted(set(spots), reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _at(root: yaml.Node | None, keys: tuple[str, ...]) -> yaml.Node | None:
    node = root
    for key in keys:
        if not isinstance(node, yaml.MappingNode):
            return None
        node = next((value for name, value in node.value if name.value == key), None)
    return node


def _text(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
