"""Pulumi assets and archives as bytes.

A zip of the same files is always the same bytes, so that a code hash says something.
"""

from __future__ import annotations

import functools
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from localcloud.deployment.provider.calls import ProviderError
from localcloud.deployment.provider.values import ASSET, SIGNATURE_KEY, Secret, is_asset

_EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can hold
_BLOCK: Final = tarfile.BLOCKSIZE
_CHECKSUM, _DEVICES = slice(148, 156), slice(329, 345)
"""Fields of a tar header."""
_SKIPPED: Final = ("__pycache__",)


def with_hashes(value: Any) -> Any:
    """A property value whose assets have the hash of their content, as engines give them to
    providers.

    Raises ProviderError where a file is missing.
    """
    if isinstance(value, Secret):
        return Secret(with_hashes(value.value))
    if is_asset(value):
        inner = {name: with_hashes(each) for name, each in (value.get("assets") or {}).items()}
        return {**value, **({"assets": inner} if inner else {}), "hash": _hash(value)}
    if isinstance(value, Mapping):
        return {name: with_hashes(item) for name, item in value.items()}
    return [with_hashes(item) for item in value] if isinstance(value, list) else value


def _hash(asset: Mapping[str, Any]) -> str:
    """The SHA-256 by which engines know content: of an archive that is a file its bytes, of any
    other the tar that it would make.

    (pulumi's sdk/go/common/resource/archive: EnsureHash.)
    """
    if asset.get(SIGNATURE_KEY) == ASSET or Path(str(asset.get("path") or "")).is_file():
        return hashlib.sha256(asset_bytes(asset)).hexdigest()
    digest = hashlib.sha256()
    for name, content in sorted(_entries(asset, "")):
        digest.update(_header(name, len(content)) + content + bytes(-len(content) % _BLOCK))
    digest.update(bytes(2 * _BLOCK))
    return digest.hexdigest()


@functools.lru_cache(maxsize=1024)
def _header(name: str, size: int) -> bytes:
    """The tar header of a file, as Go writes it."""
    info = tarfile.TarInfo(name)
    info.mode, info.size = 0o600, size
    short = len(name.encode()) <= tarfile.LENGTH_NAME
    header = bytearray(
        info.tobuf(tarfile.USTAR_FORMAT if short else tarfile.PAX_FORMAT, "utf-8", "strict")
    )
    header[_DEVICES] = b"0000000\0" * 2  # Go writes device numbers of plain files too
    header[_CHECKSUM] = b" " * 8
    header[_CHECKSUM] = b"%06o\0 " % sum(header[:_BLOCK])
    return bytes(header)


def asset_bytes(asset: Mapping[str, Any]) -> bytes:
    """The content of a file asset or a text asset, or an archive as a zip.

    Raises ProviderError where a file is missing.
    """
    if asset.get(SIGNATURE_KEY) != ASSET:
        return archive_zip(asset)
    if asset.get("text") is not None:
        return str(asset["text"]).encode()
    return _read(asset)


def archive_zip(archive: Mapping[str, Any]) -> bytes:
    """An archive as a deterministic zip; a file that is one already is taken as it stands.

    Raises ProviderError where a file is missing.
    """
    if archive.get("path") is not None and Path(archive["path"]).is_file():
        return Path(archive["path"]).read_bytes()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in sorted(_entries(archive, "")):
            entry = zipfile.ZipInfo(name, date_time=_EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            target.writestr(entry, content)
    return buffer.getvalue()


def _entries(node: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, bytes]]:
    if node.get("assets") is not None:
        for name, child in node["assets"].items():
            yield from _entries(child, f"{prefix}/{name}".lstrip("/"))
    elif node.get("text") is not None:
        yield prefix, str(node["text"]).encode()
    elif node.get(SIGNATURE_KEY) == ASSET:
        yield prefix, _read(node)
    elif node.get("path") is not None:
        yield from (
            (f"{prefix}/{name}".lstrip("/"), content)
            for name, content in _files(Path(node["path"]))
        )
    else:
        raise ProviderError(
            "remote assets are not read by the local provider; use a file or a text"
        )


def _files(root: Path) -> Iterator[tuple[str, bytes]]:
    """What a folder, or a zip file, of an archive holds."""
    if root.is_file():
        with zipfile.ZipFile(root) as inner:
            yield from ((name, inner.read(name)) for name in inner.namelist())
        return
    if not root.is_dir():
        raise ProviderError(f"the archive {root} does not exist")
    for path in sorted(root.rglob("*")):
        if path.is_file() and not any(part in _SKIPPED for part in path.parts):
            yield path.relative_to(root).as_posix(), path.read_bytes()


def _read(asset: Mapping[str, Any]) -> bytes:
    path = Path(str(asset.get("path") or ""))
    if not path.is_file():
        raise ProviderError(f"the file {path} of an asset does not exist")
    return path.read_bytes()
