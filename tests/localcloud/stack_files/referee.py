"""The real Pulumi CLI as the referee of stack files: what a program is handed, or that nothing
is.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from tests.localcloud.stack_files.cases import PROJECTS

_STACK = "t"
_PROGRAM = """import os
with open(os.environ["FOUND"], "w") as file:
    file.write(os.environ["PULUMI_CONFIG"])
"""


class Referee:
    """A project in a folder of its own, with a stack that is previewed again and again.

    Args:
        folder: An empty one.
        path: PATH with `pulumi` and the Python language host.
    """

    def __init__(self, folder: Path, path: str) -> None:
        self._found = folder / "found.json"
        self._environment = {
            **os.environ,
            "PATH": path,
            "PULUMI_BACKEND_URL": f"file://{folder}",
            "PULUMI_CONFIG_PASSPHRASE": "rehearsal",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "FOUND": str(self._found),
            "TZ": "UTC",
        }
        self._folders = {name: folder / name for name in PROJECTS}
        self._salts: dict[str, bytes] = {}
        for name, home in self._folders.items():
            home.mkdir()
            (home / "Pulumi.yaml").write_text(PROJECTS[name])
            (home / "__main__.py").write_text(_PROGRAM)
            self._run(home, "stack", "init", f"organization/batch-reference/{_STACK}{name}")
            self._salts[name] = (home / f"Pulumi.{_STACK}{name}.yaml").read_bytes()

    def config(self, project: str, data: bytes) -> dict[str, str] | None:
        """The config that a program gets of a stack file; None where the CLI refuses it."""
        home = self._folders[project]
        self._found.unlink(missing_ok=True)
        (home / f"Pulumi.{_STACK}{project}.yaml").write_bytes(_salted(data, self._salts[project]))
        self._run(home, "preview", "-s", f"{_STACK}{project}", check=False)
        if not self._found.exists():
            return None
        found: dict[str, str] = json.loads(self._found.read_text())
        return found

    def _run(self, home: Path, *words: str, check: bool = True) -> None:
        subprocess.run(
            ["pulumi", *words, "--non-interactive"],
            cwd=home,
            env=self._environment,
            capture_output=True,
            check=check,
            timeout=120,
        )


def _salted(data: bytes, salt: bytes) -> bytes:
    """The file with the line that every stack with a passphrase has, in the file's own encoding."""
    for mark, encoding in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        if data.startswith(mark):
            return mark + salt.decode().encode(encoding) + data[2:]
    mark = b"\xef\xbb\xbf" if data.startswith(b"\xef\xbb\xbf") else b""
    rest = data[len(mark) :]
    if rest.startswith((b"%", b"---", b"- ", b"\xef")) or b":" not in rest:
        return data
    return mark + salt + rest
