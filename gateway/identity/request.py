"""The whole order of checks on one request's credentials, before anything else is looked at.

    headers -> token: parse, key, signature, claims -> the connection's certificate is the token's, where
    it has one -> proof: parse, signature, request,
    token hash, query digest, time, nonce -> the proof's key is the token's key

Source: RFC 9068 section 4, RFC 9449 sections 4.3 and 7, RFC 8725. Pure. Four things
remain for the caller, in this order: use up ``proof.single_use_id``, see that it is the request that the
token is for where a person approved one only (``check_saved``), walk the registry's chain for ``claims``
(revocation), and only then ask the policy.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import unquote_plus

from gateway import jose
from gateway.errors import MalformedRequest, NotAuthenticated, ProofRefused, RequestNotSaved
from gateway.identity.certificate import proved_certificate
from gateway.identity.proof import Proof, verify_proof
from gateway.identity.token import NOBODY_ELSE, AccessClaims, OtherIssuer, SeenTokens, verify_token
from gateway.terms.query import Query


@dataclass(frozen=True, slots=True)
class VerifiedRequest:
    """A token and a proof that belong together and to this request."""

    claims: AccessClaims
    proof: Proof


def verify_request(
    query: Query,
    *,
    origin: str,
    issuer: str,
    audience: str,
    keys: Mapping[str, jose.PublicKey],
    nonce_secret: bytes,
    now: datetime,
    seen: SeenTokens | None = None,
    trusted: Mapping[str, OtherIssuer] = NOBODY_ELSE,
) -> VerifiedRequest:
    """Return who sends this very request, as token and proof show it.

    ``origin`` is the configured public one (``https://gateway.example``), never the ``Host`` header.

    Raises:
        MalformedRequest: A header is there twice, or a token stands where none may.
        NotAuthenticated: Token or proof are missing, not valid, or not of one key.

    """
    token, proof_text = _credentials(query)
    claims = verify_token(
        token, keys=keys, issuer=issuer, audience=audience, now=now, seen=seen, trusted=trusted
    )
    _check_certificate(claims, query, now)
    proof = verify_proof(
        proof_text,
        method=query.method,
        url=origin.removesuffix("/") + query.path,
        now=now,
        nonce_secret=nonce_secret,
        access_token=token,
        query_digest=_query_digest(query),
        accept=query.accept,
    )
    if proof.key != claims.key:
        raise ProofRefused("the proof is made with another key than the token's", cause="proof-other-key")
    return VerifiedRequest(claims, proof)


def _check_certificate(claims: AccessClaims, query: Query, now: datetime) -> None:
    """Refuse a token that a certificate earned over a connection without it (RFC 8705 section 3)."""
    if claims.certificate is None:
        return
    if proved_certificate(query.certificate, now).thumbprint != claims.certificate:
        raise NotAuthenticated(cause="certificate-other")


def check_saved(claims: AccessClaims, query: Query) -> None:
    """Refuse another request than the one that a person approved; to its last byte.

    SECURITY: said in one way whatever differs, and only to who holds the token's key, once for a proof.

    Raises:
        RequestNotSaved: It is another.

    """
    saved = claims.saved
    if saved is None:
        return
    asked = jose.request_digest(query.method, query.path, query.query_string, query.body)
    if not hmac.compare_digest(saved.request, asked):
        raise RequestNotSaved(
            "the token is for one saved request, and this is another", cause="request-not-saved"
        )


def _credentials(query: Query) -> tuple[str, str]:
    """Return the texts of token and proof, one of each."""
    if len(query.authorizations) > 1 or len(query.proofs) > 1:
        raise MalformedRequest("one `Authorization` and one `DPoP` header at most")
    if not query.query_string.isascii():
        raise MalformedRequest("a query string is ASCII")
    if _names_token(query.query_string) or (_is_form(query) and _names_token(query.body.decode("latin-1"))):
        raise MalformedRequest("an access token goes into the `Authorization` header only")
    if not query.authorizations:
        raise NotAuthenticated("this needs an access token", cause="token-missing")
    scheme, _, token = query.authorizations[0].partition(" ")
    if scheme.lower() != "dpop":
        # SECURITY: taking a bound token as Bearer would make it useful to a thief (P7).
        raise NotAuthenticated("the `DPoP` scheme is needed", cause="scheme")
    if not query.proofs:
        raise ProofRefused("the `DPoP` header is missing", cause="proof-missing")
    return token, query.proofs[0]


def _query_digest(query: Query) -> str | None:
    """Return what the proof must say of query string and body; None where there is nothing to say."""
    if query.action is None and not query.query_string and not query.body:
        return None
    return jose.query_digest(query.query_string, query.body)


def _is_form(query: Query) -> bool:
    return query.content_type.partition(";")[0].strip().lower() == "application/x-www-form-urlencoded"


def _names_token(form: str) -> bool:
    return any(unquote_plus(pair.partition("=")[0]) == "access_token" for pair in form.split("&"))
