"""Judge a batch of commands one after the other, before anything is written.

Each command sees what the ones before it will write; one that is refused leaves no trace and does not
harm the others. What comes out is a heap of rows for one transaction (``store.py`` writes it).

Owner of the state: the sequencer's thread, for the length of one transaction.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from gateway import budget
from gateway.errors import (
    BudgetExhausted,
    ChargedFailure,
    IdempotencyInProgress,
    IdempotencyMismatch,
    KeysExhausted,
    LedgerUnavailable,
)
from gateway.ledger.entry import Draft, RandomBytes, Record, debit_shown, draft_of_recover, draft_of_release
from gateway.ledger.key_file import period_of
from gateway.ledger.openings import unpacked
from gateway.ledger.port import EntryRefused
from gateway.terms.entry import PERSON, EntryKind, Erasure, Fact, IdempotencyClaim, ReleaseRequest
from gateway.terms.identifiers import RequestId
from gateway.terms.loss import BudgetNode, Debit, Loss, PicoDelta, PicoRho

_UNKNOWN_CHARGE: Final = "no charge of that index is open"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeCommand:
    """Debit and log."""

    draft: Draft
    debits: tuple[Debit, ...]
    claim: IdempotencyClaim | None
    claim_name: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseCommand:
    """Log a reply and close its charge."""

    draft: Draft
    charge_index: int | None
    answer: bytes | None = field(repr=False)
    """Sealed."""
    at_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OnceCommand:
    """Use up an id."""

    name: bytes
    expires_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoverCommand:
    """Close charges whose request is over; one that is closed already stays as it is."""

    indices: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EraseCommand:
    """Destroy openings, and log it."""

    erasure: Erasure
    request_id: RequestId
    random_bytes: RandomBytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndCommand:
    """Log that the log ends: its last entry."""

    draft: Draft
    next_origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Charged:
    """A charge as it will stand."""

    index: int
    charged_at_ms: int
    left: tuple[tuple[BudgetNode, Loss], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The stored answer, still sealed."""

    charge_index: int
    release_index: int
    sealed: bytes = field(repr=False)


@dataclass(slots=True, kw_only=True)
class Logged:
    """A reply's entry as it will stand; the sequencer, which owns it, adds the proof once it does."""

    index: int
    leaf: bytes = field(repr=False)
    salt: bytes = field(repr=False)
    """Of its commitment to the body."""
    path: bytes = field(default=b"", repr=False)
    """The lines of its inclusion path."""
    note: bytes = field(default=b"", repr=False)
    """The signed head of the tree that the path leads to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What an erasure comes to."""

    keys: tuple[int, ...]
    """To destroy once the entry that tells of it is durable."""
    entries: tuple[int, ...]
    """Openings to delete; what else is under those keys moves to new ones."""
    facts: Mapping[str, Fact]


@dataclass(frozen=True, slots=True)
class OpenCharge:
    """A charge that waits for its release."""

    request_id: RequestId
    claim_name: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A claim as stored. Closed without an answer: the charge failed."""

    digest: str
    charge_index: int
    release_index: int | None = None
    answer: bytes | None = field(default=None, repr=False)


class View(Protocol):
    """The store as the last commit left it."""

    def spent(self, path: str) -> Loss: ...
    def claim(self, name: bytes) -> Claim | None: ...
    def is_used(self, name: bytes) -> bool: ...
    def shown_id(self, record: Record) -> str: ...
    def document(self, record: Record) -> bytes | None: ...
    def erased(self, erasure: Erasure) -> Erased: ...
    @property
    def open_charges(self) -> Mapping[int, OpenCharge]: ...


@dataclass(slots=True)
class Batch:
    """One transaction in the making."""

    view: View
    size: int
    now_ms: int
    leaves: list[bytes] = field(default_factory=list)
    openings: list[tuple[int, int, str | None, bytes]] = field(default_factory=list)
    """Index, time, subject, opening."""
    records: list[tuple[int, int, str, Record]] = field(default_factory=list)
    """Index, number in the entry, shown id, record."""
    spent: dict[str, Loss] = field(default_factory=dict)
    claims: dict[bytes, Claim] = field(default_factory=dict)
    opened: dict[int, OpenCharge] = field(default_factory=dict)
    closed: set[int] = field(default_factory=set)
    used: dict[bytes, int] = field(default_factory=dict)
    erasures: list[Erased] = field(default_factory=list)
    next_origin: str | None = None
    """Of the log that follows, if this batch ends the log."""

    @property
    def is_empty(self) -> bool:
        return not self.leaves and not self.used

    def charge(self, command: ChargeCommand) -> Charged | Answered:
        """Debit every node or none. INVARIANT: nothing of the batch changes before the last refusal."""
        if command.claim is not None and command.claim_name is not None:
            claim = self._claim(command.claim_name)
            if claim is not None:
                return _repeated(claim, command.claim)
        after, shown, left = self._debited(command.debits)
        index = self._append(command.draft, ts=self.now_ms, debits=shown)
        self.spent |= after
        self.opened[index] = OpenCharge(command.draft.request_id, command.claim_name)
        if command.claim is not None and command.claim_name is not None:
            self.claims[command.claim_name] = Claim(digest=command.claim.digest, charge_index=index)
        return Charged(index=index, charged_at_ms=self.now_ms, left=tuple(left))

    def release(self, command: ReleaseCommand) -> Logged:
        """Log a reply; a charge it names is open and is closed by it."""
        charge = self._open_charge(command.charge_index)
        if charge is not None and charge.request_id != command.draft.request_id:
            raise EntryRefused("the charge belongs to another request")
        self._require_current(command.draft.records)
        ts = self.now_ms if command.at_ms is None else command.at_ms
        index = self._append(command.draft, ts=ts)
        if charge is not None and command.charge_index is not None:
            self._close(command.charge_index, charge, index, command.answer)
        return Logged(index=index, leaf=self.leaves[index - self.size], salt=command.draft.body_salt)

    def recover(self, command: RecoverCommand) -> None:
        """Close charges that nobody will release: they stay charged and their claims have failed."""
        for index in command.indices:
            charge = self._charge(index)
            if charge is not None:
                recovered = self._append(draft_of_recover(index, charge.request_id), ts=self.now_ms)
                self._close(index, charge, recovered, None)

    def erase(self, command: EraseCommand) -> Logged:
        """Log that openings are destroyed, with how many; they are once this is durable."""
        if self.leaves or self.erasures:
            raise EntryRefused("an erasure is a batch of its own")
        if command.erasure.before is not None and command.erasure.before > period_of(self.now_ms):
            raise EntryRefused("the month before which to erase has not begun yet")
        erased = self.view.erased(command.erasure)
        request = ReleaseRequest(
            request_id=command.request_id, kind=EntryKind.ERASE, facts=erased.facts, private={}, body=b""
        )
        draft = draft_of_release(request, command.random_bytes)
        index = self._append(draft, ts=self.now_ms)
        self.erasures.append(erased)
        return Logged(index=index, leaf=self.leaves[index - self.size], salt=draft.body_salt)

    def end(self, command: EndCommand) -> Logged:
        """Log that the log ends; every charge is closed by then."""
        if (self.view.open_charges.keys() | self.opened.keys()) - self.closed:
            raise EntryRefused("a charge is open")
        index = self._append(command.draft, ts=self.now_ms)
        self.next_origin = command.next_origin
        return Logged(index=index, leaf=self.leaves[index - self.size], salt=command.draft.body_salt)

    def use_once(self, command: OnceCommand) -> bool:
        """Return whether an id was unused, and use it up."""
        if command.name in self.used or self.view.is_used(command.name):
            return False
        self.used[command.name] = command.expires_at_ms
        return True

    def _debited(
        self, debits: tuple[Debit, ...]
    ) -> tuple[dict[str, Loss], list[dict[str, object]], list[tuple[BudgetNode, Loss]]]:
        """Return each node's sum after the debits, as the entry shows it, and what is left."""
        after: dict[str, Loss] = {}
        shown, left = [], []
        for debit in debits:
            path = debit.node.path
            spent = after.get(path) or self._spent(path)
            if not budget.fits(spent, debit):
                left_over = self._own_left(debits)
                if debit.loss.keys:
                    raise KeysExhausted("fewer keys are left to try", cost=debit.loss, left=left_over)
                raise BudgetExhausted(
                    "the privacy budget does not cover this", cost=debit.loss, left=left_over
                )
            after[path] = budget.total((spent, debit.loss))
            shown.append(debit_shown(debit, after[path]))
            left.append((debit.node, budget.left(after[path], debit.cap)))
        return after, shown, left

    def _own_left(self, debits: tuple[Debit, ...]) -> Loss | None:
        """Return the least that the caller's organisation and client have left.

        SECURITY: never the lineage's remainder, which would show what others ask.
        """
        own = [budget.left(self._spent(d.node.path), d.cap) for d in debits if d.node.org is not None]
        if not own:
            return None
        return Loss(
            PicoRho(min(loss.rho for loss in own)),
            PicoDelta(min(loss.delta for loss in own)),
            min(loss.keys for loss in own),
        )

    def _append(self, draft: Draft, *, ts: int, debits: list[dict[str, object]] | None = None) -> int:
        if self.erasures:
            raise LedgerUnavailable("the ledger is erasing; try again")
        if self.next_origin is not None:
            raise LedgerUnavailable("the log is closed")
        names = tuple([self.view.shown_id(record) for record in draft.records])
        leaf = draft.leaf(ts=ts, debits=debits, names=names)  # the last thing that can refuse
        index = self.size + len(self.leaves)
        self.leaves.append(leaf)
        if draft.opening:
            self.openings.append((index, ts, draft.subject, draft.opening))
        for number, (name, record) in enumerate(zip(names, draft.records, strict=True)):
            self.records.append((index, number, name, record))
        return index

    def _require_current(self, records: tuple[Record, ...]) -> None:
        """Refuse what was decided on a record that is another by now, and what tells of somebody erased.

        SECURITY: processes decide on what they have heard of; only here is it known what was put before.
        """
        own = {record.id for record in records if record.kind == PERSON}
        for record in records:
            if record.replaces is not None and (self._document(record) or b"") != record.replaces:
                raise LedgerUnavailable("it was changed at this moment by somebody else; look, and try again")
            if record.subject is None or record.kind == PERSON or record.subject in own:
                continue
            person = Record(kind=PERSON, id=record.subject, subject=record.subject, opening=b"")
            if self._document(person) is None:
                raise LedgerUnavailable("it tells of a person who is not registered any more")

    def _document(self, record: Record) -> bytes | None:
        """Return what the record of that kind and id says, as the batch will leave it."""
        for _, _, _, put in reversed(self.records):
            if (put.kind, put.id) == (record.kind, record.id):
                return unpacked(put.opening)[1]["document"]
        return self.view.document(record)

    def _close(self, index: int, charge: OpenCharge, release_index: int, answer: bytes | None) -> None:
        self.closed.add(index)
        if charge.claim_name is None:
            return
        claim = self._claim(charge.claim_name)
        assert claim is not None and claim.charge_index == index, "a claimed charge has its claim"  # noqa: S101, PT018
        self.claims[charge.claim_name] = Claim(
            digest=claim.digest, charge_index=index, release_index=release_index, answer=answer
        )

    def _open_charge(self, index: int | None) -> OpenCharge | None:
        if index is None:
            return None
        charge = self._charge(index)
        if charge is None:
            raise EntryRefused(_UNKNOWN_CHARGE)
        return charge

    def _charge(self, index: int) -> OpenCharge | None:
        if index in self.closed:
            return None
        return self.opened.get(index) or self.view.open_charges.get(index)

    def _spent(self, path: str) -> Loss:
        return self.spent.get(path) or self.view.spent(path)

    def _claim(self, name: bytes) -> Claim | None:
        return self.claims.get(name) or self.view.claim(name)


def _repeated(claim: Claim, asked: IdempotencyClaim) -> Answered:
    """Return the answer of a claim that exists, or say why there is none."""
    if claim.digest != asked.digest:
        raise IdempotencyMismatch("this idempotency key was used for another request")
    if claim.release_index is None:
        raise IdempotencyInProgress("the first request of this idempotency key is not answered yet")
    if claim.answer is None:
        raise ChargedFailure(None)  # that charge is closed: nothing is left for a release to close
    return Answered(charge_index=claim.charge_index, release_index=claim.release_index, sealed=claim.answer)
