"""Step 7: the RELEASE transaction; without its receipt a reply does not leave (promise P1).

One transaction holds the entry with its commitments, the stored answer of an idempotency key and
every change of the registry that the reply tells of.
"""

from collections.abc import Callable
from dataclasses import dataclass

from gateway import telemetry
from gateway.ledger.port import Ledger
from gateway.steps.facts import facts_of, private_of
from gateway.steps.slot import slot_of
from gateway.terms.charge import Receipt
from gateway.terms.entry import Change, EntryKind, ReleaseRequest
from gateway.terms.query import Query
from gateway.terms.reply import Reply
from gateway.terms.seen import Seen


@dataclass(frozen=True, slots=True)
class Record:
    """Reply in, receipt out; raises LedgerUnavailable."""

    ledger: Ledger
    on_changes: Callable[[tuple[Change, ...]], None]
    """Told of registry changes once they are durable, never before."""

    async def __call__(self, query: Query, seen: Seen, reply: Reply) -> Receipt:
        if seen.error is not None and reply.kind is EntryKind.ERROR:
            telemetry.failure(query.request_id, seen.error)
        private = {**private_of(query, seen), **reply.private}
        receipt = await self.ledger.release(
            ReleaseRequest(
                request_id=query.request_id,
                kind=reply.kind,
                facts={
                    **facts_of(query, seen),
                    **reply.facts,
                    "status": reply.status,
                    "bytes": len(reply.body),
                },
                private=private,
                body=reply.body,
                plain=reply.plain,
                charge_index=seen.charge_index,
                answer=reply.answer,
                changes=reply.changes,
                at_ms=slot_of(seen.plan, seen.charge),
                subject=private.get("operator", b"").decode() or None,
            )
        )
        if reply.changes:
            self.on_changes(reply.changes)
        return receipt
