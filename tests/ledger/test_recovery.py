"""A charge that nobody will release is closed without a restart, and stays charged (P2)."""

import asyncio
from typing import Any

import pytest

from gateway.errors import ChargedFailure, LedgerUnavailable
from gateway.ledger.audit import verify_store
from gateway.ledger.batch import RecoverCommand
from gateway.ledger.port import EntryRefused, Ledger
from gateway.transparency.canonical import parsed
from gateway.transparency.proof import verify_checkpoint
from tests.faults.disk import FlawedDisk


async def told(ledger: Ledger) -> list[tuple[object, object, object]]:
    """Kind, id and charge of every entry."""
    entries = [parsed(entry) for entry in await ledger.entries(0, 256)]
    return [(entry["kind"], entry["id"], entry.get("charge")) for entry in entries]


async def until_closed(ledger: Ledger, entries: int) -> None:
    async with asyncio.timeout(10):
        while len(await ledger.entries(0, 256)) < entries:  # noqa: ASYNC110 -- a thread closes it and tells nobody
            await asyncio.sleep(0.01)


async def test_an_abandoned_charge_is_closed_and_kept(ledger: Ledger, build: Any) -> None:
    await ledger.charge(build.charge("r-1", key="k"))

    ledger.abandon(0)

    assert await told(ledger) == [("charge", "r-1", None), ("recover", "r-1", 0)]
    assert await ledger.spent(build.nodes()) == (build.loss(10),) * 3
    with pytest.raises(ChargedFailure):
        await ledger.charge(build.charge("r-2", key="k"))
    with pytest.raises(EntryRefused):
        await ledger.release(build.release("r-1", charge=0))


async def test_what_is_closed_already_or_never_was_stays_as_it_is(ledger: Ledger, build: Any) -> None:
    await ledger.charge(build.charge("r-1"))
    await ledger.release(build.release("r-1", charge=0))

    for index in (0, 0, 1, 2, 10**6, -1):
        ledger.abandon(index)

    assert await told(ledger) == [("charge", "r-1", None), ("release", "r-1", 0)]


async def test_what_a_dead_worker_left_is_closed_together(files: Any, build: Any) -> None:
    ledger = files.open()
    await asyncio.gather(*(ledger.charge(build.charge(f"r-{number}", rho=0)) for number in range(5)))
    await ledger.release(build.release("r-1", charge=1))

    await ledger.submit(RecoverCommand(indices=(0, 1, 3)))

    assert (await told(ledger))[6:] == [("recover", "r-0", 0), ("recover", "r-3", 3)]


async def test_a_caller_who_vanished_while_the_charge_was_made_leaves_none_open(
    ledger: Ledger, build: Any
) -> None:
    gone = asyncio.create_task(ledger.charge(build.charge("r-1")))
    await asyncio.sleep(0)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone

    await until_closed(ledger, 2)

    assert await told(ledger) == [("charge", "r-1", None), ("recover", "r-1", 0)]
    assert await ledger.spent(build.nodes()) == (build.loss(10),) * 3


async def test_a_charge_whose_release_met_a_full_disk_is_closed_when_space_returns(
    files: Any, build: Any
) -> None:
    """Without a restart and without traffic."""
    disk = FlawedDisk()
    ledger = files.open(vfs=disk.name)
    await ledger.charge(build.charge("r-1", key="k"))
    head = await ledger.checkpoint()
    disk.is_full = True
    with pytest.raises(LedgerUnavailable):
        await ledger.release(build.release("r-1", charge=0))
    ledger.abandon(0)
    with pytest.raises(LedgerUnavailable):
        await ledger.use_once("jti", 1)
    assert await told(ledger) == [("charge", "r-1", None)]
    assert await ledger.checkpoint() == head  # what was not written is not signed, whatever is read meanwhile

    disk.is_full = False
    async with asyncio.timeout(10):
        while await ledger.checkpoint() == head:  # noqa: ASYNC110 -- asks the sequencer nothing
            await asyncio.sleep(0.01)

    assert await told(ledger) == [("charge", "r-1", None), ("recover", "r-1", 0)]
    await ledger.ready()
    await ledger.close()
    report = verify_store(files.path, files.signer.vkey, checkpoints=[files.head.read_bytes()])
    assert (report.recovered, report.open_charges, report.faults) == (1, 0, ())


async def test_what_was_not_written_is_not_signed_by_a_later_read(files: Any, build: Any) -> None:
    """Promise P1: the tree in memory is ahead of the store then, and no head may tell of it."""
    disk = FlawedDisk()
    ledger = files.open(vfs=disk.name)
    await ledger.release(build.release("r-1"))
    head = await ledger.checkpoint()
    disk.is_full = True
    with pytest.raises(LedgerUnavailable):
        await ledger.release(build.release("r-2"))

    assert await ledger.spent(build.nodes()) == (build.loss(0),) * 3
    assert await ledger.checkpoint() == head
    assert verify_checkpoint(files.head.read_bytes(), files.signer.vkey).size <= 1
    disk.is_full = False
    assert (await ledger.release(build.release("r-3"))).index == 1


async def test_a_full_disk_makes_no_key_that_is_not_durable(files: Any, build: Any) -> None:
    """Promise P9: a new month or person needs a new key, which the full disk cannot take either."""
    disk = FlawedDisk()
    died: list[bool] = []
    ledger = files.open(vfs=disk.name, on_fatal=lambda: died.append(True))
    await ledger.release(build.release("r-1"))
    disk.is_full = True
    with pytest.raises(LedgerUnavailable):
        await ledger.release(build.release("r-2", subject="lan"))
    disk.is_full = False

    await ledger.release(build.release("r-3", subject="lan", private={"peer": b"203.0.113.7"}))
    await ledger.close()

    assert died == []
    again = files.open()
    assert len(await again.entries(0, 9)) == 2


async def test_more_abandoned_charges_than_a_batch_holds_are_all_closed(files: Any, build: Any) -> None:
    ledger = files.open()
    await asyncio.gather(*(ledger.charge(build.charge(f"r-{number}", rho=0)) for number in range(1100)))
    for number in range(1100):
        ledger.abandon(number)
    await ledger.close()

    report = verify_store(files.path, files.signer.vkey, checkpoints=[files.head.read_bytes()])
    assert (report.charges, report.recovered, report.open_charges, report.faults) == (1100, 1100, 0, ())
