"""A small strict witness (c2sp.org/tlog-witness) on loopback, written from the specification.

It shares no code with the gateway but the Ed25519 of ``cryptography``: notes, proofs and cosignatures are
read and made here a second time. A test may make it forget, lie, or hang.
"""

import asyncio
import base64
import hashlib
import re
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

DASH = "\u2014 "
Answer = web.Response
Handler = Callable[[web.Request], Awaitable[Answer]]


@dataclass
class WitnessServer:
    """State: for each origin the latest checkpoint it cosigned."""

    name: str = "witness.example/w1"
    logs: dict[str, list[str]] = field(default_factory=dict)
    """Origin -> vkeys it trusts."""
    time_s: int = 1_790_000_000
    latest: dict[str, tuple[int, str, str]] = field(default_factory=dict)
    """Origin -> size, root in base64, the note with the cosignature."""
    instead: Handler | None = None
    """Answers in its place: a witness that lies, hangs or fails."""
    requests: list[tuple[str, int]] = field(default_factory=list)
    """What was asked and answered."""
    url: str = ""

    def __post_init__(self) -> None:
        self.key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(self.name.encode()).digest())
        self.raw = b"\x04" + self.key.public_key().public_bytes_raw()
        self.key_id = hashlib.sha256(self.name.encode() + b"\n" + self.raw).digest()[:4]
        self.vkey = f"{self.name}+{self.key_id.hex()}+{base64.b64encode(self.raw).decode()}"

    def line(self, text: str) -> str:
        """Return a cosignature over a checkpoint's text."""
        signature = self.key.sign(f"cosignature/v1\ntime {self.time_s}\n{text}".encode())
        blob = self.key_id + self.time_s.to_bytes(8, "big") + signature
        return f"{DASH}{self.name} {base64.b64encode(blob).decode()}\n"

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["WitnessServer"]:
        """Serve on a free port until the block ends."""
        app = web.Application()
        app.router.add_post("/add-checkpoint", self._answer(self._add))
        app.router.add_get("/{origin}/checkpoint", self._answer(self._latest))
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()

    @contextmanager
    def in_thread(self) -> Iterator["WitnessServer"]:
        """Serve in a thread of its own, for tests that block."""
        started, stop = threading.Event(), asyncio.Event()
        loop = asyncio.new_event_loop()

        async def run() -> None:
            async with self.serving():
                started.set()
                await stop.wait()

        thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
        thread.start()
        try:
            assert started.wait(10)
            yield self
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join()
            loop.close()

    def _answer(self, handler: Handler) -> Handler:
        async def answer(request: web.Request) -> Answer:
            answered = await (self.instead or handler)(request)
            self.requests.append((f"{request.method} {request.path.rpartition('/')[2]}", answered.status))
            return answered

        return answer

    async def _latest(self, request: web.Request) -> Answer:
        wanted = request.match_info["origin"]
        for origin, (_, _, note) in self.latest.items():
            if hashlib.sha256(origin.encode()).hexdigest() == wanted:
                return Answer(text=note)
        return Answer(status=404)

    async def _add(self, request: web.Request) -> Answer:  # noqa: PLR0911 -- a status each, as specified
        head, _, note = (await request.read()).decode().partition("\n\n")
        old_line, *proof = head.split("\n")
        found = re.fullmatch(r"old (0|[1-9][0-9]*)", old_line)
        if found is None or len(proof) > 63:
            return Answer(status=400)
        old, path = int(found[1]), [_decoded(line) for line in proof]
        text, _, signatures = note.rpartition("\n\n")
        origin, size_line, root = text.split("\n")
        if origin not in self.logs:
            return Answer(status=404)
        if not any(_signed(text + "\n", signatures, vkey) for vkey in self.logs[origin]):
            return Answer(status=403)
        size = int(size_line)
        if old > size:
            return Answer(status=400)
        known_size, known_root, _ = self.latest.get(origin, (0, "", ""))
        if old != known_size or (size == known_size and size and root != known_root):
            return Answer(status=409, body=f"{known_size}\n".encode(), content_type="text/x.tlog.size")
        if old in {0, size}:
            consistent = not path
        else:
            consistent = _roots(path, 0, size, old, _decoded(known_root)) == (
                _decoded(known_root),
                _decoded(root),
                [],
            )
        if not consistent:
            return Answer(status=422)
        line = self.line(text + "\n")
        self.latest[origin] = (size, root, f"{note}{line}")
        return Answer(body=line.encode(), content_type="text/plain")


def _decoded(line: str) -> bytes:
    data = base64.b64decode(line, validate=True)
    assert base64.b64encode(data).decode() == line
    return data


def _signed(text: str, signatures: str, vkey: str) -> bool:
    name, key_id, key = vkey.split("+", 2)
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key)[1:])
    for line in signatures.splitlines():
        signer, encoded = line.removeprefix(DASH).split(" ")
        blob = base64.b64decode(encoded)
        if (signer, blob[:4].hex()) != (name, key_id):
            continue
        try:
            public.verify(blob[4:], text.encode())
        except InvalidSignature:
            continue
        return True
    return False


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def _roots(
    path: list[bytes], low: int, high: int, old: int, old_root: bytes
) -> tuple[bytes, bytes, list[bytes]]:
    """Return both roots of the leaves [low, high) and what is left of the path, by RFC 6962's recursion."""
    if old == high:
        if low == 0:
            return old_root, old_root, path
        return (path[0], path[0], path[1:]) if path else (b"", b"", [b"too short"])
    half = 1 << (high - low - 1).bit_length() - 1
    if not path:
        return b"", b"", [b"too short"]
    *rest, last = path
    if old <= low + half:
        older, newer, left = _roots(rest, low, low + half, old, old_root)
        return older, _node(newer, last), left
    older, newer, left = _roots(rest, low + half, high, old, old_root)
    return _node(last, older), _node(last, newer), left
