"""Reads tiles beside the sequencer: a connection and a thread of its own, which only read.

Strangers may ask for tiles as often as they like; that costs the writer nothing, and what waits here is
bounded. Tiles hold hashes of entries, and each entry holds 32 random bytes, so they tell nothing about
what was asked. A tree of which no head was signed yet may be seen; nobody can make anything of it.

A tile of any width is cut from the stored one: no file and no row a size.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, TypeVar, cast

import apsw

from gateway.errors import HomeInvalid, LedgerUnavailable
from gateway.ledger.schema import BUSY_MS
from gateway.transparency.tile_path import TilePlace
from gateway.transparency.tiles import HEIGHT, nodes_of, root_at
from gateway.transparency.tree import HASH_BYTES, SIZE_MAX, consistency_path, leaf_hash

T = TypeVar("T")
WAITING_MAX: Final = 64


def stored_hashes(connection: apsw.Connection, place: TilePlace) -> bytes:
    """Return the first hashes of a tile; fewer than asked where the tree is not that large.

    The growing tile of level 0 is not stored: it follows from the entries.
    """
    level, number, width = place
    if number >= SIZE_MAX >> HEIGHT:  # beyond what SQLite can count
        return b""
    row = connection.execute(
        "SELECT hashes FROM tile WHERE level = ? AND number = ?", (level, number)
    ).fetchone()
    if row is None and level == 0:
        start = number << HEIGHT
        rows = connection.execute(
            "SELECT leaf FROM entry WHERE idx >= ? AND idx < ? ORDER BY idx", (start, start + width)
        )
        return b"".join(leaf_hash(leaf) for (leaf,) in rows)
    hashes: bytes = b"" if row is None else row[0]
    return hashes[: width * HASH_BYTES]


class TileReader:
    """A reader of one store. State: its thread uses the connection, nobody else does."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tile-reader")
        self._waiting = 0

    @classmethod
    def open(cls, path: Path) -> "TileReader":
        """Return a reader of a store that the ledger has opened; close it before the ledger.

        Raises:
            HomeInvalid: The store cannot be read.

        """
        try:
            connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
            connection.set_busy_timeout(BUSY_MS)
            connection.execute("PRAGMA query_only = ON; PRAGMA trusted_schema = OFF; PRAGMA mmap_size = 0")
        except apsw.Error as error:
            raise HomeInvalid(f"the ledger's tiles cannot be read: {type(error).__name__}") from error
        return cls(connection)

    async def tile(self, place: TilePlace) -> bytes | None:
        """Return a tile's hashes; None while the tree is not that large.

        Raises:
            LedgerUnavailable: Too many wait already, or the store cannot be read.

        """
        hashes = await self._in_thread(partial(stored_hashes, self._connection, place))
        return hashes if len(hashes) == place.width * HASH_BYTES else None

    async def consistency(self, old: int, new: int) -> list[bytes]:
        """Return the proof that the tree of ``old`` entries is the beginning of that of ``new``.

        Raises:
            LedgerUnavailable: The store cannot be read, or holds no tree of that size.

        """
        return await self._in_thread(lambda: consistency_path(old, new, nodes_of(new, self._whole)))

    async def root_at(self, size: int) -> bytes:
        """Return the root of the tree of ``size`` entries.

        Raises:
            LedgerUnavailable: As for ``consistency``.

        """
        return await self._in_thread(lambda: root_at(size, nodes_of(size, self._whole)))

    async def size(self) -> int:
        """Return how many entries the store holds, whether a head was signed over them or not.

        Raises:
            LedgerUnavailable: The store cannot be read.

        """
        return await self._in_thread(
            lambda: cast("int", self._connection.execute("SELECT size FROM head").get)
        )

    def close(self) -> None:
        """Finish what waits and let the store go."""
        self._thread.shutdown()
        self._connection.close()

    def _whole(self, level: int, number: int, width: int) -> bytes:
        hashes = stored_hashes(self._connection, TilePlace(level, number, width))
        if len(hashes) != width * HASH_BYTES:
            raise LedgerUnavailable("the ledger does not hold a tree of that size")
        return hashes

    async def _in_thread(self, read: Callable[[], T]) -> T:
        if self._waiting >= WAITING_MAX:
            raise LedgerUnavailable("too much is read at the moment; try again later")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, read)
        except apsw.Error as error:
            raise LedgerUnavailable("the ledger's tiles cannot be read at the moment") from error
        finally:
            self._waiting -= 1
