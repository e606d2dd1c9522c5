"""Container engines that answer here, and an image that needs no registry: this Python itself."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path
from typing import Final

import boto3

from localcloud.batch.container_engine import ENGINES, Engine, EngineError

IMAGE: Final = "clients/python:1"
_PYTHON: Final = Path(sys.executable).resolve()
_MODELS: Final = re.compile(r"^(?:s3|sts)/|^[^/]+\.json$")
"""Of botocore's data: what a client of S3 reads. The rest is a hundred megabytes."""
_LEFT_OUT: Final = re.compile(r"/(?:site-packages|test|tests|idlelib|lib2to3|config-[^/]*)(?:/|$)")


def answering(directory: Path) -> list[str]:
    """The engines that answer here."""
    found = []
    for name in ENGINES:
        try:
            Engine.found(name, directory)
        except EngineError:
            continue
        found.append(name)
    return found


def make_image(engine: str, directory: Path) -> None:
    """Imports an image with this Python, its libraries and boto3, and a user `job` (1000).

    Its entry point is the interpreter, where it is on this machine: from there it finds the rest.
    """
    archive = directory / "image.tar"
    with tarfile.open(archive, "w") as tar:
        _files(tar)
    subprocess.run(
        [
            engine,
            "import",
            *("--change", f"ENTRYPOINT {json.dumps([str(_PYTHON), '-u'])}"),
            *("--change", "ENV IMAGE=own"),
            str(archive),
            IMAGE,
        ],
        check=True,
        capture_output=True,
    )


def _files(tar: tarfile.TarFile) -> None:
    stdlib = Path(sysconfig.get_path("stdlib")).resolve()
    _text(tar, "etc/passwd", "root:x:0:0::/:/bin/sh\njob:x:1000:1000::/tmp:/bin/sh\n")
    _folder(tar, "tmp", 0o1777)
    tar.add(_PYTHON, str(_PYTHON))
    for file in sorted(_libraries([_PYTHON, *stdlib.glob("lib-dynload/*.so")])):
        tar.add(file.resolve(), str(file))
    tar.add(stdlib, str(stdlib), filter=lambda each: None if _LEFT_OUT.search(each.name) else each)
    for package in ("boto3", "botocore", "s3transfer", "jmespath", "urllib3", "dateutil"):
        tar.add(_site() / package, f"site/{package}", filter=_needed)
    tar.add(_site() / "six.py", "site/six.py")


def _site() -> Path:
    return Path(boto3.__file__).parents[1]


def _needed(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    _, found, rest = member.name.partition("site/botocore/data/")
    return None if found and not _MODELS.match(rest + "/" * member.isdir()) else member


def _libraries(programs: list[Path]) -> set[Path]:
    said = subprocess.run(
        ["ldd", *map(str, programs)], capture_output=True, text=True, check=True
    ).stdout
    return {Path(each) for each in re.findall(r"(?:=> |^\t)(/\S+) \(", said, re.MULTILINE)}


def _text(tar: tarfile.TarFile, name: str, text: str) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(text), 0o644
    tar.addfile(member, io.BytesIO(text.encode()))


def _folder(tar: tarfile.TarFile, name: str, mode: int) -> None:
    member = tarfile.TarInfo(name)
    member.type, member.mode = tarfile.DIRTYPE, mode
    tar.addfile(member)
