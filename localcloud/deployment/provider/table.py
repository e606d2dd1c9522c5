"""docs/provider.md: what a change of a resource's inputs does, by type, as the rehearsal has
learned it.

`python -m localcloud.deployment.provider.table --write` makes it; a test holds it current.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from localcloud.deployment.provider.calls import NAMES
from localcloud.deployment.provider.lifecycle import LIFECYCLES, rules

FILE: Final = Path(__file__).parents[3] / "docs" / "provider.md"
_INTRO: Final = """\
# What a change of a resource does

Made by `python -m localcloud.deployment.provider.table --write` from `localcloud/deployment/provider/rules.json` and the table of automatic names; a test holds
it current, and compares it with the installed pulumi_aws, which has the names and says little of what replaces. It is what the local
provider does, and what the schemas of terraform-provider-aws {release} say, the last release whose sources were read; pulumi-aws bridges
them. Properties that are not here change in place. A property
*replaces* where its change needs another resource, is a *set* where the order of its entries says nothing, and has an *automatic* value
where the program gives none (`pulumi:autonaming`), of at most so many characters. Behind a type stands its file there, and *old first*
where the old resource goes before the new one is made. Conditions that a property alone does not tell are in code:
`localcloud/deployment/provider/batch_updates.py` and `network_updates.py`.
"""


def table() -> str:
    """The page."""
    return "\n".join([_INTRO.format(release=rules()["terraform_provider_aws"]), *_rows(), ""])


def _rows() -> Iterator[str]:
    yield "| type | property | replaces | set | automatic | source |"
    yield "|---|---|---|---|---|---|"
    for token, rule in sorted(rules()["types"].items()):
        naming = NAMES.get(f"aws:{token}")
        replaces, sets = set(rule.get("replaces", ())), set(rule.get("sets", ()))
        named = {naming.property} if naming is not None else set()
        first = ", old first" if LIFECYCLES[f"aws:{token}"].deletes_first else ""
        for name in sorted(replaces | sets | named) or ["(all)"]:
            cells = (
                f"`{token}`",
                f"`{name}`" if name != "(all)" else "all in place",
                "yes" if name in replaces else "",
                "yes" if name in sets else "",
                f"{naming.longest}" if naming is not None and name in named else "",
                f"{rule['source'].removeprefix('internal/service/')}{first}",
            )
            yield f"| {' | '.join(cells)} |"


def main() -> None:
    """Writes the page, or prints it."""
    if "--write" in sys.argv[1:]:
        FILE.write_text(table(), encoding="utf-8")
    else:
        sys.stdout.write(table())


if __name__ == "__main__":
    main()
