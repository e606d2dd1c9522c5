"""Node ranges of multi-node jobs: `0:3`, `2`, `1:`, `:4`, `:`."""

from __future__ import annotations

import re
from typing import Final

from localcloud.batch.records import client_error

_RANGE: Final = re.compile(r"(?P<first>\d*):(?P<last>\d*)|(?P<only>\d+)")


def parse(target: str, count: int) -> range:
    """The nodes that a range names, of `count`. Raises ClientException."""
    match = _RANGE.fullmatch(target)
    if match is None:
        raise client_error(f"targetNodes {target!r} is not a node range such as 0:3, 4: or 2")
    if match["only"] is not None:
        return range(int(match["only"]), int(match["only"]) + 1)
    first = int(match["first"] or 0)
    return range(first, int(match["last"]) + 1 if match["last"] else count)


def is_open(target: str) -> bool:
    """Whether the range reaches to the last node, however many there are."""
    return target.endswith(":")


def check_ranges(targets: list[str], count: int) -> None:
    """Raises ClientException unless the ranges cover every node, reach no further, and overlap only
    by nesting.
    """
    ranges = {target: parse(target, count) for target in targets}
    if len(ranges) != len(targets):
        raise client_error(f"Node ranges must differ, found {', '.join(targets)}")
    for target, nodes in ranges.items():
        if not nodes or nodes[-1] >= count:
            raise client_error(f"Node range {target} does not fit numNodes {count}")
    names = list(ranges)
    for index, one in enumerate(names):
        for other in names[index + 1 :]:
            a, b = set(ranges[one]), set(ranges[other])
            if a & b and not (a <= b or b <= a):
                raise client_error(f"Node ranges {one} and {other} overlap")
    missing = set(range(count)).difference(*ranges.values())
    if missing:
        raise client_error(
            f"Node ranges must cover all nodes 0 to {count - 1}; missing"
            f" {', '.join(map(str, sorted(missing)))}"
        )


def range_of(node: int, targets: list[str], count: int) -> str:
    """The range that governs a node: the smallest that holds it, since nested ranges override."""
    return min(
        (target for target in targets if node in parse(target, count)),
        key=lambda target: len(parse(target, count)),
    )
