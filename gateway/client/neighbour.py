"""Whose program is at the other end of a loopback connection, where the system tells (Linux).

``/proc/net/tcp`` lists every connection with the user who owns its socket. An address on a command line
is seen by everybody on the machine, so a secret in it alone does not keep other users out.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

TABLES: Final = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_LOOPBACK: Final = frozenset({"0100007F", "0000000000000000FFFF00000100007F"})  # plain, and mapped into IPv6
_LOCAL, _REMOTE, _USER = 1, 2, 7
ROOT: Final = 0


def is_own(peer_port: int, port: int) -> bool:
    """Return whether a connection to our port is of our user or root, or the system does not tell."""
    try:
        lines = [line for table in TABLES if table.exists() for line in table.read_text("ascii").splitlines()]
    except OSError:
        return True
    owner = owner_in(lines, peer_port, port)
    return owner is None or owner in {os.geteuid(), ROOT}


def owner_in(lines: Iterable[str], peer_port: int, port: int) -> int | None:
    """Return the user id of the socket that is connected from one loopback port to another."""
    for line in lines:
        fields = line.split()
        if len(fields) <= _USER:
            continue
        local, _, from_port = fields[_LOCAL].partition(":")
        remote, _, to_port = fields[_REMOTE].partition(":")
        if (from_port, to_port) == (f"{peer_port:04X}", f"{port:04X}") and {local, remote} <= _LOOPBACK:
            return int(fields[_USER])
    return None
