"""Step 1: verify token and proof, use the proof's id up, and find the caller's standing.

The verification is pure (``identity``); the one effect is that a proof serves once (promise P7).
The id is used up after the proof is known to be authentic, so that strangers cannot fill the
store, and before anything is decided, so that replays of refused requests are refused too.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from gateway.clock import Clock, unix_ms
from gateway.errors import NotAuthenticated, ProofRefused
from gateway.identity.caller import caller_of
from gateway.identity.request import check_saved, verify_request
from gateway.identity.token import AccessClaims, SeenTokens
from gateway.identity.trusted import TrustedIssuer
from gateway.jose import PublicKey
from gateway.ledger.volatile import Volatile
from gateway.registry.records import Freezable
from gateway.registry.registry import Registry, standing
from gateway.terms.caller import Caller, SavedRun
from gateway.terms.query import Query

DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Authenticate:
    """Query in, caller out; raises of the ``NotAuthenticated`` family otherwise."""

    origin: str
    """Scheme, host and port that callers use; proofs are held against it, never against ``Host``."""
    issuer: str
    audience: str
    keys: Mapping[str, PublicKey]
    """The issuer's public keys by ``kid``."""
    trusted: Mapping[str, TrustedIssuer]
    """Other issuers by name."""
    nonce_secret: bytes = field(repr=False)
    volatile: Volatile
    registry: Callable[[], Registry]
    clock: Clock
    seen: SeenTokens = field(default_factory=SeenTokens, repr=False)
    """Owned by the event loop that calls this."""

    async def __call__(self, query: Query) -> Caller:
        now = self.clock.now()
        verified = verify_request(
            query,
            origin=self.origin,
            issuer=self.issuer,
            audience=self.audience,
            keys=self.keys,
            nonce_secret=self.nonce_secret,
            now=now,
            seen=self.seen,
            trusted=self.trusted,
        )
        proof, claims = verified.proof, verified.claims
        ours = claims.issuer == self.issuer
        if not self.volatile.use_once(proof.single_use_id, proof.expires_at_ms, now_ms=unix_ms(now)):
            raise ProofRefused(cause="proof used before")
        check_saved(claims, query)
        registry = self.registry()
        if registry.is_frozen(Freezable.KEY, claims.key):
            raise NotAuthenticated(cause="key-frozen")
        place = standing(
            registry,
            claims.client,
            claims.purpose,
            claims.client_key,
            now,
            agreement=claims.agreement,
            operator=claims.operator if ours else None,
            vouched=None if ours else claims.operator,
            token_id=claims.token_id,
            saved=None if claims.saved is None else claims.saved.activation,
        )
        if place.organisation.id != claims.org:
            raise NotAuthenticated(cause="the client is another organisation's now")
        organisation = place.organisation
        return caller_of(
            claims,
            org_class=organisation.org_class,
            country=organisation.country,
            ours=ours,
            saved=_run_of(claims, registry, now),
        )


def _run_of(claims: AccessClaims, registry: Registry, now: datetime) -> SavedRun | None:
    """Return which run of a saved request this is; None where a person is there."""
    if claims.saved is None:
        return None
    activation = registry.activations[claims.saved.activation]  # it stands: ``standing`` saw to it
    if activation.saved is None or activation.saved.digest != claims.saved.request:
        raise NotAuthenticated(cause="saved-request-not-active")
    number = (now - activation.authenticated_at) // DAY
    return SavedRun(
        activation=activation.id,
        number=number,
        over_at_ms=unix_ms(activation.authenticated_at + (number + 1) * DAY),
        effect=activation.saved.effect,
        pico_rho_max=activation.saved.pico_rho_max,
        vnd_max=activation.saved.vnd_max,
    )
