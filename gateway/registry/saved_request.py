"""The part of an activation that binds it to one request; ``records.py`` has the rest."""

from dataclasses import dataclass
from datetime import timedelta

from gateway.terms.loss import PicoRho

SAVED_MAX = timedelta(days=30)
"""The longest that one request may be run without a person (DESIGN.md section 6)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedRequest:
    """The one request that may be run without a person, and what the person was told of it."""

    digest: str
    """``jose.request_digest`` of the request."""
    method: str
    path: str
    pico_rho_max: PicoRho
    """The most that a run costs in privacy budget; 0 for rows."""
