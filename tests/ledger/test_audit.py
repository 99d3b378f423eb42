"""The outside observer finds what somebody with the file in his hands changed."""

import asyncio
from typing import Any

import apsw
import pytest

from gateway.errors import HomeInvalid
from gateway.ledger.audit import AuditReport, verify_store
from gateway.terms.entry import Change, EntryKind


@pytest.fixture
async def used(files: Any, build: Any) -> Any:
    """A closed ledger with 300 entries: charges released, failed and recovered, and a registry."""
    ledger = files.open()

    async def ask(number: int) -> None:
        charge = await ledger.charge(build.charge(f"r-{number}", rho=0, key=f"k-{number}"))
        kind = EntryKind.RELEASE if number % 3 else EntryKind.ERROR
        await ledger.release(build.release(f"r-{number}", charge=charge.index, kind=kind))

    await asyncio.gather(*map(ask, range(140)))
    changes = [Change(kind="client", id=f"c-{number % 5}", document=b"{}") for number in range(17)]
    config = [build.release(kind=EntryKind.CONFIG, changes=(change,)) for change in changes]
    await asyncio.gather(*map(ledger.release, config))
    await ledger.charge(build.charge("r-open", rho=9))
    await ledger.close()
    ledger = files.open()
    await ledger.charge(build.charge("r-flight", rho=2))
    await ledger.close()
    return files


def audited(files: Any) -> AuditReport:
    return verify_store(files.path, files.signer.vkey, checkpoints=[files.head.read_bytes()])


async def test_an_honest_log_verifies(used: Any) -> None:
    report = audited(used)

    assert report == AuditReport(
        size=300,
        root=report.root,
        charges=142,
        recovered=1,
        open_charges=1,
        checkpoints=1,
        faults=(),
    )
    assert report.verified


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        (
            "UPDATE entry SET leaf = x'7b226964223a2261227d' WHERE idx = 14",
            "not the ones that were signed",
        ),
        ("UPDATE entry SET leaf = x'7b7d' WHERE idx = 3", "entry 3 is no canonical entry"),
        ("DELETE FROM entry WHERE idx = 299", "a tree of 300 entries was signed"),
        ("DELETE FROM entry WHERE idx = 100", "entry 100 is missing"),
        ("UPDATE head SET size = 299", "the head is not that of the entries"),
        ("UPDATE tile SET hashes = zeroblob(8192) WHERE level = 0", "tile 0 of level 0"),
        ("UPDATE tile SET hashes = zeroblob(32) WHERE level = 1", "tile 0 of level 1"),
        ("INSERT INTO tile VALUES (3, 0, x'')", "tiles that are not of this tree"),
        ("UPDATE spent SET rho = 8 WHERE node = 'vn.nso'", "not the sums of the debits"),
        ("UPDATE spent SET rho = 12 WHERE node = 'vn.nso'", "not the sums of the debits"),
        ("DELETE FROM spent WHERE node = 'vn.nso/bank-a'", "not the sums of the debits"),
        ("DELETE FROM charge_open", "not those that no entry closed"),
        ("UPDATE registry SET idx = 280 WHERE id = 'c-1'", "not as it was last put"),
        ("DELETE FROM registry WHERE id = 'c-1'", "not as it was last put"),
        ("UPDATE log SET vkey = 'other'", "another log"),
    ],
)
async def test_every_change_is_found(sql: str, says: str, used: Any) -> None:
    with apsw.Connection(str(used.path)) as outside:
        for (trigger,) in outside.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
            outside.execute(f"DROP TRIGGER {trigger}")
        outside.execute(sql)

    assert any(says in fault for fault in audited(used).faults)


async def test_a_fork_is_found_by_any_head_that_somebody_kept(files: Any, build: Any) -> None:
    ledger = files.open()
    await ledger.release(build.release("r-1"))
    kept = await ledger.checkpoint()
    await ledger.close()
    files.path.unlink()
    files.head.unlink()
    other = files.open()
    for _ in range(3):
        await other.release(build.release("r-1"))

    report = verify_store(files.path, files.signer.vkey, checkpoints=[kept, await other.checkpoint()])

    assert report.faults == ("the first 1 entries are not the ones that were signed",)


async def test_a_forged_head_is_no_evidence(used: Any) -> None:
    forged = used.head.read_bytes().replace(b"300", b"299")

    report = verify_store(used.path, used.signer.vkey, checkpoints=[b"", forged])

    assert (report.checkpoints, len(report.faults)) == (0, 2)


async def test_a_running_ledger_can_be_audited(files: Any, build: Any) -> None:
    ledger = files.open()
    await ledger.charge(build.charge("r-1"))

    assert audited(files).verified
    await ledger.release(build.release("r-1", charge=0))
    assert audited(files).open_charges == 0


async def test_what_is_no_ledger_is_not_audited(files: Any) -> None:
    with pytest.raises(HomeInvalid):
        verify_store(files.path, files.signer.vkey)
    files.path.write_bytes(b"")
    with pytest.raises(HomeInvalid):
        verify_store(files.path, files.signer.vkey)
