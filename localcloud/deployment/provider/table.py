"""docs/provider.md: what a change of a resource's inputs does, by type, as the rehearsal has
learned it.

`python -m localcloud.deployment.provider.table --write` makes it; a test holds it current.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from localcloud.deployment.provider.calls import NAMES
from localcloud.deployment.provider.lifecycle import LIFECYCLES, rules

FILE: Final = Path(__file__).parents[3] / "docs" / "provider.md"
_INTRO: Final = """\
# What a change of a resource does

Made by `python -m localcloud.deployment.provider.table --write` from
`localcloud/deployment/provider/rules.json` and the table of automatic names; a test holds it
current, and compares it with the installed pulumi_aws, which has the names and most defaults, and
says little of what replaces. It is what the local provider does, and what terraform-provider-aws
does, which pulumi-aws bridges: by the schemas of release {release}, the last whose sources were
read, and by the notes of all releases from {first} to {last}. pulumi-aws {package} bridges {last} or
a later one.

Properties that are not here change in place and have no default. A property *replaces* where its
change needs another resource, always or as the cell says; it is a *set* where the order of its
entries says nothing. Its *default* counts where the program gives no value; *named* is a name of at
most so many characters that `pulumi:autonaming` makes. *since* is the release whose notes say so;
what no notes name is older than {first}. Behind a type stands its file there, and *old first* where
the old resource goes before the new one is made. The conditions of the strategies of compute
environments are in `localcloud/deployment/provider/batch_updates.py`.
"""


def table() -> str:
    """The page."""
    first, last = rules()["release_notes"]
    intro = _INTRO.format(
        release=rules()["terraform_provider_aws"],
        first=first,
        last=last,
        package=rules()["pulumi_aws"],
    )
    return "\n".join([intro, *_rows(), ""])


def _rows() -> Iterator[str]:
    yield "| type | property | replaces | set | default | since | source |"
    yield "|---|---|---|---|---|---|---|"
    for token, rule in sorted(rules()["types"].items()):
        naming = NAMES.get(f"aws:{token}")
        replaces = dict.fromkeys(rule.get("replaces", ()), "yes") | rule.get("sometimes", {})
        defaults = {name: f"`{json.dumps(it)}`" for name, it in rule.get("defaults", {}).items()}
        defaults |= dict.fromkeys(rule.get("computed", ()), "AWS decides")
        if naming is not None:
            defaults[naming.property] = f"named, {naming.longest}"
        sets, since = set(rule.get("sets", ())), rule.get("since", {})
        first = ", old first" if LIFECYCLES[f"aws:{token}"].deletes_first else ""
        for name in sorted({*replaces, *sets, *defaults, *since}) or [""]:
            cells = (
                f"`{token}`",
                f"`{name}`" if name else "all in place",
                replaces.get(name, ""),
                "yes" if name in sets else "",
                defaults.get(name, ""),
                since.get(name, ""),
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
