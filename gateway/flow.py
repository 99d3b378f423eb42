"""The way of one request through the gateway, all of it, in order.

    authenticate -> decide -> plan -> charge -> execute -> protect -> record -> respond

Read this file first. Each step is one line and one file of that name in ``gateway/steps``, whose
docstring says what it promises. Two orders are load-bearing and tested in ``tests/test_flow.py``:

* charge before execute: a crash may waste budget, it can never give an answer for free (P2);
* record before respond: what is not in the ledger does not leave the building (P1).
"""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from gateway.errors import AnswerGone, ChargedFailure, DataChanged, EncryptionKeyRequired
from gateway.problems import problem, unrecorded
from gateway.terms.caller import Caller
from gateway.terms.charge import Charge, Receipt, StoredAnswer
from gateway.terms.frame import UnprotectedFrame
from gateway.terms.permit import Permit
from gateway.terms.plan import Plan
from gateway.terms.query import Query
from gateway.terms.reply import Released, Reply, Unrecorded
from gateway.terms.seen import Seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """The eight steps' ports, filled in by ``wiring.py``; the last, respond, is the web room's."""

    authenticate: Callable[[Query], Awaitable[Caller]]
    decide: Callable[[Query, Caller], Permit]
    stand: Callable[[Caller, Permit], None]
    plan: Callable[[Query, Caller, Permit], Awaitable[Plan]]
    describe: Callable[[Plan, Permit], Reply]
    place: Callable[[Caller], AbstractAsyncContextManager[None]]
    charge: Callable[[Query, Caller, Permit, Plan], Awaitable[Charge | StoredAnswer | None]]
    slot: Callable[[Plan, Charge | StoredAnswer | None], AbstractAsyncContextManager[None]]
    execute: Callable[[Plan], Awaitable[UnprotectedFrame]]
    protect: Callable[[Query, Caller, Permit, Plan, Charge | None, UnprotectedFrame], Awaitable[Reply]]
    repeat: Callable[[Query, Plan, StoredAnswer], Reply]
    encrypt: Callable[[Query, Caller, Permit, Reply], Awaitable[Reply]]
    record: Callable[[Query, Seen, Reply], Awaitable[Receipt]]
    abandon: Callable[[int], None]


async def serve(query: Query, steps: Steps) -> Released | Unrecorded:
    """Return the reply to one request for data; whatever happens inside, there is one."""
    seen = Seen()
    outcome: Released | Unrecorded | None = None
    try:
        outcome = await _released(query, seen, _answer(query, seen, steps), steps)
    finally:  # nothing was recorded, or the caller has gone: a charge is closed, and stays charged
        if not isinstance(outcome, Released) and seen.charge_index is not None:
            steps.abandon(seen.charge_index)
    return outcome


async def attend(
    query: Query, service: Callable[[Query, Seen], Awaitable[Reply]], steps: Steps
) -> Released | Unrecorded:
    """Return the reply of a service that gives no data: enrolment, catalogue, budgets, not found."""
    seen = Seen()
    return await _released(query, seen, service(query, seen), steps)


async def _answer(query: Query, seen: Seen, steps: Steps) -> Reply:
    """Do steps (1) to (6). Every deliberate early exit is a ``GatewayError``."""
    seen.caller = caller = await steps.authenticate(query)  # (1) verified, then the proof's id is used up
    seen.permit = permit = steps.decide(query, caller)  # (2)
    steps.stand(caller, permit)  # nothing of it is frozen
    seen.plan = plan = await steps.plan(query, caller, permit)  # (3)
    if query.dry_run:
        return steps.describe(plan, permit)  # the price; no data was touched
    async with steps.place(caller):  # who finds no place is turned away before anything is charged
        seen.charge = charge = await steps.charge(query, caller, permit, plan)  # (4) durable
        try:
            async with steps.slot(plan, charge):  # statistics leave on a public clock, and so do failures
                if isinstance(charge, StoredAnswer):
                    reply = steps.repeat(query, plan, charge)  # paid and answered before: the same bytes
                else:
                    frame = await steps.execute(plan)  # (5)
                    reply = await steps.protect(query, caller, permit, plan, charge, frame)  # (6)
            reply = await steps.encrypt(query, caller, permit, reply)  # to the client, where wanted
            steps.stand(caller, permit)  # what was stopped while this was in flight does not leave
            return reply  # noqa: TRY300  inside, as whatever fails here is the one failure below
        except Exception as error:  # SECURITY: one failure for the outside, whatever happened (P5)
            if charge is None and isinstance(error, DataChanged | EncryptionKeyRequired):
                raise  # rows, which cost nothing: who pages must know to start again
            if isinstance(charge, StoredAnswer) and isinstance(error, AnswerGone):
                raise  # time or a change of the rules decided it, and nothing was looked up
            raise ChargedFailure(seen.charge_index) from error


async def _released(
    query: Query, seen: Seen, answer: Awaitable[Reply], steps: Steps
) -> Released | Unrecorded:
    """Do steps (7) and (8): a refusal is a reply like any other and is recorded like any other."""
    try:
        reply = await answer
    except Exception as error:  # noqa: BLE001  a GatewayError, or a bug: ``problem`` tells them apart
        seen.error = error
        reply = problem(error, query.request_id)

    try:
        receipt = await steps.record(query, seen, reply)  # (7)
    except Exception as error:  # noqa: BLE001  whatever stopped the recording stops the reply
        return unrecorded(error, query.request_id)  # no data in it
    return Released(reply, receipt, stranger=seen.caller is None)  # (8)
