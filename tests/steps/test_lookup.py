"""What the steps keep of a lookup: counts and keyed digests for ever, rows for ten minutes, keys never."""

import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from builders import NOON, a_caller, a_lookup_plan, a_permit, a_query, a_statistic_plan

from gateway.budget import NOTHING
from gateway.delivery.formats import negotiate
from gateway.errors import AnswerGone, QuestionRefused
from gateway.keyring.keyring import Keyring
from gateway.ledger.volatile import Volatile
from gateway.planning.lookup import plan_lookup
from gateway.steps.charge import MakeCharge
from gateway.steps.facts import facts_of, private_of
from gateway.steps.kept import Kept
from gateway.steps.protect import Protect, Repeat
from gateway.steps.slot import slot_of
from gateway.terms.charge import Charge, StoredAnswer
from gateway.terms.entry import ChargeRequest, EntryKind, IdempotencyClaim
from gateway.terms.format import Delivery
from gateway.terms.frame import UnprotectedIntegers, UnprotectedRows
from gateway.terms.identifiers import ColumnName
from gateway.terms.loss import BudgetNode, Loss, PicoDelta, PicoRho
from gateway.terms.permit import Lookup
from gateway.terms.query import Action
from gateway.terms.seen import Seen
from gateway.terms.treatment import Redact

BOOT = b"a secret of this boot, 32 bytes!"
SECRET, OTHER_SECRET = bytes(32), b"1" * 32
SECRETS = ("001085012345", "1985-03-14")
BODY = b'{"keys": [{"key": "001085012345", "matching": {"birth_date": "1985-03-14"}}]}'
QUERY = a_query(
    action=Action.LOOKUP, path="/v1/datasets/people/lookup", query_string="key=001085012345", body=BODY,
    idempotency_keys=("mine",),
)  # fmt: skip
LOOKUP = Lookup(key=ColumnName("id"), matching=(), keys_max=5, rows_max=3)
PERMIT = a_permit(action=Action.LOOKUP, lookup=LOOKUP, functions=frozenset(), groups_max=0, loss_max=NOTHING)


@dataclass
class StandingClock:
    """A clock that tests move."""

    at: datetime = NOON

    def now(self) -> datetime:
        return self.at

    async def sleep(self, seconds: float) -> None:  # noqa: ARG002
        raise AssertionError("nobody waits here")


@dataclass
class Remembering:
    """A ledger that only remembers what it was asked to charge."""

    asked: list[ChargeRequest]

    async def charge(self, request: ChargeRequest) -> Charge:
        self.asked.append(request)
        return a_charge(claim=request.claim)


def a_charge(**changes: Any) -> Charge:
    charge = Charge(
        request_id=QUERY.request_id,
        index=7,
        charged_at_ms=1_000,
        loss=Loss(PicoRho(0), PicoDelta(0), 2),
        left=(
            (BudgetNode(PERMIT.dataset.source.lineage, a_caller().org), Loss(PicoRho(0), PicoDelta(0), 50)),
            (BudgetNode(PERMIT.dataset.source.lineage), Loss(PicoRho(0), PicoDelta(0), 999)),
        ),
    )
    return replace(charge, **changes)


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    return Keyring.create(tmp_path / "keys", log_name="gateway.test/log")


@pytest.fixture
def kept(tmp_path: Path, clock: StandingClock) -> Iterator[Kept]:
    volatile = Volatile.create(tmp_path / "volatile.sqlite")
    yield Kept.of_boot(volatile, BOOT, clock)
    volatile.close()


def test_p9_an_entry_counts_keys_and_neither_shows_nor_seals_one() -> None:
    """Promise P9: not in clear, and not in the openings, which an auditor may open."""
    refused = QuestionRefused("key 1: `id` is empty", about="id")
    for seen in (Seen(), Seen(caller=a_caller(), permit=PERMIT, plan=a_lookup_plan()), Seen(error=refused)):
        said = repr((facts_of(QUERY, seen), private_of(QUERY, seen)))
        assert not [secret for secret in SECRETS if secret in said]

    assert facts_of(QUERY, Seen(plan=a_lookup_plan())) == {"keys": 2, "treatments": {"keep": 1}}
    assert private_of(QUERY, Seen(plan=a_lookup_plan())) == {
        "peer": b"",
        "question": b"POST /v1/datasets/people/lookup\n",
        "plan": b"3" * 64,
    }


async def test_p9_what_the_store_keeps_of_a_repeat_does_not_let_anybody_guess_keys() -> None:
    """Promise P9: a plain digest of twelve digits and a date is found by trying."""
    asked: list[ChargeRequest] = []
    number = replace(QUERY, idempotency_keys=("001085012345",))
    for secret in (SECRET, SECRET, OTHER_SECRET):
        await MakeCharge(Remembering(asked), lambda _, of=secret: of)(  # type: ignore[arg-type, misc]
            number, a_caller(), PERMIT, a_lookup_plan()
        )

    form = negotiate(QUERY.accept).format.value
    said = f"{QUERY.path}\n{QUERY.query_string}\n{a_caller().purpose}\n{form}\n".encode() + BODY
    assert [request.claim for request in asked] == [
        IdempotencyClaim(
            scope=f"{a_caller().org}/{a_caller().client}",
            key=hmac.digest(secret, b"key\x00001085012345", hashlib.sha256).hex(),
            digest=hmac.digest(secret, b"asked\0" + said, hashlib.sha256).hex(),
        )
        for secret in (SECRET, SECRET, OTHER_SECRET)
    ]
    assert [debit.loss.keys for debit in asked[0].debits] == [2, 2, 2]


async def test_one_name_stands_for_one_form_as_it_was_asked_for() -> None:
    """What the rules make of a form may change until a repeat; what was asked does not."""
    digests = []
    for accept, permit in (
        ("*/*", PERMIT),
        ("*/*", replace(PERMIT, delivery=Delivery(encrypted=True))),
        ("application/jose", PERMIT),
        ('application/jose; cty="text/csv"', PERMIT),
        ("text/csv", PERMIT),
    ):
        asked: list[ChargeRequest] = []
        query = replace(QUERY, accept=accept, idempotency_keys=("one",))
        charge = MakeCharge(Remembering(asked), lambda _: SECRET)  # type: ignore[arg-type]
        await charge(query, a_caller(), permit, a_lookup_plan())
        assert asked[0].claim is not None
        digests.append(asked[0].claim.digest)

    assert digests[0] == digests[1]
    assert len(set(digests)) == 4


async def test_a_reply_says_which_key_found_a_row_and_what_the_caller_has_left(
    keyring: Keyring, kept: Kept
) -> None:
    """Never what the lineage has left, which would tell of others."""
    frame = UnprotectedRows(columns={ColumnName("age"): [41, 7]}, ended_at=None, found_by=(1, 2))

    reply = await Protect(keyring, kept)(QUERY, a_caller(), PERMIT, a_lookup_plan(), a_charge(), frame)

    assert json.loads(reply.body) == {
        "dataset": "people",
        "revision": 1,
        "columns": [{"name": "_key", "treatment": "position"}, {"name": "age", "treatment": "keep"}],
        "charge": {"keys": 2, "left": {"organisation": {"keys": 50}}},
        "rows": [{"_key": 1, "age": 41}, {"_key": 2, "age": 7}],
    }
    assert (reply.kind, reply.facts, reply.answer) == (EntryKind.RELEASE, {"rows": 2}, None)


async def test_p9_rows_are_kept_sealed_for_ten_minutes_and_no_row_in_the_ledger(
    keyring: Keyring, kept: Kept, clock: StandingClock
) -> None:
    """Promise P9: a repeat within ten minutes is the same bytes, after that it is refused."""
    asked: list[ChargeRequest] = []
    charge = await MakeCharge(Remembering(asked), lambda _: SECRET)(  # type: ignore[arg-type]
        QUERY, a_caller(), PERMIT, a_lookup_plan()
    )
    assert isinstance(charge, Charge)
    frame = UnprotectedRows(columns={ColumnName("age"): ["Nguyen"]}, ended_at=None, found_by=(1,))
    reply = await Protect(keyring, kept)(QUERY, a_caller(), PERMIT, a_lookup_plan(), charge, frame)
    stored = StoredAnswer(answer=reply.answer or b"", charge_index=charge.index, release_index=8)

    assert stored.answer == b""
    clock.at += timedelta(minutes=10) - timedelta(milliseconds=1)
    again = Repeat(kept)(QUERY, a_lookup_plan(), stored)
    clock.at += timedelta(milliseconds=1)
    with pytest.raises(AnswerGone):
        Repeat(kept)(QUERY, a_lookup_plan(), stored)

    assert (again.body, again.content_type, again.facts) == (reply.body, reply.content_type, {"repeats": 8})
    held = kept.volatile.get("answer", str(charge.index), now_ms=0)
    assert held is not None
    assert b"Nguyen" not in held


@pytest.mark.parametrize("changed", ["rules", "permit"])
async def test_p3_rows_found_under_other_rules_are_not_given_again(
    keyring: Keyring, kept: Kept, changed: str
) -> None:
    """Promise P3: the repeat's entry names the revision in force, which masks what the one before kept."""
    other: dict[str, Any] = {"columns": ((ColumnName("age"), Redact()),)}
    if changed == "rules":
        other = {"dataset": replace(PERMIT.dataset, revision=2, digest="5" * 64)}
    body = b'{"keys": [{"key": "a"}]}'
    first, repeat = (
        plan_lookup(body, permit, order_key=bytes(32)) for permit in (PERMIT, replace(PERMIT, **other))
    )
    frame = UnprotectedRows(columns={ColumnName("age"): ["41"]}, ended_at=None, found_by=(1,))
    charge = a_charge(claim=IdempotencyClaim(scope="a", key="b", digest="c"))
    reply = await Protect(keyring, kept)(QUERY, a_caller(), PERMIT, first, charge, frame)
    stored = StoredAnswer(answer=reply.answer or b"", charge_index=charge.index, release_index=8)

    assert Repeat(kept)(QUERY, first, stored).body == reply.body
    with pytest.raises(AnswerGone, match="the rules changed"):
        Repeat(kept)(QUERY, repeat, stored)


async def test_p3_a_statistic_that_other_rules_released_is_not_given_again(
    keyring: Keyring, kept: Kept
) -> None:
    """Promise P3: as for rows; its digest holds the document's, the owner's filter and the noise."""
    made = a_statistic_plan()
    costly = PicoRho(10**13)
    plan = replace(
        made,
        measures=(replace(made.measures[0], rho=costly),),
        loss=Loss(costly, PicoDelta(0)),
    )
    charge = a_charge(claim=IdempotencyClaim(scope="a", key="b", digest="c"))
    frame = UnprotectedIntegers(values=((5,),))
    reply = await Protect(keyring, kept)(QUERY, a_caller(), PERMIT, plan, charge, frame)
    stored = StoredAnswer(answer=reply.answer or b"", charge_index=charge.index, release_index=8)

    again = Repeat(kept)(QUERY, plan, stored)
    with pytest.raises(AnswerGone, match="the rules changed"):
        Repeat(kept)(QUERY, replace(plan, digest="9" * 64), stored)

    assert (again.body, again.content_type, again.facts) == (reply.body, reply.content_type, {"repeats": 8})


def test_p9_no_key_on_the_disk_opens_a_kept_answer_and_no_other_boot_does(
    keyring: Keyring, kept: Kept, clock: StandingClock
) -> None:
    """Promise P9: the workers of one boot open it, for they are told its secret."""
    kept.put(1, b"one")
    sealed = kept.volatile.get("answer", "1", now_ms=0)
    assert sealed is not None

    assert Kept.of_boot(kept.volatile, BOOT, clock).get(1) == b"one"
    with pytest.raises(ValueError, match="not sealed"):
        keyring.sealer.unseal("answer 1", sealed)
    with pytest.raises(ValueError, match="not sealed"):
        Kept.of_boot(kept.volatile, b"the secret of the boot after it!", clock).get(1)


def test_p9_a_kept_answer_serves_for_its_own_charge_only(kept: Kept) -> None:
    """Promise P9: who can write the file cannot exchange two answers."""
    kept.put(1, b"one")
    kept.put(2, b"two")
    sealed = kept.volatile.get("answer", "1", now_ms=0)
    assert sealed is not None
    kept.volatile.put("answer", "2", sealed, 10**15, now_ms=0)

    assert kept.get(1) == b"one"
    with pytest.raises(ValueError, match="not sealed"):
        kept.get(2)


def test_p5_a_lookup_leaves_at_a_slot_that_its_plan_fixed() -> None:
    """Promise P5."""
    assert slot_of(a_lookup_plan(release_after_s=0.5), a_charge()) == 1_500
