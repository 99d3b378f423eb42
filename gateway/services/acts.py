"""What an administrator can have done, as data: one class an act, and what comes of it.

An act says only what is wanted; ``administration.py`` does it, in the running gateway or in an opened
home. ``ACTS`` is the closed list: what crosses the admin socket is one of these by name, and nothing else.
"""

from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from gateway.registry.records import Freezable, State
from gateway.services.documents import SignedDocument
from gateway.terms.entry import Basis


class Kind(StrEnum):
    """Records that administrators put; the words of the commands."""

    ORG = "org"
    AGREEMENT = "agreement"
    CLIENT = "client"
    OPERATOR = "operator"
    ACTIVATION = "activation"


class KeyKind(StrEnum):
    """The installation's keys that replace one another by the clock."""

    TOKENS = "tokens"
    SEALING = "sealing"


@dataclass(frozen=True, slots=True, kw_only=True)
class AddOrganisation:
    """Register a firm or agency."""

    id: str
    vi: str
    en: str
    org_class: str
    country: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AddAgreement:
    """Register a contract and its purposes."""

    id: str
    org: str
    purposes: tuple[str, ...]
    valid_from: date
    valid_until: date


@dataclass(frozen=True, slots=True, kw_only=True)
class AddClient:
    """Register a machine with its public keys, as JWKs, or certificates, in PEM: at least one."""

    id: str
    agreement: str
    purposes: tuple[str, ...]
    keys: tuple[dict[str, object], ...]
    certificates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AddOperator:
    """Register a person; the code with which they set their factors is in ``Done.once``."""

    id: str
    org: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Invite:
    """Give a registered person who has no factors yet another enrolment code."""

    operator: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetState:
    """Suspend, resume or end a record; ended is for good."""

    kind: Kind
    id: str
    state: State
    reason: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AddKey:
    """Give a client a second key, so that one can be replaced without a gap."""

    client: str
    key: dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveKey:
    """Take a client's key away; tokens that it earned end."""

    client: str
    thumbprint: str
    reason: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AddCertificate:
    """Give a client a certificate, in PEM, by which it may say who it is."""

    client: str
    certificate: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveCertificate:
    """Take a client's certificate away; tokens that it earned end."""

    client: str
    thumbprint: str
    reason: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetFrozen:
    """Stop something at once."""

    what: Freezable
    target: str = ""
    """Its id; a token is named ``CLIENT/TOKEN ID``; empty for everything."""
    reason: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lift:
    """Say, as a person with both factors, that a freeze may end; the second person ends it."""

    what: Freezable
    target: str = ""
    """As it was frozen."""
    operator: str
    password: str = field(repr=False)
    code: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Show records of a kind, or one; ``after`` continues a list behind an id."""

    kind: Kind
    id: str | None = None
    after: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookAtFreezes:
    """Show what is frozen."""

    after: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivateRules:
    """Put signed revisions into force, all of them or none."""

    documents: tuple[SignedDocument, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LookAtRules:
    """Show the documents that decide, and who vouches for each."""

    after: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RotateKey:
    """Give the installation another key of a kind, to work from a later moment on."""

    kind: KeyKind
    now: bool = False


@dataclass(frozen=True, slots=True)
class RotateLogKey:
    """Have the log signed by another key, the former one beside it."""


@dataclass(frozen=True, slots=True)
class RetireLogKey:
    """Have the log's former key sign no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Erase:
    """Destroy the keys of what lies sealed: of exactly one of person, months and entries."""

    basis: Basis
    subject: str | None = field(default=None, repr=False)
    before: str | None = None
    entries: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeTokenKey:
    """Have a key that signs tokens count no more, and every token that it signed."""

    id: str
    reason: str = field(default="", repr=False)


Act = (
    AddOrganisation
    | AddAgreement
    | AddClient
    | AddOperator
    | Invite
    | SetState
    | AddKey
    | RemoveKey
    | AddCertificate
    | RemoveCertificate
    | SetFrozen
    | Lift
    | Look
    | LookAtFreezes
    | ActivateRules
    | LookAtRules
    | RotateKey
    | RevokeTokenKey
    | RotateLogKey
    | RetireLogKey
    | Erase
)
ACTS: Final = MappingProxyType({act.__name__: act for act in Act.__args__})


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What came of an act."""

    says: str = ""
    """A sentence for the person at the terminal."""
    rows: tuple[dict[str, object], ...] = ()
    """What was looked at, or the record as it is now."""
    more: bool = False
    """Whether a list goes on behind the last row."""
    once: str = field(default="", repr=False)
    """A secret, shown this once."""
    recorded_as: int | None = None
    """Index of the entry that tells of it."""
    entry: bytes = field(default=b"", repr=False)
    """That entry, and the proof that it stands in the log, where somebody keeps them."""
    proof: bytes = field(default=b"", repr=False)
