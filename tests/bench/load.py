"""The client: N keep-alive connections that ask as fast as they are answered, one job a process.

The job is one JSON object on standard input, the result one on standard output. Signing is the
client's work, not the server's: every proof is made before the clock starts. Responses are read to
their ``Content-Length`` and not parsed, so that this process is never what is measured.
"""

import asyncio
import json
import re
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import cast
from urllib.parse import urlsplit

import uvloop

from gateway.client.keys import ClientKey

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_NONCE = re.compile(rb"\r\ndpop-nonce: *(\S+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What to ask, how often, and with which credentials (none for a floor)."""

    origin: str
    method: str
    path: str
    body: str = ""
    connections: int
    requests: int
    seconds_max: float
    key_file: str = ""
    token: str = ""


@dataclass(slots=True)
class Told:
    """What came back."""

    statuses: Counter[int] = field(default_factory=Counter)
    nonce: str = ""
    body_bytes: int = 0


class Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self) -> None:
        self._head = b""
        self._left = -1
        self._answered: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(exc or ConnectionResetError("closed"))

    def data_received(self, data: bytes) -> None:
        if self._left < 0:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return
            found = _LENGTH.search(self._head, 0, end)
            self._left = (int(found[1]) if found else 0) + end + 4 - len(self._head)
            self._head = self._head[:end]
        else:
            self._left -= len(data)
        if self._left <= 0 and self._answered is not None:
            self._left = -1
            self._answered.set_result(self._head)

    async def ask(self, request: bytes) -> bytes:
        """Return the head of the answer, once its body has arrived."""
        self._head = b""
        self._answered = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self._answered


def request_of(job: Job, key: ClientKey | None, nonce: str) -> bytes:
    """Return one request, signed if there is a key."""
    parts, body = urlsplit(job.origin), job.body.encode()
    path, _, query_string = job.path.partition("?")
    lines = [f"{job.method} {job.path} HTTP/1.1", f"Host: {parts.netloc}", "Accept: application/json"]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    if key is not None:
        proof = key.proof(
            method=job.method,
            url=job.origin + path,
            now=datetime.now(UTC),
            nonce=nonce or None,
            access_token=job.token,
            query_string=query_string,
            body=body,
        )
        lines += [f"Authorization: DPoP {job.token}", f"DPoP: {proof}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def run(job: Job) -> dict[str, object]:
    loop, told = asyncio.get_running_loop(), Told()
    parts = urlsplit(job.origin)
    key = ClientKey.load(job.key_file) if job.key_file else None
    connections = [
        (await loop.create_connection(Connection, parts.hostname, parts.port))[1]
        for _ in range(job.connections)
    ]
    if key is not None:  # the first answer is a refusal that hands out the nonce
        head = await connections[0].ask(request_of(job, key, ""))
        found = _NONCE.search(head)
        told.nonce = found[1].decode() if found else ""
    waiting = [request_of(job, key, told.nonce) for _ in range(job.requests)]
    until = time.perf_counter() + job.seconds_max

    async def ask_on(connection: Connection) -> None:
        while waiting and time.perf_counter() < until:
            head = await connection.ask(waiting.pop())
            told.statuses[int(head[9:12])] += 1
            length = _LENGTH.search(head)
            told.body_bytes = int(length[1]) if length else 0

    started = time.perf_counter()
    await asyncio.gather(*(ask_on(connection) for connection in connections))
    elapsed = time.perf_counter() - started
    for connection in connections:
        connection.transport.close()
    return {"statuses": dict(told.statuses), "elapsed_s": elapsed, "body_bytes": told.body_bytes}


if __name__ == "__main__":
    json.dump(uvloop.run(run(Job(**json.load(sys.stdin)))), sys.stdout)
