"""Proof that a request was paid for, and proof that a reply was recorded. Only the ledger makes them."""

from dataclasses import dataclass, field

from gateway.terms.entry import IdempotencyClaim
from gateway.terms.identifiers import RequestId
from gateway.terms.loss import BudgetNode, Loss


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """A durable debit; private data may be read."""

    request_id: RequestId
    index: int
    """Index of the CHARGE entry in the log."""
    charged_at_ms: int
    """Unix milliseconds of the commit; the release clock counts from here."""
    loss: Loss
    left: tuple[tuple[BudgetNode, Loss], ...]
    """What remains at each debited node, in the order of the debits."""
    claim: IdempotencyClaim | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAnswer:
    """A question already paid for and answered under the same idempotency key."""

    answer: bytes = field(repr=False)
    charge_index: int
    release_index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A reply's place in the log, provable offline: ``gateway.transparency`` verifies it.

    ``proof`` is the text of c2sp.org/tlog-proof@v1; ``entry`` the exact bytes of the leaf;
    ``salt`` opens the entry's commitment to the body.
    """

    index: int
    entry: bytes = field(repr=False)
    proof: bytes = field(repr=False)
    salt: bytes = field(repr=False)
