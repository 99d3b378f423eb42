"""Check a ledger from outside: with its file and the log's public key, and nothing else.

Re-hashes every entry and every stored tile (checking only the root would miss an entry that no proof
asked for), compares each given checkpoint with the tree at its size, adds up the debits and compares
them with the budgets, finds for each charge the one entry that closes it, and finds each receipt that a
firm handed in at its index: so an operator who logs less than he releases, or shows two logs, is found.

Reads only; needs no private key and no opening, so it is the same before and after an erasure (P9).
What is sealed (openings, records, stored answers) it cannot judge; the gateway does when it opens them.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import apsw

from gateway.errors import HomeInvalid
from gateway.ledger.audit_entries import Books, Entry, EntryInvalid, add, read_entry
from gateway.ledger.audit_store import (
    check_form,
    check_tables,
    compare,
    compare_openings,
    entry_at,
    grown,
    rehashed,
    snapshot,
    stored_nodes,
)
from gateway.ledger.audit_tree import GrowingTree
from gateway.ledger.carried import check_carried
from gateway.transparency.proof import (
    Checkpoint,
    parse_proof,
    salt_of,
    verify_checkpoint,
    verify_inclusion,
    verify_receipt,
)
from gateway.transparency.tiles import root_at
from gateway.transparency.tree import ProofInvalid, inclusion_path, leaf_hash, root_from_inclusion

FAULTS_MAX: Final = 100
EARLIER: Final = "the earlier check"


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedIn:
    """A receipt that somebody else kept; ``body``, and what it says if it is encrypted, may be left out."""

    name: str
    proof: bytes = field(repr=False)
    entry: bytes = field(repr=False)
    body: bytes | None = field(repr=False)
    plain: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Since:
    """Where an earlier check ended: a signed head, and what its entries added up to.

    Without books the store's own sums at that head are believed; the tree is proved either way.
    """

    note: bytes
    books: Books | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """What was found; ``faults`` is empty where all is well."""

    size: int
    root: bytes
    since: int
    """Entries that an earlier check vouches for; 0: every one was read now."""
    charges: int
    recovered: int
    open_charges: int
    """Charges without a closing entry: in flight, if the gateway runs; else closed at its next start."""
    steps_back: int
    """How often the clock was set back."""
    checkpoints: int
    """Given checkpoints that the log contains."""
    receipts: int
    """Given receipts that stand in the log as they say."""
    faults: tuple[str, ...]
    """The first hundred."""
    reached: Since | None = field(repr=False)
    """For the next check: the largest given checkpoint, where all is well."""

    @property
    def verified(self) -> bool:
        return not self.faults


def nobody(done: int, total: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class _Signed:
    """A head that the store must hold, and who has it."""

    head: Checkpoint
    note: bytes
    holder: str


@dataclass(slots=True)
class _Findings:
    """What one check finds; owned by one call of ``verify_store``."""

    signed: list[_Signed] = field(default_factory=list)
    given: list[tuple[str, int, bytes]] = field(default_factory=list)
    """Receipts that prove something: holder, index, entry."""
    faulty: set[str] = field(default_factory=set)
    """Holders of what does not fit."""
    faults: list[str] = field(default_factory=list)

    def fault(self, sentence: str, holder: str = "") -> None:
        self.faulty.add(holder)
        if len(self.faults) < FAULTS_MAX:
            self.faults.append(f"{holder}: {sentence}" if holder else sentence)

    def held(self, holders: Iterable[str]) -> int:
        return sum(holder not in self.faulty for holder in holders)


def verify_store(
    path: Path,
    vkeys: str,
    *,
    checkpoints: Iterable[bytes] = (),
    receipts: Iterable[HandedIn] = (),
    since: Since | None = None,
    on_progress: Callable[[int, int], None] = nobody,
) -> AuditReport:
    """Return what a check of the store at ``path`` finds, against the log's verifier keys (one a line).

    ``checkpoints`` are signed notes from anywhere: the head file, ``/checkpoint``, firms, witnesses.
    Without one the check shows only that the store fits itself. With ``since`` only what is newer is
    read. ``on_progress`` is told how many entries of how many are done.

    Raises:
        HomeInvalid: The file cannot be read as a ledger of this version; it says why.

    """
    findings = _Findings()
    for number, note in enumerate(checkpoints, 1):
        _take_head(note, f"checkpoint {number}", vkeys, findings)
    heads = [signed.holder for signed in findings.signed]
    for receipt in receipts:
        _take_receipt(receipt, vkeys, findings)
    earlier = None if since is None else _take_head(since.note, EARLIER, vkeys, findings)
    with snapshot(path) as connection:
        size = int(connection.execute("SELECT max(size) FROM head").get or 0)
        if earlier is None or since is None or earlier.size > size:
            check_form(connection, findings.fault)
            begin = _Begin(0, check_carried(connection, findings.fault), GrowingTree(), None)
        else:
            check_tables(connection, findings.fault)
            check_carried(connection, findings.fault)
            begin = _begin(connection, earlier, since.books)
        counted = begin.books.recovered, begin.books.erased
        target = max((signed.head.size for signed in findings.signed if signed.head.size <= size), default=0)
        tree, books, at_target = _read(
            connection, begin, findings, target, lambda done: on_progress(done, size)
        )
        _find_receipts(connection, findings)
        _compare_store(connection, begin, books, counted, findings, vkeys=vkeys)
    kept = next((signed.note for signed in findings.signed if signed.head.size == target), None)
    return AuditReport(
        size=tree.size,
        root=tree.root_at(tree.size),
        since=begin.size,
        charges=books.charges,
        recovered=books.recovered,
        open_charges=len(books.open),
        steps_back=books.steps_back,
        checkpoints=findings.held(heads),
        receipts=findings.held(holder for holder, _, _ in findings.given),
        faults=tuple(findings.faults),
        reached=None if kept is None or findings.faults else Since(note=kept, books=at_target),
    )


def _take_head(note: bytes, holder: str, vkeys: str, findings: _Findings) -> Checkpoint | None:
    try:
        head = verify_checkpoint(note, vkeys)
    except ProofInvalid as error:
        findings.fault(f"cannot be believed: {error}", holder)
        return None
    findings.signed.append(_Signed(head, note, holder))
    return head


def _take_receipt(receipt: HandedIn, vkeys: str, findings: _Findings) -> None:
    holder = f"receipt `{receipt.name}`"
    try:
        index, head = verify_inclusion(proof=receipt.proof, entry=receipt.entry, vkey=vkeys)
        if receipt.body is not None or receipt.plain is not None:
            verify_receipt(
                proof=receipt.proof, entry=receipt.entry, body=receipt.body, plain=receipt.plain,
                salt=salt_of(receipt.proof), vkey=vkeys,
            )  # fmt: skip
    except ProofInvalid as error:
        findings.fault(f"proves nothing: {error}", holder)
        return
    findings.signed.append(_Signed(head, parse_proof(receipt.proof).checkpoint, holder))
    findings.given.append((holder, index, receipt.entry))


def _find_receipts(connection: apsw.Connection, findings: _Findings) -> None:
    for holder, index, entry in findings.given:
        stored = entry_at(connection, index)
        if stored is None:
            findings.fault(f"the store has no entry {index}", holder)
        elif stored != entry:
            findings.fault(f"entry {index} of the store is another one", holder)


def _compare_store(
    connection: apsw.Connection,
    begin: "_Begin",
    books: Books,
    counted: tuple[int, int],
    findings: _Findings,
    *,
    vkeys: str,
) -> None:
    """Compare the tables; ``counted`` are the recoveries and erasures that the books began with."""
    tree = begin.tree
    compare(
        connection,
        books,
        findings.fault,
        vkeys=vkeys,
        size=tree.size,
        root=tree.root_at(tree.size),
        since=begin.size,
        believed=begin.older is not None,
    )
    recovered, erased = books.recovered - counted[0], books.erased - counted[1]
    compare_openings(
        connection,
        findings.fault,
        since=begin.size,
        due=tree.size - begin.size - recovered,  # every entry but RECOVER has one
        erased=erased,
    )


@dataclass(frozen=True, slots=True)
class _Begin:
    """Where the reading of entries begins, and with which books."""

    size: int
    books: Books
    tree: GrowingTree
    older: Callable[[int], Entry | None] | None


def _begin(connection: apsw.Connection, earlier: Checkpoint, books: Books | None) -> _Begin:
    if books is not None:
        return _Begin(earlier.size, deepcopy(books), grown(connection, earlier.size), None)
    node = stored_nodes(connection, earlier.size)

    def older(index: int) -> Entry | None:
        """Return an entry that stands in the earlier tree."""
        leaf = entry_at(connection, index) if index < earlier.size else None
        if leaf is None:
            return None
        with suppress(HomeInvalid, ProofInvalid, EntryInvalid):
            path = inclusion_path(index, earlier.size, node)
            if root_from_inclusion(leaf_hash(leaf), index, earlier.size, path) == earlier.root:
                return read_entry(leaf)
        return None

    return _Begin(earlier.size, Books(), grown(connection, earlier.size), older)


def _read(
    connection: apsw.Connection,
    begin: _Begin,
    findings: _Findings,
    target: int,
    on_progress: Callable[[int], None],
) -> tuple[GrowingTree, Books, Books | None]:
    """Read every entry from where the check begins; return tree, books, and the books at ``target``."""
    tree, books, fault = begin.tree, begin.books, findings.fault
    at_target = deepcopy(books) if begin.size == target else None
    waiting = _compare_older(connection, tree.size, begin.size, findings)
    for batch in rehashed(connection, tree, fault):
        for index, leaf in batch:
            if index < begin.size:
                continue
            try:
                add(books, index, read_entry(leaf), fault, begin.older)
            except EntryInvalid as error:
                fault(f"entry {index} {error}")
            if index + 1 == target:
                at_target = deepcopy(books)
        while waiting and waiting[-1].head.size <= tree.size:
            signed = waiting.pop()
            _compare_head(signed, tree.root_at(signed.head.size), findings)
        on_progress(tree.size)
    for signed in reversed(waiting):
        size = signed.head.size
        findings.fault(f"a tree of {size} entries was signed, the store holds {tree.size}", signed.holder)
    return tree, books, at_target


def _compare_older(connection: apsw.Connection, start: int, size: int, findings: _Findings) -> list[_Signed]:
    """Compare the heads of trees that the reading does not pass; return the others, largest first."""
    node = stored_nodes(connection, size)
    waiting = []
    for signed in findings.signed:
        if signed.head.size > start:
            waiting.append(signed)
            continue
        try:
            _compare_head(signed, root_at(signed.head.size, node), findings)
        except HomeInvalid as error:
            findings.fault(error.detail, signed.holder)
    return sorted(waiting, key=lambda signed: -signed.head.size)


def _compare_head(signed: _Signed, root: bytes, findings: _Findings) -> None:
    if signed.head.root != root:
        size = signed.head.size
        findings.fault(f"the first {size} entries are not the ones that were signed", signed.holder)
