"""The SQLite file: its tables, its settings, and what is refused at the door.

Durable means WAL with synchronous=EXTRA: NORMAL loses acknowledged commits when the power fails, and what
EXTRA adds to FULL keeps the journal of a store's birth from coming back. Entries cannot be changed, replaced
or deleted, and what is spent cannot fall, whoever holds the connection.
The SQLite is the one inside ``apsw``; the system's may have the WAL-reset bug (before 3.51.3).
"""

import os
from pathlib import Path
from typing import Final

import apsw

from gateway.errors import HomeInvalid
from gateway.transparency.tree import EMPTY_ROOT

VERSION: Final = 4
APPLICATION_ID: Final = 0x67774C31  # "gwL1"
BUSY_MS: Final = 5000
MEMORY: Final = ":memory:"

_SETTINGS: Final = {
    "journal_mode": "wal",
    "synchronous": 3,  # EXTRA
    "trusted_schema": 0,
    "mmap_size": 0,
    "secure_delete": 1,
}
"""Name -> what SQLite says it is set to; anything else is refused."""

_TABLES: Final = """
-- The log. Index = rowid, dense from 0.
CREATE TABLE entry (idx INTEGER PRIMARY KEY, leaf BLOB NOT NULL) STRICT;
CREATE TRIGGER entry_is_never_changed BEFORE UPDATE ON entry
  BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END;
CREATE TRIGGER entry_is_never_deleted BEFORE DELETE ON entry
  BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END;
CREATE TRIGGER entry_is_never_replaced BEFORE INSERT ON entry
  WHEN EXISTS (SELECT 1 FROM entry WHERE idx = NEW.idx)
  BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END;

-- C2SP tiles: full ones of level 0, full and growing ones above. The rest follows from the entries.
CREATE TABLE tile (level INTEGER, number INTEGER, hashes BLOB NOT NULL, PRIMARY KEY (level, number)) STRICT;

-- The tree's head, moved in the transaction that appends.
CREATE TABLE head (
  only INTEGER PRIMARY KEY CHECK (only = 0), size INTEGER NOT NULL, root BLOB NOT NULL
) STRICT;
-- ``next``: the origin of the log that follows, once this one is closed. ``keys_after``: opening keys up to
-- that number are those of the logs before.
CREATE TABLE log (
  only INTEGER PRIMARY KEY CHECK (only = 0), origin TEXT NOT NULL, vkey TEXT NOT NULL,
  next TEXT, keys_after INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TRIGGER closed_log_never_grows BEFORE UPDATE ON head WHEN (SELECT next FROM log) IS NOT NULL
  BEGIN SELECT RAISE(ABORT, 'the log is closed'); END;
CREATE TRIGGER closed_log_stays_closed BEFORE UPDATE ON log WHEN OLD.next IS NOT NULL
  BEGIN SELECT RAISE(ABORT, 'the log is closed'); END;

-- What this log began with (``carried.py``); an entry of a log before has a negative index, counted from
-- this log's entry 0. Never changed.
CREATE TABLE carried_spent (
  node TEXT PRIMARY KEY, rho INTEGER NOT NULL, delta INTEGER NOT NULL, keys INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE carried_record (
  kind TEXT, id TEXT, idx INTEGER NOT NULL, field TEXT NOT NULL, PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE carried_entry (idx INTEGER PRIMARY KEY, leaf BLOB NOT NULL) STRICT;

-- Budgets: what was ever debited at a node; never refunded.
CREATE TABLE spent (
  node TEXT PRIMARY KEY, rho INTEGER NOT NULL, delta INTEGER NOT NULL, keys INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER spent_never_falls BEFORE UPDATE ON spent
  WHEN NEW.rho < OLD.rho OR NEW.delta < OLD.delta OR NEW.keys < OLD.keys
  BEGIN SELECT RAISE(ABORT, 'what is spent stays spent'); END;
CREATE TRIGGER spent_is_never_replaced BEFORE INSERT ON spent
  WHEN EXISTS (
    SELECT 1 FROM spent WHERE node = NEW.node AND (rho > NEW.rho OR delta > NEW.delta OR keys > NEW.keys)
  )
  BEGIN SELECT RAISE(ABORT, 'what is spent stays spent'); END;
CREATE TRIGGER spent_is_never_deleted BEFORE DELETE ON spent
  BEGIN SELECT RAISE(ABORT, 'what is spent stays spent'); END;

-- Charges that no entry has closed yet; ``claim`` is the name of their idempotency claim.
CREATE TABLE charge_open (idx INTEGER PRIMARY KEY, id TEXT NOT NULL, claim BLOB) STRICT;

-- Idempotency claims. Closed (a release index) without an answer: the charge failed.
CREATE TABLE claim (
  name BLOB PRIMARY KEY, digest TEXT NOT NULL, charge INTEGER NOT NULL, release INTEGER, answer BLOB
) STRICT;

-- The private values of an entry, sealed under the opening key of that number (``key_file.py``).
CREATE TABLE opening (idx INTEGER PRIMARY KEY, key INTEGER NOT NULL, sealed BLOB NOT NULL) STRICT;

-- Keys that were erased: whatever copy of the key file comes back, they are destroyed again at start.
CREATE TABLE erased (key INTEGER PRIMARY KEY) STRICT;

-- The highest number of an opening key that was ever used: a key file that has not come to it is older.
CREATE TABLE newest_key (only INTEGER PRIMARY KEY CHECK (only = 0), key INTEGER NOT NULL) STRICT;

-- Records as last put: sealed opening of commitment ``field`` of entry ``idx``.
CREATE TABLE registry (
  kind TEXT, id TEXT, idx INTEGER NOT NULL, field TEXT NOT NULL, key INTEGER NOT NULL, sealed BLOB NOT NULL,
  PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;

-- Used ids, and the moment that the store's own time has come to: no step of the clock moves that.
CREATE TABLE once (id BLOB PRIMARY KEY, expires_at_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX once_by_expiry ON once (expires_at_ms);
CREATE TABLE lived (only INTEGER PRIMARY KEY CHECK (only = 0), until_ms INTEGER NOT NULL) STRICT;
"""


def connect(path: Path | None, *, vfs: str | None) -> apsw.Connection:
    """Return a connection to the store at ``path`` (None: in memory), made and set up if it is new."""
    if path is not None and vfs is None:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # SQLite keeps the mode
    connection = apsw.Connection(MEMORY if path is None else str(path), vfs=vfs)
    connection.set_busy_timeout(BUSY_MS)
    if vfs is not None:  # a VFS written in Python has no shared memory for the WAL's index
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    for name, wanted in _SETTINGS.items():
        connection.pragma(name, wanted)
        if path is not None and connection.pragma(name) != wanted:
            raise HomeInvalid(f"the ledger's store cannot be set to {name} = {wanted}")
    return connection


def closed(connection: apsw.Connection, *, force: bool) -> None:
    """Close a connection; with ``force``, because something failed before, whatever the disk says to that."""
    try:
        connection.close(force)
    except apsw.Error:
        if not force:
            raise


def prepare(connection: apsw.Connection, *, origin: str, vkeys: tuple[str, ...]) -> None:
    """Make the tables of a new store, or check that an old one is ours.

    ``vkeys`` are all that the log ever signed with, the newest first; the store names that one.

    Raises:
        HomeInvalid: Another program's file, another version, or another log's.

    """
    version = connection.pragma("user_version")
    if version not in {0, VERSION}:
        which = "newer" if version > VERSION else "older"
        raise HomeInvalid(
            f"the ledger has format {version}, this gateway knows {VERSION}; start the {which} gateway"
        )
    if version == 0:
        if connection.pragma("application_id") or connection.execute("SELECT 1 FROM sqlite_schema").get:
            raise HomeInvalid("the ledger's file belongs to another program")
        with connection:
            connection.execute(_TABLES)
            connection.execute("INSERT INTO head VALUES (0, 0, ?)", (EMPTY_ROOT,))
            connection.execute("INSERT INTO newest_key VALUES (0, 0)")
            connection.execute("INSERT INTO log (only, origin, vkey) VALUES (0, ?, ?)", (origin, vkeys[0]))
            connection.pragma("application_id", APPLICATION_ID)
            connection.pragma("user_version", VERSION)
    if connection.pragma("application_id") != APPLICATION_ID:
        raise HomeInvalid("the ledger's file belongs to another program")
    known_origin, known_vkey = connection.execute("SELECT origin, vkey FROM log").get
    if known_origin != origin or known_vkey not in vkeys:
        raise HomeInvalid(
            "the ledger belongs to another log: its origin or its key is not this home's; if `gateway log "
            "close` was interrupted, repeat it"
        )
    if known_vkey != vkeys[0]:
        connection.execute("UPDATE log SET vkey = ?", (vkeys[0],))
