"""A stranger who asks as fast as sockets take it, over and over, and reads what comes: a process of its own.

Usage: python flood.py PORT PATH SECONDS CONNECTIONS. At the end it prints how many answers came.
"""

import contextlib
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

AT_ONCE = 40
"""Requests that are sent before an answer is read."""


def flood(port: int, path: str, seconds: float, connections: int) -> int:
    """Return how many answers came."""
    asked = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode() * AT_ONCE
    left: dict[socket.socket, bytes] = {}
    answers, until = 0, time.monotonic() + seconds

    def connect() -> None:
        connection = socket.create_connection(("127.0.0.1", port))
        connection.setblocking(False)
        selector.register(connection, selectors.EVENT_READ | selectors.EVENT_WRITE)
        left[connection] = asked

    with selectors.DefaultSelector() as selector:
        for _ in range(connections):
            connect()
        while time.monotonic() < until:
            for key, events in selector.select(0.1):
                connection = key.fileobj
                assert isinstance(connection, socket.socket)
                if events & selectors.EVENT_WRITE:
                    with contextlib.suppress(BlockingIOError):
                        left[connection] = left[connection][connection.send(left[connection]) :] or asked
                if events & selectors.EVENT_READ:
                    content = connection.recv(1 << 20)
                    answers += content.count(b"HTTP/1.1 200")
                    if not content:
                        selector.unregister(connection)
                        connection.close()
                        del left[connection]
                        connect()
        for connection in left:
            connection.close()
    return answers


@contextlib.contextmanager
def flooded(port: int, path: str, *, seconds: float, connections: int) -> Iterator[None]:
    """Flood while the block runs, which must be over before; afterwards there were answers."""
    command = [sys.executable, str(Path(__file__)), str(port), path, str(seconds), str(connections)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        time.sleep(0.5)  # it has started, and every connection is busy
        yield
        assert process.poll() is None, "the block took longer than the flood"
        said, _ = process.communicate(timeout=seconds + 30)
    assert int(said) > connections * AT_ONCE


if __name__ == "__main__":
    print(flood(int(sys.argv[1]), sys.argv[2], float(sys.argv[3]), int(sys.argv[4])))  # noqa: T201
