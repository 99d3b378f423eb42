"""What a ledger promises, whichever store keeps it (the docstring of gateway/ledger/port.py)."""

import asyncio
from typing import Any

import pytest

from gateway.errors import (
    BudgetExhausted,
    ChargedFailure,
    IdempotencyInProgress,
    IdempotencyMismatch,
    LedgerUnavailable,
)
from gateway.ledger.port import EntryRefused, Ledger
from gateway.terms.charge import Charge, StoredAnswer
from gateway.terms.entry import Change, EntryKind, IdempotencyClaim
from gateway.terms.identifiers import LineageId, OrgId
from gateway.terms.loss import BudgetNode, Debit
from gateway.transparency.canonical import parsed
from gateway.transparency.commitment import commitment
from gateway.transparency.proof import salt_of, verify_checkpoint, verify_receipt

NOW_MS = 1_790_841_600_000


async def charged(ledger: Ledger, request: Any) -> Charge:
    charge = await ledger.charge(request)
    assert isinstance(charge, Charge)
    return charge


async def all_entries(ledger: Ledger) -> list[dict[str, object]]:
    return [parsed(entry) for entry in await ledger.entries(0, 256)]


async def test_a_charge_debits_every_node_and_says_what_is_left(ledger: Ledger, build: Any) -> None:
    """Promise P2."""
    request = build.charge(debits=build.debits(10, caps=(100, 50, 20), delta=1), key="k")

    assert await ledger.charge(request) == Charge(
        request_id=request.request_id,
        index=0,
        charged_at_ms=NOW_MS,
        loss=build.loss(10, 1),
        left=tuple(
            zip(build.nodes(), (build.loss(90, 99), build.loss(40, 99), build.loss(10, 99)), strict=True)
        ),
        claim=IdempotencyClaim(scope="bank-a/etl-1", key="k", digest="d-1"),
    )
    assert await ledger.spent(build.nodes()) == (build.loss(10, 1),) * 3


async def test_the_entry_of_a_charge_tells_of_its_debits(ledger: Ledger, build: Any) -> None:
    await ledger.charge(build.charge("r-0", rho=5))
    await ledger.charge(build.charge("r-1", rho=7, facts={"dataset": "household", "by": ("p", "q")}))

    assert (await all_entries(ledger))[1] == {
        "v": 1,
        "kind": "charge",
        "id": "r-1",
        "ts": NOW_MS,
        "facts": {"dataset": "household", "by": ["p", "q"]},
        "commitments": {},
        "debits": [
            {"node": path, "rho": 7, "delta": 0, "rho_after": 12, "delta_after": 0}
            for path in ("vn.nso", "vn.nso/bank-a", "vn.nso/bank-a/etl-1")
        ],
    }


@pytest.mark.parametrize("caps", [(9, 100, 100), (100, 9, 100), (100, 100, 9)])
async def test_one_node_too_small_and_no_node_is_debited(caps: Any, ledger: Ledger, build: Any) -> None:
    """Promise P2."""
    with pytest.raises(BudgetExhausted):
        await ledger.charge(build.charge(debits=build.debits(10, caps=caps)))

    assert await ledger.spent(build.nodes()) == (build.loss(0),) * 3
    assert await ledger.entries(0, 256) == ()


async def test_a_node_is_spent_to_its_cap_and_not_beyond(ledger: Ledger, build: Any) -> None:
    """Promise P2."""
    await ledger.charge(build.charge("r-0", rho=60))
    await ledger.charge(build.charge("r-1", rho=40))
    with pytest.raises(BudgetExhausted):
        await ledger.charge(build.charge("r-2", rho=1))
    with pytest.raises(BudgetExhausted):
        await ledger.charge(build.charge("r-3", debits=build.debits(0, delta=101)))


async def test_an_exhausted_budget_shows_the_callers_own_remainder_never_the_lineages(
    ledger: Ledger, build: Any
) -> None:
    await ledger.charge(build.charge("r-0", debits=build.debits(90, org="other")))

    with pytest.raises(BudgetExhausted) as caught:
        await ledger.charge(build.charge("r-1", debits=build.debits(20, caps=(100, 70, 80))))
    lineage_only = build.debits(20)[:1]
    with pytest.raises(BudgetExhausted) as caught_at_lineage:
        await ledger.charge(build.charge("r-2", debits=lineage_only))

    assert (caught.value.cost, caught.value.left) == (build.loss(20), build.loss(70, 100))
    assert caught_at_lineage.value.left is None


async def test_a_node_debited_twice_in_one_charge_counts_twice(ledger: Ledger, build: Any) -> None:
    """Promise P2."""
    twice = build.debits(60) + build.debits(60)

    with pytest.raises(BudgetExhausted):
        await ledger.charge(build.charge(debits=twice))
    await ledger.charge(build.charge(debits=build.debits(50) + build.debits(50)))

    assert await ledger.spent(build.nodes()) == (build.loss(100),) * 3


async def test_64_at_once_on_the_last_units_never_overspend(ledger: Ledger, build: Any) -> None:
    """Promise P2."""
    requests = [build.charge(f"r-{number}", rho=3) for number in range(64)]

    outcomes = await asyncio.gather(*map(ledger.charge, requests), return_exceptions=True)

    charges = [outcome for outcome in outcomes if isinstance(outcome, Charge)]
    refusals = [outcome for outcome in outcomes if isinstance(outcome, BudgetExhausted)]
    assert (len(charges), len(refusals)) == (33, 31)
    assert await ledger.spent(build.nodes()) == (build.loss(99),) * 3
    assert sorted(charge.index for charge in charges) == list(range(33))


async def test_an_answered_request_is_answered_again_without_a_charge(ledger: Ledger, build: Any) -> None:
    charge = await charged(ledger, build.charge("r-1", key="k"))
    await ledger.release(build.release("r-1", charge=charge.index, answer=b"42 +- 3"))

    again = await ledger.charge(build.charge("r-2", key="k"))

    assert again == StoredAnswer(answer=b"42 +- 3", charge_index=0, release_index=1)
    assert await ledger.spent(build.nodes()) == (build.loss(10),) * 3


async def test_a_request_in_progress_is_not_charged_again(ledger: Ledger, build: Any) -> None:
    """Promise P2."""
    await ledger.charge(build.charge("r-1", key="k"))

    with pytest.raises(IdempotencyInProgress):
        await ledger.charge(build.charge("r-2", key="k"))
    assert await ledger.spent(build.nodes()) == (build.loss(10),) * 3


@pytest.mark.parametrize("kind", [EntryKind.ERROR, EntryKind.RELEASE])
async def test_a_charge_that_failed_is_neither_repeated_nor_refunded(
    kind: EntryKind, ledger: Ledger, build: Any
) -> None:
    """Promise P2: closed without an answer, for whatever reason, it stays charged."""
    charge = await charged(ledger, build.charge("r-1", key="k"))
    await ledger.release(build.release("r-1", charge=charge.index, kind=kind))

    for _ in range(2):
        with pytest.raises(ChargedFailure) as caught:
            await ledger.charge(build.charge("r-2", key="k"))
        assert caught.value.charge_index is None
    assert await ledger.spent(build.nodes()) == (build.loss(10),) * 3


async def test_a_key_names_one_request_only_whatever_became_of_it(ledger: Ledger, build: Any) -> None:
    for answer in (b"answer", None):
        charge = await charged(ledger, build.charge("r-1", key=f"k-{answer!r}"))
        with pytest.raises(IdempotencyMismatch):
            await ledger.charge(build.charge("r-2", key=f"k-{answer!r}", digest="other"))
        await ledger.release(build.release("r-1", charge=charge.index, answer=answer))
        with pytest.raises(IdempotencyMismatch):
            await ledger.charge(build.charge("r-3", key=f"k-{answer!r}", digest="other"))


async def test_a_refused_charge_leaves_its_key_free(ledger: Ledger, build: Any) -> None:
    with pytest.raises(BudgetExhausted):
        await ledger.charge(build.charge("r-1", rho=1000, key="k"))

    await charged(ledger, build.charge("r-2", rho=1, key="k", digest="other"))


async def test_the_same_key_from_many_at_once_charges_once(ledger: Ledger, build: Any) -> None:
    """Promise P2."""
    requests = [build.charge(f"r-{number}", rho=1, key="k") for number in range(64)]

    outcomes = await asyncio.gather(*map(ledger.charge, requests), return_exceptions=True)

    assert sum(isinstance(outcome, Charge) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, IdempotencyInProgress) for outcome in outcomes) == 63
    assert await ledger.spent(build.nodes()) == (build.loss(1),) * 3


async def test_a_receipt_proves_the_reply(ledger: Ledger, files: Any, build: Any) -> None:
    """Promises P1 and P9."""
    private = {"question": b"SELECT 1", "peer": b"203.0.113.7"}
    receipt = await ledger.release(
        build.release("r-1", body=b"what was sent", facts={"status": 200}, private=private, at_ms=7)
    )

    verified = verify_receipt(
        proof=receipt.proof,
        entry=receipt.entry,
        body=b"what was sent",
        salt=salt_of(receipt.proof),
        vkey=files.signer.vkey,
    )
    commitments = verified.entry.pop("commitments")
    assert isinstance(commitments, dict)
    assert verified.entry == {"v": 1, "kind": "single", "id": "r-1", "ts": 7, "facts": {"status": 200}}
    assert set(commitments) == {"body", "question", "peer"}
    assert commitments["body"] == commitment("body", receipt.salt, b"what was sent")
    assert (await ledger.entries(0, 1)) == (receipt.entry,)


async def test_every_receipt_of_a_crowd_verifies(ledger: Ledger, files: Any, build: Any) -> None:
    """Promise P1."""
    requests = [build.release(f"r-{number}", body=b"%d" % number) for number in range(300)]

    receipts = await asyncio.gather(*map(ledger.release, requests))

    for request, receipt in zip(requests, receipts, strict=True):
        verified = verify_receipt(
            proof=receipt.proof,
            entry=receipt.entry,
            body=request.body,
            salt=receipt.salt,
            vkey=files.signer.vkey,
        )
        assert (verified.index, verified.entry["id"]) == (receipt.index, request.request_id)
    assert sorted(receipt.index for receipt in receipts) == list(range(300))
    assert verify_checkpoint(await ledger.checkpoint(), files.signer.vkey).size == 300


async def test_no_two_salts_are_the_same(ledger: Ledger, build: Any) -> None:
    """Promise P9: equal replies to equal questions do not look equal in the log."""
    private = {"question": b"same"}
    receipts = [await ledger.release(build.release(private=private)) for _ in range(3)]

    stated = [value for receipt in receipts for value in parsed(receipt.entry)["commitments"].values()]  # type: ignore[attr-defined]
    assert len(set(stated)) == 6


async def test_a_charge_is_released_once(ledger: Ledger, build: Any) -> None:
    charge = await charged(ledger, build.charge("r-1"))
    first, *others = await asyncio.gather(
        *(ledger.release(build.release("r-1", charge=charge.index)) for _ in range(3)), return_exceptions=True
    )

    assert not isinstance(first, BaseException)
    assert first.index == 1
    assert [type(other) for other in others] == [EntryRefused, EntryRefused]
    assert len(await ledger.entries(0, 256)) == 2


async def test_a_release_names_an_open_charge_of_its_own_request(ledger: Ledger, build: Any) -> None:
    charge = await charged(ledger, build.charge("r-1"))

    for wrong in (
        build.release("r-2", charge=charge.index),
        build.release("r-1", charge=charge.index + 1),
        build.release("r-1", charge=-1),
        build.release("r-1", kind=EntryKind.RELEASE),
        build.release("r-1", charge=charge.index, kind=EntryKind.CHARGE),
        build.release("r-1", charge=charge.index, kind=EntryKind.RECOVER),
        build.release("r-1", charge=charge.index, kind=EntryKind.ERROR, answer=b"no"),
        build.release("r-1", private={"body": b"another"}),
        build.release("r-1", at_ms=2**53),
    ):
        with pytest.raises(EntryRefused):
            await ledger.release(wrong)
    await ledger.release(build.release("r-1", charge=charge.index))


@pytest.mark.parametrize(
    "facts",
    [
        {"note": "x" * 201},
        {"note": "tab\t"},
        {"note": "Hà Nội"},
        {"note": 1.5},
        {"note": None},
        {"note": 2**53},
        {"note": ("a", 1)},
        {"note": {"a": "b"}},
        {"no te": 1},
        {"": 1},
        {f"fact{number}": "x" * 190 for number in range(30)},
    ],
)
async def test_what_is_no_fact_does_not_enter_and_harms_nobody(
    facts: Any, ledger: Ledger, build: Any
) -> None:
    """Promise P9: client text and half a kilobyte of it stay out."""
    outcomes = await asyncio.gather(
        ledger.release(build.release("r-1")),
        ledger.release(build.release("r-2", facts=facts)),
        ledger.charge(build.charge("r-3", facts=facts, key="k")),
        ledger.release(build.release("r-4")),
        return_exceptions=True,
    )

    assert [isinstance(outcome, EntryRefused) for outcome in outcomes] == [False, True, True, False]
    assert [entry["id"] for entry in await all_entries(ledger)] == ["r-1", "r-4"]
    assert await ledger.spent(build.nodes()) == (build.loss(0),) * 3
    await charged(ledger, build.charge("r-5", key="k", digest="free"))


async def test_two_nodes_cannot_share_a_name(ledger: Ledger, build: Any) -> None:
    """Promise P2: else one would be charged for the other, or not at all."""
    wrong_nodes = (
        BudgetNode(LineageId("vn.nso/bank-a")),
        BudgetNode(LineageId("vn.nso"), OrgId("bank-a/etl-1")),
        BudgetNode(LineageId("vn.nso"), None, build.nodes()[2].client),
        BudgetNode(LineageId("")),
    )
    for node in wrong_nodes:
        with pytest.raises(EntryRefused):
            await ledger.charge(build.charge(debits=(Debit(node, build.loss(1), build.loss(9)),)))


async def test_a_negative_loss_is_no_refund(ledger: Ledger, build: Any) -> None:
    """Promise P2."""
    with pytest.raises(EntryRefused):
        await ledger.charge(build.charge(rho=-1))


async def test_an_id_serves_once(ledger: Ledger) -> None:
    """Promise P7."""
    outcomes = await asyncio.gather(*(ledger.use_once(f"jti-{number % 4}", NOW_MS) for number in range(16)))

    assert sum(outcomes) == 4
    assert not await ledger.use_once("jti-0", 2**200)
    assert await ledger.use_once("jti-\ud800", -1)


async def test_the_registry_gives_back_what_was_last_put(ledger: Ledger, build: Any) -> None:
    first = Change(kind="client", id="etl-1", document=b'{"state":"active"}')
    other = Change(kind="organisation", id="bank-a", document=b"{}")
    last = Change(kind="client", id="etl-1", document=b'{"state":"suspended"}')

    for changes in ((first, other), (last,)):
        await ledger.release(build.release(kind=EntryKind.CONFIG, changes=changes))

    assert sorted(await ledger.registry(), key=lambda change: change.id) == [other, last]
    assert (await all_entries(ledger))[0]["changes"] == ["client/etl-1", "organisation/bank-a"]


async def test_an_empty_ledger_has_a_signed_head_and_nothing_else(
    ledger: Ledger, files: Any, build: Any
) -> None:
    assert verify_checkpoint(await ledger.checkpoint(), files.signer.vkey).size == 0
    assert await ledger.registry() == ()
    assert await ledger.spent(build.nodes()) == (build.loss(0),) * 3
    assert await ledger.entries(0, 10) == await ledger.entries(-5, 2**70) == ()


async def test_a_caller_who_goes_away_stays_charged(ledger: Ledger, build: Any) -> None:
    """Promise P2."""
    gone = asyncio.create_task(ledger.charge(build.charge("r-1")))
    await asyncio.sleep(0)
    gone.cancel()

    await ledger.charge(build.charge("r-2"))

    assert await ledger.spent(build.nodes()) == (build.loss(20),) * 3


async def test_a_change_that_was_decided_on_an_older_record_is_refused(ledger: Ledger, build: Any) -> None:
    """Two processes know the same record: what the one did first is not written over by the other."""

    def person(document: bytes, replaces: bytes | None) -> Change:
        return Change(kind="operator", id="lan", document=document, subject="lan", replaces=replaces)

    invited, ended, enrolled = b'{"state":"invited"}', b'{"state":"ended"}', b'{"state":"enrolled"}'
    await ledger.release(build.release("r-1", changes=(person(invited, b""),)))
    first, second = await asyncio.gather(
        ledger.release(build.release("r-2", changes=(person(ended, invited),))),
        ledger.release(build.release("r-3", changes=(person(enrolled, invited),))),
        return_exceptions=True,
    )

    assert (getattr(first, "index", None), type(second)) == (1, LedgerUnavailable)
    for stale in (b"", invited):
        with pytest.raises(LedgerUnavailable, match="changed at this moment"):
            await ledger.release(build.release("r-4", changes=(person(enrolled, stale),)))
    assert [(change.id, change.document) for change in await ledger.registry()] == [("lan", ended)]
    assert len(await all_entries(ledger)) == 2


async def test_nothing_is_put_about_a_person_who_is_not_registered(ledger: Ledger, build: Any) -> None:
    passkey = Change(kind="passkey", id="p", document=b"{}", subject="lan")
    lan = Change(kind="operator", id="lan", document=b"{}", subject="lan", replaces=b"")

    with pytest.raises(LedgerUnavailable, match="not registered any more"):
        await ledger.release(build.release("r-1", changes=(passkey,)))
    await ledger.release(build.release("r-2", changes=(lan, passkey)))
    await ledger.release(build.release("r-3", changes=(passkey,)))

    assert {change.id for change in await ledger.registry()} == {"lan", "p"}
