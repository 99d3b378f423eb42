"""The outside observer: what left the ledger, held against what the next start finds.

The names are those of the invariants that a log has to keep whatever happens to its process and its disk:

    I1  every reply that left stands in the log, at its index, and commits to the bytes that left
    I2  every receipt verifies offline, and its head is a head of the later log
    I3  every signed head that was ever seen is a prefix of the later log
    I4  the sums of the debits are the budgets, none above its cap, no acknowledged charge lost
    I6  the same idempotency key: the same bytes, no second debit
    I7  no id that was used up serves again
    I8  no charge is open after a start; one that a crash left open stays charged
    I9  the store is whole: re-hashed, compared, checked by SQLite
    I12 an entry may stand there undelivered, never the other way round

``faults`` answers in sentences; an empty list is what everybody hopes for.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

import apsw

from gateway.errors import ChargedFailure, GatewayError, HomeInvalid
from gateway.ledger.audit import verify_store
from gateway.ledger.openings import Salts, unpacked
from gateway.ledger.port import ENTRIES_MAX, EntryRefused
from gateway.ledger.sequencer import Read
from gateway.ledger.sqlite import SqliteLedger
from gateway.terms.charge import StoredAnswer
from gateway.transparency.canonical import parsed
from gateway.transparency.commitment import commitment
from gateway.transparency.proof import ProofInvalid, parse_proof, verify_receipt
from tests.faults.run import charge_request, nodes
from tests.faults.script import (
    Answer,
    Broken,
    Charge,
    Charged,
    Command,
    Erase,
    Headed,
    Receipted,
    Refused,
    Release,
    Script,
    Stored,
    Used,
    private_of,
    subject_of,
)
from tests.faults.world import World

Entry = dict[str, object]
_CLOSERS = {"release", "error", "recover", "deny", "single"}


@dataclass(slots=True)
class Observed:
    """What was asked of one log and what left it, over all its lives."""

    asked: dict[str, list[Command]] = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)
    rivals: bool = False
    """Whether two writers were there: one may find its charge closed by the other's start."""

    def ask(self, script: Script) -> None:
        for step in script:
            for command in step:
                if isinstance(command, Charge | Release | Erase):
                    self.asked.setdefault(command.id, []).append(command)

    def of(self, kind: type[Answer]) -> Iterator[Answer]:
        return (answer for answer in self.answers if isinstance(answer, kind))

    def heads(self) -> list[bytes]:
        """Return every signed head that was seen, alone or in a receipt, once."""
        notes = [answer.note for answer in self.of(Headed)]
        notes += [parse_proof(answer.proof).checkpoint for answer in self.of(Receipted)]
        return list(dict.fromkeys(notes))


def faults(world: World, observed: Observed) -> list[str]:
    """Open the log again, as the next start does, and return what is not as it must be."""
    broken = [f"the ledger broke: {answer.trace}" for answer in observed.of(Broken)]
    if not observed.rivals:
        refused = (answer.id for answer in observed.of(Refused) if answer.error == EntryRefused.__name__)
        erasures = (id_ for id_, asked in observed.asked.items() if isinstance(asked[0], Erase))
        broken += [f"the entry of {id_} was refused as a bug" for id_ in set(refused) - set(erasures)]
    return broken + asyncio.run(_faults(world, observed))


async def _faults(world: World, observed: Observed) -> list[str]:
    try:
        ledger = world.open()
    except HomeInvalid as error:
        return [f"the ledger does not open: {error}"]
    try:
        leaves = await all_leaves(ledger)
        log = [parsed(leaf) for leaf in leaves]
        heads = [*observed.heads(), await ledger.checkpoint(), world.head.read_bytes()]
        return [
            *_audited(world, heads),
            *_unproved(world, observed, leaves),
            *_lost(observed, log),
            *await _misspent(ledger, observed, log),
            *await _unopened(ledger, observed, log),
            *await _repeated(ledger, observed, log),
            *await _reused(ledger, observed),
        ]
    except GatewayError as error:
        return [f"the ledger that opened does not work: {type(error).__name__}: {error}"]
    finally:
        await ledger.close()


async def all_leaves(ledger: SqliteLedger) -> list[bytes]:
    leaves: list[bytes] = []
    while chunk := await ledger.entries(len(leaves), len(leaves) + ENTRIES_MAX):
        leaves += chunk
    return leaves


def _audited(world: World, heads: list[bytes]) -> Iterator[str]:
    """I2, I3, I4, I8, I9: what anybody with the file finds."""
    report = verify_store(world.path, world.signer.vkey, checkpoints=heads)
    yield from report.faults
    if report.checkpoints != len(heads):
        yield f"I3: {len(heads) - report.checkpoints} of {len(heads)} heads are not heads of this log"
    if report.open_charges:
        yield f"I8: {report.open_charges} charges are open after a start"
    with apsw.Connection(str(world.path), flags=apsw.SQLITE_OPEN_READONLY) as outside:
        if (said := outside.pragma("integrity_check")) != "ok":
            yield f"I9: {said}"


def _unproved(world: World, observed: Observed, leaves: list[bytes]) -> Iterator[str]:
    """I1, I2: each receipt, offline and at its place."""
    for receipt in observed.of(Receipted):
        if leaves[receipt.index : receipt.index + 1] != [receipt.entry]:
            yield f"I1: the reply to {receipt.id} left and its entry does not stand at {receipt.index}"
        try:
            proved = verify_receipt(
                proof=receipt.proof,
                entry=receipt.entry,
                body=receipt.body,
                salt=receipt.salt,
                vkey=world.signer.vkey,
            )
        except ProofInvalid as error:
            yield f"I2: the receipt of {receipt.id}: {error}"
        else:
            if (proved.index, proved.entry["id"]) != (receipt.index, receipt.id):
                yield f"I2: the receipt of {receipt.id} proves another entry"


def _lost(observed: Observed, log: list[Entry]) -> Iterator[str]:
    """I4, I8: no charge that somebody was told of is gone, and each is closed once."""
    for answer in observed.of(Charged):
        stands = log[answer.index] if answer.index < len(log) else {}
        if (stands.get("kind"), stands.get("id")) != ("charge", answer.id):
            yield f"I4: the charge of {answer.id} at {answer.index} is lost"
    closed = [entry["charge"] for entry in log if "charge" in entry]
    if sorted(map(str, closed)) != sorted(str(i) for i, entry in enumerate(log) if entry["kind"] == "charge"):
        yield "I8: the charges are not each closed once"


async def _misspent(ledger: SqliteLedger, observed: Observed, log: list[Entry]) -> list[str]:
    """I4: the budgets are what the entries say, and no more than their caps."""
    sums: dict[str, int] = {}
    for entry in log:
        for debit in entry.get("debits", ()):  # type: ignore[attr-defined]
            sums[debit["node"]] = sums.get(debit["node"], 0) + debit["rho"]
    charges = (
        command for asked in observed.asked.values() for command in asked if isinstance(command, Charge)
    )
    found = []
    for client, cap in {charge.client: charge.cap for charge in charges}.items():
        spent = [loss.rho for loss in await ledger.spent(nodes(client))]
        told = [sums.get(node.path, 0) for node in nodes(client)]
        if spent != told:
            found.append(f"I4: {client} has spent {spent}, the entries say {told}")
        if spent[-1] > cap:
            found.append(f"I4: {client} has spent {spent[-1]} of {cap}")
    return found


async def _unopened(ledger: SqliteLedger, observed: Observed, log: list[Entry]) -> list[str]:
    """I1: the registry is what the log's last word on each record says, and it can be read."""
    last = {str(name): str(entry["id"]) for entry in log for name in entry.get("changes", ())}  # type: ignore[attr-defined]
    stored = {f"{change.kind}/{change.id}": change.document for change in await ledger.registry()}
    told = {name: Release(id=request).document for name, request in last.items()}
    found = [] if stored == told else [f"I1: the registry is {stored}, the log says {told}"]
    erased_until = {
        erase.subject: index
        for index, entry in enumerate(log)
        if entry["kind"] == "erase"
        for erase in observed.asked[str(entry["id"])]
        if isinstance(erase, Erase)
    }
    for index, entry in enumerate(log):
        if entry["kind"] in {"recover", "erase"}:
            continue
        request = str(entry["id"])
        gone = index < erased_until.get(subject_of(request), 0)
        expected = None if gone else private_of(request)
        if (values := await opened_values(ledger, index)) != expected:
            found.append(f"I1: the opening of entry {index} gives {values}, not {expected}")
    return found


async def opened_values(ledger: SqliteLedger, index: int) -> object:
    """Return the private values of an entry; None where they were erased."""
    try:
        read = await ledger.submit(Read(lambda store: store.vault.opening(index)))
    except ValueError as error:
        return error
    if read is None:
        return None
    leaf, opening = cast("tuple[bytes, bytes]", read)
    seed, values = unpacked(opening)
    stated = cast("dict[str, str]", parsed(leaf)["commitments"])
    for name, value in values.items():
        if stated[name] != commitment(name, Salts(seed).of(name), value):
            return f"{name} does not open its commitment"
    return values


async def _repeated(ledger: SqliteLedger, observed: Observed, log: list[Entry]) -> list[str]:
    """I6: each key that was ever used is asked again; the log says what has to come."""
    found = []
    charges = {str(entry["id"]): index for index, entry in enumerate(log) if entry["kind"] == "charge"}
    closers = {entry["charge"]: (index, entry) for index, entry in enumerate(log) if "charge" in entry}
    holders: dict[tuple[str, str], Charge] = {}
    for command in (command for asked in observed.asked.values() for command in asked):
        if isinstance(command, Charge) and command.key and command.id in charges:
            holders[command.client, command.key] = command
    for held in (held for held in holders.values() if charges[held.id] in closers):
        index = charges[held.id]
        release_index, closer = closers[index]
        try:
            again: object = await ledger.charge(charge_request(held))
        except ChargedFailure:
            again = ChargedFailure
        expected: object = ChargedFailure
        if closer["kind"] == "release":
            answer = f"answer of {held.id}".encode()
            expected = StoredAnswer(answer=answer, charge_index=index, release_index=release_index)
        if again != expected:
            found.append(f"I6: the key of {held.id} again gives {again}, not {expected}")
    strange = (a.id for a in observed.of(Stored) if log[a.release_index].get("charge") != a.charge_index)
    return [*found, *(f"I6: the answer stored for {id_} is of no charge" for id_ in strange)]


async def _reused(ledger: SqliteLedger, observed: Observed) -> list[str]:
    """I7: whoever was told that an id was used up is told so again."""
    ids = dict.fromkeys(answer.id for answer in observed.of(Used))
    found = [f"I7: {id_} serves again" for id_ in ids if await ledger.use_once(id_, 0)]
    fresh = [answer.id for answer in observed.of(Used) if answer.fresh]
    return found + [f"I7: {id_} served twice" for id_ in set(fresh) if fresh.count(id_) > 1]
