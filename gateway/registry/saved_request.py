"""The part of an activation that binds it to one request; ``records.py`` has the rest."""

from dataclasses import dataclass, field
from datetime import timedelta

from gateway.terms.loss import PicoRho

SAVED_MAX = timedelta(days=30)
"""The longest that one request may be run without a person (DESIGN.md section 6)."""

SAVED_PULLS = 3
"""How often a day the rows of a saved request may be pulled: a job that failed can try again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedRequest:
    """The one request that may be run without a person, and what the person was told of it."""

    digest: str
    """``jose.request_digest`` of the request."""
    method: str
    path: str
    sealed: bytes = field(repr=False)
    """The request as text under the keyring's seal: whoever is to end it must see which it is."""
    effect: str
    """``planning.approved.effect_of`` it, by the rules that the person saw it under."""
    pico_rho_max: PicoRho
    """The most that a run costs in privacy budget; 0 for rows."""
    vnd_max: int
    """The most that a run costs in dong."""
