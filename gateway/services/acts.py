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


class Kind(StrEnum):
    """Records that administrators put; the words of the commands."""

    ORG = "org"
    AGREEMENT = "agreement"
    CLIENT = "client"
    OPERATOR = "operator"


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
    """Register a machine with one or two public keys, as JWKs."""

    id: str
    agreement: str
    purposes: tuple[str, ...]
    keys: tuple[dict[str, object], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AddOperator:
    """Register a person; what an authenticator app needs is in ``Done.once``."""

    id: str
    org: str
    name: str
    password: str = field(repr=False)


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
class RotateKey:
    """Give the installation another key of a kind, to work from a later moment on."""

    kind: KeyKind
    now: bool = False


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
    | SetState
    | AddKey
    | RemoveKey
    | SetFrozen
    | Lift
    | Look
    | LookAtFreezes
    | RotateKey
    | RevokeTokenKey
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
