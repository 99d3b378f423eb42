"""What a ledger promises, whichever store keeps it (tests/ledger/test_contract.py holds it to this).

* An answer means durable: what a method returned survives a crash at any later moment (P1, P2).
* Debits, idempotency claim and CHARGE entry are one transaction; a node's cap holds however many ask
  at once. A charge is released once; one that a crash left open, or whose request ended without a
  release, gets a RECOVER entry and stays charged.
* An idempotency key charges once. Answered: the stored answer. Unanswered: IdempotencyInProgress.
  Charged and failed: ChargedFailure, for ever. Another request under that key: IdempotencyMismatch.
* When the store cannot write, every method raises LedgerUnavailable and nothing may be sent.
"""

from typing import Protocol

from gateway.terms.charge import Charge, Receipt, StoredAnswer
from gateway.terms.entry import Change, ChargeRequest, ReleaseRequest
from gateway.terms.loss import BudgetNode, Loss

ENTRIES_MAX = 256
"""Most entries that one call of ``entries`` returns."""


class EntryRefused(ValueError):
    """A caller inside the gateway asked for an entry that must not be; nothing was written.

    A fact that is no fact, an entry over 4 KiB, a charge that is not open. Always a bug, so it is not
    in the tree of errors.py: nobody outside can cause it and nobody has words for it.
    """


class Ledger(Protocol):
    """One append-only log with what its entries are about."""

    async def charge(self, request: ChargeRequest) -> Charge | StoredAnswer:
        """Debit every node or none, and return the leave to read private data.

        Raises:
            BudgetExhausted, KeysExhausted: Some node has too little left; nothing was debited.
            IdempotencyMismatch: The key was used for another request.
            IdempotencyInProgress: The first request of that key has not been answered yet.
            ChargedFailure: The first request of that key failed after its charge; ``charge_index`` is
                None, because that charge is closed already.
            LedgerUnavailable: Nothing is known to be written; read nothing.

        """

    async def release(self, request: ReleaseRequest) -> Receipt:
        """Record a reply, close its charge, put its changes, and return the leave to send it.

        Raises:
            LedgerUnavailable: Not known to be recorded; send nothing.

        """

    def abandon(self, charge_index: int) -> None:
        """Have a charge closed whose request is over without a release, as soon as it can be written.

        It stays charged; one that is closed already stays as it is.
        """

    async def use_once(self, id: str, expires_at_ms: int) -> bool:  # noqa: A002 -- the word of RFC 7519
        """Return whether the id was unused; it is used up from here on, across restarts."""

    async def spent(self, nodes: tuple[BudgetNode, ...]) -> tuple[Loss, ...]:
        """Return what was ever debited at each node."""

    async def registry(self) -> tuple[Change, ...]:
        """Return every record as it was last put."""

    async def entries(self, start: int, stop: int) -> tuple[bytes, ...]:
        """Return the entries from ``start`` to before ``stop``, at most 256; fewer where the log ends."""

    async def checkpoint(self) -> bytes:
        """Return the signed note of the newest durable tree."""

    async def ready(self) -> None:
        """Return if the ledger can record at this moment.

        Raises:
            LedgerUnavailable: It cannot.

        """

    async def close(self) -> None:
        """Finish what waits and let the store go."""
