"""Requests as commands, and outcomes as what the port returns: the part of a ledger that needs no store.

A command is data only, so it can be made in one process and judged in another: bytes, integers, texts
and tuples. What a caller can do by itself is done here, not in the sequencer: drafts, commitments, the
text of a receipt.
"""

import asyncio
import hashlib
from collections.abc import Callable
from typing import Final, cast

from gateway import budget
from gateway.errors import LedgerUnavailable
from gateway.ledger.batch import Answered, ChargeCommand, Charged, Logged, OnceCommand, ReleaseCommand
from gateway.ledger.entry import RandomBytes, draft_of_charge, draft_of_release
from gateway.terms.charge import Charge, Receipt, StoredAnswer
from gateway.terms.entry import ChargeRequest, IdempotencyClaim, ReleaseRequest
from gateway.terms.loss import Debit, Loss
from gateway.transparency.canonical import INTEGER_MAX
from gateway.transparency.proof import proof_text

Seal = Callable[[bytes], bytes]
INLINE_BYTES_MAX: Final = 256 * 1024
"""Bodies above that are hashed and sealed in a thread."""


def charge_command(request: ChargeRequest, random_bytes: RandomBytes) -> ChargeCommand:
    """Return the command that a request to charge comes to."""
    return ChargeCommand(
        draft=draft_of_charge(request, random_bytes),
        debits=request.debits,
        claim=request.claim,
        claim_name=None if request.claim is None else _claim_name(request.claim),
    )


async def release_command(request: ReleaseRequest, random_bytes: RandomBytes, seal: Seal) -> ReleaseCommand:
    """Return the command that a request to record a reply comes to."""
    if len(request.body) > INLINE_BYTES_MAX:
        return await asyncio.to_thread(_release_command, request, random_bytes, seal)
    return _release_command(request, random_bytes, seal)


def _release_command(request: ReleaseRequest, random_bytes: RandomBytes, seal: Seal) -> ReleaseCommand:
    draft = draft_of_release(request, random_bytes)
    answer = None if request.answer is None else seal(_bound(request.charge_index) + request.answer)
    return ReleaseCommand(draft=draft, charge_index=request.charge_index, answer=answer, at_ms=request.at_ms)


def once_command(id: str, expires_at_ms: int) -> OnceCommand:  # noqa: A002 -- as in the port
    """Return the command that uses up an id."""
    name = hashlib.sha256(id.encode("utf-8", "surrogatepass")).digest()
    return OnceCommand(name=name, expires_at_ms=min(max(expires_at_ms, 0), INTEGER_MAX))


async def charged(outcome: "asyncio.Future[object]", abandon: Callable[[int], None]) -> Charged | Answered:
    """Wait for what came of a charge; one that came as its caller was cancelled is abandoned."""
    try:
        return cast("Charged | Answered", await outcome)
    except asyncio.CancelledError:
        if outcome.done() and not outcome.cancelled() and outcome.exception() is None:
            came = outcome.result()
            if isinstance(came, Charged):
                abandon(came.index)
        raise


def charge_of(request: ChargeRequest, charged: Charged) -> Charge:
    """Return the charge of a request."""
    return Charge(
        request_id=request.request_id,
        index=charged.index,
        charged_at_ms=charged.charged_at_ms,
        loss=_loss_of(request.debits),
        left=charged.left,
        claim=request.claim,
    )


def stored_answer(answered: Answered, unseal: Seal) -> StoredAnswer:
    """Return the answer that was stored.

    Raises:
        LedgerUnavailable: It cannot be read any more.

    """
    prefix = _bound(answered.charge_index)
    try:
        plain = unseal(answered.sealed)
    except ValueError as error:
        raise LedgerUnavailable("the stored answer can no longer be read") from error
    if not plain.startswith(prefix):
        raise LedgerUnavailable("the stored answer can no longer be read")
    return StoredAnswer(
        answer=plain[len(prefix) :],
        charge_index=answered.charge_index,
        release_index=answered.release_index,
    )


def moved_answer(answer: bytes, before: int, after: int, *, seal: Seal, unseal: Seal) -> bytes:
    """Return a sealed answer for its charge's index in the log that follows.

    One that cannot be read stays as it is: it could not be given out before, and cannot be then.
    """
    try:
        plain = unseal(answer)
    except ValueError:
        return answer
    prefix = _bound(before)
    return seal(_bound(after) + plain.removeprefix(prefix)) if plain.startswith(prefix) else answer


def receipt_of(logged: Logged) -> Receipt:
    """Return the receipt of a recorded reply."""
    salt = logged.salt
    proof = proof_text(index=logged.index, path_lines=logged.path, checkpoint=logged.note, extra=salt)
    return Receipt(index=logged.index, entry=logged.leaf, proof=proof, salt=salt)


def _claim_name(claim: IdempotencyClaim) -> bytes:
    """Return a claim's name in the store, which does not show the client's key."""
    return hashlib.sha256(f"{len(claim.scope)}:{claim.scope}{claim.key}".encode()).digest()


def _bound(charge_index: int | None) -> bytes:
    """Return what ties a stored answer to its charge, so that rows cannot be exchanged."""
    return f"{charge_index}:".encode()


def _loss_of(debits: tuple[Debit, ...]) -> Loss:
    """Return the price: what all lineages together are charged."""
    return budget.total(tuple(debit.loss for debit in debits if debit.node.org is None))
