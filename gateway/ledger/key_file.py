"""The opening keys, in a file of their own: destroying one leaves no copy of the store openable (P9).

A key serves the openings of one *place*: a period (the UTC month of the entry, or ``registry``) and a
subject (the person who acts or is told of, or nobody). The file knows a person only as an HMAC under a
naming key, and every key is wrapped by the home's. A new key is durable before an entry that needs it;
a number never serves twice.

Rollback journal, secure_delete, synchronous=EXTRA: after a commit no file holds what was destroyed.
Owner of the state: the sequencer's thread.
"""

import hmac
import os
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Final

import apsw
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.errors import HomeInvalid
from gateway.ledger.schema import BUSY_MS, MEMORY
from gateway.transparency.tree import SIZE_MAX

FILE_NAME: Final = "openings.sqlite"
REGISTRY: Final = "registry"
"""The period of registry records: they serve as long as they stand, whatever month it is."""
VERSION: Final = 1
APPLICATION_ID: Final = 0x67774B31  # "gwK1"
_KEY_BYTES: Final = 32
_NAMING: Final = 0
_READY_MAX: Final = 4096
_DAY_MS: Final = 24 * 3600 * 1000
_LAST_DAY: Final = 2_932_896  # 9999-12-31
_SETTINGS: Final = {"journal_mode": "delete", "synchronous": 3, "secure_delete": 1, "trusted_schema": 0}
_TABLE: Final = """
CREATE TABLE opening_key (
  id INTEGER PRIMARY KEY AUTOINCREMENT, period TEXT NOT NULL, subject BLOB NOT NULL, wrapped BLOB NOT NULL
) STRICT;
CREATE INDEX opening_key_by_place ON opening_key (period, subject);
"""

Place = tuple[str, str | None]
"""(period, subject)."""
Wrap = Callable[[bytes], bytes]


def period_of(ts: int) -> str:
    """Return the UTC month of a moment in Unix milliseconds, as ``2026-10``."""
    return _month_of(ts // _DAY_MS)


@lru_cache(64)
def _month_of(day: int) -> str:
    return (date(1970, 1, 1) + timedelta(min(day, _LAST_DAY))).isoformat()[:7]


class KeyFile:
    """Made by ``open``."""

    def __init__(self, connection: apsw.Connection, *, seal: Wrap, unseal: Wrap, naming: bytes) -> None:
        self._connection = connection
        self._seal = seal
        self._unseal = unseal
        self._naming = naming
        self._ready: dict[Place, tuple[int, AESGCM]] = {}

    @classmethod
    def open(cls, path: Path | None, *, seal: Wrap, unseal: Wrap, vfs: str | None) -> "KeyFile":
        """Return the keys in a file (None: in memory), made if new. ``seal`` wraps a key for the file.

        Raises:
            HomeInvalid: It is not this home's, newer than this program, or cannot be read.

        """
        try:
            connection = _connected(path, vfs)
            _prepare(connection, seal)
            wrapped = connection.execute("SELECT wrapped FROM opening_key WHERE id = ?", (_NAMING,)).get
            return cls(connection, seal=seal, unseal=unseal, naming=unseal(wrapped))
        except apsw.Error as error:
            raise HomeInvalid(f"the opening keys cannot be opened: {type(error).__name__}") from error
        except (TypeError, ValueError) as error:
            raise HomeInvalid("the opening keys belong to another home") from error

    def name_of(self, subject: str) -> bytes:
        """Return the name under which the files know a person."""
        return hmac.digest(self._naming, subject.encode("utf-8", "surrogatepass"), "sha256")

    def keys_for(self, places: Iterable[Place]) -> dict[Place, tuple[int, AESGCM]]:
        """Return number and cipher of the key of each place; new ones are durable from here on."""
        wanted = set(places)
        missing = [place for place in wanted if place not in self._ready]
        if missing:
            if len(self._ready) + len(missing) > _READY_MAX:
                self._ready.clear()
                missing = list(wanted)
            self._ready |= self._found_or_made(missing)
        return {place: self._ready[place] for place in wanted}

    def cipher(self, number: int) -> AESGCM | None:
        """Return the key of a number; None if it was destroyed."""
        row = self._connection.execute(
            "SELECT wrapped FROM opening_key WHERE id = ? AND id > ?", (number, _NAMING)
        ).fetchone()
        return None if row is None else AESGCM(self._unseal(row[0]))

    def numbers(self, *, subject: str | None = None, before: str | None = None) -> tuple[int, ...]:
        """Return the keys of a person, or of the months before one."""
        name = None if subject is None else self.name_of(subject)
        rows = self._connection.execute(
            "SELECT id FROM opening_key"
            " WHERE id > ? AND (subject = ? OR period < ? AND period <> ?) ORDER BY id",
            (_NAMING, name, before, REGISTRY),
        )
        return tuple(number for (number,) in rows)

    def held(self) -> frozenset[int]:
        """Return the numbers of all keys that are there."""
        rows = self._connection.execute("SELECT id FROM opening_key WHERE id > ?", (_NAMING,))
        return frozenset(number for (number,) in rows)

    def successor(self, number: int) -> tuple[int, AESGCM]:
        """Return a new key for the place of an old one, durable."""
        period, name = self._connection.execute(
            "SELECT period, subject FROM opening_key WHERE id = ?", (number,)
        ).get
        self._ready.clear()
        with self._connection:
            fresh, cipher = self._made(period, name)
        return fresh, cipher

    def destroy(self, numbers: Iterable[int]) -> None:
        """Destroy keys, durably; those that are gone already are no error."""
        self._ready.clear()
        with self._connection:
            self._connection.executemany(
                f"DELETE FROM opening_key WHERE id = ? AND id > {_NAMING}",  # noqa: S608 -- our words
                [(number,) for number in numbers],
            )

    def close(self) -> None:
        self._connection.close()

    def _found_or_made(self, places: list[Place]) -> dict[Place, tuple[int, AESGCM]]:
        found: dict[Place, tuple[int, AESGCM]] = {}
        with self._connection:
            for period, subject in places:
                name = b"" if subject is None else self.name_of(subject)
                row = self._connection.execute(
                    "SELECT id, wrapped FROM opening_key WHERE period = ? AND subject = ? AND id > ?"
                    " ORDER BY id DESC LIMIT 1",
                    (period, name, _NAMING),
                ).fetchone()
                if row is None:
                    found[period, subject] = self._made(period, name)
                else:
                    found[period, subject] = row[0], AESGCM(self._unseal(row[1]))
        return found

    def _made(self, period: str, name: bytes) -> tuple[int, AESGCM]:
        key = os.urandom(_KEY_BYTES)
        self._connection.execute(
            "INSERT INTO opening_key (period, subject, wrapped) VALUES (?, ?, ?)",
            (period, name, self._seal(key)),
        )
        number = self._connection.last_insert_rowid()
        assert 0 < number <= SIZE_MAX, "a key has a number"  # noqa: S101
        return number, AESGCM(key)


def _connected(path: Path | None, vfs: str | None) -> apsw.Connection:
    if path is not None and vfs is None:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # SQLite keeps the mode
    connection = apsw.Connection(MEMORY if path is None else str(path), vfs=vfs)
    connection.set_busy_timeout(BUSY_MS)
    for name, wanted in _SETTINGS.items():
        connection.pragma(name, wanted)
        if path is not None and connection.pragma(name) != wanted:
            raise HomeInvalid(f"the opening keys cannot be set to {name} = {wanted}")
    return connection


def _prepare(connection: apsw.Connection, seal: Wrap) -> None:
    version = connection.pragma("user_version")
    if version > VERSION:
        raise HomeInvalid("the opening keys are of a newer gateway; start that one")
    if version == 0:
        if connection.pragma("application_id") or connection.execute("SELECT 1 FROM sqlite_schema").get:
            raise HomeInvalid("the file of the opening keys belongs to another program")
        with connection:
            connection.execute(_TABLE)
            connection.execute(
                "INSERT INTO opening_key VALUES (?, '', x'', ?)", (_NAMING, seal(os.urandom(_KEY_BYTES)))
            )
            connection.pragma("application_id", APPLICATION_ID)
            connection.pragma("user_version", VERSION)
    if connection.pragma("application_id") != APPLICATION_ID:
        raise HomeInvalid("the file of the opening keys belongs to another program")
