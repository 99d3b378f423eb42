"""Read entries fast and strictly, and add up what they say: the books of one log.

The fast way decodes into closed types and writes the result again: what comes out byte for byte was the
one spelling (``transparency/canonical.py``; tests/ledger/test_audit_entries.py holds the two equal).
Everything else goes the strict way, which names what is wrong. One fault is one sentence with an index.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from gateway.terms.entry import LOG_CLOSED, EntryKind
from gateway.transparency.canonical import INTEGER_MAX, NotCanonical, parsed
from gateway.transparency.proof import BODY_FIELD, ENTRY_BYTES_MAX

Integer = Annotated[int, Meta(ge=-INTEGER_MAX, le=INTEGER_MAX)]
Natural = Annotated[int, Meta(ge=0, le=INTEGER_MAX)]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Commitment = Annotated[str, Meta(min_length=43, max_length=43)]
Fact = str | Integer | bool | list[str] | dict[str, Integer]

_NAMES: Final = re.compile(r"[\x21-\x7e]*")
_COMMITMENTS: Final = re.compile(r"[A-Za-z0-9_-]*")
"""Of all of an entry's together: a pattern for each took longer than all the rest of reading it."""

_CLOSERS: Final = frozenset(
    {EntryKind.RELEASE, EntryKind.ERROR, EntryKind.RECOVER, EntryKind.DENY, EntryKind.SINGLE}
)
_MUST_CLOSE: Final = frozenset({EntryKind.RELEASE, EntryKind.RECOVER})
_WITHOUT_BODY: Final = frozenset({EntryKind.CHARGE, EntryKind.RECOVER})


class Debited(Struct, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """One debit as a CHARGE entry shows it; of a node where no key was ever tried, keys are not shown."""

    node: Name
    rho: Natural
    delta: Natural
    rho_after: Natural
    delta_after: Natural
    keys: Natural | UnsetType = UNSET
    keys_after: Annotated[int, Meta(ge=1, le=INTEGER_MAX)] | UnsetType = UNSET

    def taken(self) -> tuple[int, int, int]:
        """Return what it takes."""
        return self.rho, self.delta, self.keys or 0

    def after(self) -> tuple[int, int, int]:
        """Return the sums that it states."""
        return self.rho_after, self.delta_after, self.keys_after or 0


class Entry(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """An entry: the closed set of what may stand in one (``entry.py`` says what it means)."""

    commitments: dict[str, Commitment]
    facts: dict[str, Fact]
    id: Name
    kind: EntryKind
    ts: Natural
    v: Annotated[int, Meta(ge=1, le=1)]
    charge: Natural | UnsetType = UNSET
    changes: list[Name] | UnsetType = UNSET
    debits: list[Debited] | UnsetType = UNSET


class EntryInvalid(ValueError):
    """The bytes are no entry; the message says what they are instead."""


_DECODER: Final = msgspec.json.Decoder(Entry)
_ENCODER: Final = msgspec.json.Encoder(order="sorted")


def read_entry(leaf: bytes) -> Entry:
    """Return the entry that these bytes spell.

    Raises:
        EntryInvalid: Too large, not canonical, or not of an entry's form.

    """
    if len(leaf) > ENTRY_BYTES_MAX:
        raise EntryInvalid(f"has {len(leaf):,} bytes; the most is {ENTRY_BYTES_MAX:,}")
    try:
        entry = _DECODER.decode(leaf)
        _check_characters(entry)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        _require_canonical(leaf)
        raise EntryInvalid(f"is not of an entry's form: {_plain(error)}") from error
    # Without escapes and beyond ASCII nothing has two spellings that both ways would keep.
    if b"\\" in leaf or not leaf.isascii() or _ENCODER.encode(entry) != leaf:
        _require_canonical(leaf)
    return entry


def _check_characters(entry: Entry) -> None:
    """Raise ValueError unless names and commitments are of the characters that they may be of."""
    names = [entry.id]
    if entry.changes is not UNSET:
        names += entry.changes
    if entry.debits is not UNSET:
        names += [debit.node for debit in entry.debits]
    if _NAMES.fullmatch("".join(names)) is None:
        raise ValueError("a name is not of visible ASCII")
    if _COMMITMENTS.fullmatch("".join(entry.commitments.values())) is None:
        raise ValueError("a commitment is not base64url")


def _require_canonical(leaf: bytes) -> None:
    try:
        parsed(leaf)
    except NotCanonical as error:
        raise EntryInvalid(f"is not canonical JSON: {error}") from error


def _plain(error: Exception) -> str:
    """Return the decoder's words, which name the place and the types and no value."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(error))[:200]


@dataclass(slots=True, kw_only=True)
class Books:
    """What the entries so far add up to; owned by one check."""

    sums: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    open: dict[int, str] = field(default_factory=dict)
    """Index -> request id of charges that nothing closed yet."""
    closed_older: set[int] = field(default_factory=set)
    """Charges from before the books began that an entry closed."""
    records: dict[str, tuple[int, str]] = field(default_factory=dict)
    """kind/id -> entry that put the record last, and its commitment there."""
    charges: int = 0
    recovered: int = 0
    erased: int = 0
    """Openings that ERASE entries say were destroyed."""
    time: int = 0
    """The latest time of an entry that says when it was written."""
    ended: int = 0
    """How many entries say that the log ends; at most one, and it is the last."""
    steps_back: int = 0
    """How often such a time was earlier than one before it: the clock was set back."""


def add(
    books: Books,
    index: int,
    entry: Entry,
    fault: Callable[[str], None],
    older: Callable[[int], Entry | None] | None = None,
) -> None:
    """Add an entry to the books, and say what does not follow from the ones before it.

    ``older`` returns a verified entry from before the books begin. With it the books began empty: a
    node's first sum is believed, and a charge that is closed is looked up.
    """
    kind = entry.kind
    if books.ended:
        fault(f"entry {index} stands behind the one that closed the log")
    if kind is EntryKind.CHARGE:
        books.charges += 1
        books.open[index] = entry.id
    elif kind is EntryKind.ERASE:
        count = entry.facts.get("openings", 0)
        books.erased += count if isinstance(count, int) else 0
    elif kind is EntryKind.MARK and entry.facts.get("event") == LOG_CLOSED:
        books.ended += 1
    if entry.debits is not UNSET:
        _debit(books, index, entry, fault, believed=older is not None)
    if kind not in _WITHOUT_BODY and BODY_FIELD not in entry.commitments:
        fault(f"entry {index} does not commit to what was sent")
    if entry.charge is not UNSET:
        _close(books, index, entry, fault, older)
    else:
        _stand_alone(books, index, entry, fault)
    if entry.changes is not UNSET:
        _put(books, index, entry, fault)


def _stand_alone(books: Books, index: int, entry: Entry, fault: Callable[[str], None]) -> None:
    if entry.kind in _MUST_CLOSE:
        fault(f"entry {index} names no charge")
    # A closing entry may carry the time of its slot; every other one carries the clock's.
    if entry.ts < books.time:
        books.steps_back += 1
    books.time = entry.ts


def _put(books: Books, index: int, entry: Entry, fault: Callable[[str], None]) -> None:
    assert entry.changes is not UNSET, "asked before"  # noqa: S101
    for number, change in enumerate(entry.changes):
        name = f"change.{number}"
        books.records[change] = (index, name)
        if name not in entry.commitments:
            fault(f"entry {index} does not commit to its change {number}")


def _debit(books: Books, index: int, entry: Entry, fault: Callable[[str], None], *, believed: bool) -> None:
    assert entry.debits is not UNSET, "asked before"  # noqa: S101
    if entry.kind is not EntryKind.CHARGE:
        fault(f"entry {index} debits without being a charge")
    for debit in entry.debits:
        rho, delta, keys = debit.taken()
        before = books.sums.get(debit.node)
        if before is None:
            stated = debit.after()
            before = (stated[0] - rho, stated[1] - delta, stated[2] - keys) if believed else (0, 0, 0)
        after = (before[0] + rho, before[1] + delta, before[2] + keys)
        if after != debit.after() or (debit.keys is UNSET) != (debit.keys_after is UNSET):
            fault(f"entry {index} states a wrong sum for one of its budgets")
        books.sums[debit.node] = after


def _close(
    books: Books,
    index: int,
    entry: Entry,
    fault: Callable[[str], None],
    older: Callable[[int], Entry | None] | None,
) -> None:
    charge = entry.charge
    assert charge is not UNSET, "asked before"  # noqa: S101
    opener = books.open.pop(charge, None)
    if opener is None and older is not None:
        found = None if charge in books.closed_older else older(charge)
        opener = found.id if found is not None and found.kind is EntryKind.CHARGE else None
        books.closed_older.add(charge)
    if opener is None or entry.kind not in _CLOSERS:
        fault(f"entry {index} closes no open charge")
    elif opener != entry.id:
        fault(f"entry {index} closes the charge of another request")
    books.recovered += entry.kind is EntryKind.RECOVER
