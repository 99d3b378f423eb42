"""``POST /oauth/revoke`` (RFC 7009): a client ends a token of its own before its time.

The client proves itself as at the token endpoint. What is no token that holds is answered with 200 and
nothing is written, as section 2.2 wants it; a token of another client is refused (section 2.1). The end is a
record of the registry, so it is durable with its entry, survives restarts, and reaches every worker in
the order of the log. It names the token by a hash; the log commits to the token's id.
"""

from datetime import UTC, timedelta
from typing import Final

from gateway.errors import NotAuthenticated, OAuthRefused
from gateway.identity.token import AccessClaims, verify_token
from gateway.registry.codec import change_of
from gateway.registry.records import Revocation, State, revocation_id
from gateway.services.asking import Answered, Asking, Event, answered
from gateway.services.forms import field_of
from gateway.services.ports import EnrolmentPorts
from gateway.terms.query import Query
from gateway.terms.reply import Reply

REMEMBERED: Final = timedelta(days=1)
"""How long after its end a token stays revoked: by so much a clock may be set back.

SECURITY: a revocation made while the clock ran ahead lets go of those whose time is over by that clock.
"""


async def revoke(query: Query, ports: EnrolmentPorts) -> Reply:
    """Answer ``POST /oauth/revoke``."""
    return await answered(query, ports, Event.REVOCATION, _revoke)


async def _revoke(asking: Asking, ports: EnrolmentPorts) -> Answered:
    claims = own_token(asking, ports)
    if claims is None:
        return Answered(content={}, facts={"revoked": False})
    if claims.client != asking.client.record.id:
        raise OAuthRefused("unauthorized_client", "the token was issued to another client")
    name = revocation_id(claims.client, claims.token_id)
    if name in asking.registry.revocations:
        return Answered(content={}, facts={"revoked": False})
    record = Revocation(
        id=name,
        client=claims.client,
        revoked_at=asking.now.astimezone(UTC),
        until=claims.expires_at + REMEMBERED,
        state=State.ACTIVE,
    )
    return Answered(
        content={},
        facts={"revoked": True, "purpose": claims.purpose},
        private={"token": claims.token_id},
        changes=(change_of(record),),
    )


def own_token(asking: Asking, ports: EnrolmentPorts) -> AccessClaims | None:
    """Return what the token of a form says, if it is one of this issuer's and holds now.

    Raises:
        MalformedRequest: There is none in the form.

    """
    try:
        return verify_token(
            field_of(asking.form, "token"),
            keys=ports.tokens.public_keys,
            issuer=ports.issuer,
            audience=ports.audience,
            now=asking.now,
        )
    except NotAuthenticated:
        return None
