"""What the tokens of a trusted other issuer mean here (DESIGN.md section 6, RFC 9068).

An issuer vouches that a person signed in, and how. It does not say who may do what:

* only the clients that are listed act through it, each for one organisation, agreement and purpose;
* the key that the token is bound to is one that is registered here for that client, as the registry's
  chain demands of ``client_key``: the issuer alone lets nobody in;
* its words for a sign-in (``acr``, ``amr``) are translated into methods of RFC 8176 by a list, and what
  is not in the list counts for nothing, ``mfa`` too; the level is counted here (promise P6).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gateway.identity import claims as claim
from gateway.identity.factors import amr_of, assurance_at
from gateway.identity.strict import refuse
from gateway.identity.token import AccessClaims, Keys, bound_key_of, lifetime_of, subject_of
from gateway.terms.identifiers import AgreementId, ClientId, OperatorId, OrgId, PurposeId


@dataclass(frozen=True, slots=True, kw_only=True)
class ActsFor:
    """What one client of the issuer's is here."""

    client: ClientId
    org: OrgId
    agreement: AgreementId
    purpose: PurposeId


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedIssuer:
    """One issuer, pinned by its name and its keys."""

    name: str
    """Exactly its ``iss``."""
    keys: Keys
    clients: Mapping[str, ActsFor]
    """By its ``client_id``."""
    people: Mapping[str, OperatorId]
    """By its ``sub``: who they are here."""
    acr: Mapping[str, tuple[str, ...]]
    """What each value proves, in methods of RFC 8176."""
    amr: Mapping[str, tuple[str, ...]]

    def __post_init__(self) -> None:
        amr_of(method for words in (self.acr, self.amr) for methods in words.values() for method in methods)

    def read(self, claims: claim.Claims) -> AccessClaims:
        """Return verified claims in the gateway's own types.

        Raises:
            NotAuthenticated: A claim is missing, or its client or person is not listed.

        """
        issued_at, expires_at = lifetime_of(claims)
        named, subject = claim.text_of(claims, "client_id"), claim.text_of(claims, "sub")
        here = self.clients.get(named)
        if here is None:
            refuse("client-not-listed")
        key = bound_key_of(claims)
        operator = authenticated_at = None
        methods = amr_of()
        if subject != named:
            operator = self.people.get(subject)
            if operator is None:
                refuse("person-not-listed")
            authenticated_at = claim.moment(claim.seconds_of(claims, "auth_time"))
            methods = amr_of(self._proved(claims))
        return AccessClaims(
            issuer=self.name,
            audience=claim.text_of(claims, "aud"),
            client=here.client,
            subject=subject_of(here.client, operator),
            org=here.org,
            purpose=here.purpose,
            agreement=here.agreement,
            client_key=key,
            key=key,
            token_id=claim.token_id_of(claims),
            issued_at=issued_at,
            expires_at=expires_at,
            assurance=assurance_at(methods, authenticated_at=authenticated_at, at=issued_at),
            methods=methods,
            authenticated_at=authenticated_at,
            operator=operator,
        )

    def _proved(self, claims: claim.Claims) -> Iterable[str]:
        """Return the methods that the issuer's words stand for."""
        acr = (claim.text_of(claims, "acr"),) if "acr" in claims else ()
        amr = claim.texts_of(claims, "amr") if "amr" in claims else ()
        by_acr = (method for word in acr for method in self.acr.get(word, ()))
        return (*by_acr, *(method for word in amr for method in self.amr.get(word, ())))
