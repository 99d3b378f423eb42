"""``POST /oauth/introspect`` (RFC 7662): a client asks whether a token of its own still counts.

The answer is what the resource server would find at this moment, the registry's chain and revocations
included. A token of another client, and whatever else is no token of this client's, is just not active:
nobody learns of tokens that are not theirs (section 4). ``acr`` is what the sign-in is worth by now.
"""

from gateway.errors import NotAuthenticated
from gateway.identity.token import AccessClaims, confirmation_of
from gateway.registry.records import Freezable
from gateway.registry.registry import standing
from gateway.services.asking import Answered, Asking, Event, answered
from gateway.services.ports import EnrolmentPorts
from gateway.services.revocation import own_token
from gateway.terms.query import Query
from gateway.terms.reply import Reply


async def introspect(query: Query, ports: EnrolmentPorts) -> Reply:
    """Answer ``POST /oauth/introspect``."""
    return await answered(query, ports, Event.INTROSPECTION, _introspect)


async def _introspect(asking: Asking, ports: EnrolmentPorts) -> Answered:
    claims = own_token(asking, ports)
    if claims is None or claims.client != asking.client.record.id or not _stands(claims, asking):
        return Answered(content={"active": False}, facts={"active": False})
    content: dict[str, object] = {
        "active": True,
        "token_type": "DPoP",
        "iss": claims.issuer,
        "aud": claims.audience,
        "sub": claims.subject,
        "client_id": claims.client,
        "iat": int(claims.issued_at.timestamp()),
        "exp": int(claims.expires_at.timestamp()),
        "jti": claims.token_id,
        "cnf": confirmation_of(claims),
        "purpose": claims.purpose,
        "acr": claims.assurance.acr,
        "amr": list(claims.methods),
    }
    if claims.authenticated_at is not None:
        content["auth_time"] = int(claims.authenticated_at.timestamp())
    if claims.saved is not None:
        content["saved"] = {"activation": claims.saved.activation, "request": claims.saved.request}
    return Answered(
        content=content,
        facts={"active": True, "purpose": claims.purpose},
        private={"token": claims.token_id},
    )


def _stands(claims: AccessClaims, asking: Asking) -> bool:
    try:
        place = standing(
            asking.registry,
            claims.client,
            claims.purpose,
            claims.client_key,
            asking.now,
            agreement=claims.agreement,
            operator=claims.operator,
            token_id=claims.token_id,
            saved=None if claims.saved is None else claims.saved.activation,
        )
    except NotAuthenticated:
        return False
    return place.organisation.id == claims.org and not _stopped(claims, asking)


def _stopped(claims: AccessClaims, asking: Asking) -> bool:
    """Return whether no request with the token is answered, although its chain stands."""
    return (
        asking.registry.is_frozen(Freezable.EVERYTHING)
        or asking.registry.is_frozen(Freezable.KEY, claims.key)
        or any(
            each.thumbprint == claims.certificate and each.ends_at < asking.now
            for each in asking.client.record.certificates
        )
    )
