"""Step 4: debit every budget the answer counts towards, durably, before private data is read (P2).

Rows cost no privacy budget and pass through. A statistic is charged in one transaction at the
lineage, the organisation and the client; under an idempotency key it is charged once.
"""

import hashlib
import re
from dataclasses import dataclass

from gateway import budget
from gateway.delivery.formats import negotiate
from gateway.errors import MalformedRequest
from gateway.ledger.port import Ledger
from gateway.steps.facts import facts_of, private_of
from gateway.terms.caller import Caller
from gateway.terms.charge import Charge, StoredAnswer
from gateway.terms.entry import ChargeRequest, IdempotencyClaim
from gateway.terms.permit import Permit
from gateway.terms.plan import Plan, ProxyPlan, RowsPlan
from gateway.terms.query import Query
from gateway.terms.seen import Seen

_KEY = re.compile(r"[\x21-\x7e]{1,128}")


@dataclass(frozen=True, slots=True)
class MakeCharge:
    """Plan in, charge out; raises BudgetExhausted, IdempotencyMismatch, LedgerUnavailable and more."""

    ledger: Ledger

    async def __call__(
        self, query: Query, caller: Caller, permit: Permit, plan: Plan
    ) -> Charge | StoredAnswer | None:
        if isinstance(plan, RowsPlan | ProxyPlan):
            return None
        assert permit.caps is not None, "a permit for statistics has caps"  # noqa: S101
        lineage = plan.dataset.source.lineage
        seen = Seen(caller=caller, permit=permit, plan=plan)
        return await self.ledger.charge(
            ChargeRequest(
                request_id=query.request_id,
                facts=facts_of(query, seen),
                private=private_of(query, seen),
                debits=budget.debits(lineage, caller.org, caller.client, plan.loss, permit.caps),
                claim=_claim(query, caller),
                subject=caller.operator,
            )
        )


def _asked(query: Query, caller: Caller) -> bytes:
    """Return all that a repeat must have in common with the first request, the format of the answer too."""
    form = negotiate(query.accept).value
    return f"{query.path}\n{query.query_string}\n{caller.purpose}\n{form}\n".encode() + query.body


def _claim(query: Query, caller: Caller) -> IdempotencyClaim | None:
    """Return the caller's name for this request, bound to all that the request says."""
    match query.idempotency_keys:
        case ():
            return None
        case (key,) if _KEY.fullmatch(key):
            asked = _asked(query, caller)
            return IdempotencyClaim(
                scope=f"{caller.org}/{caller.client}", key=key, digest=hashlib.sha256(asked).hexdigest()
            )
        case _:
            raise MalformedRequest("send one `Idempotency-Key` of 1 to 128 visible ASCII characters")
