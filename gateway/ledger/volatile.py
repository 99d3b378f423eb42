"""Short-lived state of one boot, shared by its workers: used proof ids, pending grants, counters.

Nothing here is evidence and all of it may be forgotten at a restart: ``create`` begins empty, and DPoP
nonces belong to the boot, so proofs from before it are void anyway. Calls are synchronous and take
microseconds (no sync to disk). Time is an argument.

Owner of the state: one connection a process, used from one thread. The file is shared: of many workers
that use one id at once, one is told that it was unused.
"""

import os
from pathlib import Path
from typing import Final, cast

import apsw

_PURGE_EVERY: Final = 1024
"""Writes; and a minute, so that what has expired is gone soon after, while anything is asked at all."""
_PURGE_EVERY_MS: Final = 60_000
_BUSY_MS: Final = 1000
_TABLES: Final = """
CREATE TABLE once (id TEXT PRIMARY KEY, expires_at_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE held (
  kind TEXT, id TEXT, document BLOB NOT NULL, expires_at_ms INTEGER NOT NULL, PRIMARY KEY (kind, id)
) STRICT;
CREATE INDEX held_by_expiry ON held (expires_at_ms);
CREATE TABLE hits (
  id TEXT, window_s INTEGER, number INTEGER NOT NULL, hits INTEGER NOT NULL, expires_at_ms INTEGER NOT NULL,
  PRIMARY KEY (id, window_s)
) STRICT, WITHOUT ROWID;
"""
_COUNT: Final = """
INSERT INTO hits VALUES (:id, :window_s, :number, 1, :expires)
ON CONFLICT (id, window_s) DO UPDATE SET
  hits = CASE WHEN number = excluded.number THEN hits + 1 ELSE 1 END,
  number = excluded.number, expires_at_ms = excluded.expires_at_ms
RETURNING hits
"""


class Volatile:
    """Made by ``create`` in one process of a boot; the others ``join``."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._writes = 0
        self._purged_ms = 0

    @classmethod
    def create(cls, path: Path | None) -> "Volatile":
        """Return an empty store at a path (None: in memory); an old one there is deleted."""
        if path is not None:
            for suffix in ("", "-wal", "-shm", "-journal"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        connection = _connected(path)
        connection.execute(_TABLES)
        return cls(connection)

    @classmethod
    def join(cls, path: Path) -> "Volatile":
        """Return the store that another process of this boot has created."""
        return cls(_connected(path, apsw.SQLITE_OPEN_READWRITE))

    def use_once(self, id: str, expires_at_ms: int, *, now_ms: int) -> bool:  # noqa: A002 -- as in the ledger
        """Return whether the id was unused; it is used up until it expires."""
        self._purge_sometimes(now_ms)
        sql = "INSERT INTO once VALUES (?, ?) ON CONFLICT (id) DO NOTHING RETURNING 1"
        return self._connection.execute(sql, (id, expires_at_ms)).fetchone() is not None

    def put(self, kind: str, id: str, document: bytes, expires_at_ms: int, *, now_ms: int) -> None:  # noqa: A002
        """Hold a document until it expires, in place of the one of that name."""
        self._purge_sometimes(now_ms)
        self._connection.execute("REPLACE INTO held VALUES (?, ?, ?, ?)", (kind, id, document, expires_at_ms))

    def get(self, kind: str, id: str, *, now_ms: int) -> bytes | None:  # noqa: A002
        """Return a document that is held and has not expired."""
        sql = "SELECT document FROM held WHERE kind = ? AND id = ? AND expires_at_ms > ?"
        row = self._connection.execute(sql, (kind, id, now_ms)).fetchone()
        return None if row is None else row[0]

    def take(self, kind: str, id: str, *, now_ms: int) -> bytes | None:  # noqa: A002
        """Return a document and let go of it, in one step: of two who take, one gets it."""
        sql = "DELETE FROM held WHERE kind = ? AND id = ? RETURNING document, expires_at_ms"
        row = self._connection.execute(sql, (kind, id)).fetchone()
        return None if row is None or row[1] <= now_ms else row[0]

    def count(self, id: str, window_s: int, *, now_ms: int) -> int:  # noqa: A002
        """Return how often the id was counted in the current window, this time included."""
        self._purge_sometimes(now_ms)
        number = now_ms // (window_s * 1000)
        values = {
            "id": id,
            "window_s": window_s,
            "number": number,
            "expires": (number + 1) * window_s * 1000,
        }
        return cast("int", self._connection.execute(_COUNT, values).fetchall()[0][0])

    def close(self) -> None:
        """Let the store go."""
        self._connection.close()

    def _purge_sometimes(self, now_ms: int) -> None:
        self._writes += 1
        if self._writes % _PURGE_EVERY == 0 or now_ms - self._purged_ms >= _PURGE_EVERY_MS:
            self._purged_ms = now_ms
            for table in ("once", "held", "hits"):
                self._connection.execute(f"DELETE FROM {table} WHERE expires_at_ms <= ?", (now_ms,))  # noqa: S608 -- our words


def _connected(
    path: Path | None, flags: int = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
) -> apsw.Connection:
    connection = apsw.Connection(":memory:" if path is None else str(path), flags=flags)
    connection.set_busy_timeout(_BUSY_MS)
    connection.pragma("journal_mode", "wal")
    connection.pragma("synchronous", 0)  # OFF: a power failure ends the boot that this state belongs to
    connection.pragma("trusted_schema", 0)
    connection.pragma("secure_delete", 1)
    return connection
