"""What lies sealed in the store: openings of entries, records of the registry, and their erasure (P9).

Erasing is three steps, each durable before the next: (1) what stays under a key that goes is sealed anew
under a fresh one; (2) that, the list of keys that go, and the ERASE entry commit together; (3) the keys
are destroyed in their file. A crash after (2) is made good at the next start, and so is a copy of the
key file that comes back: what is on the list is destroyed again. A copy from before a key that the store
has used is refused: it would give that key's number to another, which would then be destroyed instead.

Owner of the state: the sequencer's thread, inside the transaction of ``store.py``.
"""

import json
import os
from collections.abc import Iterable
from typing import Final, cast

import apsw
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.errors import HomeInvalid
from gateway.jose import base64url
from gateway.ledger.batch import Batch, Erased
from gateway.ledger.entry import Record, change_field
from gateway.ledger.key_file import FILE_NAME, REGISTRY, KeyFile, Place, period_of
from gateway.ledger.openings import NONCE_BYTES, sealed, unpacked, unsealed
from gateway.ledger.port import EntryRefused
from gateway.terms.entry import Change, Erasure
from gateway.transparency.canonical import parsed
from gateway.transparency.commitment import commitment
from gateway.transparency.tree import SIZE_MAX, leaf_hash

ERASED_ENTRIES_MAX: Final = 10_000
_SHOWN_BYTES: Final = 16
_KEPT: Final = "key NOT IN (SELECT key FROM erased)"
_RESEALED_AT_ONCE: Final = 1000


class Vault:
    """The tables ``opening``, ``registry`` and ``erased``, and the keys to them."""

    def __init__(self, connection: apsw.Connection, keys: KeyFile) -> None:
        self._connection = connection
        self._keys = keys

    def write(self, batch: Batch, hashes: list[bytes]) -> None:
        """Seal and put the openings and records of a batch; ``hashes`` are those of its leaves."""
        if not batch.openings:
            return
        places = [(period_of(ts), subject) for _, ts, subject, _ in batch.openings]
        keys = self._keys.keys_for(places)
        nonces = os.urandom(NONCE_BYTES * len(places))
        rows: list[tuple[int, int, bytes]] = []
        for at, ((index, _, _, opening), place) in enumerate(zip(batch.openings, places, strict=True)):
            number, cipher = keys[place]
            nonce = nonces[at * NONCE_BYTES : (at + 1) * NONCE_BYTES]
            rows.append((index, number, sealed(cipher, nonce, opening, hashes[index - batch.size])))
        self._connection.executemany("INSERT INTO opening VALUES (?, ?, ?)", rows)
        self._used(number for number, _ in keys.values())
        if batch.records:
            self._write_records(batch, hashes)
        for erased in batch.erasures:
            self._write_erasure(erased)

    def records(self) -> tuple[Change, ...]:
        """Return every registry record as last put; what was erased is left out.

        Raises:
            ValueError: One is not the one that was logged. That a later one was logged does not show here:
                `audit verify`, which reads every entry, says so.

        """
        rows = self._connection.execute(
            "SELECT kind, id, field, key, sealed, coalesce(entry.leaf, carried_entry.leaf, x'') FROM registry"  # noqa: S608
            " LEFT JOIN entry USING (idx) LEFT JOIN carried_entry USING (idx)"
            f" WHERE {_KEPT} ORDER BY kind, id"
        ).fetchall()
        return tuple(
            self._record(*row) for row in cast("list[tuple[str, str, str, int, bytes, bytes]]", rows)
        )

    def opening(self, index: int) -> tuple[bytes, bytes] | None:
        """Return an entry and its opening; None where it was erased or there never was one.

        Raises:
            ValueError: It is not the entry's.

        """
        row = self._connection.execute(
            f"SELECT leaf, key, sealed FROM opening JOIN entry USING (idx) WHERE idx = ? AND {_KEPT}",  # noqa: S608
            (index,),
        ).fetchone()
        if row is None:
            return None
        leaf, key, sealed_opening = row
        return leaf, unsealed(self._cipher(key), sealed_opening, leaf_hash(leaf))

    def document(self, record: Record) -> bytes | None:
        """Return what was last put under a record's kind and id; None where nothing is, or it was erased."""
        row = self._connection.execute(
            "SELECT leaf, field, key, sealed FROM registry JOIN"  # noqa: S608
            " (SELECT idx, leaf FROM entry UNION ALL SELECT idx, leaf FROM carried_entry) USING (idx)"
            f" WHERE kind = ? AND id = ? AND {_KEPT}",
            (record.kind, self.shown_id(record)),
        ).fetchone()
        if row is None:
            return None
        leaf, name, key, sealed_record = row
        opening = unsealed(self._cipher(key), sealed_record, _record_of(leaf_hash(leaf), name))
        return unpacked(opening)[1]["document"]

    def shown_id(self, record: Record) -> str:
        """Return the id under which entry and registry show a record; a person's own is not shown."""
        if record.subject is None:
            return record.id
        return base64url(self._keys.name_of(f"{record.kind}/{record.id}")[:_SHOWN_BYTES])

    def erased(self, erasure: Erasure) -> Erased:
        """Return what an erasure comes to.

        Raises:
            EntryRefused: There is nothing of the kind that is not erased yet.

        """
        facts: dict[str, str | int] = {"basis": erasure.basis.value}
        if erasure.entries:
            if len(erasure.entries) > ERASED_ENTRIES_MAX:
                raise EntryRefused(f"more than {ERASED_ENTRIES_MAX} entries at once")
            sql = f"SELECT key FROM opening WHERE idx = ? AND {_KEPT}"  # noqa: S608
            asked = [index for index in erasure.entries if 0 <= index <= SIZE_MAX]
            found = {index: key for index in asked for (key,) in self._connection.execute(sql, (index,))}
            keys, openings, records = tuple(sorted(set(found.values()))), len(found), 0
        else:
            found = {}
            keys = self._keys.numbers(subject=erasure.subject, before=erasure.before)
            openings, records = self._under(keys, "opening"), self._under(keys, "registry")
            if erasure.before is not None:
                facts["before"] = erasure.before
        if not keys:
            raise EntryRefused("there is nothing of that to erase")
        facts |= {"openings": openings, "records": records}
        return Erased(keys=keys, entries=tuple(found), facts=facts)

    def require_newest(self) -> None:
        """Refuse a key file that has not come to a number which the store has used.

        Raises:
            HomeInvalid: The key file is older than the store, or was made anew.

        """
        made, used = self._keys.newest(), self._connection.execute("SELECT key FROM newest_key").get
        if made < used:
            raise HomeInvalid(
                f"the key file `{FILE_NAME}` is older than the ledger: it has made {made} opening keys and "
                f"the ledger has used {used}; bring back the newest copy"
            )

    def destroy_erased(self) -> None:
        """Destroy the keys whose erasure is durable, and leave nothing of them in the journals."""
        erased = {number for (number,) in self._connection.execute("SELECT key FROM erased")}
        held = self._keys.held()
        if erased & held:
            self._keys.destroy(erased & held)
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _used(self, keys: Iterable[int]) -> None:
        newest = max(keys)
        self._connection.execute("UPDATE newest_key SET key = ? WHERE key < ?", (newest, newest))

    def _cipher(self, key: int) -> AESGCM:
        cipher = self._keys.cipher(key)
        if cipher is None:
            raise ValueError("an opening key is missing")
        return cipher

    def _under(self, keys: Iterable[int], table: str) -> int:
        sql = f"SELECT count(*) FROM {table} WHERE key IN (SELECT value FROM json_each(?))"  # noqa: S608
        count: int = self._connection.execute(sql, (json.dumps(tuple(keys)),)).get
        return count

    def _write_records(self, batch: Batch, hashes: list[bytes]) -> None:
        places: list[Place] = [(REGISTRY, record.subject) for *_, record in batch.records]
        keys = self._keys.keys_for(places)
        rows: list[tuple[str, str, int, str, int, bytes]] = []
        for (index, number, shown, record), place in zip(batch.records, places, strict=True):
            key, cipher = keys[place]
            name = change_field(number)
            about = _record_of(hashes[index - batch.size], name)
            sealed_record = sealed(cipher, os.urandom(NONCE_BYTES), record.opening, about)
            rows.append((record.kind, shown, index, name, key, sealed_record))
        self._connection.executemany("REPLACE INTO registry VALUES (?, ?, ?, ?, ?, ?)", rows)
        self._used(number for number, _ in keys.values())

    def _record(  # noqa: PLR0917 -- a row
        self, kind: str, shown: str, name: str, key: int, sealed_record: bytes, leaf: bytes
    ) -> Change:
        opening = unsealed(self._cipher(key), sealed_record, _record_of(leaf_hash(leaf), name))
        salt, values = unpacked(opening)
        entry = parsed(leaf)
        commitments, changes = entry.get("commitments"), entry.get("changes")
        stated = commitments.get(name) if isinstance(commitments, dict) else None
        if commitment(name, salt, values["document"]) != stated:
            raise ValueError("the record does not fit the entry")
        number = int(name.rpartition(".")[2])
        if not isinstance(changes, list) or changes[number : number + 1] != [f"{kind}/{shown}"]:
            raise ValueError("the entry tells of another record")
        subject = values.get("subject")
        return Change(
            kind=kind,
            id=values["id"].decode("ascii"),
            document=values["document"],
            subject=None if subject is None else subject.decode("utf-8", "surrogatepass"),
        )

    def _write_erasure(self, erased: Erased) -> None:
        if erased.entries:
            gone = [(index,) for index in erased.entries]
            self._connection.executemany("DELETE FROM opening WHERE idx = ?", gone)
            for key in erased.keys:
                self._move(key)
        self._connection.executemany("INSERT INTO erased VALUES (?)", [(key,) for key in erased.keys])

    def _move(self, key: int) -> None:
        """Seal anew, under a fresh key, what stays of a key that goes."""
        old, (number, fresh) = self._cipher(key), self._keys.successor(key)
        self._used((number,))
        at = -1
        while True:
            found = self._connection.execute(
                "SELECT idx, sealed, leaf FROM opening JOIN entry USING (idx) WHERE key = ? AND idx > ?"
                " ORDER BY idx LIMIT ?",
                (key, at, _RESEALED_AT_ONCE),
            ).fetchall()
            if not found:
                return
            rows = cast("list[tuple[int, bytes, bytes]]", found)
            moved = []
            for index, sealed_opening, leaf in rows:
                about = leaf_hash(leaf)
                opening = unsealed(old, sealed_opening, about)
                moved.append((number, sealed(fresh, os.urandom(NONCE_BYTES), opening, about), index))
            self._connection.executemany("UPDATE opening SET key = ?, sealed = ? WHERE idx = ?", moved)
            at = rows[-1][0]


def _record_of(entry_hash: bytes, name: str) -> bytes:
    """Return what ties a sealed record to the commitment that tells of it."""
    return entry_hash + name.encode("ascii")
