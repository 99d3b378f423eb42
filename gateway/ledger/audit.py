"""Check a ledger from outside: with its file and the log's public key, and nothing else.

Re-hashes every entry and every stored tile (checking only the root would miss an entry that no proof
asked for), compares each given checkpoint with the tree at its size, adds up the debits and compares
them with the budgets, and finds for each charge the one entry that closes it. Reads only; needs no
private key and no opening, so it is the same before and after an erasure (promise P9).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import apsw

from gateway.errors import HomeInvalid
from gateway.ledger.schema import BUSY_MS, VERSION
from gateway.terms.entry import EntryKind
from gateway.transparency.canonical import NotCanonical, parsed
from gateway.transparency.proof import ENTRY_BYTES_MAX, Checkpoint, verify_checkpoint
from gateway.transparency.tiles import WIDTH, Tiles
from gateway.transparency.tree import EMPTY_ROOT, HASH_BYTES, ProofInvalid, leaf_hash

FAULTS_MAX: Final = 100
_CLOSERS: Final = {EntryKind.RELEASE, EntryKind.ERROR, EntryKind.RECOVER, EntryKind.DENY, EntryKind.SINGLE}


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """What was found; ``faults`` is empty where all is well."""

    size: int
    root: bytes
    charges: int
    recovered: int
    open_charges: int
    """Charges without a closing entry: in flight, if the gateway runs; else closed at its next start."""
    checkpoints: int
    """Given checkpoints that the log contains."""
    faults: tuple[str, ...]
    """The first hundred."""

    @property
    def verified(self) -> bool:
        return not self.faults


@dataclass(slots=True)
class _Findings:
    """What one pass over the entries adds up; owned by one call of ``verify_store``."""

    sums: dict[str, tuple[int, int]] = field(default_factory=dict)
    open: dict[int, object] = field(default_factory=dict)
    """Index -> request id of charges that nothing closed yet."""
    records: dict[str, int] = field(default_factory=dict)
    charges: int = 0
    recovered: int = 0
    faults: list[str] = field(default_factory=list)

    def fault(self, sentence: str) -> None:
        if len(self.faults) < FAULTS_MAX:
            self.faults.append(sentence)


def verify_store(path: Path, vkey: str, *, checkpoints: Iterable[bytes] = ()) -> AuditReport:
    """Return what a full check of the store at ``path`` finds.

    ``checkpoints`` are signed notes from anywhere: the head file, ``/checkpoint``, receipts. Without one
    the check shows only that the store fits itself.

    Raises:
        HomeInvalid: The file cannot be read as a ledger of this version.

    """
    findings = _Findings()
    signed = _signed(checkpoints, vkey, findings)
    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        connection.set_busy_timeout(BUSY_MS)
        connection.execute("PRAGMA query_only = ON; PRAGMA trusted_schema = OFF")
        if connection.pragma("user_version") != VERSION:
            raise HomeInvalid("the file is no ledger of this version")
        connection.execute("BEGIN")  # one snapshot for everything
        try:
            return _verified(connection, vkey, signed, findings)
        finally:
            connection.execute("ROLLBACK")
            connection.close()
    except apsw.Error as error:
        raise HomeInvalid(f"the ledger cannot be read: {type(error).__name__}") from error


def _signed(checkpoints: Iterable[bytes], vkey: str, findings: _Findings) -> dict[int, list[Checkpoint]]:
    by_size: dict[int, list[Checkpoint]] = {}
    for note in checkpoints:
        try:
            checkpoint = verify_checkpoint(note, vkey)
        except ProofInvalid as error:
            findings.fault(f"a checkpoint cannot be believed: {error}")
            continue
        by_size.setdefault(checkpoint.size, []).append(checkpoint)
    return by_size


def _verified(
    connection: apsw.Connection, vkey: str, signed: dict[int, list[Checkpoint]], findings: _Findings
) -> AuditReport:
    tiles = Tiles(0, _no_tile)
    growing: dict[tuple[int, int], bytes] = {}
    full = 0
    held = _compare_head(signed.pop(0, []), EMPTY_ROOT, findings)
    for index, leaf in connection.execute("SELECT idx, leaf FROM entry ORDER BY idx"):
        if index != tiles.size:
            findings.fault(f"entry {tiles.size} is missing")
            break
        _read_entry(index, leaf, findings)
        tiles.append(leaf_hash(leaf))
        for level, number, hashes in tiles.changed():
            growing[level, number] = hashes
            if len(hashes) == WIDTH * HASH_BYTES:
                full += 1
                _compare_tile(connection, level, number, growing.pop((level, number)), findings)
        if tiles.size in signed:
            held += _compare_head(signed.pop(tiles.size), tiles.root(), findings)
    for size in sorted(signed):
        findings.fault(f"a tree of {size} entries was signed, the store holds {tiles.size}")
    for (level, number), hashes in growing.items():
        _compare_tile(connection, level, number, hashes, findings)
    if connection.execute("SELECT count(*) FROM tile").get != full + len(growing):
        findings.fault("the store holds tiles that are not of this tree")
    _compare_store(connection, vkey, tiles, findings)
    return AuditReport(
        size=tiles.size,
        root=tiles.root(),
        charges=findings.charges,
        recovered=findings.recovered,
        open_charges=len(findings.open),
        checkpoints=held,
        faults=tuple(findings.faults),
    )


def _compare_head(heads: list[Checkpoint], root: bytes, findings: _Findings) -> int:
    held = sum(head.root == root for head in heads)
    if held != len(heads):
        findings.fault(f"the first {heads[0].size} entries are not the ones that were signed")
    return held


def _compare_tile(
    connection: apsw.Connection, level: int, number: int, hashes: bytes, findings: _Findings
) -> None:
    sql = "SELECT hashes FROM tile WHERE level = ? AND number = ?"
    if connection.execute(sql, (level, number)).get != hashes:
        findings.fault(f"tile {number} of level {level} is not that of the entries")


def _read_entry(index: int, leaf: bytes, findings: _Findings) -> None:
    try:
        entry = parsed(leaf)
        kind = EntryKind(str(entry.get("kind")))
    except (NotCanonical, ValueError):
        findings.fault(f"entry {index} is no canonical entry")
        return
    if len(leaf) > ENTRY_BYTES_MAX:
        findings.fault(f"entry {index} is too large")
    if kind is EntryKind.CHARGE:
        findings.charges += 1
        findings.open[index] = entry.get("id")
        _add_debits(index, entry.get("debits", []), findings)
    elif "debits" in entry:
        findings.fault(f"entry {index} debits without being a charge")
    if "charge" in entry:
        _close_charge(index, kind, entry, findings)
    elif kind in {EntryKind.RELEASE, EntryKind.RECOVER}:
        findings.fault(f"entry {index} names no charge")
    changes = entry.get("changes", [])
    if isinstance(changes, list):
        findings.records |= {str(change): index for change in changes}


def _close_charge(index: int, kind: EntryKind, entry: dict[str, object], findings: _Findings) -> None:
    charge = entry["charge"]
    if kind not in _CLOSERS or not isinstance(charge, int) or charge not in findings.open:
        findings.fault(f"entry {index} closes no open charge")
    elif findings.open.pop(charge) != entry.get("id"):
        findings.fault(f"entry {index} closes the charge of another request")
    findings.recovered += kind is EntryKind.RECOVER


def _add_debits(index: int, debits: object, findings: _Findings) -> None:
    for debit in debits if isinstance(debits, list) else [None]:
        match debit:
            case {"node": str(node), "rho": int(rho), "delta": int(delta), **after} if rho >= 0 <= delta:
                before = findings.sums.get(node, (0, 0))
                total = (before[0] + rho, before[1] + delta)
                findings.sums[node] = total
                if after != {"rho_after": total[0], "delta_after": total[1]}:
                    findings.fault(f"entry {index} states a wrong sum for one of its budgets")
            case _:
                findings.fault(f"entry {index} has a debit of the wrong form")


def _compare_store(
    connection: apsw.Connection,
    vkey: str,
    tiles: Tiles,
    findings: _Findings,
) -> None:
    """Compare what the store keeps beside the entries with what follows from them."""
    if connection.execute("SELECT size, root FROM head").get != (tiles.size, tiles.root()):
        findings.fault("the head is not that of the entries")
    if connection.execute("SELECT vkey FROM log").get != vkey:
        findings.fault("the store belongs to another log")
    budgets = {node: (rho, delta) for node, rho, delta in connection.execute("SELECT * FROM spent")}
    if budgets != findings.sums:
        findings.fault("the budgets are not the sums of the debits")
    waiting: dict[object, object] = dict(connection.execute("SELECT idx, id FROM charge_open"))
    if waiting != findings.open:
        findings.fault("the open charges are not those that no entry closed")
    records = {
        f"{kind}/{name}": idx for kind, name, idx in connection.execute("SELECT kind, id, idx FROM registry")
    }
    if records != findings.records:
        findings.fault("the registry is not as it was last put")


def _no_tile(level: int, number: int, width: int) -> bytes:
    raise AssertionError(f"tile {level}/{number} of {width} is built, never loaded")
