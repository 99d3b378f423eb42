"""The upstream: two fixed bodies of JSON rows, ``/small`` and ``/large``, as cheap as a server can be."""

import asyncio
import sys
from pathlib import Path
from typing import cast

import uvloop

NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


class Fixed(asyncio.Protocol):
    """Answers every request with the body its path names; reads nothing else of it."""

    def __init__(self, replies: dict[bytes, bytes]) -> None:
        self._replies = replies
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head, self._buffer = self._buffer[:end], self._buffer[end + 4 :]
            path = head.split(b" ", 2)[1].partition(b"?")[0]
            self._transport.write(self._replies.get(path, NOT_FOUND))


def reply_of(body: bytes) -> bytes:
    return (
        f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        + body
    )


async def main(replies: dict[bytes, bytes]) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: Fixed(replies), "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    bodies = Path(sys.argv[1]).glob("*.json")
    uvloop.run(main({f"/{path.stem}".encode(): reply_of(path.read_bytes()) for path in bodies}))
