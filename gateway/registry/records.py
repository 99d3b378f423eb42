"""What the registry knows, one frozen record a kind; a record that exists is well formed.

Laws: an id is short printable ASCII without ``/ | :`` (those part names elsewhere); a client has at
most two keys, both public and different (two, so that a key can be replaced without a gap), and so many
certificates; moments
are aware and in UTC.

A record does not say whether anything may be done: ``registry.standing`` judges the whole chain.
"""

import hashlib
import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from enum import StrEnum

from gateway import jose
from gateway.registry.public_keys import FrozenJwk, frozen_encryption_keys, frozen_keys
from gateway.registry.saved_request import SAVED_MAX, SavedRequest
from gateway.terms.dataset import Title
from gateway.terms.identifiers import AgreementId, ClientId, OperatorId, OrgId, PurposeId, Thumbprint

KEYS_MAX = 2
CERTIFICATES_MAX = 2
SHA256_BYTES = 32
LIFTERS = 2
"""People who must say so before something is unfrozen."""
_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._@#-]{0,99}")
_COUNTRY = re.compile(r"[A-Z]{2}")
_TARGET = re.compile(r"[A-Za-z0-9._@#-]{0,128}")


class State(StrEnum):
    """Whether a record counts. Only ``active`` ever allows anything."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    """Stopped for now; may become active again."""
    ENDED = "ended"
    """Over for good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Organisation:
    """A firm or agency."""

    id: OrgId
    name: Title
    org_class: str
    """The class that sharing rules speak of, for example ``bank``."""
    country: str
    """ISO 3166-1 alpha-2 code of the seat."""
    state: State

    def __post_init__(self) -> None:
        _require_ids(self.id, self.org_class)
        if _COUNTRY.fullmatch(self.country) is None:
            raise ValueError("a country is two capital letters (ISO 3166-1 alpha-2)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """A contract that names the purposes an organisation may use data for."""

    id: AgreementId
    org: OrgId
    purposes: tuple[PurposeId, ...]
    valid_from: date
    """First day, in UTC."""
    valid_until: date
    """Last day, in UTC."""
    state: State

    def __post_init__(self) -> None:
        _require_ids(self.id, self.org, *self.purposes)
        if self.valid_until < self.valid_from:
            raise ValueError("an agreement ends before it begins")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCertificate:
    """A certificate by which a client may say who it is (RFC 8705 section 2)."""

    thumbprint: Thumbprint
    """``x5t#S256``: of the whole certificate, so one that is renewed is another one."""
    ends_at: datetime
    """As the certificate says, for people: what counts is the certificate that is shown."""

    def __post_init__(self) -> None:
        if len(jose.base64url_decoded(self.thumbprint)) != SHA256_BYTES:
            raise ValueError("a certificate's thumbprint is a SHA-256")
        _require_utc(self.ends_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A machine of an organisation, bound to one agreement and some of its purposes."""

    id: ClientId
    org: OrgId
    agreement: AgreementId
    purposes: tuple[PurposeId, ...]
    keys: tuple[FrozenJwk, ...]
    """Public keys that it proves itself with; ``frozen_keys`` makes them from JWKs."""
    encryption_keys: tuple[FrozenJwk, ...] = ()
    """Public P-256 keys that replies are encrypted to; the last one is the newest."""
    certificates: tuple[ClientCertificate, ...] = ()
    state: State

    def __post_init__(self) -> None:
        _require_ids(self.id, self.org, self.agreement, *self.purposes)
        if len({each.thumbprint for each in self.certificates}) != len(self.certificates):
            raise ValueError("a client's certificates are all different")
        if len(self.certificates) > CERTIFICATES_MAX:
            raise ValueError(f"a client has at most {CERTIFICATES_MAX} certificates")
        if len(self.keys) > KEYS_MAX or len(set(self.keys)) != len(self.keys):
            raise ValueError(f"a client has at most {KEYS_MAX} keys, all different")
        if frozen_keys(self.jwks) != self.keys:
            raise ValueError("a client's keys are frozen JWKs")
        if not len(set(self.encryption_keys)) == len(self.encryption_keys) <= KEYS_MAX:
            raise ValueError(f"a client has at most {KEYS_MAX} encryption keys, all different")
        if set(self.encryption_keys) & set(self.keys):
            raise ValueError("a key signs, or is encrypted to, never both")  # NIST SP 800-57 part 1, 5.2
        if frozen_encryption_keys(self.encryption_jwks) != self.encryption_keys:
            raise ValueError("a client's encryption keys are frozen JWKs of P-256")

    @property
    def jwks(self) -> tuple[jose.Jwk, ...]:
        """The public keys as JWKs."""
        return tuple(dict(key) for key in self.keys)

    @property
    def encryption_jwks(self) -> tuple[jose.Jwk, ...]:
        """The encryption keys as JWKs."""
        return tuple(dict(key) for key in self.encryption_keys)

    @property
    def public_keys(self) -> tuple[jose.PublicKey, ...]:
        """The public keys, ready to verify with."""
        return tuple(jose.key_of(jwk) for jwk in self.jwks)

    @property
    def thumbprints(self) -> frozenset[Thumbprint]:
        """The names of all that the client may prove itself with: keys (RFC 7638) and certificates."""
        certificates = (each.thumbprint for each in self.certificates)
        return frozenset((*map(jose.thumbprint, self.jwks), *certificates))


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """That a person may set their own factors, with a code that they were given once."""

    code_hash: str = field(repr=False)
    """``identity.recovery`` makes it."""
    until: datetime

    def __post_init__(self) -> None:
        _require_ids(self.code_hash)
        _require_utc(self.until)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """A person of an organisation who can activate its clients."""

    id: OperatorId
    org: OrgId
    name: str
    password_hash: str = field(repr=False)
    """Empty until the person has set it, and the next one with it."""
    totp_sealed: bytes = field(repr=False)
    """The TOTP secret under the keyring's seal."""
    state: State
    invitation: Invitation | None = None
    """Of a person who has no factors yet, and of nobody else."""
    enrolled_at: datetime | None = None
    """When the person set their factors: what they oversee, and a session of theirs, counts from there on."""

    def __post_init__(self) -> None:
        _require_ids(self.id, self.org)
        if self.enrolled_at is not None:
            _require_utc(self.enrolled_at)
        if self.enrolled_at is not None and not self.is_enrolled:
            raise ValueError("who has no factors has not enrolled")
        if self.is_enrolled != bool(self.totp_sealed) or self.is_enrolled == (self.invitation is not None):
            raise ValueError("an operator has both factors, or an invitation to set them")

    @property
    def is_enrolled(self) -> bool:
        """Whether the person has factors to sign in with."""
        return bool(self.password_hash)


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation:
    """A person stood behind one key of one client, for one purpose, until a moment."""

    id: str
    client: ClientId
    operator: OperatorId
    purpose: PurposeId
    key: Thumbprint
    """The client's registered key that asked."""
    methods: tuple[str, ...]
    """RFC 8176 values of what the person proved."""
    passkey: str = ""
    """The passkey that they signed in with, if one: the approval counts as long as it does."""
    authenticated_at: datetime
    until: datetime
    state: State
    saved: SavedRequest | None = None
    """Set where the person approved one request only, to be run without them; None: whatever is asked."""

    def __post_init__(self) -> None:
        _require_ids(self.id, self.client, self.operator, self.purpose, *filter(None, [self.passkey]))
        _require_utc(self.authenticated_at, self.until)
        if self.saved is not None and self.until - self.authenticated_at > SAVED_MAX:
            raise ValueError(f"a request is saved for {SAVED_MAX.days} days at most")


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """A token that counts no more, whoever shows it."""

    id: str
    """``revocation_id`` of the token."""
    client: ClientId
    """The client the token was issued to."""
    revoked_at: datetime
    until: datetime
    """Long after the token's end; from then on this may be forgotten."""
    state: State

    def __post_init__(self) -> None:
        _require_ids(self.id, self.client)
        _require_utc(self.revoked_at, self.until)


@dataclass(frozen=True, slots=True, kw_only=True)
class Passkey:
    """A WebAuthn credential by which one operator signs in."""

    id: str
    """``passkey_id`` of the credential."""
    operator: OperatorId
    credential: bytes = field(repr=False)
    """What the authenticator calls it."""
    public_key: bytes = field(repr=False)
    """As COSE_Key (RFC 9052)."""
    synced: bool
    """It may be copied to other devices (flag BE): counted as software key, not as hardware key."""
    added_at: datetime
    state: State

    def __post_init__(self) -> None:
        _require_ids(self.id, self.operator)
        if self.id != passkey_id(self.credential):
            raise ValueError("a passkey is named by its credential")
        _require_utc(self.added_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryCodes:
    """The recovery codes that one operator was given last."""

    id: OperatorId
    hashes: tuple[str, ...] = field(repr=False)
    """Sorted; ``identity.recovery`` makes them."""
    made_at: datetime
    state: State

    def __post_init__(self) -> None:
        _require_ids(self.id, *self.hashes)
        if self.hashes != tuple(sorted(set(self.hashes))) or self.made_at.tzinfo is not UTC:
            raise ValueError("hashes are sorted and different, a moment is in UTC")


class Freezable(StrEnum):
    """What can be stopped at once. Values are public and permanent."""

    TOKEN = "token"  # noqa: S105  a word for the thing
    CLIENT = "client"
    ORGANISATION = "organisation"
    AGREEMENT = "agreement"
    OPERATOR = "operator"
    KEY = "key"
    """A client's registered key, or the key that its proofs are made with."""
    DATASET = "dataset"
    EVERYTHING = "everything"


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """Something that one person stopped; while it is active, it counts for nothing."""

    id: str
    """``freeze_id`` of the rest: a thing is frozen or not, never twice."""
    what: Freezable
    target: str
    """Its id; of a token ``revocation_id``, of a key its thumbprint; empty for everything."""
    frozen_at: datetime
    overseers: tuple[OperatorId, ...]
    """The people who may lift it, as they were at that moment; empty where there were not two."""
    lifted_by: tuple[OperatorId, ...]
    """Who has said that it may end; the second one ends it."""
    state: State

    def __post_init__(self) -> None:
        if self.id != freeze_id(self.what, self.target):
            raise ValueError("a freeze is named by what it stops")
        if (self.what is Freezable.EVERYTHING) != (not self.target) or _TARGET.fullmatch(self.target) is None:
            raise ValueError("a freeze of everything names nothing, and every other one thing")
        _require_ids(*self.overseers, *self.lifted_by)
        _require_utc(self.frozen_at)
        if len(set(self.lifted_by)) != len(self.lifted_by) or len(self.lifted_by) > LIFTERS:
            raise ValueError(f"a freeze is lifted by {LIFTERS} different people")
        if (len(self.lifted_by) == LIFTERS) != (self.state is State.ENDED):
            raise ValueError(f"a freeze ends when {LIFTERS} people say so, and then only")


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallationKey:
    """That the installation has another key of its own; the key itself is in the home's folder."""

    id: str
    """The key's public name."""
    kind: str
    """``tokens``, ``sealing`` or ``pseudonyms``."""
    works_from: datetime
    state: State
    """``ended``: it counts no more, nor does what it signed."""

    def __post_init__(self) -> None:
        _require_ids(self.id, self.kind)
        _require_utc(self.works_from)


@dataclass(frozen=True, slots=True, kw_only=True)
class UseCount:
    """How often a passkey, as its authenticator counts, or a recovery code has signed in.

    Apart from them, so that a worker that has not heard yet of a removal cannot undo it by counting.
    """

    id: str
    """The passkey's, or the hash of the recovery code."""
    operator: OperatorId
    count: int
    state: State

    def __post_init__(self) -> None:
        _require_ids(self.id, self.operator)
        if self.count < 0:
            raise ValueError("a count is not negative")


Record = (
    Organisation
    | Agreement
    | Client
    | Operator
    | Activation
    | Revocation
    | Passkey
    | RecoveryCodes
    | UseCount
    | Freeze
    | InstallationKey
)


def freeze_id(what: Freezable, target: str) -> str:
    """Return the name of a freeze, which says what it stops."""
    return f"{what}.{target}" if target else what.value


def passkey_id(credential: bytes) -> str:
    """Return the name of a passkey's record: credential ids are longer than ids may be."""
    return hashlib.sha256(credential).hexdigest()


def revocation_id(client: ClientId, token_id: str) -> str:
    """Return the name under which a token of a client is revoked; it does not show the token's."""
    return jose.base64url(hashlib.sha256(f"revoked|{client}|{token_id}".encode()).digest())


def _require_ids(*ids: str) -> None:
    for each in ids:
        if _ID.fullmatch(each) is None:
            raise ValueError("an id is 1 to 100 letters, digits and `._@#-`")


def _require_utc(*moments: datetime) -> None:
    if any(moment.tzinfo is not UTC for moment in moments):
        raise ValueError("moments are in UTC")
