"""Step 4: debit every budget the answer counts towards, durably, before private data is read (P2).

Rows cost no privacy budget and pass through. A statistic and a lookup are charged in one transaction at
the lineage, the organisation and the client; under an idempotency key they are charged once.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from gateway import budget
from gateway.delivery.formats import negotiate
from gateway.errors import MalformedRequest, NotPermitted
from gateway.ledger.port import Ledger
from gateway.steps.facts import facts_of, private_of
from gateway.terms.caller import Caller, SavedRun
from gateway.terms.charge import Charge, StoredAnswer
from gateway.terms.entry import ChargeRequest, IdempotencyClaim
from gateway.terms.loss import Loss
from gateway.terms.permit import Permit, Reason
from gateway.terms.plan import LookupPlan, Plan, ProxyPlan, RowsPlan
from gateway.terms.query import Query
from gateway.terms.seen import Seen

SAVED_PULLS: Final = 3
"""How often a day the rows of a saved request may be pulled: a job that failed can try again."""
_KEY = re.compile(r"[\x21-\x7e]{1,128}")


@dataclass(frozen=True, slots=True)
class MakeCharge:
    """Plan in, charge out; raises BudgetExhausted, KeysExhausted, IdempotencyMismatch and more."""

    ledger: Ledger

    async def __call__(
        self, query: Query, caller: Caller, permit: Permit, plan: Plan
    ) -> Charge | StoredAnswer | None:
        if isinstance(plan, RowsPlan | ProxyPlan):
            if caller.saved is not None:
                await self._count(caller.saved)
            return None
        if caller.saved is not None:
            _check_price(plan.loss, caller.saved)
        assert permit.caps is not None, "a permit for what charges has caps"  # noqa: S101
        lineage = plan.dataset.source.lineage
        seen = Seen(caller=caller, permit=permit, plan=plan)
        return await self.ledger.charge(
            ChargeRequest(
                request_id=query.request_id,
                facts=facts_of(query, seen),
                private=private_of(query, seen),
                debits=budget.debits(lineage, caller.org, caller.client, plan.loss, permit.caps),
                claim=_claim(query, caller, plan),
                subject=caller.operator,
            )
        )

    async def _count(self, run: SavedRun) -> None:
        """Count a pull of rows that nobody is there for, durably.

        Raises:
            NotPermitted: There were as many on this day of the activation as there may be.

        """
        for attempt in range(SAVED_PULLS):
            name = f"saved|{run.activation}|{run.number}|{attempt}"
            if await self.ledger.use_once(name, run.over_at_ms):
                return
        raise NotPermitted("the saved request was run as often as it may today", reason=Reason.RUNS_USED_UP)


def _check_price(loss: Loss, run: SavedRun) -> None:
    """Refuse a run that costs more than the person was told: the rules changed since."""
    if loss.rho > run.pico_rho_max:
        raise NotPermitted("a run costs more than was approved", reason=Reason.COSTS_MORE_THAN_APPROVED)


def _asked(query: Query, caller: Caller, plan: Plan) -> bytes:
    """Return all that a repeat must have in common with the first request, the format of the answer too.

    SECURITY: of a lookup's body the keyed digest: from the plain one that the store keeps, who has the store
    could guess keys.
    """
    form = negotiate(query.accept).value
    body = plan.digest.encode() if isinstance(plan, LookupPlan) else query.body
    return f"{query.path}\n{query.query_string}\n{caller.purpose}\n{form}\n".encode() + body


def _claim(query: Query, caller: Caller, plan: Plan) -> IdempotencyClaim | None:
    """Return the caller's name for this request, bound to all that the request says.

    A saved request is charged once a day of its activation: the day is its name, and it takes no other.
    """
    if (run := caller.saved) is not None:
        if query.idempotency_keys:
            raise MalformedRequest("a saved request has one run a day; send no `Idempotency-Key`")
        return IdempotencyClaim(
            scope=f"{caller.org}/{caller.client}/{run.activation}",
            key=str(run.number),
            digest=hashlib.sha256(_asked(query, caller, plan)).hexdigest(),
        )
    match query.idempotency_keys:
        case ():
            return None
        case (key,) if _KEY.fullmatch(key):
            asked = _asked(query, caller, plan)
            return IdempotencyClaim(
                scope=f"{caller.org}/{caller.client}", key=key, digest=hashlib.sha256(asked).hexdigest()
            )
        case _:
            raise MalformedRequest("send one `Idempotency-Key` of 1 to 128 visible ASCII characters")
