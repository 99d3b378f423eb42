"""One transaction: each command sees the ones before it, and a refused one leaves no trace."""

from collections.abc import Iterator
from typing import Any

import pytest

from gateway.errors import BudgetExhausted, IdempotencyInProgress
from gateway.ledger.batch import Answered, Batch, ChargeCommand, Charged, OnceCommand, ReleaseCommand
from gateway.ledger.entry import draft_of_charge, draft_of_release
from gateway.ledger.port import EntryRefused
from gateway.ledger.store import Store


def charge_of(request: Any) -> ChargeCommand:
    return ChargeCommand(
        draft=draft_of_charge(request, bytes),
        debits=request.debits,
        claim=request.claim,
        claim_name=None if request.claim is None else request.claim.key.encode(),
    )


def release_of(request: Any) -> ReleaseCommand:
    return ReleaseCommand(
        draft=draft_of_release(request, bytes),
        charge_index=request.charge_index,
        answer=request.answer,
        at_ms=request.at_ms,
    )


@pytest.fixture
def store() -> Iterator[Store]:
    made = Store.open(
        None,
        origin="log",
        vkeys=("log+key",),
        wrap=bytes,
        unwrap=bytes,
        vfs=None,
        elapsed_s=lambda: 0.0,
    )
    yield made
    made.close()


def test_a_charge_is_released_once_within_a_batch_too(store: Store, build: Any) -> None:
    def judge(batch: Batch) -> None:
        batch.charge(charge_of(build.charge("r-1", key="k")))
        assert batch.release(release_of(build.release("r-1", charge=0, answer=b"a"))).index == 1
        with pytest.raises(EntryRefused):
            batch.release(release_of(build.release("r-1", charge=0, answer=b"b")))
        again = batch.charge(charge_of(build.charge("r-2", key="k")))
        assert again == Answered(charge_index=0, release_index=1, sealed=b"a")

    store.commit(0, judge)

    assert (store.tiles.size, dict(store.open_charges)) == (2, {})
    claim = store.claim(b"k")
    assert claim is not None
    assert claim.answer == b"a"


def test_a_charge_of_an_earlier_batch_is_released_once(store: Store, build: Any) -> None:
    store.commit(0, lambda batch: batch.charge(charge_of(build.charge("r-1"))))

    def judge(batch: Batch) -> None:
        batch.release(release_of(build.release("r-1", charge=0)))
        with pytest.raises(EntryRefused):
            batch.release(release_of(build.release("r-1", charge=0)))

    store.commit(0, judge)

    assert (store.tiles.size, dict(store.open_charges)) == (2, {})


def test_later_commands_see_what_earlier_ones_spent_claimed_and_used(store: Store, build: Any) -> None:
    """Promises P2 and P7."""

    def judge(batch: Batch) -> None:
        assert isinstance(batch.charge(charge_of(build.charge("r-1", rho=60, key="k"))), Charged)
        with pytest.raises(BudgetExhausted):
            batch.charge(charge_of(build.charge("r-2", rho=41)))
        with pytest.raises(IdempotencyInProgress):
            batch.charge(charge_of(build.charge("r-3", rho=1, key="k")))
        once = OnceCommand(name=b"jti", expires_at_ms=1)
        assert [batch.use_once(once), batch.use_once(once)] == [True, False]

    store.commit(0, judge)

    assert store.spent("vn.nso") == build.loss(60)
    assert store.tiles.size == 1


def test_a_batch_that_decided_nothing_writes_nothing(store: Store, build: Any) -> None:
    def judge(batch: Batch) -> None:
        with pytest.raises(BudgetExhausted):
            batch.charge(charge_of(build.charge("r-1", rho=101, key="k")))
        assert batch.is_empty

    store.commit(0, judge)

    assert (store.tiles.size, store.claim(b"k"), store.spent("vn.nso")) == (0, None, build.loss(0))


def test_a_batch_that_breaks_halfway_leaves_no_trace(store: Store, build: Any) -> None:
    """Promise P2."""

    def judge(batch: Batch) -> None:
        batch.charge(charge_of(build.charge("r-1", key="k")))
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError):
        store.commit(0, judge)

    store.commit(0, lambda batch: batch.charge(charge_of(build.charge("r-2", key="k"))))
    assert store.spent("vn.nso") == build.loss(10)
    assert (store.tiles.size, sorted(store.open_charges)) == (1, [0])
