"""What the caller has left: ``GET /v1/budgets``.

The organisation's and the client's own nodes of every dataset they may ask statistics of. SECURITY:
the lineage's own remainder is not shown, because it would tell what others ask.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import orjson

from gateway import budget
from gateway.clock import Clock
from gateway.ledger.port import Ledger
from gateway.policy.decide import Ask, decide
from gateway.policy.rules import Rules
from gateway.terms.caller import Caller
from gateway.terms.identifiers import DatasetId
from gateway.terms.loss import BudgetNode, Loss
from gateway.terms.permit import Permit
from gateway.terms.query import Action, Query
from gateway.terms.reply import Reply
from gateway.terms.seen import Seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Budgets:
    """Shows cap, spent and left in rho, exactly."""

    authenticate: Callable[[Query], Awaitable[Caller]]
    rules: Callable[[], Mapping[DatasetId, Rules]]
    ledger: Ledger
    clock: Clock

    async def __call__(self, query: Query, seen: Seen) -> Reply:
        seen.caller = caller = await self.authenticate(query)
        shown = []
        for name, rules in sorted(self.rules().items()):
            permit = decide(Ask(caller=caller, action=Action.AGGREGATE, now=self.clock.now()), rules)
            if isinstance(permit, Permit) and permit.caps is not None:
                lineage = rules.dataset.source.lineage
                org, client = await self.ledger.spent(
                    (BudgetNode(lineage, caller.org), BudgetNode(lineage, caller.org, caller.client))
                )
                shown.append(
                    {
                        "dataset": name,
                        "lineage": lineage,
                        "organisation": _node(org, permit.caps.organisation),
                        "client": _node(client, permit.caps.client),
                    }
                )
        return Reply(status=200, content_type="application/json", body=orjson.dumps({"budgets": shown}))


def _node(spent: Loss, cap: Loss) -> dict[str, str]:
    return {
        "rho_cap": budget.shown(cap.rho),
        "rho_spent": budget.shown(spent.rho),
        "rho_left": budget.shown(budget.left(spent, cap).rho),
    }
