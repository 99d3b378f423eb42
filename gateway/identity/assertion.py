"""Client authentication with ``private_key_jwt`` (RFC 7523 section 3, FAPI 2.0).

``iss`` and ``sub`` are the client, ``aud`` is exactly the issuer's name (not its token endpoint, not
a list: a list lets one server replay it at another), it lives at most 60 s, and its ``jti`` serves
once. Pure: the caller stores ``single_use_id`` durably and refuses it when it is there already.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway import jose
from gateway.errors import NotAuthenticated
from gateway.identity import claims as claim
from gateway.identity.strict import NO_TYPE, Parsed, parse, refuse, refusing_all_else, verify_signature
from gateway.terms.identifiers import ClientId, Thumbprint

ASSERTION_BYTES_MAX: Final = 4096
LIFETIME_MAX_S: Final = 60
KEPT_LONGER_S: Final = 10
"""Ids outlive the assertion by this, for the time between verifying it and using it up."""
_TYPES: Final = frozenset({NO_TYPE, "JWT", "client-authentication+jwt"})
"""RFC 7523 asks for none; tokens and proofs always have their own, so none passes for another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assertion:
    """A client that proved one of its registered keys; counts once ``single_use_id`` is used up."""

    key: Thumbprint
    single_use_id: str
    expires_at_ms: int
    """From this Unix time on the assertion has expired, so the id may be forgotten."""


@refusing_all_else
def client_named_by(unverified_assertion: str) -> ClientId:
    """Return the client an assertion speaks of. SECURITY: nobody has proved anything yet.

    Raises:
        NotAuthenticated: It is not readable as an assertion.

    """
    return ClientId(claim.text_of(_parsed(unverified_assertion).claims, "sub"))


@refusing_all_else
def verify_assertion(
    assertion: str,
    *,
    client: ClientId,
    keys: tuple[jose.PublicKey, ...],
    issuer: str,
    now: datetime,
) -> Assertion:
    """Return which of the client's registered keys made the assertion.

    Raises:
        NotAuthenticated: None did, or it does not hold here and now.

    """
    parsed = _parsed(assertion)
    key = _signer(parsed, keys)
    claims = parsed.claims
    if claims.get("iss") != client or claims.get("sub") != client:
        refuse("assertion-client")
    if claims.get("aud") != issuer:
        refuse("assertion-audience")
    issued, expires = claim.seconds_of(claims, "iat"), claim.seconds_of(claims, "exp")
    now_s = now.timestamp()
    if not 0 < expires - issued <= LIFETIME_MAX_S:
        refuse("assertion-lifetime")
    if claim.begins_of(claims) > now_s + claim.FUTURE_MAX_S:
        refuse("assertion-in-the-future")
    if expires <= now_s:
        refuse("assertion-expired")
    jti = claim.token_id_of(claims)
    return Assertion(
        key=jose.thumbprint(jose.jwk_of(key)),
        single_use_id=jose.base64url(hashlib.sha256(f"assertion|{client}|{jti}".encode()).digest()),
        expires_at_ms=(expires + KEPT_LONGER_S) * 1000,
    )


def _parsed(assertion: str) -> Parsed:
    return parse(assertion, types=_TYPES, size_max=ASSERTION_BYTES_MAX)


def _signer(parsed: Parsed, keys: tuple[jose.PublicKey, ...]) -> jose.PublicKey:
    """Return the key that signed; clients choose ``kid`` freely, so each registered key is tried."""
    for key in keys:
        try:
            verify_signature(parsed, key)
        except NotAuthenticated:
            continue
        return key
    raise NotAuthenticated(cause="assertion-signature")
