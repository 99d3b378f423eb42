"""The store as a checker sees it: opened for reading only, and compared with what its entries say.

Whatever lies at the path is named or read: nothing is waited for or repaired, and no value larger than a
mebibyte is taken in. One snapshot serves the whole check, while a gateway goes on writing. SQLite may
leave an empty journal beside the file.
"""

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar

import apsw

from gateway.errors import HomeInvalid
from gateway.ledger.audit_entries import Books, Entry, EntryInvalid, read_entry
from gateway.ledger.audit_tree import GrowingTree
from gateway.ledger.schema import APPLICATION_ID, BUSY_MS, VERSION, connect, prepare
from gateway.terms.entry import EntryKind
from gateway.transparency.tiles import HEIGHT, WIDTH, nodes_of
from gateway.transparency.tree import HASH_BYTES, Node, leaf_hash

VALUE_BYTES_MAX: Final = 1024 * 1024
_MAGIC: Final = b"SQLite format 3\x00"
Fault = Callable[[str], None]
Key = TypeVar("Key", int, str)


@contextmanager
def snapshot(path: Path) -> Iterator[apsw.Connection]:
    """Open one read snapshot of the store at ``path``.

    Raises:
        HomeInvalid: What lies there is no ledger that this version can read; it says what it is.

    """
    _require_file(path)
    try:
        connection = apsw.Connection(_address(path), flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
        try:
            connection.set_busy_timeout(BUSY_MS)
            connection.limit(apsw.SQLITE_LIMIT_LENGTH, VALUE_BYTES_MAX)
            connection.execute(
                "PRAGMA query_only = ON; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON"
            )
            connection.execute("BEGIN")
            _require_ledger(connection)
            yield connection
        finally:
            connection.close()
    except apsw.Error as error:
        raise HomeInvalid(_words(error)) from error
    except (UnicodeDecodeError, TypeError) as error:
        # What a page that was damaged in the right place makes of a value: no UTF-8, NULL, another type.
        raise HomeInvalid("the ledger's file is damaged: a value is not of its column's type") from error


def _require_file(path: Path) -> None:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise HomeInvalid("the ledger's path is no plain file")
        if status.st_size == 0:
            raise HomeInvalid("the ledger's file is empty")
        with path.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                raise HomeInvalid("the ledger's file is no SQLite file")
    except FileNotFoundError as error:
        raise HomeInvalid("there is no ledger at this path") from error
    except OSError as error:
        raise HomeInvalid(f"the ledger's file cannot be read: {error.strerror}") from error


def _address(path: Path) -> str:
    """Return the file's URI; where nothing can be written and no journal waits, SQLite needs to be told."""
    journal = path.with_name(path.name + "-wal")
    still = not os.access(path.parent, os.W_OK) and not journal.exists()
    return path.absolute().as_uri() + ("?immutable=1" if still else "?mode=ro")


def _words(error: apsw.Error) -> str:
    match error:
        case apsw.NotADBError():
            return "the ledger's file is no SQLite file, or its first page is damaged"
        case apsw.CorruptError():
            return "the ledger's file is damaged: SQLite cannot follow its pages"
        case apsw.TooBigError():
            return (
                f"the ledger's file holds a value of more than {VALUE_BYTES_MAX:,} bytes; none is that large"
            )
        case apsw.BusyError() | apsw.LockedError():
            return "the ledger's file is locked by another program"
        case apsw.CantOpenError():
            return "the ledger's file or its journal cannot be opened; copy both to a folder of your own"
        case _:
            return f"the ledger cannot be read: {type(error).__name__}"


def _require_ledger(connection: apsw.Connection) -> None:
    if connection.pragma("application_id") != APPLICATION_ID:
        raise HomeInvalid("the ledger's file belongs to another program")
    version = connection.pragma("user_version")
    if version != VERSION:
        raise HomeInvalid(f"the ledger has format {version}, this program knows {VERSION}")


def check_form(connection: apsw.Connection, fault: Fault) -> None:
    """Say where the file is damaged, and what of its tables is not as the gateway makes it."""
    for (line,) in connection.execute("PRAGMA integrity_check(3)"):
        if line != "ok":
            fault(f"the ledger's file is damaged: {str(line)[:200]}")
    pages = connection.pragma("page_count") * connection.pragma("page_size")
    if Path(connection.filename).stat().st_size > pages:  # shorter is possible while a journal waits
        fault("the ledger's file goes on after its last page")
    check_tables(connection, fault)


def check_tables(connection: apsw.Connection, fault: Fault) -> None:
    """Say which table, index or trigger is not as the gateway makes it."""
    fresh = connect(None, vfs=None)
    try:
        prepare(fresh, origin="", vkeys=("",))
        made, found = _schema(fresh), _schema(connection)
    finally:
        fresh.close()
    for name in sorted(made.keys() | found.keys()):
        if made.get(name) != found.get(name):
            fault(f"`{name}` of the store is not as the gateway makes it")


def _schema(connection: apsw.Connection) -> dict[str, tuple[str, str | None]]:
    rows = connection.execute("SELECT name, type, sql FROM sqlite_schema")
    return {name: (kind, sql) for name, kind, sql in rows}


def rehashed(
    connection: apsw.Connection, tree: GrowingTree, fault: Fault
) -> Iterator[list[tuple[int, bytes]]]:
    """Grow a tree by the store's entries, a tile at a time, and hold the stored tiles against it.

    Yields (index, entry) of each tile's entries. Ends early where an entry is missing: what follows has
    no place in the tree.
    """
    rows = connection.execute(
        "SELECT idx, CAST(coalesce(leaf, '') AS BLOB) FROM entry WHERE idx >= ? ORDER BY idx", (tree.size,)
    )
    full = sum(tree.size >> (HEIGHT * level) for level in range(1, HEIGHT))
    missing = False
    while not missing and (batch := list(islice(rows, WIDTH))):
        if missing := batch[-1][0] != tree.size + len(batch) - 1:  # the column is unique and sorted
            dense = next(place for place, (index, _) in enumerate(batch) if index != tree.size + place)
            fault(f"entry {tree.size + dense} is missing")
            batch = batch[:dense]
        for level, number, hashes in tree.grow([leaf for _, leaf in batch]):
            full += 1
            _compare_tile(connection, level, number, hashes, fault)
        yield batch
    growing = tree.growing()
    for level, number, hashes in growing:
        _compare_tile(connection, level, number, hashes, fault)
    if connection.execute("SELECT count(*) FROM tile").get != full + len(growing):
        fault("the store holds tiles that are not of this tree")


def _compare_tile(connection: apsw.Connection, level: int, number: int, hashes: bytes, fault: Fault) -> None:
    if tile(connection, level, number) != hashes:
        fault(f"tile {number} of level {level} is not that of the entries")


def grown(connection: apsw.Connection, size: int) -> GrowingTree:
    """Return the tree to go on from where ``size`` entries are known, begun at the last whole tile.

    The tiles it begins with are believed; the root at ``size`` shows whether they are right.
    """
    start = size - size % WIDTH
    tiles = []
    level = 1
    while start >> (HEIGHT * level):
        number, width = divmod(start >> (HEIGHT * level), WIDTH)
        tiles.append(tile(connection, level, number)[: width * HASH_BYTES])
        level += 1
    return GrowingTree(start, tiles)


def stored_nodes(connection: apsw.Connection, size: int) -> Node:
    """Return the tree's nodes as the stored tiles have them, to be held against a signed root.

    Asking for one raises HomeInvalid where a tile or an entry is missing.
    """

    def load(level: int, number: int, width: int) -> bytes:
        hashes = tile(connection, level, number)[: width * HASH_BYTES]
        if level == 0 and not hashes:  # the last tile of level 0 is not stored
            rows = connection.execute(
                "SELECT CAST(leaf AS BLOB) FROM entry WHERE idx >= ? AND idx < ? ORDER BY idx",
                (number << HEIGHT, (number << HEIGHT) + width),
            )
            hashes = b"".join(leaf_hash(leaf) for (leaf,) in rows)
        if len(hashes) != width * HASH_BYTES:
            raise HomeInvalid(f"tile {number} of level {level} is missing or too short")
        return hashes

    return nodes_of(size, load)


def tile(connection: apsw.Connection, level: int, number: int) -> bytes:
    """Return a stored tile; empty if there is none."""
    sql = "SELECT CAST(hashes AS BLOB) FROM tile WHERE level = ? AND number = ?"
    row = connection.execute(sql, (level, number)).fetchone()
    return b"" if row is None or row[0] is None else bytes(row[0])


def entry_at(connection: apsw.Connection, index: int) -> bytes | None:
    """Return the bytes of one entry."""
    row = connection.execute("SELECT CAST(leaf AS BLOB) FROM entry WHERE idx = ?", (index,)).fetchone()
    return None if row is None else row[0]


def compare(
    connection: apsw.Connection,
    books: Books,
    fault: Fault,
    *,
    vkeys: str,
    size: int,
    root: bytes,
    since: int,
    believed: bool,
) -> None:
    """Compare what the store keeps beside the entries with what follows from them.

    Where the books began empty at ``since``, what the store says of the time before is ``believed``.
    """
    if connection.execute("SELECT only, size, root FROM head").fetchall() != [(0, size, root)]:
        fault("the head is not that of the entries")
    logs = connection.execute("SELECT only, origin, vkey FROM log").fetchall()
    if logs not in [[(0, vkey.partition("+")[0], vkey)] for vkey in vkeys.split("\n")]:
        fault("the store belongs to another log, or to a key of it that was not given")
    spent = {
        node: (rho, delta, keys)
        for node, rho, delta, keys in connection.execute("SELECT node, rho, delta, keys FROM spent")
    }
    for node in _different(spent, books.sums, lambda node: believed and node not in books.sums):
        fault(f"the budget of `{node}` is not the sum of its debits")
    waiting: dict[int, str] = dict(connection.execute("SELECT idx, id FROM charge_open"))
    for charge in _different(
        waiting, books.open, lambda charge: believed and charge < since and charge not in books.closed_older
    ):
        fault(f"charge {charge}: store and entries differ on whether it is open, or for which request")
    records = {
        f"{kind}/{name}": (index, field)
        for kind, name, index, field in connection.execute("SELECT kind, id, idx, field FROM registry")
    }
    for name in _different(
        records,
        books.records,
        lambda name: believed and name not in books.records and records[name][0] < since,
    ):
        fault(f"the registry's record `{name}` is not the one that was put last")
    _compare_claims(connection, fault, since=since)
    for (index,) in connection.execute("SELECT idx FROM opening WHERE idx < 0 OR idx >= ? LIMIT 3", (size,)):
        fault(f"the store holds an opening of entry {index}, which is not there")


def compare_openings(connection: apsw.Connection, fault: Fault, *, since: int, due: int, erased: int) -> None:
    """Say where openings are gone, and no ERASE entry tells of it.

    ``due`` entries from ``since`` on have one; of all there were, the log says that ``erased`` are gone.
    """
    kept = connection.execute(
        "SELECT count(*) FROM opening WHERE idx >= ? AND key NOT IN (SELECT key FROM erased)", (since,)
    ).get
    if not due - erased <= kept <= due or (since == 0 and kept != due - erased):
        fault(f"the store holds {kept} openings, and what the log says of erasures leaves {due - erased}")


def _different(
    stored: Mapping[Key, object], told: Mapping[Key, object], is_older: Callable[[Key], bool]
) -> list[Key]:
    """Return the keys on which the store and the books differ."""
    return sorted(
        key for key in stored.keys() | told.keys() if stored.get(key) != told.get(key) and not is_older(key)
    )


def _compare_claims(connection: apsw.Connection, fault: Fault, *, since: int) -> None:
    """Compare idempotency claims with the charges and replies that they name."""
    rows = connection.execute(
        "SELECT c.charge, c.release, c.answer IS NOT NULL, a.leaf, b.leaf, o.claim IS c.name FROM claim c"
        " LEFT JOIN entry a ON a.idx = c.charge LEFT JOIN entry b ON b.idx = c.release"
        " LEFT JOIN charge_open o ON o.idx = c.charge"
        " WHERE c.charge >= ? OR c.release IS NULL OR c.release >= ?",
        (since, since),
    )
    for charge, release, answered, opener, closer, waits in rows:
        first, last = _entry(opener), _entry(closer)
        good = first is not None and first.kind is EntryKind.CHARGE
        if release is None:
            good = good and bool(waits) and not answered
        else:
            good = good and last is not None and last.charge == charge
            good = good and (not answered or (last is not None and last.kind is EntryKind.RELEASE))
        if not good:
            fault(f"an idempotency claim on charge {charge} does not fit the entries")


def _entry(leaf: bytes | None) -> Entry | None:
    try:
        return None if leaf is None else read_entry(leaf)
    except EntryInvalid:
        return None
