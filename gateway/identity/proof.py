"""DPoP proofs (RFC 9449): the caller holds the key, now, for this very request (promise P7).

Order of checks: strict parse, key, signature, method, address, token hash, query digest, time,
nonce. ``qd`` is this gateway's addition, because DPoP covers neither query string nor body (RFC 9449
section 11.7); ``accept``, which a caller may add, is another: who stands between could ask for an answer
in clear that was asked for encrypted. Pure, so that a proof serves once only if the caller stores
``single_use_id`` until ``expires_at_ms`` and refuses it when it is there already; do so after all of this
and before any permission is looked at, so that replays of refused requests are seen as well.
"""

import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NoReturn, cast

from gateway import jose
from gateway.errors import NotAuthenticated, ProofNonceRequired, ProofRefused
from gateway.identity import claims as claim
from gateway.identity.address import normalised
from gateway.identity.nonce import nonce_accepted
from gateway.identity.strict import parse, refusing_all_else, verify_signature
from gateway.terms.identifiers import Thumbprint

PROOF_BYTES_MAX: Final = 4096
AGE_MAX_S: Final = 60
KEPT_LONGER_S: Final = 10
"""Ids outlive the proof by this, for the time between verifying it and using it up."""
_TYPES: Final = frozenset({"dpop+jwt"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A proof that was verified; it counts once its ``single_use_id`` is used up."""

    key: Thumbprint
    jwk: jose.Jwk = field(repr=False)
    single_use_id: str
    expires_at_ms: int
    """From this Unix time on the proof is refused for its age, so the id may be forgotten."""


def verify_proof(
    proof: str,
    *,
    method: str,
    url: str,
    now: datetime,
    nonce_secret: bytes,
    access_token: str | None,
    query_digest: str | None,
    accept: str = "",
    nonce_required: bool = True,
) -> Proof:
    """Return the proof for a request to ``url`` (the configured public one, never from ``Host``).

    ``accept`` is the request's field; a proof that names another is refused.

    Raises:
        ProofNonceRequired: All is well but the nonce, which is absent, old or not ours.
        ProofRefused: The proof does not prove this request.

    """
    try:
        found = _authentic(proof)
        _check_request(found.claims, method=method, url=url)
        _check_bindings(found.claims, access_token=access_token, query_digest=query_digest)
        if "accept" in found.claims and not _same(found.claims["accept"], accept):
            _refuse("the proof is for another form of the answer: `accept` does not fit", "proof-accept")
        _check_time(found, now)
        _check_nonce(found.claims.get("nonce"), nonce_secret, now, required=nonce_required)
    except (ProofRefused, ProofNonceRequired):
        raise
    except NotAuthenticated as error:
        raise ProofRefused(cause=f"proof-{error.cause}") from None
    key = jose.thumbprint(found.jwk)
    return Proof(
        key=key,
        jwk=found.jwk,
        single_use_id=jose.base64url(hashlib.sha256(f"dpop|{key}|{found.jti}".encode()).digest()),
        expires_at_ms=(found.issued + AGE_MAX_S + KEPT_LONGER_S) * 1000,
    )


@dataclass(frozen=True, slots=True)
class _Authentic:
    """A proof that its own key has signed; it may still be for anything."""

    claims: claim.Claims
    jwk: jose.Jwk
    issued: int
    jti: str


@refusing_all_else
def _authentic(proof: str) -> _Authentic:
    parsed = parse(proof, types=_TYPES, size_max=PROOF_BYTES_MAX, embedded_key=True)
    jwk = cast("jose.Jwk", parsed.header["jwk"])  # an object, as the parser saw; of texts, as key_of sees
    try:
        key = jose.key_of(jwk)
    except ValueError:
        raise NotAuthenticated(cause="key") from None
    verify_signature(parsed, key)
    issued, jti = claim.seconds_of(parsed.claims, "iat"), claim.token_id_of(parsed.claims)
    return _Authentic(parsed.claims, jose.required_of(jwk), issued, jti)


def _check_request(claims: claim.Claims, *, method: str, url: str) -> None:
    if claims.get("htm") != method:  # methods are case-sensitive (RFC 9110 section 9.1)
        _refuse("the proof is for another method", "proof-htm")
    try:
        same = normalised(claim.text_of(claims, "htu")) == normalised(url)
    except ValueError:
        same = False
    if not same:
        _refuse("the proof is for another address", "proof-htu")


def _check_bindings(claims: claim.Claims, *, access_token: str | None, query_digest: str | None) -> None:
    if access_token is not None and not _same(claims.get("ath"), jose.token_hash(access_token)):
        _refuse("the proof is for another token: `ath` does not fit", "proof-ath")
    if query_digest is not None and not _same(claims.get("qd"), query_digest):
        _refuse("the proof is for another query or body: `qd` does not fit", "proof-qd")


def _check_time(found: _Authentic, now: datetime) -> None:
    """Refuse a proof out of its time; ``nbf`` and ``exp``, which no proof needs, narrow it (RFC 7519)."""
    now_s = now.timestamp()
    over = "exp" in found.claims and claim.seconds_of(found.claims, "exp") <= now_s
    if over or now_s - found.issued > AGE_MAX_S or claim.begins_of(found.claims) - now_s > claim.FUTURE_MAX_S:
        _refuse("the proof's `iat` is not within a minute of now", "proof-time")


def _check_nonce(nonce: object, secret: bytes, now: datetime, *, required: bool) -> None:
    if nonce is None and not required:
        return
    if not isinstance(nonce, str) or not nonce_accepted(secret, nonce, now):
        raise ProofNonceRequired("the proof needs the nonce of this reply", cause="proof-nonce")


def _same(given: object, wanted: str) -> bool:
    if not isinstance(given, str):
        return False
    left, right = (text.encode("utf-8", "surrogatepass") for text in (given, wanted))
    return hmac.compare_digest(left, right)


def _refuse(detail: str, cause: str) -> NoReturn:
    raise ProofRefused(detail, cause=cause) from None
