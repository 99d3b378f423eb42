"""What is known of a request so far, for the entry that will tell of it."""

from dataclasses import dataclass

from gateway.terms.caller import Caller
from gateway.terms.charge import Charge, StoredAnswer
from gateway.terms.permit import Permit
from gateway.terms.plan import Plan


@dataclass(slots=True)
class Seen:
    """Filled in from left to right by the one call of ``flow`` that owns it, read by step (7)."""

    caller: Caller | None = None
    permit: Permit | None = None
    plan: Plan | None = None
    charge: Charge | StoredAnswer | None = None
    error: Exception | None = None

    @property
    def charge_index(self) -> int | None:
        """Index of the CHARGE entry that the reply must close; None where nothing was charged."""
        return self.charge.index if isinstance(self.charge, Charge) else None
