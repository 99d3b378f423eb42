"""Step 3: turn the question into what will be fetched, how it is protected and what it costs.

Planning is pure and sees public facts only (``planning``), so everything that can be refused for
its form is refused here, before it costs anything; and a dry run ends here.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

import orjson

from gateway.delivery.formats import negotiate
from gateway.errors import UnsupportedContent
from gateway.jose import Jwk
from gateway.keyring.keyring import Keyring
from gateway.planning.approved import require_as_approved
from gateway.planning.controlled import require_uncontrolled
from gateway.planning.describe import describe
from gateway.planning.lookup import plan_lookup
from gateway.planning.proxy import plan_proxy
from gateway.planning.rows import plan_rows
from gateway.planning.statistic import plan_statistic
from gateway.terms.caller import Caller
from gateway.terms.permit import Permit
from gateway.terms.plan import Plan
from gateway.terms.query import Action, Query
from gateway.terms.reply import Reply

CURSOR = "cursor"


@dataclass(frozen=True, slots=True)
class MakePlan:
    """Query, caller and permit in, plan out; raises of the ``Malformed`` family."""

    keyring: Keyring
    pool: Executor
    recipient: Callable[[Caller], Jwk]
    """Whom an encrypted reply is for; raises EncryptionKeyRequired."""

    async def __call__(self, query: Query, caller: Caller, permit: Permit) -> Plan:
        """Plan SQL in the pool: it takes milliseconds to read, which other callers must not wait for.

        A plan itself is always JSON, and in clear.
        """
        if not query.dry_run and negotiate(query.accept, permit.delivery).encrypted:
            self.recipient(caller)
        if permit.action is not Action.AGGREGATE:
            plan = self._plan(query, caller, permit)
        else:
            loop = asyncio.get_running_loop()
            plan = await loop.run_in_executor(self.pool, self._plan, query, caller, permit)
        require_uncontrolled(plan, permit)
        if caller.saved is not None:
            require_as_approved(plan, permit, caller.saved)
        return plan

    def _plan(self, query: Query, caller: Caller, permit: Permit) -> Plan:
        order_key = self.keyring.pseudonyms.order_key(caller.org, permit.dataset.id)

        def unseal(sealed: bytes) -> bytes:
            return self.keyring.sealer.unseal(CURSOR, sealed)

        match permit.action:
            case Action.AGGREGATE:
                return plan_statistic(_json(query), permit)
            case Action.EXTRACT:
                return plan_rows(_json(query), permit, order_key=order_key, unseal=unseal)
            case Action.LOOKUP:
                return plan_lookup(_json(query), permit, order_key=order_key)
            case Action.PROXY:
                path = query.upstream_path or "/"
                return plan_proxy(path, query.query_string, permit, order_key=order_key, unseal=unseal)


def _json(query: Query) -> bytes:
    """Return the body of a question that is sent as JSON."""
    if query.content_type.partition(";")[0].strip().lower() != "application/json":
        raise UnsupportedContent("send the question as `application/json`")
    return query.body


def described(plan: Plan, permit: Permit) -> Reply:
    """Return the answer to a dry run: price, precision and treatments, from public facts only."""
    return Reply(status=200, content_type="application/json", body=orjson.dumps(describe(plan, permit.price)))
