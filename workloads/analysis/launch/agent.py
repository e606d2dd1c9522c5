"""What mpirun starts in place of ssh: `agent.py SOCKET HOST COMMAND...`.

Hands host and command to the launcher on this node and lives as long as the command does on the other one. Run as a file with the standard
library alone, because mpirun starts one per node.
"""

from __future__ import annotations

import json
import socket
import sys


def main(arguments: list[str]) -> int:
    """Exit status of the command, as ssh would give it; 255 where the launcher or the node is gone."""
    path, host, *command = arguments
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(path)
        stream = connection.makefile("rw", encoding="utf-8")
        stream.write(json.dumps({"host": host, "command": " ".join(command)}) + "\n")
        stream.flush()
        answer = stream.readline()
    return int(json.loads(answer)["exited"]) if answer else 255


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
