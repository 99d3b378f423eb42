"""From verified claims to the caller that rules speak of."""

from gateway.identity.token import AccessClaims
from gateway.terms.caller import Assurance, Caller, SavedRun


def caller_of(
    claims: AccessClaims, *, org_class: str, country: str, ours: bool = True, saved: SavedRun | None = None
) -> Caller:
    """Return the caller behind verified claims; class and country are the registry's, not the token's.

    Below aal2 no person counts, whoever signed in once. ``ours`` is whether the token is this gateway's.
    """
    by_person = claims.assurance >= Assurance.AAL2
    return Caller(
        org=claims.org,
        org_class=org_class,
        country=country,
        client=claims.client,
        operator=claims.operator if by_person else None,
        agreement=claims.agreement,
        purpose=claims.purpose,
        assurance=claims.assurance,
        authenticated_at=claims.authenticated_at if by_person else None,
        key=claims.key,
        token_id=claims.token_id,
        client_key=claims.client_key,
        activated_by=claims.operator if ours else None,
        vouched_for=None if ours else claims.operator,
        saved=saved,
    )
