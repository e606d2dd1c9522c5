"""What mpirun starts in place of ssh: `agent.py HOST COMMAND...`, the launcher's folder in the
environment.

Hands host and command to the launcher on this node and lives as long as the command does on the
other one. Run as a file with the standard library alone, because mpirun starts one per node.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from typing import Final

SOCKET: Final = "agents"
"""Where the launcher listens, in its folder."""
FOLDER: Final = "LAUNCH_FOLDER"
"""Environment variable that names the folder; the command line that mpirun shares with the other
nodes names nothing of this one.
"""


def main(arguments: list[str]) -> int:
    """Exit status of the command, as ssh would give it; 255 where the launcher or the node is
    gone.
    """
    host, *command = arguments
    os.chdir(
        os.environ[FOLDER]
    )  # a socket's path has at most 107 bytes (unix(7)), and the folder's may be longer
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(SOCKET)
        stream = connection.makefile("rw", encoding="utf-8")
        stream.write(json.dumps({"host": host, "command": " ".join(command)}) + "\n")
        stream.flush()
        answer = stream.readline()
    return int(json.loads(answer)["exited"]) if answer else 255


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
