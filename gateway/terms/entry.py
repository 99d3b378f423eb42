"""What the ledger is told of a request, before it makes an entry of it.

``Facts`` are shown in the entry as they are and hold no personal data and no client text;
``private`` values are only committed to, their openings lie apart and can be destroyed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from gateway.terms.identifiers import RequestId
from gateway.terms.loss import Debit

Fact = str | int | bool | tuple[str, ...] | Mapping[str, int]
"""A value that canonical JSON writes in one way only; strings are printable ASCII, at most 200."""


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
    MARK = "mark"
    """Start and stop of the gateway."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One record of the registry to put in the same transaction as the entry that tells of it."""

    kind: str
    """organisation | agreement | client | operator | activation."""
    id: str
    document: bytes = field(repr=False)
    """Canonical JSON of the record; lies in the store, not in the entry."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRequest:
    """Everything that the RELEASE transaction needs: ``body`` is exactly what will be sent."""

    request_id: RequestId
    kind: EntryKind
    facts: Mapping[str, Fact]
    private: Mapping[str, bytes] = field(repr=False)
    body: bytes = field(repr=False)
    charge_index: int | None = None
    """Index of the charge this closes; required for RELEASE, absent or failed charge otherwise."""
    answer: bytes | None = field(default=None, repr=False)
    """The stored answer for the idempotency claim of that charge; None where there is none."""
    changes: tuple[Change, ...] = ()
    at_ms: int | None = None
    """Entry time (Unix ms) where a release clock dictates it; None: the time of the commit."""
