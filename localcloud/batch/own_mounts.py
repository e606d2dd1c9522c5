"""Gives one program, and all that it starts, mounts of its own, and becomes that program:
directories that are read-only at other places, and disks of a size.

Started as `python -I -S own_mounts.py <JSON> <command...>`, with `{"shown": [[directory, place],
...], "disks": [[place, bytes], ...]}`; the places are empty directories. The kernel gives such
mounts to root by itself, else with a user namespace, in which the program keeps its user. Where it
does not, that is said in one line on standard error: then a read-only place becomes a link to its
directory, which can be written to, and a disk has no size.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from pathlib import Path
from typing import Any

_CLONE_NEWNS = 0x00020000
_CLONE_NEWUSER = 0x10000000
_MS_RDONLY = 0x1
_MS_REMOUNT = 0x20
_MS_BIND = 0x1000
_MS_REC = 0x4000
_MS_PRIVATE = 0x40000


def main(arguments: list[str]) -> int:
    """Does not return where the command can be started."""
    asked, command = json.loads(arguments[0]), arguments[1:]
    try:
        _mount(asked)
    except (OSError, AttributeError) as error:
        wanted = [f"keep {directory} read-only" for directory, _ in asked["shown"]]
        wanted += [f"bound {place} to {size} bytes" for place, size in asked["disks"]]
        sys.stderr.write(
            f"the rehearsal cannot do this on this machine: {', '.join(wanted)}: {error}\n"
        )
        sys.stderr.flush()
        for directory, place in asked["shown"]:
            Path(place).rmdir()
            Path(place).symlink_to(directory)
    try:
        os.execvp(command[0], command)  # noqa: S606 - the job's own command
    except OSError as error:
        sys.stderr.write(f"exec: {command[0]}: {error.strerror}\n")
        return 127


def _mount(asked: dict[str, Any]) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    if user == 0:
        _checked(libc.unshare(_CLONE_NEWNS))
    else:
        _checked(libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNS))
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    _checked(libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None))
    for directory, at in asked["shown"]:
        place = os.fsencode(at)
        _checked(libc.mount(os.fsencode(directory), place, None, _MS_BIND, None))
        # flags that the outer mount has are locked, and have to be named again
        kept = os.statvfs(place).f_flag & (os.ST_NOSUID | os.ST_NODEV | os.ST_NOEXEC)
        flags = _MS_REMOUNT | _MS_BIND | _MS_RDONLY | kept
        _checked(libc.mount(None, place, None, flags, None))
    for at, size in asked["disks"]:
        options = f"size={size},mode=1777".encode()
        _checked(libc.mount(b"disk", os.fsencode(at), b"tmpfs", 0, options))


def _checked(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
