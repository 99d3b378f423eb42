"""Who is asking, as the identity room proved it."""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum

from gateway.terms.identifiers import AgreementId, ClientId, OperatorId, OrgId, PurposeId, Thumbprint
from gateway.terms.loss import PicoRho


class Assurance(IntEnum):
    """How much was proved; compared by size. The names are the values of the claim ``acr``."""

    AAL1 = 1
    """The client's key only."""
    AAL2 = 2
    """Plus a person with two kinds of factor."""
    AAL3 = 3
    """Fresh, with a passkey or hardware key."""

    @property
    def acr(self) -> str:
        return self.name.lower()


class Factor(StrEnum):
    """The three kinds of factor; two of one kind are one kind (promise P6)."""

    KNOWLEDGE = "knowledge"
    POSSESSION = "possession"
    INHERENCE = "inherence"


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedRun:
    """A run of a saved request: a person approved exactly this request, and nobody is there now."""

    activation: str
    """The record of that approval."""
    number: int
    """Which day of the activation it is, from 0; days are counted from the sign-in."""
    over_at_ms: int
    """When that day ends, in Unix time."""
    effect: str
    """``planning.approved.effect_of`` what the person was shown."""
    pico_rho_max: PicoRho
    """The most that a run may cost, as the person was shown."""
    vnd_max: int
    """The same in dong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """An authenticated client acting for a purpose. Only ``gateway.identity`` makes one."""

    org: OrgId
    org_class: str
    country: str
    """ISO 3166-1 alpha-2 code of the recipient organisation."""
    client: ClientId
    operator: OperatorId | None
    """The person who activated the client; None below aal2."""
    agreement: AgreementId
    purpose: PurposeId
    assurance: Assurance
    authenticated_at: datetime | None
    """When the person proved the factors; None below aal2."""
    key: Thumbprint
    """The key that the caller's proofs are made with."""
    token_id: str
    client_key: Thumbprint
    """The registered key that earned the token."""
    activated_by: OperatorId | None
    """Whose activation the token hangs on, at any level."""
    vouched_for: OperatorId | None
    """Of whose sign-in another issuer tells; at any level."""
    saved: SavedRun | None = None
    """Set where nobody is there: ``assurance`` and ``authenticated_at`` are then of the approval."""

    @property
    def unattended(self) -> bool:
        """Whether nobody is there: a saved request runs."""
        return self.saved is not None
