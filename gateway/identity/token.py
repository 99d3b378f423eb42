"""Access tokens (RFC 9068) as the gateway issues and believes them: claims to document and back.

Law: ``verify_token(sign(claims_document(c)))`` gives back ``c`` while it is fresh. A token is bound
to a key (``cnf.jkt``), names the registered key that earned it (``client_key``), lives 300 s (900 at
most), and its ``acr`` must be what its ``amr`` and ``auth_time`` earned when it was issued (P6); what
it is worth now is derived again. Revocation is not here: ``registry.standing`` walks the chain.

A token of a trusted other issuer passes the same checks; ``trusted.py`` says what its words mean here.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Final, Protocol

from gateway import jose
from gateway.identity import claims as claim
from gateway.identity.factors import amr_of, assurance_at
from gateway.identity.strict import parse, refuse, refusing_all_else, verify_signature
from gateway.terms.caller import Assurance
from gateway.terms.identifiers import AgreementId, ClientId, OperatorId, OrgId, PurposeId, Thumbprint

TOKEN_TYPE: Final = "at+jwt"  # noqa: S105  # a media type
TOKEN_BYTES_MAX: Final = 4096
LIFETIME_S: Final = 300
LIFETIME_MAX_S: Final = 900
TOKENS_MAX: Final = 4096
"""Tokens kept after they were verified once: about 8 MB."""
_TYPES: Final = frozenset({TOKEN_TYPE, f"application/{TOKEN_TYPE}"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedClaim:
    """The one request that a token is for, which a person approved for runs without a person."""

    activation: str
    """The record of the approval."""
    request: str
    """``jose.request_digest`` of the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessClaims:
    """What an access token says, in the gateway's own types. Moments are whole seconds."""

    issuer: str
    audience: str
    client: ClientId
    subject: str
    """``subject_of(client, operator)``."""
    org: OrgId
    purpose: PurposeId
    agreement: AgreementId
    client_key: Thumbprint
    """The registered key that authenticated the client; removing it ends the token."""
    key: Thumbprint
    """The key every proof must be made with."""
    token_id: str
    issued_at: datetime
    expires_at: datetime
    assurance: Assurance
    methods: tuple[str, ...]
    """As ``factors.amr_of`` spells them."""
    authenticated_at: datetime | None = None
    operator: OperatorId | None = None
    """The person who stands behind the token; with ``authenticated_at`` or not at all."""
    saved: SavedClaim | None = None
    """Set where that person approved one request and need not be there; never without a person."""
    certificate: Thumbprint | None = None
    """The certificate that earned the token, if one did: each use comes over a connection with it."""

    def __post_init__(self) -> None:
        if self.subject != subject_of(self.client, self.operator):
            raise ValueError("the subject is the operator who activated the client, else the client")
        if not (self.operator is None) == (self.authenticated_at is None) == (self.subject == self.client):
            raise ValueError("a person and the time of the sign-in come together, and no client is a person")
        if self.saved is not None and self.operator is None:
            raise ValueError("a saved request was approved by a person")
        if self.certificate not in {None, self.client_key}:
            raise ValueError("a token is bound to the certificate that earned it")
        if self.methods != amr_of(self.methods):
            raise ValueError("methods are spelled by `amr_of`")


def subject_of(client: ClientId, operator: OperatorId | None) -> str:
    """Return the claim ``sub``: a person where one stands behind the token, else the client itself."""
    return client if operator is None else operator


def claims_document(claims: AccessClaims) -> dict[str, object]:
    """Return the claims as they are signed.

    Raises:
        ValueError: The assurance is not what the methods earn, or the lifetime is not allowed.

    """
    issued, expires = int(claims.issued_at.timestamp()), int(claims.expires_at.timestamp())
    signed_in = claims.authenticated_at
    if claims.assurance is not assurance_earned(claims.methods, signed_in, claims.issued_at, claims.saved):
        raise ValueError("assurance is derived from the methods, never chosen")
    if not 0 < expires - issued <= LIFETIME_MAX_S:
        raise ValueError(f"a token lives at most {LIFETIME_MAX_S} s")
    document: dict[str, object] = {
        "iss": claims.issuer,
        "aud": claims.audience,
        "sub": claims.subject,
        "client_id": claims.client,
        "org": claims.org,
        "purpose": claims.purpose,
        "agreement": claims.agreement,
        "client_key": claims.client_key,
        "cnf": confirmation_of(claims),
        "acr": claims.assurance.acr,
        "amr": list(claims.methods),
        "iat": issued,
        "exp": expires,
        "jti": claims.token_id,
    }
    if claims.saved is not None:
        document["saved"] = {"activation": claims.saved.activation, "request": claims.saved.request}
    return document if signed_in is None else document | {"auth_time": int(signed_in.timestamp())}


def assurance_earned(
    methods: Sequence[str], signed_in: datetime | None, at: datetime, saved: SavedClaim | None
) -> Assurance:
    """Return what a sign-in is worth at a moment.

    SECURITY: where a request was saved, it is what was proved when it was approved, and never ``aal3``:
    that says that somebody is there. A rule must allow such runs by themselves (``policy.decide``).
    """
    if saved is None:
        return assurance_at(methods, authenticated_at=signed_in, at=at)
    then = assurance_at(methods, authenticated_at=signed_in, at=at if signed_in is None else signed_in)
    return min(then, Assurance.AAL2)


def confirmation_of(claims: AccessClaims) -> dict[str, str]:
    """Return the claim ``cnf``: what whoever uses the token must prove, all of it."""
    bound = {"jkt": str(claims.key)}
    return bound if claims.certificate is None else bound | {"x5t#S256": claims.certificate}


class Keys(Protocol):
    """An issuer's public keys."""

    def get(self, kid: str, /) -> jose.PublicKey | None:
        """Return the key of that name, if it is one of the issuer's now."""


class OtherIssuer(Protocol):
    """An issuer that is not the gateway, and what its claims mean here."""

    @property
    def keys(self) -> Keys: ...

    def read(self, claims: claim.Claims) -> AccessClaims:
        """Return verified claims in the gateway's own types.

        Raises:
            NotAuthenticated: They lack what is needed here, or speak of what is not agreed.

        """


NOBODY_ELSE: Final[Mapping[str, OtherIssuer]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Signed:
    """A token that was signed by ``key`` and says ``claims``, with the assurance it was issued with."""

    claims: AccessClaims
    begins_s: int
    """From when on it holds: ``iat``, or ``nbf`` where that is later."""
    kid: str
    key: jose.PublicKey


class SeenTokens:
    """Tokens whose signature and form held, so that a token of five minutes is not verified anew each time.

    SECURITY: what is kept is what no later moment can change: that one key signed exactly this text,
    and what the text says. Kept under the SHA-256 of the whole text, of which there is one spelling
    (``strict.parse``; another signature over the same claims is another text and is verified itself).
    Only successes are kept. Time, issuer, audience, whether the key is still ours, what the sign-in
    is worth by now and the registry's chain are looked at for every request, as without it.

    Owner of the state: the one thread that verifies requests. At most ``TOKENS_MAX``, oldest out first.
    """

    def __init__(self) -> None:
        self._seen: OrderedDict[bytes, _Signed] = OrderedDict()

    def get(self, name: bytes) -> _Signed | None:
        found = self._seen.get(name)
        if found is not None:
            self._seen.move_to_end(name)
        return found

    def put(self, name: bytes, signed: _Signed) -> None:
        self._seen[name] = signed
        if len(self._seen) > TOKENS_MAX:
            self._seen.popitem(last=False)

    def __len__(self) -> int:
        return len(self._seen)


@refusing_all_else
def verify_token(
    token: str,
    *,
    keys: Mapping[str, jose.PublicKey],
    issuer: str,
    audience: str,
    now: datetime,
    seen: SeenTokens | None = None,
    trusted: Mapping[str, OtherIssuer] = NOBODY_ELSE,
) -> AccessClaims:
    """Return the claims of a token that one of ``keys`` (by ``kid``) signed and that holds now.

    ``trusted`` are other issuers by the name in ``iss``; each signs with its own keys only.

    ``assurance`` is what the methods are worth at ``now``: it falls as the sign-in ages.

    Raises:
        NotAuthenticated: Anything else; ``cause`` names the first check that failed.

    """
    name = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
    signed = None if seen is None else seen.get(name)
    # a key that was taken away ends its tokens
    if signed is None or _keys_of(signed.claims.issuer, keys, trusted).get(signed.kid) is not signed.key:
        signed = _signed(token, keys, trusted)
        if seen is not None:
            seen.put(name, signed)
    found = signed.claims
    _check_times(signed, now.timestamp())
    if found.issuer != issuer and found.issuer not in trusted:
        refuse("issuer")
    if found.audience != audience:
        refuse("audience")
    # Never before it was issued: another machine's clock may be a little ahead.
    at = max(found.issued_at, now)
    assurance = assurance_earned(found.methods, found.authenticated_at, at, found.saved)
    return found if assurance is found.assurance else replace(found, assurance=assurance)


def _keys_of(issuer: object, keys: Keys, trusted: Mapping[str, OtherIssuer]) -> Keys:
    """Return whose keys may have signed. SECURITY: ``issuer`` may be unverified; it grants nothing."""
    other = trusted.get(issuer) if isinstance(issuer, str) else None
    return keys if other is None else other.keys


def _signed(token: str, keys: Keys, trusted: Mapping[str, OtherIssuer]) -> _Signed:
    """Return what a token says and who signed it, whenever that was."""
    parsed = parse(token, types=_TYPES, size_max=TOKEN_BYTES_MAX)
    kid, named = parsed.header.get("kid"), parsed.claims.get("iss")
    key = _keys_of(named, keys, trusted).get(kid) if isinstance(kid, str) else None
    if key is None or not isinstance(kid, str):
        refuse("key-unknown")
    verify_signature(parsed, key)
    other = trusted.get(named) if isinstance(named, str) else None
    claims = _claims(parsed.claims) if other is None else other.read(parsed.claims)
    begins_s = claim.begins_of(parsed.claims)
    return _Signed(claims=claims, begins_s=begins_s, kid=kid, key=key)


def lifetime_of(claims: claim.Claims) -> tuple[datetime, datetime]:
    """Return when a token was issued and when it ends; no token lives long."""
    issued, expires = claim.seconds_of(claims, "iat"), claim.seconds_of(claims, "exp")
    if not 0 < expires - issued <= LIFETIME_MAX_S:
        refuse("lifetime")
    return claim.moment(issued), claim.moment(expires)


def bound_key_of(claims: claim.Claims) -> Thumbprint:
    """Return the key every proof must be made with: one method, one key (RFC 7800, RFC 9449 section 6)."""
    binding = claims.get("cnf")
    if not isinstance(binding, dict) or binding.keys() != {"jkt"}:
        refuse("claim-cnf")
    return claim.thumbprint_of(binding, "jkt")


def _claims(claims: claim.Claims) -> AccessClaims:
    issued_at, expires_at = lifetime_of(claims)
    methods = claim.texts_of(claims, "amr")
    signed_in = claim.moment(claim.seconds_of(claims, "auth_time")) if "auth_time" in claims else None
    saved = _saved(claims)
    earned = assurance_earned(methods, signed_in, issued_at, saved)
    if claims.get("acr") != earned.acr:
        refuse("assurance-not-earned")
    client, subject = ClientId(claim.text_of(claims, "client_id")), claim.text_of(claims, "sub")
    key, certificate = _bound_to(claims)
    try:
        return AccessClaims(
            issuer=claim.text_of(claims, "iss"),
            audience=claim.text_of(claims, "aud"),
            client=client,
            subject=subject,
            org=OrgId(claim.text_of(claims, "org")),
            purpose=PurposeId(claim.text_of(claims, "purpose")),
            agreement=AgreementId(claim.text_of(claims, "agreement")),
            client_key=claim.thumbprint_of(claims, "client_key"),
            key=key,
            token_id=claim.token_id_of(claims),
            issued_at=issued_at,
            expires_at=expires_at,
            assurance=earned,
            methods=methods,
            authenticated_at=signed_in,
            operator=None if subject == client else OperatorId(subject),
            saved=saved,
            certificate=certificate,
        )
    except ValueError:  # the claims do not fit each other
        refuse("claims-inconsistent")


def _bound_to(claims: claim.Claims) -> tuple[Thumbprint, Thumbprint | None]:
    """Return the key of every proof and, where a certificate earned the token, that certificate."""
    binding = claims.get("cnf")
    if not isinstance(binding, dict) or "x5t#S256" not in binding:
        return bound_key_of(claims), None
    if binding.keys() != {"jkt", "x5t#S256"}:
        refuse("claim-cnf")
    return claim.thumbprint_of(binding, "jkt"), claim.thumbprint_of(binding, "x5t#S256")


def _saved(claims: claim.Claims) -> SavedClaim | None:
    """Return which request the token is for; None: for every one."""
    if "saved" not in claims:
        return None
    named = claims["saved"]
    if not isinstance(named, dict) or named.keys() != {"activation", "request"}:
        refuse("claim-saved")
    return SavedClaim(
        activation=claim.text_of(named, "activation"), request=claim.thumbprint_of(named, "request")
    )


def _check_times(signed: _Signed, now_s: float) -> None:
    if signed.begins_s > now_s + claim.FUTURE_MAX_S:
        refuse("issued-in-the-future")
    if signed.claims.expires_at.timestamp() <= now_s:
        refuse("expired")
