"""The one writer never leaves anybody waiting: a caller is answered, told no, or the process ends (P1)."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from gateway.errors import LedgerUnavailable
from gateway.ledger.port import Ledger
from gateway.ledger.sequencer import GROUP_MAX, Read
from gateway.transparency.canonical import parsed
from tests.faults.disk import FlawedDisk


def broken(error: BaseException) -> Callable[..., Any]:
    def look_up(_: object) -> object:
        raise error

    return look_up


@pytest.mark.parametrize("error", [KeyError("a"), TypeError("b"), RuntimeError("c"), ValueError("d")])
async def test_a_question_that_breaks_beside_a_failed_batch_harms_no_other(
    error: Exception, files: Any, build: Any
) -> None:
    died: list[bool] = []
    disk = FlawedDisk()
    ledger = files.open(vfs=disk.name, on_fatal=lambda: died.append(True))
    disk.is_full = True
    asked = [ledger.submit(Read(broken(error))), asyncio.ensure_future(ledger.release(build.release("r-1")))]

    async with asyncio.timeout(5):
        outcomes = await asyncio.gather(*asked, return_exceptions=True)

    assert outcomes[0] is error
    assert isinstance(outcomes[1], LedgerUnavailable)
    disk.is_full = False
    assert (await ledger.release(build.release("r-2"))).index == 0
    assert died == []


async def test_a_thread_that_breaks_ends_the_ledger_and_answers_whoever_waits(files: Any, build: Any) -> None:
    """Nothing that a command may raise is not an ``Exception``, so this stands for a bug."""
    died: list[bool] = []
    ledger = files.open(on_fatal=lambda: died.append(True))
    first = ledger.submit(Read(broken(SystemExit())))
    second = ledger.submit(Read(lambda _: 1))

    async with asyncio.timeout(5):
        outcomes = await asyncio.gather(first, second, return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [LedgerUnavailable, LedgerUnavailable]
    with pytest.raises(LedgerUnavailable):
        await ledger.release(build.release())
    assert died == [True]


async def test_a_crowd_of_one_turn_is_recorded_whole_and_in_its_order(files: Any, build: Any) -> None:
    """It goes over in groups, some of which are written while others still come."""
    ledger = files.open()
    crowd = 3 * GROUP_MAX + 7

    async with asyncio.timeout(30):
        receipts = await asyncio.gather(*(ledger.release(build.release(f"r-{n}")) for n in range(crowd)))

    assert [receipt.index for receipt in receipts] == list(range(crowd))
    assert [parsed(receipt.entry)["id"] for receipt in receipts] == [f"r-{n}" for n in range(crowd)]


async def test_each_time_the_disk_is_full_the_ledger_says_that_it_is_not_ready(files: Any) -> None:
    disk = FlawedDisk()
    ledger = files.open(vfs=disk.name)
    await ledger.use_once("a proof", 1)
    for _ in range(3):
        disk.is_full = True
        for id_ in ("a proof", "another"):  # the first is used up, so there is nothing to write
            try:
                await ledger.use_once(id_, 1)
            except LedgerUnavailable:
                assert id_ == "another"
        await ledger.use_once("a proof", 1)
        for _ in range(2):
            with pytest.raises(LedgerUnavailable):
                await ledger.ready()
        disk.is_full = False
        await ledger.ready()


@pytest.mark.parametrize("kind", ["file", "remote"])
async def test_a_charge_whose_caller_is_cancelled_as_it_comes_is_closed(
    kind: str, crew: Any, build: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The outcome is there, the caller has not taken it, and is cancelled in that very turn."""
    ledger: Ledger = crew.store if kind == "file" else (await crew.join())[0]
    asks = "submit" if kind == "file" else "_asking"
    ask = getattr(ledger, asks)

    def cancelled_as_it_comes(question: object) -> "asyncio.Future[object]":
        outcome: asyncio.Future[object] = ask(question)
        outcome.add_done_callback(lambda _: gone.cancel())
        return outcome

    with monkeypatch.context() as patched:
        patched.setattr(ledger, asks, cancelled_as_it_comes)
        gone = asyncio.create_task(ledger.charge(build.charge("r-1")))
        with pytest.raises(asyncio.CancelledError):
            await gone

    async with asyncio.timeout(5):
        while len(await ledger.entries(0, 9)) < 2:  # noqa: ASYNC110 -- a thread closes it and tells nobody
            await asyncio.sleep(0.01)
    assert [parsed(entry)["kind"] for entry in await ledger.entries(0, 9)] == ["charge", "recover"]


async def test_before_it_starts_a_ledger_appends_and_signs_nothing(files: Any, build: Any) -> None:
    ledger = files.open()
    await ledger.charge(build.charge("r-1"))
    await ledger.close()
    head = files.head.read_bytes()
    store = files.path.read_bytes()

    again = files.open_only()
    with pytest.raises(LedgerUnavailable):
        await again.checkpoint()
    await again.close()

    assert (files.head.read_bytes(), files.path.read_bytes()) == (head, store)
    last = files.open()
    assert [parsed(entry)["kind"] for entry in await last.entries(0, 9)] == ["charge", "recover"]
