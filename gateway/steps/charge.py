"""Step 4: debit every budget the answer counts towards, durably, before private data is read (P2).

Rows cost no privacy budget and pass through. A statistic and a lookup are charged in one transaction at
the lineage, the organisation and the client; under an idempotency key they are charged once.
"""

import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from gateway import budget
from gateway.delivery.formats import negotiate
from gateway.errors import MalformedRequest, NotPermitted
from gateway.ledger.port import Ledger
from gateway.registry.saved_request import SAVED_PULLS
from gateway.steps.facts import facts_of, private_of
from gateway.terms.caller import Caller, SavedRun
from gateway.terms.charge import Charge, StoredAnswer
from gateway.terms.entry import ChargeRequest, IdempotencyClaim
from gateway.terms.permit import Permit, Reason
from gateway.terms.plan import Plan, ProxyPlan, RowsPlan
from gateway.terms.query import Query
from gateway.terms.seen import Seen

_KEY = re.compile(r"[\x21-\x7e]{1,128}")


@dataclass(frozen=True, slots=True)
class MakeCharge:
    """Plan in, charge out; raises BudgetExhausted, KeysExhausted, IdempotencyMismatch and more."""

    ledger: Ledger
    claim_key: Callable[[str], bytes] = field(repr=False)
    """An organisation's, which never changes: under it requests are named that may be repeated."""

    async def __call__(
        self, query: Query, caller: Caller, permit: Permit, plan: Plan
    ) -> Charge | StoredAnswer | None:
        if isinstance(plan, RowsPlan | ProxyPlan):
            if caller.saved is not None:
                await self._count(caller.saved)
            return None
        assert permit.caps is not None, "a permit for what charges has caps"  # noqa: S101
        lineage = plan.dataset.source.lineage
        seen = Seen(caller=caller, permit=permit, plan=plan)
        return await self.ledger.charge(
            ChargeRequest(
                request_id=query.request_id,
                facts=facts_of(query, seen),
                private=private_of(query, seen),
                debits=budget.debits(lineage, caller.org, caller.client, plan.loss, permit.caps),
                claim=_claim(query, caller, permit, self.claim_key(caller.org)),
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


def _claim(query: Query, caller: Caller, permit: Permit, key: bytes) -> IdempotencyClaim | None:
    """Return the caller's name for this request, bound to all that the request says.

    A saved request is charged once a day of its activation: the day is its name, and it takes no other.
    SECURITY: both are keyed digests: a firm may take a person's number as its key, and a lookup's body holds
    numbers; from plain digests who has the store could guess them.
    """
    scope = f"{caller.org}/{caller.client}"
    if (run := caller.saved) is not None:
        if query.idempotency_keys:
            raise MalformedRequest("a saved request has one run a day; send no `Idempotency-Key`")
        scope, name = f"{scope}/{run.activation}", str(run.number)
    else:
        match query.idempotency_keys:
            case ():
                return None
            case (one,) if _KEY.fullmatch(one):
                name = one
            case _:
                raise MalformedRequest("send one `Idempotency-Key` of 1 to 128 visible ASCII characters")
    return IdempotencyClaim(
        scope=scope,
        key=_keyed(key, b"key", name.encode()),
        digest=_keyed(key, b"asked", _asked(query, caller, permit)),
    )


def _asked(query: Query, caller: Caller, permit: Permit) -> bytes:
    """Return all that a repeat must have in common with the first request, the form of the answer too."""
    # Not whether the rules want it encrypted, which they may begin to until a repeat.
    form = negotiate(query.accept, replace(permit.delivery, encrypted=False))
    written = f"{form.format}, encrypted" if form.encrypted else form.format.value
    return f"{query.path}\n{query.query_string}\n{caller.purpose}\n{written}\n".encode() + query.body


def _keyed(key: bytes, what: bytes, said: bytes) -> str:
    return hmac.digest(key, what + b"\0" + said, hashlib.sha256).hex()
