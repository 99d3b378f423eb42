"""The two orders that carry the promises, and every effect broken twice: failed, and failed but done.

The ledger is the real one, in memory; the other steps are scripted. After each break the ledger is
looked at from outside.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from builders import NOON, a_caller, a_permit, a_query, a_rows_plan, a_statistic_plan, rho

from gateway import flow
from gateway.errors import (
    ActRefused,
    AnswerGone,
    BudgetExhausted,
    DataChanged,
    EngineFailed,
    GatewayError,
    HomeInvalid,
    LedgerUnavailable,
    NotAuthenticated,
    NotPermitted,
    OAuthRefused,
    QuestionRefused,
    RulesInvalid,
)
from gateway.keyring.keyring import Keyring
from gateway.ledger.audit import verify_store
from gateway.ledger.port import EntryRefused
from gateway.ledger.sqlite import SqliteLedger
from gateway.problems import PROBLEM_TYPES
from gateway.registry.registry import Registry
from gateway.steps.charge import MakeCharge
from gateway.steps.encrypt import Encrypt
from gateway.steps.place import Places
from gateway.steps.record import Record
from gateway.terms.caller import Caller
from gateway.terms.charge import StoredAnswer
from gateway.terms.entry import Basis, EntryKind, Erasure
from gateway.terms.frame import UnprotectedIntegers
from gateway.terms.identifiers import RequestId
from gateway.terms.loss import BudgetNode, Loss
from gateway.terms.permit import Permit
from gateway.terms.plan import Plan
from gateway.terms.query import Query
from gateway.terms.reply import Released, Reply, Unrecorded
from gateway.transparency.proof import verify_receipt
from gateway.transparency.tree import ProofInvalid

LINEAGE = BudgetNode(a_statistic_plan().dataset.source.lineage)
SECRET = b"4711 people, three of them named"
LOG = "gateway.test/log"
CLAIM_KEY = bytes(32)


class FixedClock:
    """Noon, always."""

    def now(self) -> Any:
        return NOON

    async def sleep(self, seconds: float) -> None:  # noqa: ARG002
        raise AssertionError("nobody waits here")


@dataclass(slots=True)
class World:
    """A real ledger on disk and a list of what was called."""

    path: Path
    keyring: Keyring
    ledger: SqliteLedger
    calls: list[str] = field(default_factory=list)

    def steps(self, **overrides: Any) -> flow.Steps:
        """Scripted steps around the real charge and record; ``overrides`` replace by name."""

        @asynccontextmanager
        async def slot(*_: object) -> AsyncIterator[None]:
            self.calls.append("slot")
            yield
            self.calls.append("slot-end")

        async def authenticate(*_: object) -> Any:
            return a_caller()

        async def execute(*_: object) -> Any:
            return UnprotectedIntegers(values=((4711,),))

        async def protect(*_: object) -> Reply:
            return Reply(status=200, content_type="text/plain", body=SECRET, kind=EntryKind.RELEASE)

        named: dict[str, Any] = {
            "authenticate": authenticate,
            "decide": lambda *_: a_permit(),
            "stand": lambda *_: None,
            "plan": lambda *_: a_statistic_plan(),
            "place": Places(total=2, each=1),
            "describe": lambda *_: Reply(status=200, content_type="text/plain", body=b"price"),
            "charge": MakeCharge(self.ledger, lambda _: CLAIM_KEY),
            "execute": execute,
            "protect": protect,
            "repeat": lambda _q, _p, stored: Reply(status=200, content_type="text/plain", body=stored.answer),
            "encrypt": Encrypt(lambda: Registry.of(())),
            "record": Record(self.ledger, lambda _: None),
            "abandon": self.ledger.abandon,
        } | overrides
        named["plan"] = as_awaited(named["plan"])
        return flow.Steps(slot=slot, **{name: self._noted(name, step) for name, step in named.items()})

    def _noted(self, name: str, step: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            self.calls.append(name)
            return step(*arguments)

        return call

    async def spent(self) -> Loss:
        return (await self.ledger.spent((LINEAGE,)))[0]

    async def kinds(self) -> list[str]:
        return [json.loads(entry)["kind"] for entry in await self.ledger.entries(0, 100)]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    keyring = Keyring.create(tmp_path / "keys", log_name=LOG)
    path = tmp_path / "log.sqlite"
    ledger = opened(path, keyring)
    yield World(path, keyring, ledger)
    await ledger.close()


def as_awaited(step: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    async def call(*arguments: Any) -> Any:
        return step(*arguments)

    return call


def opened(path: Path, keyring: Keyring) -> SqliteLedger:
    ledger = SqliteLedger.open(
        path,
        signer=keyring.log,
        origin=LOG,
        clock=FixedClock(),
        seal=lambda data: keyring.sealer.seal("ledger", data),
        unseal=lambda data: keyring.sealer.unseal("ledger", data),
        wrap=lambda data: keyring.sealer.seal("ledger", data),
        unwrap=lambda data: keyring.sealer.unseal("ledger", data),
    )
    ledger.start()
    return ledger


def raising(error: Exception) -> Callable[..., Awaitable[Any]]:
    async def step(*_: object) -> Any:
        raise error

    return step


def raising_now(error: Exception) -> Callable[..., Any]:
    def step(*_: object) -> Any:
        raise error

    return step


def done_then_raising(step: Callable[..., Awaitable[Any]], error: Exception) -> Callable[..., Awaitable[Any]]:
    async def call(*arguments: Any) -> Any:
        await step(*arguments)
        raise error

    return call


async def test_the_steps_run_in_order_and_the_reply_carries_its_receipt(world: World) -> None:
    outcome = await flow.serve(a_query(), world.steps())

    assert isinstance(outcome, Released)
    assert outcome.reply.body == SECRET
    assert world.calls == [
        "authenticate", "decide", "stand", "plan", "place", "charge", "slot", "execute", "protect",
        "slot-end", "encrypt", "stand", "record",
    ]  # fmt: skip
    assert await world.kinds() == ["charge", "release"]
    assert json.loads(outcome.receipt.entry)["charge"] == 0


async def test_an_encrypted_reply_is_committed_to_beside_its_plaintext(world: World) -> None:
    """So that who has the plaintext and the receipt proves what was answered, without the key."""

    async def encrypt(_query: Query, _caller: Caller, _permit: Permit, reply: Reply) -> Reply:
        return replace(reply, body=b"sealed", plain=reply.body)

    outcome = await flow.serve(a_query(), world.steps(encrypt=encrypt))

    assert isinstance(outcome, Released)
    assert outcome.reply.body == b"sealed"
    receipt = {"proof": outcome.receipt.proof, "entry": outcome.receipt.entry, "salt": outcome.receipt.salt}
    vkey = world.keyring.log.vkey
    assert verify_receipt(**receipt, body=b"sealed", plain=SECRET, vkey=vkey).index == outcome.receipt.index
    for body, plain, said in ((b"sealed", b"other", "plaintext"), (SECRET, None, "body")):
        with pytest.raises(ProofInvalid, match=f"does not commit to this {said}"):
            verify_receipt(**receipt, body=body, plain=plain, vkey=vkey)


async def test_a_dry_run_ends_after_planning(world: World) -> None:
    outcome = await flow.serve(a_query(dry_run=True), world.steps())

    assert outcome.reply.body == b"price"
    assert world.calls == ["authenticate", "decide", "stand", "plan", "describe", "record"]
    assert (await world.spent()).rho == 0


async def test_rows_cost_nothing_and_commit_once(world: World) -> None:
    reply = Reply(status=200, content_type="text/plain", body=SECRET)

    async def protect(*_: object) -> Reply:
        return reply

    outcome = await flow.serve(a_query(), world.steps(plan=lambda *_: a_rows_plan(), protect=protect))

    assert outcome.reply == reply
    assert await world.kinds() == ["single"]
    assert (await world.spent()).rho == 0


async def test_a_page_of_another_state_is_refused_by_name_and_costs_nothing(world: World) -> None:
    steps = world.steps(plan=lambda *_: a_rows_plan(), execute=raising(DataChanged()))
    outcome = await flow.serve(a_query(), steps)

    assert (outcome.reply.status, json.loads(outcome.reply.body)["type"]) == (
        409,
        "urn:problem:gateway:data-changed",
    )
    assert await world.kinds() == ["deny"]
    assert (await world.spent()).rho == 0


async def test_a_stored_answer_is_given_again_without_touching_data(world: World) -> None:
    async def charge(*_: object) -> StoredAnswer:
        return StoredAnswer(answer=b"as before", charge_index=0, release_index=1)

    outcome = await flow.serve(a_query(), world.steps(charge=charge))

    assert outcome.reply.body == b"as before"
    assert "execute" not in world.calls
    assert await world.kinds() == ["single"]


async def test_rows_that_are_kept_no_longer_are_refused_by_name_and_not_looked_up(world: World) -> None:
    """Time alone decides it, so it is no failure of promise P5."""

    def repeat(*_: object) -> Reply:
        raise AnswerGone("kept no longer")

    async def charge(*_: object) -> StoredAnswer:
        return StoredAnswer(answer=b"", charge_index=0, release_index=1)

    outcome = await flow.serve(a_query(), world.steps(charge=charge, repeat=repeat))

    assert (outcome.reply.status, "execute" in world.calls) == (410, False)
    assert await world.kinds() == ["deny"]


# Promise P2: charge before data.


@pytest.mark.parametrize("error", [LedgerUnavailable("try again later"), OSError("disk"), ValueError("bug")])
async def test_p2_without_a_charge_no_data_is_read(world: World, error: Exception) -> None:
    """Promise P2, failed and lost: the charge did not happen, so nothing is executed."""
    outcome = await flow.serve(a_query(), world.steps(charge=raising(error)))

    assert "execute" not in world.calls
    assert outcome.reply.status in {500, 503}
    assert (await world.spent()).rho == 0


async def test_p2_a_charge_that_failed_after_it_was_done_stays_spent_and_gives_no_data(world: World) -> None:
    """Promise P2, failed but done: budget may be wasted, never an answer given for free."""
    lost_answer = done_then_raising(MakeCharge(world.ledger, lambda _: CLAIM_KEY), OSError("connection lost"))

    outcome = await flow.serve(a_query(), world.steps(charge=lost_answer))

    assert "execute" not in world.calls
    assert outcome.reply.status == 500
    assert await world.spent() == a_statistic_plan().loss
    await world.ledger.close()
    reopened = opened(world.path, world.keyring)
    assert [json.loads(entry)["kind"] for entry in await reopened.entries(0, 9)] == [
        "charge", "error", "recover",
    ]  # fmt: skip
    await reopened.close()
    report = verify_store(world.path, world.keyring.log.vkey)
    assert (report.faults, report.charges, report.recovered, report.open_charges) == ((), 1, 1, 0)
    world.ledger = opened(world.path, world.keyring)


async def test_p2_a_budget_that_is_exhausted_stops_the_request_before_the_data(world: World) -> None:
    """Promise P2: the cap holds at every node; the refusal shows the caller's own remainder."""
    dear = a_statistic_plan(loss=rho("0.04"))
    first = await flow.serve(a_query(), world.steps(plan=lambda *_: dear))
    world.calls.clear()

    second = await flow.serve(
        a_query(request_id="00000000-0000-4000-8000-000000000002"), world.steps(plan=lambda *_: dear)
    )

    assert (first.reply.status, second.reply.status) == (200, 429)
    assert "execute" not in world.calls
    assert json.loads(second.reply.body)["pico_rho_left"] == 10**10
    assert await world.spent() == rho("0.04")


async def test_p2_what_fails_after_the_charge_keeps_it(world: World) -> None:
    """Promise P2: no refund after data access."""
    outcome = await flow.serve(a_query(), world.steps(execute=raising(EngineFailed("no"))))

    assert outcome.reply.status == 500
    assert await world.spent() == a_statistic_plan().loss
    assert await world.kinds() == ["charge", "error"]


@pytest.mark.parametrize("step", ["execute", "protect"])
async def test_p2_a_charge_whose_caller_vanished_is_closed_and_kept(world: World, step: str) -> None:
    """Promise P2: cancelled between charge and release, it is recovered when its request is over."""
    begun = asyncio.Event()

    async def never(*_: object) -> Any:
        begun.set()
        await asyncio.Event().wait()

    request = asyncio.create_task(flow.serve(a_query(), world.steps(**{step: never})))
    await begun.wait()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request

    assert "record" not in world.calls
    assert await world.spent() == a_statistic_plan().loss
    assert await world.kinds() == ["charge", "recover"]


async def test_p9_erasing_an_operator_erases_what_the_requests_sealed(world: World) -> None:
    """Promise P9: charge and release lie under a key of the person who acts, and of nobody else."""
    operator = a_caller().operator
    assert operator is not None
    await flow.serve(a_query(), world.steps())
    with pytest.raises(EntryRefused):
        await world.ledger.erase(Erasure(basis=Basis.ORDER, subject=f"{operator}2"), RequestId("erase-0"))

    receipt = await world.ledger.erase(Erasure(basis=Basis.REQUEST, subject=operator), RequestId("erase-1"))

    assert json.loads(receipt.entry)["facts"] == {"basis": "request", "openings": 2, "records": 0}


# Promise P1: nothing leaves unlogged.


@pytest.mark.parametrize(
    "error", [LedgerUnavailable("try again later"), OSError("disk full"), KeyError("bug")]
)
async def test_p1_what_is_not_recorded_is_not_sent(world: World, error: Exception) -> None:
    """Promises P1 and P2, failed and lost: a 503 without data; the charge is closed, and kept."""
    outcome = await flow.serve(a_query(), world.steps(record=raising(error)))

    assert isinstance(outcome, Unrecorded)
    assert outcome.reply.status == 503
    assert SECRET not in outcome.reply.body
    assert await world.kinds() == ["charge", "recover"]
    assert await world.spent() == a_statistic_plan().loss


async def test_p1_what_was_recorded_but_not_known_to_be_is_not_sent_either(world: World) -> None:
    """Promise P1, failed but done: an entry without a delivered reply is allowed, never the reverse."""
    unsure = done_then_raising(Record(world.ledger, lambda _: None), LedgerUnavailable("outcome unknown"))

    outcome = await flow.serve(a_query(), world.steps(record=unsure))

    assert isinstance(outcome, Unrecorded)
    assert SECRET not in outcome.reply.body
    assert await world.kinds() == ["charge", "release"]


@pytest.mark.parametrize(
    ("step", "error", "status"),
    [
        ("authenticate", NotAuthenticated(cause="token-expired"), 401),
        ("decide", NotPermitted("no rule", reason="no-rule-permits"), 403),
        ("plan", QuestionRefused("not on the list", about="JOIN"), 422),
        ("charge", BudgetExhausted("too dear", cost=rho("1"), left=None), 429),
        ("decide", ZeroDivisionError("a bug with 4711 in it"), 500),
    ],
)
async def test_p1_refusals_and_bugs_are_replies_and_are_recorded(
    world: World, step: str, error: Exception, status: int
) -> None:
    """Promise P1: every reply has an entry, whatever it says."""
    scripted = raising(error) if step in {"authenticate", "charge"} else raising_now(error)

    outcome = await flow.serve(a_query(), world.steps(**{step: scripted}))

    assert isinstance(outcome, Released)
    assert outcome.reply.status == status
    assert await world.kinds() == ["deny" if status < 500 else "error"]
    assert b"4711" not in outcome.reply.body
    entry = json.loads(outcome.receipt.entry)["facts"]
    assert (entry["status"], entry["why"]) == (
        status,
        json.loads(outcome.reply.body)["type"].rpartition(":")[2],
    )


# Promise P5: one failure tells nothing.


@pytest.mark.parametrize("step", ["execute", "protect"])
@pytest.mark.parametrize(
    "error",
    [
        EngineFailed("out of memory"),
        DataChanged(),
        TimeoutError(),
        ValueError("income 4711 of Nguyễn"),
        NotPermitted("x", reason="rule-forbids"),
        QuestionRefused("division by zero in row 12", about="row 12"),
    ],
)
async def test_p5_after_the_charge_every_failure_looks_the_same(
    world: World, step: str, error: Exception
) -> None:
    """Promise P5: same status, same headers, same bytes, whatever went wrong and wherever."""
    outcome = await flow.serve(a_query(), world.steps(**{step: raising(error)}))

    assert (outcome.reply.status, outcome.reply.headers, outcome.reply.body) == (
        500,
        (),
        (
            b'{"detail": "the request failed after it was accepted; a charge stays", '
            b'"instance": "urn:uuid:00000000-0000-4000-8000-000000000001", "status": 500, '
            b'"title": "The request failed", "type": "urn:problem:gateway:charged-failure"}'
        ),
    )
    assert await world.kinds() == ["charge", "error"]


async def test_p5_a_failure_waits_for_its_slot_too(world: World) -> None:
    """Promise P5: the slot's context ends after the failure, before the record."""
    seen: list[str] = []

    @asynccontextmanager
    async def slot(_plan: Plan, _charge: object) -> AsyncIterator[None]:
        try:
            yield
        finally:
            seen.append("waited")

    steps = world.steps(execute=raising(EngineFailed("no")))
    await flow.serve(
        a_query(),
        flow.Steps(
            **{name: getattr(steps, name) for name in flow.Steps.__slots__ if name != "slot"}, slot=slot
        ),
    )

    assert seen == ["waited"]


def standing_until_the_end() -> Callable[..., None]:
    """A chain that holds when a request comes, and not any more when its reply is complete."""
    answers = [None, NotAuthenticated(cause="client-frozen")]

    def stand(*_: object) -> None:
        if (error := answers.pop(0)) is not None:
            raise error

    return stand


async def test_what_was_stopped_in_flight_does_not_leave_and_looks_like_every_failure(world: World) -> None:
    """Promises P2 and P5: the charge stays, the outside sees no difference, the log can tell why."""
    failed = await flow.serve(a_query(), world.steps(execute=raising(EngineFailed("no"))))
    stopped = await flow.serve(a_query(), world.steps(stand=standing_until_the_end()))

    assert isinstance(failed, Released)
    assert isinstance(stopped, Released)
    assert SECRET not in stopped.reply.body
    assert stopped.reply == failed.reply
    assert await world.kinds() == ["charge", "error", "charge", "error"]
    assert await world.spent() == rho("0.01")
    first, second = (json.loads(each.receipt.entry) for each in (failed, stopped))
    assert first["facts"] == second["facts"]
    assert first["commitments"].keys() == second["commitments"].keys()


async def test_rows_and_stored_answers_that_were_stopped_in_flight_do_not_leave_either(world: World) -> None:
    async def nothing(*_: object) -> None:
        return None

    async def stored(*_: object) -> StoredAnswer:
        return StoredAnswer(answer=SECRET, charge_index=0, release_index=1)

    for charge in (nothing, stored):
        outcome = await flow.serve(a_query(), world.steps(charge=charge, stand=standing_until_the_end()))
        assert isinstance(outcome, Released)
        assert outcome.reply.status == 500
        assert SECRET not in outcome.reply.body


async def test_a_service_goes_the_same_way_out(world: World) -> None:
    async def service(_query: object, _seen: object) -> Reply:
        return Reply(status=200, content_type="text/plain", body=b"catalogue")

    outcome = await flow.attend(a_query(), service, world.steps())

    assert isinstance(outcome, Released)
    assert (outcome.reply.body, world.calls) == (b"catalogue", ["record"])


def leaves(kind: type[Exception]) -> set[type[Exception]]:
    below = kind.__subclasses__()
    return {kind} if not below else set().union(*(leaves(each) for each in below))


def test_every_error_that_can_reach_a_caller_has_a_problem_type() -> None:
    inside = {EngineFailed, RulesInvalid, HomeInvalid, ActRefused, OAuthRefused}
    assert leaves(GatewayError) - inside <= set(PROBLEM_TYPES)
    assert NotAuthenticated in PROBLEM_TYPES
    assert len({kind.slug for kind in PROBLEM_TYPES.values()}) == len(PROBLEM_TYPES)


async def test_p2_who_finds_no_place_is_turned_away_before_anything_is_charged(world: World) -> None:
    """Promise P2: load turns requests away, it does not burn budgets."""
    started, waiting = asyncio.Event(), asyncio.Event()

    async def execute(*_: object) -> Any:
        started.set()
        await waiting.wait()
        return UnprotectedIntegers(values=((4711,),))

    steps = world.steps(execute=execute)
    first = asyncio.create_task(flow.serve(a_query(), steps))
    await started.wait()

    second = await flow.serve(a_query(request_id="00000000-0000-4000-8000-000000000002"), steps)
    waiting.set()

    assert (second.reply.status, dict(second.reply.headers)) == (503, {"Retry-After": "2"})
    assert isinstance(second, Released)
    assert (await first).reply.status == 200
    assert await world.spent() == a_statistic_plan().loss
    assert (
        await flow.serve(a_query(request_id="00000000-0000-4000-8000-000000000003"), steps)
    ).reply.status == 200
