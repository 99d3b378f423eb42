"""What will be sent, and the proof that it may be."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.terms.charge import Receipt
from gateway.terms.entry import Change, EntryKind, Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A complete answer, not yet recorded. Nothing may send one: only ``Released`` leaves."""

    status: int
    content_type: str
    body: bytes = field(repr=False)
    headers: tuple[tuple[str, str], ...] = ()
    kind: EntryKind = EntryKind.SINGLE
    facts: Mapping[str, Fact] = field(default_factory=dict)
    private: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    answer: bytes | None = field(default=None, repr=False)
    plain: bytes | None = field(default=None, repr=False)
    """What the body is the encryption of; None: it is in clear."""
    recipient: Mapping[str, str] | None = field(default=None, repr=False)
    """The public key (JWK) that the body is encrypted to."""
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class Released:
    """A reply that stands in the log; without a receipt there is none (promise P1)."""

    reply: Reply
    receipt: Receipt
    stranger: bool = False
    """Whether nobody proved who asked."""


@dataclass(frozen=True, slots=True)
class Unrecorded:
    """The one reply that may leave without a receipt: a 503 that says so and holds no data."""

    reply: Reply
    stranger: bool = False
