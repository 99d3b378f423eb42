"""New records from what people typed: checked here once, well formed from then on.

Pure: salts, secrets and sealer are arguments. The records are put by whoever calls (command line,
demo, tests) with the entry that tells of them. Ids are stricter here than the registry demands:
what people give is lower case, so that no two ids differ by case only.
"""

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Final
from urllib.parse import quote

from gateway import jose
from gateway.errors import MalformedRequest
from gateway.identity.certificate import certificates_in
from gateway.identity.password import SALT_BYTES, hash_password
from gateway.identity.totp import SECRET_BYTES
from gateway.keyring.keyring import SealingKeys
from gateway.registry.codec import change_of
from gateway.registry.public_keys import FrozenJwk, frozen_encryption_keys, frozen_keys
from gateway.registry.records import (
    KEYS_MAX,
    Agreement,
    Client,
    ClientCertificate,
    Invitation,
    Operator,
    Organisation,
    Record,
    State,
)
from gateway.terms.dataset import Title
from gateway.terms.entry import Change
from gateway.terms.identifiers import AgreementId, ClientId, OperatorId, OrgId, PurposeId

PASSWORD_LENGTH_MIN: Final = 12
PASSWORD_LENGTH_MAX: Final = 256
NAME_LENGTH_MAX: Final = 200

_ID = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}")
_AGREEMENT = re.compile(r"[A-Z]{2,8}-[0-9]{4}-[0-9]{1,6}")


def new_organisation(id: str, *, vi: str, en: str, org_class: str, country: str) -> Organisation:  # noqa: A002
    """Return a firm or agency; ``country`` is its seat as two capital letters (ISO 3166-1)."""
    _require(_ID, id, "an organisation's id")
    _require(_ID, org_class, "an organisation's class")
    _require(re.compile(r"[A-Z]{2}"), country, "a country")
    name = Title(vi=_name(vi), en=_name(en))
    return Organisation(id=OrgId(id), name=name, org_class=org_class, country=country, state=State.ACTIVE)


def new_agreement(
    id: str,  # noqa: A002
    *,
    org: Organisation,
    purposes: Iterable[str],
    valid_from: date,
    valid_until: date,
) -> Agreement:
    """Return an agreement such as ``AGR-2026-014``, valid from its first to its last day."""
    _require(_AGREEMENT, id, "an agreement's id")
    if valid_until < valid_from:
        raise MalformedRequest("an agreement ends no earlier than it begins")
    return Agreement(
        id=AgreementId(id),
        org=org.id,
        purposes=_purposes(purposes),
        valid_from=valid_from,
        valid_until=valid_until,
        state=State.ACTIVE,
    )


def new_client(
    id: str,  # noqa: A002
    *,
    agreement: Agreement,
    purposes: Iterable[str],
    keys: Iterable[Mapping[str, object]],
    certificates: Iterable[ClientCertificate] = (),
) -> Client:
    """Return a machine client of the agreement's organisation, with what it may prove itself by.

    That is at most two keys and two certificates, one of them at least; ``keys`` are public JWKs. Those with
    ``"use": "enc"`` are for replies to be encrypted to, two more.
    """
    _require(_ID, id, "a client's id")
    bound = _purposes(purposes)
    if missing := sorted(set(bound) - set(agreement.purposes)):
        raise MalformedRequest(f"the agreement does not name purpose `{missing[0]}`")
    found, shown = client_keys(keys), tuple(certificates)
    if not found.signing and not shown:
        raise MalformedRequest("a client has a key that it signs with, or a certificate")
    given_keys = (("keys", found.signing), ("encryption keys", found.encryption))
    for what, given in (*given_keys, ("certificates", shown)):
        if not len(set(given)) == len(given) <= KEYS_MAX:
            raise MalformedRequest(f"a client has at most two {what}, not the same one twice")
    return Client(
        id=ClientId(id),
        org=agreement.org,
        agreement=agreement.id,
        purposes=bound,
        keys=found.signing,
        encryption_keys=found.encryption,
        certificates=shown,
        state=State.ACTIVE,
    )


_MEMBERS: Final = ("kty", "crv", "x", "y")
_SAYS: Final = {
    "sig": (("ES256", "EdDSA", "Ed25519"), ("verify",)),
    "enc": ((jose.JWE_ALG,), ("deriveKey", "deriveBits", "wrapKey")),
}
"""What a JWK may say of itself beside its use: ``alg`` and ``key_ops``."""


@dataclass(frozen=True, slots=True)
class ClientKeys:
    """A client's public keys by their use (RFC 7517 section 4.2)."""

    signing: tuple[FrozenJwk, ...]
    encryption: tuple[FrozenJwk, ...]


def client_keys(keys: Iterable[Mapping[str, object]]) -> ClientKeys:
    """Return public keys as a client's record keeps them; one that says no use is for signing."""
    by_use: dict[str, list[Mapping[str, object]]] = {"sig": [], "enc": []}
    try:
        for key in keys:
            by_use[_use_of(key)].append({name: key[name] for name in _MEMBERS if name in key})
        found = ClientKeys(frozen_keys(by_use["sig"]), frozen_encryption_keys(by_use["enc"]))
    except (ValueError, TypeError, AttributeError, KeyError) as error:  # a key file may hold any JSON
        raise MalformedRequest(f"a client's key is not usable: {error}") from error
    if set(found.signing) & set(found.encryption):
        raise MalformedRequest("a key signs, or is encrypted to, never both")
    return found


def _use_of(key: Mapping[str, object]) -> str:
    """Return what a JWK is for, if all that it says of itself (RFC 7517 sections 4.2 to 4.4) fits that.

    SECURITY: a firm that sends its encryption key by mistake must not find that it opens its account.
    """
    if private := jose.PRIVATE_MEMBERS & key.keys():
        raise ValueError(f"a public key has no member `{min(private)}`")
    use = key.get("use", "sig")
    if use not in ("sig", "enc"):  # by equality: it may be anything
        raise ValueError('`use` is "sig", or "enc" for replies to be encrypted to')
    algorithms, operations = _SAYS[str(use)]
    if "alg" in key and key["alg"] not in algorithms:
        raise ValueError(f'an `alg` for `use` "{use}" is {" or ".join(algorithms)}')
    said = key.get("key_ops", [])
    if not isinstance(said, list) or any(each not in operations for each in said):
        raise ValueError(f'`key_ops` for `use` "{use}" are of {", ".join(operations)}')
    return str(use)


def client_certificate(pem: str, *, now: datetime) -> ClientCertificate:
    """Return a certificate as a client's record keeps it."""
    try:
        found = certificates_in(pem.encode())
    except ValueError as error:
        raise MalformedRequest("a certificate's file is PEM that can be read") from error
    if len(found) != 1:
        raise MalformedRequest("a certificate's file holds the client's certificate alone, no other")
    if found[0].ends_at < now:
        raise MalformedRequest(f"the certificate ended on {found[0].ends_at:%Y-%m-%d}")
    return ClientCertificate(thumbprint=found[0].thumbprint, ends_at=found[0].ends_at)


def invited_operator(
    id: str,  # noqa: A002
    org: Organisation,
    name: str,
    invitation: Invitation,
) -> Operator:
    """Return a person who may activate the organisation's clients, once they have set their factors."""
    _require(_ID, id, "an operator's id")
    return Operator(
        id=OperatorId(id),
        org=org.id,
        name=_name(name),
        password_hash="",
        totp_sealed=b"",
        state=State.ACTIVE,
        invitation=invitation,
    )


def new_operator(
    id: str,  # noqa: A002
    org: Organisation,
    name: str,
    password: str,
    *,
    salt: bytes,
    totp_secret: bytes,
    sealer: SealingKeys,
    now: datetime,
) -> Operator:
    """Return a person who has factors already: whoever calls knows them."""
    never = Invitation(code_hash="-", until=datetime.min.replace(tzinfo=UTC))
    invited = invited_operator(id, org, name, never)
    return with_factors(invited, password, salt=salt, totp_secret=totp_secret, sealer=sealer, now=now)


def with_factors(
    operator: Operator,
    password: str,
    *,
    salt: bytes,
    totp_secret: bytes,
    sealer: SealingKeys,
    now: datetime,
) -> Operator:
    """Return an invited person with a password and an authenticator's secret, and no invitation any more.

    ``salt`` (16 bytes) and ``totp_secret`` (20) come from a random source; the secret is kept sealed.
    """
    if not PASSWORD_LENGTH_MIN <= len(password) <= PASSWORD_LENGTH_MAX:
        raise MalformedRequest(
            f"a password has {PASSWORD_LENGTH_MIN} to {PASSWORD_LENGTH_MAX} characters"
        )  # length, not composition: NIST SP 800-63B 5.1.1
    assert len(salt) == SALT_BYTES  # noqa: S101  ours, from a random source, never typed
    assert len(totp_secret) == SECRET_BYTES  # noqa: S101
    return replace(
        operator,
        password_hash=hash_password(password, salt),
        totp_sealed=sealer.seal(totp_seal_purpose(operator.id), totp_secret),
        invitation=None,
        enrolled_at=now.astimezone(UTC),
    )


def totp_seal_purpose(operator: OperatorId) -> str:
    """Return what an operator's secret is sealed for: moved to another operator, it does not open."""
    return f"totp {operator}"


def authenticator_uri(operator: Operator, *, totp_secret: bytes, issuer: str) -> str:
    """Return the text of the QR code that sets up an authenticator app. It holds the secret.

    Source: the Key URI Format of google-authenticator; defaults are RFC 6238's (SHA-1, 6 digits, 30 s).
    """
    secret = base64.b32encode(totp_secret).decode("ascii").rstrip("=")
    label = f"{quote(issuer, safe='')}:{quote(operator.id, safe='')}"
    return f"otpauth://totp/{label}?secret={secret}&issuer={quote(issuer, safe='')}"


def changes_of(*records: Record) -> tuple[Change, ...]:
    """Return the changes that put records into the registry."""
    return tuple(change_of(record) for record in records)


def _purposes(purposes: Iterable[str]) -> tuple[PurposeId, ...]:
    """Return purposes sorted and each once, so that equal sets make equal records."""
    found = tuple(sorted(set(purposes)))
    if not found:
        raise MalformedRequest("at least one purpose is needed")
    for purpose in found:
        _require(_ID, purpose, "a purpose")
    return tuple(PurposeId(purpose) for purpose in found)


def _name(text: str) -> str:
    if not 1 <= len(text) <= NAME_LENGTH_MAX or not text.isprintable() or text != text.strip():
        raise MalformedRequest(f"a name has 1 to {NAME_LENGTH_MAX} printable characters")
    return text


def _require(pattern: re.Pattern[str], text: str, what: str) -> None:
    if pattern.fullmatch(text) is None:
        raise MalformedRequest(f"{what} must match `{pattern.pattern}`")
