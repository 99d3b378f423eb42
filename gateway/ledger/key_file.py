"""The opening keys, in a file of their own: destroying one leaves no copy of the store openable (P9).

A key serves the openings of one *place*: a period (the UTC month of the entry, or ``registry``) and a
subject (the person who acts or is told of, or nobody). The file knows a person only as an HMAC under a
naming key. Every key is wrapped by the home's, together with its number and place, so that none can be
put in place of another. A new key is durable before an entry that needs it; a number never serves twice.

Rollback journal, secure_delete, synchronous=EXTRA: after a commit no file holds what was destroyed.
Owner of the state: the sequencer's thread.
"""

import contextlib
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
from gateway.ledger.schema import BUSY_MS, MEMORY, closed

FILE_NAME: Final = "openings.sqlite"
REGISTRY: Final = "registry"
"""The period of registry records: they serve as long as they stand, whatever month it is."""
VERSION: Final = 2
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

    def __init__(self, connection: apsw.Connection, *, wrap: Wrap, unwrap: Wrap, after: int) -> None:
        self._connection = connection
        self._wrap = wrap
        self._unwrap = unwrap
        self._naming = self._key(_NAMING)
        self._after = after
        self._ready: dict[Place, tuple[int, AESGCM]] = {}

    @classmethod
    def open(
        cls, path: Path | None, *, wrap: Wrap, unwrap: Wrap, vfs: str | None, after: int = _NAMING
    ) -> "KeyFile":
        """Return the keys in a file (None: in memory), made if new.

        Keys up to the number ``after`` seal nothing new: they are those of the logs before.

        Raises:
            HomeInvalid: It is not this home's, of another version than this program, or cannot be read.

        """
        with contextlib.ExitStack() as stack:
            try:
                connection = _connected(path, vfs)
                stack.callback(closed, connection, force=True)
                _prepare(connection, wrap)
                opened = cls(connection, wrap=wrap, unwrap=unwrap, after=after)
            except apsw.Error as error:
                raise HomeInvalid(f"the opening keys cannot be opened: {type(error).__name__}") from error
            except (TypeError, ValueError) as error:
                raise HomeInvalid("the opening keys belong to another home") from error
            stack.pop_all()
        return opened

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
        """Return the key of a number; None if it was destroyed.

        Raises:
            ValueError: What lies there is not that key.

        """
        found = self._connection.execute(
            "SELECT 1 FROM opening_key WHERE id = ? AND id > ?", (number, _NAMING)
        ).fetchone()
        return None if found is None else AESGCM(self._key(number))

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

    def newest(self) -> int:
        """Return the highest number that a key ever had."""
        number: int = self._connection.execute("SELECT max(seq) FROM sqlite_sequence").get or _NAMING
        return number

    def successor(self, number: int) -> tuple[int, AESGCM]:
        """Return a new key for the place of an old one, durable."""
        period, name = self._connection.execute(
            "SELECT period, subject FROM opening_key WHERE id = ?", (number,)
        ).get
        self._ready.clear()
        with self._connection:
            fresh, cipher = self._new(period, name)
        return fresh, cipher

    def destroy(self, numbers: Iterable[int]) -> None:
        """Destroy keys, durably; those that are gone already are no error."""
        self._ready.clear()
        with self._connection:
            self._connection.executemany(
                f"DELETE FROM opening_key WHERE id = ? AND id > {_NAMING}",  # noqa: S608 -- our words
                [(number,) for number in numbers],
            )

    def close(self, *, force: bool = False) -> None:
        """Let the file go; with ``force``, whatever the disk says to that."""
        closed(self._connection, force=force)

    def _found_or_made(self, places: list[Place]) -> dict[Place, tuple[int, AESGCM]]:
        found: dict[Place, tuple[int, AESGCM]] = {}
        with self._connection:
            for period, subject in places:
                name = b"" if subject is None else self.name_of(subject)
                number = self._connection.execute(
                    "SELECT id FROM opening_key WHERE period = ? AND subject = ? AND id > ?"
                    " ORDER BY id DESC LIMIT 1",
                    (period, name, self._after),
                ).get
                if number is None:
                    found[period, subject] = self._new(period, name)
                else:
                    found[period, subject] = number, AESGCM(self._key(number))
        return found

    def _new(self, period: str, name: bytes) -> tuple[int, AESGCM]:
        number = self.newest() + 1
        return number, AESGCM(_put(self._connection, number, period, name, self._wrap))

    def _key(self, number: int) -> bytes:
        """Return the key of a number, which is there.

        Raises:
            ValueError: It was wrapped elsewhere, or for another number or place.

        """
        period, name, wrapped = self._connection.execute(
            "SELECT period, subject, wrapped FROM opening_key WHERE id = ?", (number,)
        ).get
        opened = self._unwrap(wrapped)
        if opened[:-_KEY_BYTES] != _bound(number, period, name):
            raise ValueError("an opening key is not the one of its place")
        return opened[-_KEY_BYTES:]


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


def _put(connection: apsw.Connection, number: int, period: str, name: bytes, wrap: Wrap) -> bytes:
    """Make a key and put it under its number."""
    key = os.urandom(_KEY_BYTES)
    wrapped = wrap(_bound(number, period, name) + key)
    connection.execute("INSERT INTO opening_key VALUES (?, ?, ?, ?)", (number, period, name, wrapped))
    return key


def _bound(number: int, period: str, name: bytes) -> bytes:
    """Return what a key is wrapped with; a period holds no blank, so this is read in one way only."""
    return f"{number} {period} ".encode() + name


def _prepare(connection: apsw.Connection, wrap: Wrap) -> None:
    version = connection.pragma("user_version")
    if version > VERSION:
        raise HomeInvalid("the opening keys are of a newer gateway; start that one")
    if version == 0:
        if connection.pragma("application_id") or connection.execute("SELECT 1 FROM sqlite_schema").get:
            raise HomeInvalid("the file of the opening keys belongs to another program")
        with connection:
            connection.execute(_TABLE)
            _put(connection, _NAMING, "", b"", wrap)
            connection.pragma("application_id", APPLICATION_ID)
            connection.pragma("user_version", VERSION)
    if connection.pragma("application_id") != APPLICATION_ID:
        raise HomeInvalid("the file of the opening keys belongs to another program")
    if 0 < version < VERSION:
        raise HomeInvalid("the opening keys are of an older gateway; start that one")
