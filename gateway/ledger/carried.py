"""What a log takes over from the one before it, and how its entry 0 says so.

    spent      what was ever debited at each node        records   the registry, with the entries it names
    claims     idempotency claims, answers and all       used      ids that are used up, with their time

Entry 0 names number and SHA-256 of each part: rows in key order, a line a row, fields apart by a blank,
bytes as hexadecimal, no value as ``-``. An entry of a log before has a negative index, counted from this
log's entry 0. Sealed values go over as they are (only a stored answer is tied to its charge's new index),
and so does the list of erased keys: one file of opening keys serves every log, so an erasure reaches all.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Final

import apsw

from gateway.ledger.audit_entries import Books, Entry, EntryInvalid, read_entry
from gateway.ledger.commands import Seal, moved_answer
from gateway.ledger.schema import connect, prepare
from gateway.terms.entry import LOG_CLOSED, LOG_OPENED, EntryKind

_LEAVES: Final = "SELECT idx, leaf FROM entry UNION ALL SELECT idx, leaf FROM carried_entry"
_IN_OLD: Final = {
    "spent": "SELECT node, rho, delta, keys FROM spent ORDER BY node",
    "records": "SELECT kind, id, idx - :size, field, coalesce(entry.leaf, carried_entry.leaf) FROM registry"
    " LEFT JOIN entry USING (idx) LEFT JOIN carried_entry USING (idx) ORDER BY kind, id",
    "claims": "SELECT name, digest, charge - :size, release - :size, answer IS NOT NULL FROM claim"
    " ORDER BY name",
    "used": "SELECT id, expires_at_ms FROM once ORDER BY id",
}
_IN_NEW: Final = {
    "spent": "SELECT node, rho, delta, keys FROM carried_spent ORDER BY node",
    "records": "SELECT kind, id, idx, field, leaf FROM carried_record LEFT JOIN carried_entry USING (idx)"
    " ORDER BY kind, id",
    "claims": "SELECT name, digest, charge, release, answer IS NOT NULL FROM claim WHERE charge < 0"
    " ORDER BY name",
}
"""Used ids are forgotten in time, so of those the new store alone cannot tell."""
_COPIES: Final = (
    ("spent", "SELECT node, rho, delta, keys FROM spent", 4),
    ("carried_spent", "SELECT node, rho, delta, keys FROM spent", 4),
    ("carried_record", "SELECT kind, id, idx - :size, field FROM registry", 4),
    ("registry", "SELECT kind, id, idx - :size, field, key, sealed FROM registry", 6),
    (
        "carried_entry",
        f"SELECT idx - :size, leaf FROM ({_LEAVES}) WHERE idx IN (SELECT idx FROM registry)",  # noqa: S608
        2,
    ),
    ("once", "SELECT id, expires_at_ms FROM once", 2),
    ("lived", "SELECT only, until_ms FROM lived", 2),
    ("erased", "SELECT key FROM erased", 1),
)
Fault = Callable[[str], None]


def carry(old: Path, new: Path, *, origin: str, vkeys: tuple[str, ...], seal: Seal, unseal: Seal) -> None:
    """Make the store of a log that begins with what the closed log at ``old`` ends with; no entry yet.

    The opening keys that were used by now seal nothing of the new log: to erase one of
    its entries must not take openings of the old one along.
    """
    with (
        closing(connect(old, vfs=None)) as source,
        closing(connect(new, vfs=None)) as made,
    ):
        source.execute("PRAGMA query_only = ON")
        prepare(made, origin=origin, vkeys=vkeys)
        size: int = source.execute("SELECT size FROM head").get
        with made:
            newest_key: int = source.execute("SELECT key FROM newest_key").get
            made.execute("UPDATE log SET keys_after = ?", (newest_key,))
            made.execute("UPDATE newest_key SET key = ?", (newest_key,))
            for table, sql, width in _COPIES:
                rows = source.execute(sql, _sized(sql, size))
                marks = ", ".join("?" * width)
                made.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)  # noqa: S608 -- our words
            made.executemany("INSERT INTO claim VALUES (?, ?, ?, ?, ?)", _claims(source, size, seal, unseal))


def carried_over(old: Path) -> tuple[str, ...]:
    """Return what the entry 0 of the log after the closed one at ``old`` says of the parts."""
    with closing(connect(old, vfs=None)) as source:
        source.execute("PRAGMA query_only = ON")
        return parts_of_old(source)


def parts_of_old(connection: apsw.Connection) -> tuple[str, ...]:
    """Return what follows from the tables of the log before."""
    size: int = connection.execute("SELECT size FROM head").get
    return tuple(_part(connection, name, sql, size) for name, sql in _IN_OLD.items())


def link_of(leaf: bytes | None) -> Entry | None:
    """Return an entry 0 that says which log was before; None where the log is the first."""
    entry = _mark(leaf, LOG_OPENED)
    return entry if entry is not None and isinstance(entry.facts.get("carried"), list) else None


def check_carried(connection: apsw.Connection, fault: Fault) -> Books:
    """Return the books with which a log begins; say what of them is not what its entry 0 says.

    Says too whether the log's end and its last entry fit.
    """
    first = connection.execute("SELECT CAST(leaf AS BLOB) FROM entry WHERE idx = 0").get
    link = link_of(first)
    said = [] if link is None else link.facts["carried"]
    assert isinstance(said, list), "a link has the list"  # noqa: S101
    for name, sql in _IN_NEW.items():
        part = _part(connection, name, sql, 0)
        if part not in said and (link is not None or not part.startswith(f"{name} 0 ")):
            fault(f"what the log began with, `{name}`, is not what its entry 0 says")
    last, follows = connection.execute(
        "SELECT CAST(leaf AS BLOB), (SELECT next FROM log) FROM entry ORDER BY idx DESC LIMIT 1"
    ).fetchone() or (None, None)
    end = end_of(last)
    if follows != (None if end is None else str(end.facts.get("new")).partition("+")[0]):
        fault("whether the log is closed, and which one follows, is not what its last entry says")
    books = Books()
    books.sums = {
        node: (rho, delta, keys)
        for node, rho, delta, keys in connection.execute("SELECT node, rho, delta, keys FROM carried_spent")
    }
    books.records = {
        f"{kind}/{name}": (index, field)
        for kind, name, index, field in connection.execute("SELECT kind, id, idx, field FROM carried_record")
    }
    return books


def end_of(leaf: bytes | None) -> Entry | None:
    """Return an entry that says that its log ends; None if it does not."""
    return _mark(leaf, LOG_CLOSED)


def _mark(leaf: bytes | None, event: str) -> Entry | None:
    try:
        entry = read_entry(leaf or b"")
    except EntryInvalid:
        return None
    return entry if entry.kind is EntryKind.MARK and entry.facts.get("event") == event else None


def _claims(source: apsw.Connection, size: int, seal: Seal, unseal: Seal) -> Iterator[tuple[object, ...]]:
    for name, digest, charge, release, answer in source.execute(
        "SELECT name, digest, charge, release, answer FROM claim"
    ):
        moved = None
        if answer is not None:
            moved = moved_answer(answer, charge, charge - size, seal=seal, unseal=unseal)
        yield name, digest, charge - size, release - size, moved


def _part(connection: apsw.Connection, name: str, sql: str, size: int) -> str:
    count, digest = 0, sha256()
    for row in connection.execute(sql, _sized(sql, size)):
        count += 1
        digest.update(" ".join(map(_spelt, row)).encode("utf-8", "surrogatepass") + b"\n")
    return f"{name} {count} {digest.hexdigest()}"


def _spelt(value: object) -> str:
    if value is None:
        return "-"
    return value.hex() if isinstance(value, bytes) else str(value)


def _sized(sql: str, size: int) -> dict[str, int]:
    return {"size": size} if ":size" in sql else {}
