"""A disk that is full or cannot sync; tests/faults does the same at every single operation.

Each effect is broken twice: failed and lost, failed but done.
"""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.errors import LedgerUnavailable
from gateway.ledger.audit import verify_store
from gateway.ledger.head_file import PAUSE_S
from gateway.transparency.canonical import parsed
from gateway.transparency.proof import verify_checkpoint
from tests.faults.disk import FlawedDisk


@pytest.fixture
def disk() -> Iterator[FlawedDisk]:
    made = FlawedDisk()
    yield made
    made.is_full = made.sync_fails = made.sync_done_but_failed = False


async def test_every_commit_is_synced_before_it_is_answered(disk: FlawedDisk, files: Any, build: Any) -> None:
    """Promise P1."""
    ledger = files.open(vfs=disk.name)
    for number in range(5):
        before = disk.syncs
        await ledger.release(build.release(f"r-{number}"))
        assert disk.syncs > before
        before = disk.syncs
        assert await ledger.use_once(f"jti-{number}", 1)
        assert disk.syncs > before


async def test_a_full_disk_means_no_answer_until_there_is_room(
    disk: FlawedDisk, files: Any, build: Any
) -> None:
    """Promises P1 and P2."""
    died: list[bool] = []
    ledger = files.open(vfs=disk.name, on_fatal=lambda: died.append(True))
    first = await ledger.release(build.release("r-1"))

    disk.is_full = True
    for attempt in (
        ledger.release(build.release("r-2")),
        ledger.charge(build.charge("r-3", key="k")),
        ledger.use_once("jti", 1),
    ):
        with pytest.raises(LedgerUnavailable):
            await attempt
    assert await ledger.spent(build.nodes()) == (build.loss(0),) * 3
    with pytest.raises(LedgerUnavailable):
        await ledger.ready()

    disk.is_full = False
    await ledger.ready()  # heals without traffic
    charge = await ledger.charge(build.charge("r-3", key="k"))
    assert (first.index, charge.index, died) == (0, 1, [])
    assert await ledger.use_once("jti", 1)
    await ledger.close()
    report = verify_store(files.path, files.signer.vkey, checkpoints=[files.head.read_bytes()])
    assert (report.size, report.faults) == (2, ())


async def test_a_disk_that_cannot_sync_ends_the_ledger(
    disk: FlawedDisk, files: Any, build: Any, reopened: Any
) -> None:
    """Promise P1: a later sync may succeed without the data, so there is no later one."""
    died: list[bool] = []
    ledger = files.open(vfs=disk.name, on_fatal=lambda: died.append(True))
    charge = await ledger.charge(build.charge("r-1"))

    disk.sync_fails = True
    with pytest.raises(LedgerUnavailable):
        await ledger.release(build.release("r-1", charge=charge.index))
    disk.sync_fails = False

    with pytest.raises(LedgerUnavailable):
        await ledger.release(build.release("r-1", charge=charge.index))
    with pytest.raises(LedgerUnavailable):
        await ledger.checkpoint()
    with pytest.raises(LedgerUnavailable):
        await ledger.charge(build.charge("r-2"))
    assert died == [True]
    again = await reopened()
    assert [parsed(entry)["kind"] for entry in await again.entries(0, 9)][:1] == ["charge"]
    assert await again.spent(build.nodes()) == (build.loss(10),) * 3


async def test_a_commit_that_was_done_but_said_it_failed_is_not_answered_and_not_lost(
    disk: FlawedDisk, files: Any, build: Any, reopened: Any
) -> None:
    """Promises P1 and P2: whatever the disk did, the store fits itself, and nothing was given away."""
    died: list[bool] = []
    ledger = files.open(vfs=disk.name, on_fatal=lambda: died.append(True))
    disk.sync_done_but_failed = True
    with pytest.raises(LedgerUnavailable):
        await ledger.charge(build.charge("r-1", key="k"))
    disk.sync_done_but_failed = False
    assert died == [True]

    again = await reopened()

    report = verify_store(files.path, files.signer.vkey, checkpoints=[await again.checkpoint()])
    assert (report.open_charges, report.faults) == (0, ())
    charged = report.charges * 10
    assert await again.spent(build.nodes()) == (build.loss(charged),) * 3


async def test_a_signer_that_fails_ends_the_ledger(files: Any, build: Any) -> None:
    """Promise P1: durable but not provable is not sent."""
    died: list[bool] = []
    ledger = files.open(on_fatal=lambda: died.append(True))
    true_sign = files.signer.sign
    files.signer.sign = lambda _: 1 // 0
    with pytest.raises(LedgerUnavailable):
        await ledger.release(build.release("r-1"))
    files.signer.sign = true_sign

    assert died == [True]
    with pytest.raises(LedgerUnavailable):
        await ledger.release(build.release("r-2"))


async def test_a_head_file_that_cannot_be_written_holds_no_durable_answer_back(
    files: Any, build: Any
) -> None:
    """Promise P1: the entry is durable; the head file is written anew with the next commit."""
    ledger = files.open()
    before = files.head.read_bytes()
    files.head.with_name("head.new").mkdir()
    assert (await ledger.release(build.release("r-1"))).index == 0
    await asyncio.sleep(2 * PAUSE_S)
    assert files.head.read_bytes() == before

    files.head.with_name("head.new").rmdir()
    assert (await ledger.release(build.release("r-2"))).index == 1
    await ledger.close()
    assert verify_checkpoint(files.head.read_bytes(), files.signer.vkey).size == 2
