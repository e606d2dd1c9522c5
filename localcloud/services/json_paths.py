"""Paths of the Amazon States Language that may name several values.

Such a path gives a list, however many it finds (Amazon States Language, "Paths"; JSONPath calls it
indefinite). moto gives the value itself where there is one and it lies more than one level below
the wildcard: `$.Jobs[*].Container.ExitCode` is 137 there, and [137] on AWS.
"""

from __future__ import annotations

import re
import sys
from typing import Any, Final

from moto.stepfunctions.parser.asl.utils import json_path

from localcloud.services.execution_speed import parsed

_SEVERAL: Final = re.compile(r"\*|\.\.|\[\?|\[-?\d*:|\[[^\]'\"]*,")
"""Wildcard, descent, filter, slice, union."""
_ONE_OF_THEM: Final = re.compile(r"\[\d+\]$")
_MOTO: Final = "moto.stepfunctions."


def replacements() -> list[tuple[Any, str, Any]]:
    """(module, name, value) of all places of moto that read paths."""
    moto = json_path.extract_json

    def extracted(path: str, data: Any) -> Any:
        if _SEVERAL.search(path) and not _ONE_OF_THEM.search(path):
            return [match.value for match in parsed(path).find(data)]
        return moto(path, data)

    return [
        (module, "extract_json", extracted)
        for name, module in list(sys.modules.items())
        if name.startswith(_MOTO) and vars(module).get("extract_json") is moto
    ]
