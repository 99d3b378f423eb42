"""What the caller has left: ``GET /v1/budgets``.

The organisation's and the client's own nodes of every dataset they may ask statistics of, in rho, or look
people up in, in keys. SECURITY: the lineage's own remainder is not shown, because it would tell what others
ask.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

import orjson

from gateway import budget
from gateway.clock import Clock
from gateway.ledger.port import Ledger
from gateway.policy.decide import Ask, decide
from gateway.policy.rules import Rules
from gateway.terms.caller import Caller
from gateway.terms.identifiers import DatasetId
from gateway.terms.loss import BudgetNode, Loss
from gateway.terms.permit import Permit, Refusal
from gateway.terms.query import Action, Query
from gateway.terms.reply import Reply
from gateway.terms.seen import Seen

_CHARGING: Final = (Action.AGGREGATE, Action.LOOKUP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budgets:
    """Shows cap, spent and left, exactly."""

    authenticate: Callable[[Query], Awaitable[Caller]]
    rules: Callable[[], Mapping[DatasetId, Rules]]
    ledger: Ledger
    clock: Clock

    async def __call__(self, query: Query, seen: Seen) -> Reply:
        seen.caller = caller = await self.authenticate(query)
        shown = []
        for name, rules in sorted(self.rules().items()):
            may = [action for action in _CHARGING if isinstance(self._judged(caller, action, rules), Permit)]
            if may and (caps := rules.caps) is not None:
                lineage = rules.dataset.source.lineage
                org, client = await self.ledger.spent(
                    (BudgetNode(lineage, caller.org), BudgetNode(lineage, caller.org, caller.client))
                )
                shown.append(
                    {
                        "dataset": name,
                        "lineage": lineage,
                        "organisation": _node(org, caps.organisation, may),
                        "client": _node(client, caps.client, may),
                    }
                )
        return Reply(status=200, content_type="application/json", body=orjson.dumps({"budgets": shown}))

    def _judged(self, caller: Caller, action: Action, rules: Rules) -> Permit | Refusal:
        return decide(Ask(caller=caller, action=action, now=self.clock.now()), rules)


def _node(spent: Loss, cap: Loss, may: list[Action]) -> dict[str, object]:
    left = budget.left(spent, cap)
    shown: dict[str, object] = {}
    if Action.AGGREGATE in may:
        shown["rho_cap"] = budget.shown(cap.rho)
        shown["rho_spent"] = budget.shown(spent.rho)
        shown["rho_left"] = budget.shown(left.rho)
    if Action.LOOKUP in may:
        shown |= {"keys_cap": cap.keys, "keys_spent": spent.keys, "keys_left": left.keys}
    return shown
