"""What the ledger is told of a request, before it makes an entry of it.

``Facts`` are shown in the entry as they are and hold no personal data and no client text;
``private`` values are only committed to, their openings lie apart and can be destroyed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from gateway.terms.identifiers import RequestId
from gateway.terms.loss import Debit

Fact = str | int | bool | tuple[str, ...] | Mapping[str, int]
"""A value that canonical JSON writes in one way only; strings are printable ASCII, at most 200."""
LOG_CLOSED = "log_closed"
LOG_OPENED = "log_opened"
"""Events of the marks with which a log ends and the next begins."""
FORGOTTEN = "forgotten"
PERSON = "operator"
"""The kind of a person's own record: nothing else is put that tells of somebody who has none (any more)."""
LOG_KEYS = "logkeys"
"""Kinds of changes that are told to every process and stored by none: a person was erased, whose id it is;
the log is signed by other keys, whose names are the document."""
_MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")


class EntryKind(StrEnum):
    """The closed list of entries."""

    CHARGE = "charge"
    """Budgets were debited; private data may be read from here on."""
    RELEASE = "release"
    """The reply to an earlier charge; names it."""
    SINGLE = "single"
    """A reply that charged nothing."""
    DENY = "deny"
    """A refusal (4xx)."""
    ERROR = "error"
    """A failure (5xx)."""
    RECOVER = "recover"
    """A charge that a crash left without a release; it stays charged."""
    CONFIG = "config"
    """A change of organisations, agreements, clients, operators, activations or rules."""
    KEY = "key"
    """A key of the log was put in place of another."""
    ERASE = "erase"
    """Openings were destroyed; what they opened stays committed to, and nobody can open it any more."""
    READ = "read"
    """Somebody opened or took away what lies sealed."""
    MARK = "mark"
    """Start and stop of the gateway, and what it counted without answering."""


class Basis(StrEnum):
    """The closed list of reasons to erase."""

    REQUEST = "request"
    """The person asked."""
    RETENTION = "retention"
    """The time to keep it is over."""
    ORDER = "order"
    """An authority ordered it."""
    MISTAKE = "mistake"
    """It should never have been recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One record of the registry to put in the same transaction as the entry that tells of it."""

    kind: str
    """organisation | agreement | client | operator | activation | freeze and more: ``registry.records``."""
    id: str
    document: bytes = field(repr=False)
    """Canonical JSON of the record; lies in the store, not in the entry."""
    subject: str | None = field(default=None, compare=False)
    """The person whom the record tells of, by id; the log then shows no id, and erasing the person
    erases the record."""
    replaces: bytes | None = field(default=None, compare=False, repr=False)
    """The document that this was decided on, empty for none: the change is refused if another is there by
    then. None: whatever is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotencyClaim:
    """A client's name for one charging request, and the digest of what it asks."""

    scope: str
    """The client."""
    key: str = field(repr=False)
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeRequest:
    """Everything that the CHARGE transaction needs."""

    request_id: RequestId
    facts: Mapping[str, Fact]
    private: Mapping[str, bytes] = field(repr=False)
    debits: tuple[Debit, ...]
    claim: IdempotencyClaim | None
    subject: str | None = field(default=None, repr=False)
    """The person who acts: the private values lie under a key of that person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRequest:
    """Everything that the RELEASE transaction needs: ``body`` is exactly what will be sent."""

    request_id: RequestId
    kind: EntryKind
    facts: Mapping[str, Fact]
    private: Mapping[str, bytes] = field(repr=False)
    body: bytes = field(repr=False)
    plain: bytes | None = field(default=None, repr=False)
    """What ``body`` is the encryption of; None: it is in clear."""
    charge_index: int | None = None
    """Index of the charge this closes; required for RELEASE, absent or failed charge otherwise."""
    answer: bytes | None = field(default=None, repr=False)
    """The stored answer for the idempotency claim of that charge; None where there is none."""
    changes: tuple[Change, ...] = ()
    at_ms: int | None = None
    """Entry time (Unix ms) where a release clock dictates it; None: the time of the commit."""
    subject: str | None = field(default=None, repr=False)
    """As in ``ChargeRequest``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """What to make unopenable: exactly one of person, months and entries."""

    basis: Basis
    subject: str | None = field(default=None, repr=False)
    """Everything under keys of this person, the person's registry records too."""
    before: str | None = None
    """A month as ``2026-10``: the openings of all months before it."""
    entries: tuple[int, ...] = ()
    """The openings of these entries, by index."""

    def __post_init__(self) -> None:
        named = (self.subject is not None) + (self.before is not None) + bool(self.entries)
        if named != 1:
            raise ValueError("an erasure names a person, a month, or entries")
        if self.before is not None and _MONTH.fullmatch(self.before) is None:
            raise ValueError("a month is written as `2026-10`")
