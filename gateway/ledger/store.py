"""The store of one log: two files, the tree in memory, and the transaction that moves both.

``commit`` is all or nothing: judge the batch (``batch.py``), write every row, move the head, COMMIT.
What is cached (tree, sums, open charges) is believed only while the head row read inside the
transaction is the one the cache was made from; else everything is read anew. After any failure too.

A new opening key is durable (``key_file.py``) before the entry that needs it commits; an erased one is
destroyed after the entry that tells of it and before the next, and at each start again, whatever copy
came back.

Owner of the state: the sequencer's thread. It signs nothing and knows no futures (``sqlite.py`` does).
"""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import apsw

from gateway import budget
from gateway.errors import HomeInvalid
from gateway.ledger.batch import Batch, Claim, Erased, OpenCharge
from gateway.ledger.entry import Record
from gateway.ledger.key_file import FILE_NAME, KeyFile, Wrap
from gateway.ledger.schema import closed, connect, prepare
from gateway.ledger.vault import Vault
from gateway.terms.entry import Erasure
from gateway.terms.loss import Loss, PicoDelta, PicoRho
from gateway.transparency.tiles import HEIGHT, WIDTH, Tiles
from gateway.transparency.tree import EMPTY_ROOT, HASH_BYTES, leaf_hash, right_edge

T = TypeVar("T")
ONCE_KEPT_MS: Final = 24 * 3600 * 1000
"""How long a used id is kept after it expired, by the store's own time."""
_PURGE_EVERY: Final = 1024


class OutcomeUnknown(Exception):
    """A COMMIT failed and nobody knows whether it happened."""


class Store:
    """Tables and tree of one log."""

    def __init__(self, connection: apsw.Connection, keys: KeyFile, elapsed_s: Callable[[], float]) -> None:
        self._connection = connection
        self._keys = keys
        self.vault = Vault(connection, keys)
        self._tiles = Tiles(0, self._tile)
        self._root = b""
        self._spent: dict[str, Loss] = {}
        self.open_charges: dict[int, OpenCharge] = {}
        self._used_since_purge = 0
        self._elapsed_s = elapsed_s
        self._opened_s = 0.0
        self._lived_ms: int | None = None
        self._destruction_due = False
        """Whether keys of a durable erasure may still be there."""
        self._reload()

    @classmethod
    def open(
        cls,
        path: Path | None,
        *,
        origin: str,
        vkeys: tuple[str, ...],
        wrap: Wrap,
        unwrap: Wrap,
        vfs: str | None,
        elapsed_s: Callable[[], float],
        key_path: Path | None = None,
        next_origin: str | None = None,
    ) -> "Store":
        """Return the store at a path, made if new, its newest part checked against its head.

        A log that was closed opens only for who names the one that follows. The opening keys lie beside
        the store, unless ``key_path`` says where.

        Raises:
            HomeInvalid: It is not this log's, closed, or entries, tiles, head and opening keys do not fit
                together.

        """
        with contextlib.ExitStack() as stack:
            try:
                connection = connect(path, vfs=vfs)
                stack.callback(closed, connection, force=True)
                prepare(connection, origin=origin, vkeys=vkeys)
                follows, keys_after = connection.execute("SELECT next, keys_after FROM log").get
                if follows not in {None, next_origin}:
                    raise HomeInvalid(
                        f"this log is closed and `{follows}` follows it; "
                        f"repeat `gateway log close --origin {follows}`"
                    )
                if path is not None and key_path is None:
                    key_path = path.with_name(FILE_NAME)
                keys = KeyFile.open(key_path, wrap=wrap, unwrap=unwrap, vfs=vfs, after=keys_after)
                stack.callback(keys.close, force=True)
                store = cls(connection, keys, elapsed_s)
                store.vault.require_newest()
                store.vault.destroy_erased()
            except apsw.Error as error:
                raise HomeInvalid(f"the ledger cannot be opened: {type(error).__name__}") from error
            stack.pop_all()
        return store

    @property
    def tiles(self) -> Tiles:
        """The tree as the last commit left it."""
        return self._tiles

    @property
    def root(self) -> bytes:
        """The root of that tree."""
        return self._root

    @property
    def is_closed(self) -> bool:
        """Whether the log's last entry says that it ends."""
        return self._connection.execute("SELECT next FROM log").get is not None

    def commit(self, now_ms: int, judge: Callable[[Batch], T]) -> tuple[T, bool]:
        """Run ``judge`` on a fresh batch, make what it decided durable, and say whether there was anything.

        Raises:
            OutcomeUnknown: COMMIT failed in a way that leaves open whether it happened.
            apsw.Error: Nothing was written.
            HomeInvalid: What another process wrote does not fit together.

        """
        self.finish_erasing()  # else a new opening could lie under a key that goes
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        try:
            if self._head() != (self._tiles.size, self._root):
                self._reload()
            batch = Batch(view=self, size=self._tiles.size, now_ms=now_ms)
            outcome = judge(batch)
            if batch.is_empty:
                execute("ROLLBACK")
                return outcome, False
            self._write(batch)
            self._end()
        except BaseException:
            self._forget()
            if self._connection.in_transaction:
                execute("ROLLBACK")
            raise
        self._remember(batch)
        self._destruction_due = bool(batch.erasures)
        return outcome, True

    def finish_erasing(self) -> None:
        """Destroy the keys of an erasure that is durable.

        Raises:
            apsw.Error: They are still there; it is tried again before the next transaction.

        """
        if self._destruction_due:
            self.vault.destroy_erased()
            self._destruction_due = False

    def spent(self, path: str) -> Loss:
        loss = self._spent.get(path)
        if loss is None:
            sql = "SELECT rho, delta, keys FROM spent WHERE node = ?"
            row = self._connection.execute(sql, (path,)).fetchone()
            loss = budget.NOTHING if row is None else Loss(PicoRho(row[0]), PicoDelta(row[1]), row[2])
            self._spent[path] = loss
        return loss

    def claim(self, name: bytes) -> Claim | None:
        row = self._connection.execute(
            "SELECT digest, charge, release, answer FROM claim WHERE name = ?", (name,)
        ).fetchone()
        if row is None:
            return None
        return Claim(digest=row[0], charge_index=row[1], release_index=row[2], answer=row[3])

    def is_used(self, name: bytes) -> bool:
        return self._connection.execute("SELECT 1 FROM once WHERE id = ?", (name,)).fetchone() is not None

    def entries(self, start: int, stop: int) -> tuple[bytes, ...]:
        """Return the entries of an interval."""
        rows = self._connection.execute(
            "SELECT leaf FROM entry WHERE idx >= ? AND idx < ? ORDER BY idx", (start, stop)
        )
        return tuple(leaf for (leaf,) in rows)

    def shown_id(self, record: Record) -> str:
        return self.vault.shown_id(record)

    def document(self, record: Record) -> bytes | None:
        return self.vault.document(record)

    def erased(self, erasure: Erasure) -> Erased:
        return self.vault.erased(erasure)

    def root_at(self, size: int) -> bytes:
        """Return the root of the tree as it was at ``size``."""
        if size == 0:
            return EMPTY_ROOT
        return right_edge(size, self._tiles.node)[-1]

    def close(self, *, force: bool = False) -> None:
        """Let both files go; with ``force``, whatever the disk says to that."""
        closed(self._connection, force=force)
        self._keys.close(force=force)

    def _write(self, batch: Batch) -> None:
        many = self._connection.executemany
        hashes = [leaf_hash(leaf) for leaf in batch.leaves]
        for leaf in hashes:
            self._tiles.append(leaf)
        many("INSERT INTO entry VALUES (?, ?)", enumerate(batch.leaves, batch.size))
        self.vault.write(batch, hashes)
        many(
            "INSERT INTO spent VALUES (?, ?, ?, ?) ON CONFLICT (node) DO UPDATE"
            " SET rho = excluded.rho, delta = excluded.delta, keys = excluded.keys",
            [(path, loss.rho, loss.delta, loss.keys) for path, loss in batch.spent.items()],
        )
        many(
            "INSERT INTO claim VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (name) DO UPDATE SET release = excluded.release, answer = excluded.answer",
            [(name, c.digest, c.charge_index, c.release_index, c.answer) for name, c in batch.claims.items()],
        )
        many(
            "INSERT INTO charge_open VALUES (?, ?, ?)",
            [(i, c.request_id, c.claim_name) for i, c in batch.opened.items() if i not in batch.closed],
        )
        many("DELETE FROM charge_open WHERE idx = ?", [(i,) for i in batch.closed if i < batch.size])
        self._purge(batch)  # before: what is used up now stays, whatever the clock says of its expiry
        many("INSERT INTO once VALUES (?, ?)", batch.used.items())
        if batch.leaves:
            many("REPLACE INTO tile VALUES (?, ?, ?)", self._tiles.changed())
            self._root = self._tiles.root()
            self._connection.execute("UPDATE head SET size = ?, root = ?", (self._tiles.size, self._root))
        if batch.next_origin is not None:
            self._connection.execute("UPDATE log SET next = ?", (batch.next_origin,))

    def _end(self) -> None:
        try:
            self._connection.execute("COMMIT")
        except (apsw.FullError, apsw.BusyError):
            raise
        except apsw.Error as error:
            raise OutcomeUnknown from error

    def _purge(self, batch: Batch) -> None:
        self._used_since_purge += len(batch.used)
        if self._lived_ms is not None and self._used_since_purge < _PURGE_EVERY:
            return
        self._used_since_purge = 0
        lived = self._lived(batch.now_ms)
        oldest = min(lived, batch.now_ms) - ONCE_KEPT_MS
        self._connection.execute("DELETE FROM once WHERE expires_at_ms < ?", (oldest,))
        self._connection.execute("REPLACE INTO lived VALUES (0, ?)", (lived,))

    def _lived(self, now_ms: int) -> int:
        """Return the store's own time: when it was first written, plus the time that gateways ran since.

        SECURITY: it only lags behind. A clock that steps ahead and back makes no used id usable again.
        """
        ran_ms = int((self._elapsed_s() - self._opened_s) * 1000)
        if self._lived_ms is None:
            self._lived_ms = now_ms - ran_ms
        return self._lived_ms + ran_ms

    def _remember(self, batch: Batch) -> None:
        self._spent |= batch.spent
        self.open_charges |= batch.opened
        for index in batch.closed:
            del self.open_charges[index]

    def _forget(self) -> None:
        """Make the next transaction read everything anew."""
        self._root = b""

    def _head(self) -> tuple[int, bytes]:
        size, root = self._connection.execute("SELECT size, root FROM head").get
        return size, root

    def _reload(self) -> None:
        """Read the tree's right side, the sums and the open charges; check that they fit together.

        Raises:
            HomeInvalid: Entries, tiles and head do not fit together.

        """
        size, root = self._head()
        last = self._connection.execute("SELECT max(idx) FROM entry").get
        if (-1 if last is None else last) + 1 != size:
            raise HomeInvalid("the ledger's entries and its head do not have the same number")
        self._tiles = Tiles(size, self._tile)
        if self._tiles.root() != root:
            raise HomeInvalid("the ledger's newest entries are not those of its head")
        self._root = root
        self._opened_s = self._elapsed_s()
        self._lived_ms = self._connection.execute("SELECT until_ms FROM lived").get
        self._spent = {}
        self.open_charges = {
            index: OpenCharge(request_id, claim)
            for index, request_id, claim in self._connection.execute("SELECT idx, id, claim FROM charge_open")
        }

    def _tile(self, level: int, number: int, width: int) -> bytes:
        """Return the first hashes of a stored tile; of a growing tile of level 0 from the entries."""
        if level == 0 and width < WIDTH:
            start = number << HEIGHT
            hashes = b"".join(leaf_hash(leaf) for leaf in self.entries(start, start + width))
        else:
            row = self._connection.execute(
                "SELECT hashes FROM tile WHERE level = ? AND number = ?", (level, number)
            ).fetchone()
            hashes = b"" if row is None else row[0][: width * HASH_BYTES]
        if len(hashes) != width * HASH_BYTES:
            raise HomeInvalid(f"tile {number} of level {level} is missing or too short")
        return hashes
