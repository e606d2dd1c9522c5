"""Deploys the stacks of a release, or of any commit, by its own code, and keeps what it left.

    python scripts/record_release.py REF

tests/localcloud/test_upgrade.py holds today's program to these states: an upgrade replaces nothing
that holds data. Run it with each new tag.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
FOLDER: Final = ROOT / "tests" / "localcloud" / "releases"
STACKS: Final = ("local", "dev", "prod")
_DEPLOY: Final = """
import json, sys, tempfile
from pathlib import Path
sys.path.insert(0, ".")
try:
    from localcloud.deployment.deploy import deploy
    from localcloud.deployment.engine.checkpoint import checkpoint
except ImportError:  # before localcloud was divided
    from localcloud.deploy import deploy
    from localcloud.engine.checkpoint import checkpoint
from localcloud.cloud import LocalCloud

stack, target = sys.argv[1:]
with tempfile.TemporaryDirectory() as folder, LocalCloud(Path(folder), images={}) as cloud:
    done = deploy(Path.cwd(), stack, cloud.client)
    text = checkpoint(
        done.state, exports={}, settings={"region": cloud.region}, passphrase="rehearsal"
    )
Path(target).write_text(text)
"""


def main() -> None:
    """Writes one file a stack."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ref", help="a tag or another commit")
    ref = parser.parse_args().ref
    told = _git("log", "-1", "--format=%H %cs", ref).split()
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        checkout = Path(folder) / "checkout"
        _git("worktree", "add", "--detach", str(checkout), told[0])
        try:
            for stack in STACKS:
                target = Path(folder) / f"{stack}.json"
                _deploy(checkout, stack, target)
                whole = {
                    "commit": told[0],
                    "date": told[1],
                    "file": (checkout / f"Pulumi.{stack}.yaml").read_text(),
                    **json.loads(target.read_text()),
                }
                data = json.dumps(whole, sort_keys=True, separators=(",", ":")).encode()
                (FOLDER / f"{stack}.json.gz").write_bytes(gzip.compress(data, mtime=0))
        finally:
            _git("worktree", "remove", "--force", str(checkout))


def _deploy(checkout: Path, stack: str, target: Path) -> None:
    subprocess.run(
        [sys.executable, "-c", _DEPLOY, stack, str(target)],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout)},
        check=True,
    )


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout.strip()


if __name__ == "__main__":
    main()
