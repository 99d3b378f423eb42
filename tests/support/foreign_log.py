"""Makes a log with the real ledger and reads it as a stranger would: entries, tiles, heads, proofs."""

import asyncio
import base64
import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.ledger.port import ENTRIES_MAX
from gateway.ledger.sqlite import SqliteLedger
from gateway.ledger.tile_reader import TileReader
from gateway.terms.entry import EntryKind, ReleaseRequest
from gateway.terms.identifiers import RequestId
from gateway.transparency.note import format_vkey
from gateway.transparency.proof import parse_proof
from gateway.transparency.tile_path import TilePlace, tile_path
from gateway.transparency.tiles import HEIGHT, WIDTH

ORIGIN = "gateway.example/log/2026"
TOGETHER = 512


class Signer:
    """An Ed25519 key from a seed."""

    def __init__(self, seed: str, name: str) -> None:
        self.key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(seed.encode()).digest())
        self.name = name
        self.vkey = format_vkey(name, self.key.public_key())

    def sign(self, message: bytes) -> bytes:
        return self.key.sign(message)


class _Clock:
    def now(self) -> datetime:
        return datetime(2026, 10, 1, 8, 0, tzinfo=UTC)

    async def sleep(self, seconds: float) -> None:
        raise AssertionError(f"the ledger waits for no clock, not for {seconds}")


async def made_log(
    folder: Path, signer: Signer, size: int, words: str, former: tuple[Signer, ...] = ()
) -> dict[str, Any]:
    """Return a log of ``size`` entries; its older head is of about a third of it."""
    path = folder / "log.sqlite"
    ledger = SqliteLedger.open(
        path,
        signer=signer,
        origin=ORIGIN,
        clock=_Clock(),
        seal=lambda data: data,
        unseal=lambda data: data,
        wrap=lambda data: data,
        unwrap=lambda data: data,
        random_bytes=os.urandom,
        head_file=folder / "head",
        former=former,
    )
    ledger.start()
    tiles = TileReader.open(path)
    try:
        return await told_log(ledger, tiles, signer.vkey, size, words)
    finally:
        tiles.close()
        await ledger.close()


async def told_log(
    ledger: SqliteLedger, tiles: TileReader, vkey: str, size: int, words: str = "", *, start: int = 0
) -> dict[str, Any]:
    """Let a log of ``start`` entries grow to ``size``, and return it."""
    old = max(size // 3, start)
    await _append(ledger, start, old, words)
    older = await ledger.checkpoint()
    receipts = await _append(ledger, old, size, words)
    receipt = receipts[-1]  # of the newest head, because it was in the last batch
    proof = parse_proof(receipt.proof)
    entries = [
        entry
        for first in range(0, size, ENTRIES_MAX)
        for entry in await ledger.entries(first, first + ENTRIES_MAX)
    ]
    return {
        "Vkey": vkey,
        "Checkpoint": (await ledger.checkpoint()).decode(),
        "Older": older.decode(),
        "Tiles": {tile_path(place): b64(await _tile(tiles, place)) for place in places(size)},
        "Entries": [b64(entry) for entry in entries],
        "Index": proof.index,
        "Entry": b64(receipt.entry),
        "Path": [b64(node) for node in proof.path],
        "Consistency": [b64(node) for node in await tiles.consistency(old, size)],
    }


def places(size: int) -> list[TilePlace]:
    """Return the tiles of a tree (c2sp.org/tlog-tiles), partial ones at their width."""
    found = []
    level = 0
    while size >> (HEIGHT * level):
        full, width = divmod(size >> (HEIGHT * level), WIDTH)
        found += [TilePlace(level, number, WIDTH) for number in range(full)]
        if width:
            found.append(TilePlace(level, full, width))
        level += 1
    return found


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


async def _append(ledger: SqliteLedger, start: int, stop: int, words: str) -> list[Any]:
    receipts: list[Any] = []
    for low in range(start, stop, TOGETHER):
        requests = [
            ReleaseRequest(
                request_id=RequestId(f"r-{number}"),
                kind=EntryKind.SINGLE,
                facts={"status": 200, "words": words, "number": number, "columns": ("a", "b")},
                private={"path": f"/v1/{number}".encode()},
                body=f"body {number}".encode(),
            )
            for number in range(low, min(low + TOGETHER, stop))
        ]
        receipts += await asyncio.gather(*[ledger.release(request) for request in requests])
    return receipts


async def _tile(tiles: TileReader, place: TilePlace) -> bytes:
    hashes = await tiles.tile(place)
    assert hashes is not None
    return hashes
