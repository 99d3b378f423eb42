"""Check a home's log together with the closed logs before it: each by itself, and each link between two.

A link is entry 0 of a log: it names the log before by key, size and root, and what was carried over by
digests. So a key for the newest log is enough: the root that it vouches for binds the log before, down to
the first. Held against each other are that size and root, the last entry before, the digests, and the
lists of used ids and erased keys, of which nothing may be missing that is not forgotten by time.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from operator import eq
from pathlib import Path

import apsw

from gateway.ledger.audit import AuditReport, HandedIn, Since, nobody, verify_store
from gateway.ledger.audit_entries import Entry
from gateway.ledger.audit_store import entry_at, snapshot
from gateway.ledger.carried import end_of, link_of, parts_of_old
from gateway.ledger.store import ONCE_KEPT_MS
from gateway.ledger.succession import COSIGNED, HEAD, STORE, closed_folders, log_of
from gateway.transparency.proof import parse_proof, verify_checkpoint
from gateway.transparency.tree import ProofInvalid


@dataclass(frozen=True, slots=True)
class ClosedLog:
    """A closed log that was found, and read unless an earlier check had."""

    origin: str
    report: AuditReport | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainReport:
    """What was found; ``faults`` is empty where all is well."""

    newest: AuditReport
    closed: tuple[ClosedLog, ...]
    """The newer ones first."""
    absent: str | None
    """A log before those, whose files are not here: nothing is said of it but its size and root."""
    faults: tuple[str, ...]

    @property
    def receipts(self) -> int:
        """Given receipts that stand in their logs as they say."""
        read = [self.newest, *(log.report for log in self.closed if log.report is not None)]
        return sum(report.receipts for report in read)


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a checker has from elsewhere, of all logs together."""

    vkeys: str
    checkpoints: tuple[bytes, ...] = ()
    receipts: Iterable[HandedIn] = ()
    """Read once, one by one, where there is no closed log."""
    since: Since | None = None

    def only(self, holds: Callable[[str], bool]) -> "Given":
        """Return what is of logs whose origin is one of those."""
        return Given(
            vkeys="\n".join(line for line in self.vkeys.split("\n") if holds(line.partition("+")[0])),
            checkpoints=tuple(note for note in self.checkpoints if holds(_origin_of(note))),
            receipts=[receipt for receipt in self.receipts if holds(_origin_of_receipt(receipt))],
            since=self.since if self.since is not None and holds(_origin_of(self.since.note)) else None,
        )


def verify_chain(
    ledger: Path, given: Given, *, on_progress: Callable[[int, int], None] = nobody
) -> ChainReport:
    """Return what a check of the ledger's folder finds: its log, and the closed ones behind it.

    Raises:
        HomeInvalid: A file cannot be read as a ledger of this version; it says why.

    """
    folders = {log_of(folder / STORE).origin: folder for folder in closed_folders(ledger)}
    own = given
    if folders:
        given = replace(given, receipts=tuple(given.receipts))
        own = given.only(lambda origin: origin not in folders)
    newest = verify_store(
        ledger / STORE,
        own.vkeys or given.vkeys,
        checkpoints=own.checkpoints,
        receipts=own.receipts,
        since=own.since,
        on_progress=on_progress,
    )
    faults, closed = list(newest.faults), list[ClosedLog]()
    store, link = ledger / STORE, _link(ledger / STORE)
    while link is not None and (folder := folders.pop(_named(link), None)) is not None:
        origin = _named(link)
        theirs = given.only(partial(eq, origin))
        found = list(_compared(folder, store, link))
        report = None
        if own.since is None or theirs.receipts or theirs.checkpoints:
            report = _read(folder, link, theirs)
            found += report.faults
            if (report.size, report.root.hex()) != (link.facts.get("entries"), link.facts.get("root")):
                found.append("it is not the log that the next one's entry 0 names")
        faults += [f"log `{origin}`: {fault}" for fault in found]
        closed.append(ClosedLog(origin, report))
        store, link = folder / STORE, _link(folder / STORE)
    faults += [f"log `{origin}`: no log says that it follows" for origin in folders]
    absent = None if link is None else _named(link)
    return ChainReport(newest=newest, closed=tuple(closed), absent=absent, faults=tuple(faults))


def _read(folder: Path, link: Entry, theirs: Given) -> AuditReport:
    notes = [path.read_bytes() for name in (HEAD, COSIGNED) if (path := folder / name).exists()]
    return verify_store(
        folder / STORE,
        theirs.vkeys or str(link.facts.get("old")),
        checkpoints=[*notes, *theirs.checkpoints],
        receipts=theirs.receipts,
        since=theirs.since,
    )


def _link(store: Path) -> Entry | None:
    with snapshot(store) as connection:
        return link_of(entry_at(connection, 0))


def _named(link: Entry) -> str:
    return str(link.facts.get("old")).partition("+")[0]


def _compared(folder: Path, new: Path, link: Entry) -> Iterator[str]:
    """Yield what does not fit between a closed log and the one that follows."""
    with snapshot(folder / STORE) as before, snapshot(new) as after:
        size = int(before.execute("SELECT max(size) FROM head").get or 0)
        end = end_of(entry_at(before, size - 1))
        origin = after.execute("SELECT origin FROM log").get
        key = str(link.facts.get("new"))
        if end is None or end.facts.get("new") != key or key.partition("+")[0] != origin:
            yield f"its last entry does not say that `{origin}` follows"
        if not _is_signed(folder / HEAD, str(link.facts.get("old")), size):
            yield "its end has no signed head"
        if list(parts_of_old(before)) != link.facts["carried"]:
            yield "what the next log carries over is not what this one ended with"
        yield from _forgotten(before, after)


def _is_signed(head: Path, vkey: str, size: int) -> bool:
    try:
        return verify_checkpoint(head.read_bytes(), vkey).size == size
    except (OSError, ProofInvalid):
        return False


def _forgotten(before: apsw.Connection, after: apsw.Connection) -> Iterator[str]:
    """Yield which used ids and erased keys the next log lost before their time."""
    lived, lived_now = (
        c.execute("SELECT coalesce(max(until_ms), 0) FROM lived").get for c in (before, after)
    )
    if lived_now < lived:
        yield "the next log's own time is earlier than this one's"
    used = before.execute("SELECT id FROM once WHERE expires_at_ms >= ?", (lived_now - ONCE_KEPT_MS,))
    lost = sum(after.execute("SELECT 1 FROM once WHERE id = ?", row).get is None for row in used)
    if lost:
        yield f"{lost} used id(s) could be used again in the next log"
    erased = {key for (key,) in before.execute("SELECT key FROM erased")}
    if erased - {key for (key,) in after.execute("SELECT key FROM erased")}:
        yield "the next log does not know of every key that was erased"


def _origin_of(note: bytes) -> str:
    return note.partition(b"\n")[0].decode("utf-8", "replace")


def _origin_of_receipt(receipt: HandedIn) -> str:
    try:
        return _origin_of(parse_proof(receipt.proof).checkpoint)
    except ProofInvalid:
        return ""  # the newest log's check says what is wrong with it
