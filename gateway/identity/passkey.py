"""Passkeys (W3C Web Authentication Level 3): what is to be signed, and whether it was.

An assertion counts only for our RP id and origin, in a page of its own, with its user present and
verified; it is bound to one page's challenge and to what was typed there, so it serves nowhere else.
What is used up, and whose a credential is, are the caller's. Signatures: the library ``webauthn``.

Which methods of RFC 8176 a passkey proves: it is held (``hwk``; ``swk`` where flag BE says that it may be
copied to other devices), its user was there (``user``) and verified. UV tells that a PIN or a biometric
was checked and not which; a PIN opens every verifying authenticator, so ``pin`` is claimed and never
inherence. SECURITY: without attestation, ``hwk`` is the authenticator's own word.
"""

import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from webauthn import verify_authentication_response, verify_registration_response
from webauthn.helpers import base64url_to_bytes, parse_authenticator_data, parse_client_data_json
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.structs import AttestationFormat, CredentialDeviceType

from gateway.identity.address import normalised
from gateway.identity.strict import refuse, refusing_all_else
from gateway.jose import base64url, base64url_decoded

PAGE_LIFE_S: Final = 900
"""How long a page's challenge may be signed."""
RESPONSE_CHARACTERS_MAX: Final = 8192
ALGORITHMS: Final = (
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.EDDSA,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,  # all that many TPMs behind Windows Hello speak
)
_RANDOM_BYTES: Final = 16
_TIME_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """Whom a passkey is for: us, under one domain."""

    id: str
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A credential that was made for us, its user verified."""

    credential: bytes = field(repr=False)
    public_key: bytes = field(repr=False)
    count: int
    synced: bool


def relying_party(origin: str) -> RelyingParty | None:
    """Return whom passkeys of an origin are for; None where it is an address, for which there are none."""
    host = urlsplit(normalised(origin)).hostname or ""
    try:
        ip_address(host)
    except ValueError:
        return RelyingParty(host, normalised(origin).rstrip("/"))
    return None


def user_handle(operator: str) -> bytes:
    """Return what an authenticator knows an operator by; it does not show the name."""
    return hashlib.sha256(b"gw1|user-handle|" + operator.encode()).digest()


def methods_of(*, synced: bool) -> tuple[str, ...]:
    """Return the RFC 8176 values of a sign-in with a passkey; see the module's text."""
    return ("swk" if synced else "hwk", "pin", "user")


def page_challenge(secret: bytes, page: str, now: datetime, random_bytes: Callable[[int], bytes]) -> str:
    """Return a new challenge for one showing of one page; nothing is stored for it."""
    end = int(now.timestamp()) + PAGE_LIFE_S
    body = end.to_bytes(_TIME_BYTES, "big") + random_bytes(_RANDOM_BYTES)
    return base64url(body + _mac(secret, page, body))


def challenge_stands(secret: bytes, page: str, challenge: str, now: datetime) -> bool:
    """Return whether a challenge was given out, for that page, in this boot and not too long ago."""
    try:
        given = base64url_decoded(challenge)
    except ValueError:
        return False
    body, mac = given[: _TIME_BYTES + _RANDOM_BYTES], given[_TIME_BYTES + _RANDOM_BYTES :]
    if not hmac.compare_digest(mac, _mac(secret, page, body)):
        return False
    return int(now.timestamp()) < int.from_bytes(body[:_TIME_BYTES], "big")


def challenge_about(challenge: str, about: str) -> bytes:
    """Return what the authenticator signs: a page's challenge, bound to what was typed there."""
    return hashlib.sha256(f"gw1|passkey|{challenge}|{about}".encode("utf-8", "surrogatepass")).digest()


@refusing_all_else
def credential_named_by(response: str) -> bytes:
    """Return the id of the credential that a response says it is of.

    Raises:
        NotAuthenticated: It says none.

    """
    if len(response) > RESPONSE_CHARACTERS_MAX:
        refuse("passkey-too-large")
    return base64url_to_bytes(json.loads(response)["rawId"])


@refusing_all_else
def verify_assertion(
    response: str, *, party: RelyingParty, challenge: bytes, public_key: bytes, count: int, synced: bool
) -> int:
    """Return how many signatures the authenticator tells of, after checking this one.

    Raises:
        NotAuthenticated: Another challenge, origin or RP id, no user verified, a count that did not rise
            (a copy of the credential is about), a credential that was not synced and now is, or a
            signature that does not fit.

    """
    verified = verify_authentication_response(
        credential=response,
        expected_challenge=challenge,
        expected_rp_id=party.id,
        expected_origin=party.origin,
        credential_public_key=public_key,
        credential_current_sign_count=count,
        require_user_verification=True,
    )
    said = json.loads(response)["response"]
    _require_own_page(base64url_to_bytes(said["clientDataJSON"]))
    flags = parse_authenticator_data(base64url_to_bytes(said["authenticatorData"])).flags
    if flags.be is not synced:
        refuse("passkey-changed-kind")
    return verified.new_sign_count


@refusing_all_else
def verify_registration(response: str, *, party: RelyingParty, challenge: bytes) -> Registered:
    """Return the credential that an authenticator made.

    Raises:
        NotAuthenticated: Another challenge, origin or RP id, no user verified, another algorithm, or an
            attestation, which was not asked for.

    """
    if len(response) > RESPONSE_CHARACTERS_MAX:
        refuse("passkey-too-large")
    verified = verify_registration_response(
        credential=response,
        expected_challenge=challenge,
        expected_rp_id=party.id,
        expected_origin=party.origin,
        require_user_verification=True,
        supported_pub_key_algs=list(ALGORITHMS),
    )
    _require_own_page(base64url_to_bytes(json.loads(response)["response"]["clientDataJSON"]))
    if verified.fmt != AttestationFormat.NONE:
        refuse("passkey-attested")
    return Registered(
        credential=verified.credential_id,
        public_key=verified.credential_public_key,
        count=verified.sign_count,
        synced=verified.credential_device_type is CredentialDeviceType.MULTI_DEVICE,
    )


def _require_own_page(client_data: bytes) -> None:
    if parse_client_data_json(client_data).cross_origin:
        refuse("passkey-in-a-frame")


def _mac(secret: bytes, page: str, body: bytes) -> bytes:
    return hmac.digest(secret, b"gw1|passkey-page|" + page.encode() + b"|" + body, hashlib.sha256)
