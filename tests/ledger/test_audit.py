"""The outside observer finds what somebody with the file in his hands changed."""

import asyncio
from dataclasses import replace
from typing import Any

import apsw
import pytest

from gateway.ledger.audit import AuditReport, HandedIn, verify_store
from gateway.terms.entry import Basis, Change, EntryKind, Erasure
from gateway.terms.identifiers import RequestId


@pytest.fixture
async def used(files: Any, build: Any) -> Any:
    """A closed ledger with 300 entries: charges released, failed and recovered, and a registry."""
    ledger = files.open()

    async def ask(number: int) -> None:
        charge = await ledger.charge(build.charge(f"r-{number}", rho=0, key=f"k-{number}"))
        kind = EntryKind.RELEASE if number % 3 else EntryKind.ERROR
        answer = b"answer" if number % 3 else None
        await ledger.release(build.release(f"r-{number}", charge=charge.index, kind=kind, answer=answer))

    await asyncio.gather(*map(ask, range(140)))
    changes = [Change(kind="client", id=f"c-{number % 5}", document=b"{}") for number in range(17)]
    config = [build.release(kind=EntryKind.CONFIG, changes=(change,)) for change in changes]
    await asyncio.gather(*map(ledger.release, config))
    await ledger.charge(build.charge("r-open", rho=9))
    await ledger.close()
    ledger = files.open()
    await ledger.charge(build.charge("r-flight", rho=2, key="k-flight"))
    await ledger.close()
    return files


def audited(files: Any, **more: Any) -> AuditReport:
    return verify_store(files.path, files.signer.vkey, checkpoints=[files.head.read_bytes()], **more)


def changed(files: Any, sql: str) -> None:
    """Do something to the store that its triggers forbid, and put them back."""
    with apsw.Connection(str(files.path)) as outside:
        triggers = outside.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            outside.execute(f"DROP TRIGGER {name}")
        outside.execute(sql)
        for _, text in triggers:
            outside.execute(text)


async def test_an_honest_log_verifies(used: Any) -> None:
    report = audited(used)

    assert report == AuditReport(
        size=300,
        root=report.root,
        since=0,
        charges=142,
        recovered=1,
        open_charges=1,
        steps_back=0,
        checkpoints=1,
        receipts=0,
        faults=(),
        reached=report.reached,
    )
    assert report.verified


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("UPDATE entry SET leaf = x'7b226964223a2261227d' WHERE idx = 14", "not the ones that were signed"),
        ("UPDATE entry SET leaf = x'7b7d' WHERE idx = 3", "entry 3 is not of an entry's form"),
        ("UPDATE entry SET leaf = x'7b207d' WHERE idx = 3", "entry 3 is not canonical JSON"),
        ("UPDATE entry SET leaf = x'' WHERE idx = 3", "entry 3 is not canonical JSON"),
        ("UPDATE entry SET leaf = zeroblob(4097) WHERE idx = 3", "entry 3 has 4,097 bytes"),
        ("DELETE FROM entry WHERE idx = 299", "a tree of 300 entries was signed, the store holds 299"),
        ("DELETE FROM entry WHERE idx = 100", "entry 100 is missing"),
        ("DELETE FROM entry WHERE idx = 0", "entry 0 is missing"),
        (
            "INSERT INTO entry SELECT 300, leaf FROM entry WHERE idx = 7",
            "the head is not that of the entries",
        ),
        ("UPDATE head SET size = 299", "the head is not that of the entries"),
        ("UPDATE head SET root = zeroblob(32)", "the head is not that of the entries"),
        ("DELETE FROM head", "the head is not that of the entries"),
        ("UPDATE tile SET hashes = zeroblob(8192) WHERE level = 0", "tile 0 of level 0"),
        ("UPDATE tile SET hashes = zeroblob(32) WHERE level = 1", "tile 0 of level 1"),
        ("DELETE FROM tile WHERE level = 1", "tile 0 of level 1"),
        ("INSERT INTO tile VALUES (3, 0, x'')", "tiles that are not of this tree"),
        ("UPDATE spent SET rho = 8 WHERE node = 'vn.nso'", "the budget of `vn.nso` is not the sum"),
        ("UPDATE spent SET rho = 12 WHERE node = 'vn.nso'", "the budget of `vn.nso` is not the sum"),
        ("UPDATE spent SET keys = 7 WHERE node = 'vn.nso'", "the budget of `vn.nso` is not the sum"),
        ("DELETE FROM spent WHERE node = 'vn.nso/bank-a'", "the budget of `vn.nso/bank-a` is not the sum"),
        ("INSERT INTO spent VALUES ('other', 0, 0, 0)", "the budget of `other` is not the sum"),
        ("DELETE FROM charge_open", "charge 299: store and entries differ"),
        ("UPDATE charge_open SET id = 'r-other'", "charge 299: store and entries differ"),
        ("UPDATE claim SET charge = 1 WHERE charge = 0", "claim on charge 1 does not fit"),
        ("UPDATE claim SET release = NULL WHERE release = 200", "does not fit the entries"),
        ("UPDATE claim SET answer = x'00' WHERE answer IS NULL", "does not fit the entries"),
        ("UPDATE registry SET idx = 280 WHERE id = 'c-1'", "record `client/c-1` is not the one"),
        ("UPDATE registry SET field = 'change.1' WHERE id = 'c-1'", "record `client/c-1` is not the one"),
        ("DELETE FROM registry WHERE id = 'c-1'", "record `client/c-1` is not the one"),
        ("UPDATE registry SET id = 'c-9' WHERE id = 'c-1'", "record `client/c-9` is not the one"),
        (
            "DELETE FROM opening WHERE idx = 5",
            "holds 298 openings, and what the log says",
        ),
        ("INSERT INTO erased VALUES (1)", "openings, and what the log says of erasures leaves 299"),
        ("UPDATE opening SET idx = 300 WHERE idx = 299", "an opening of entry 300, which is not there"),
        ("UPDATE log SET vkey = 'other'", "another log"),
        ("UPDATE log SET origin = 'other'", "another log"),
        ("DROP TRIGGER entry_is_never_deleted", "`entry_is_never_deleted` of the store is not as"),
        ("CREATE TABLE more (a)", "`more` of the store is not as"),
    ],
)
async def test_every_change_is_found_and_named(sql: str, says: str, used: Any) -> None:
    if sql.startswith("DROP"):
        with apsw.Connection(str(used.path)) as outside:
            outside.execute(sql)
    else:
        changed(used, sql)

    assert any(says in fault for fault in audited(used).faults), audited(used).faults


async def test_a_fork_is_found_by_any_head_that_somebody_kept(files: Any, build: Any) -> None:
    ledger = files.open()
    await ledger.release(build.release("r-1"))
    kept = await ledger.checkpoint()
    await ledger.close()
    for file in files.folder.iterdir():
        file.unlink()
    other = files.open()
    for _ in range(3):
        await other.release(build.release("r-1"))

    report = verify_store(files.path, files.signer.vkey, checkpoints=[await other.checkpoint(), kept])

    assert report.faults == ("checkpoint 2: the first 1 entries are not the ones that were signed",)
    assert (report.checkpoints, report.reached) == (1, None)


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


async def test_an_erasure_changes_no_verdict_and_an_unlogged_one_is_found(files: Any, build: Any) -> None:
    """Promise P9."""
    ledger = files.open()
    for number in range(9):
        await ledger.release(build.release(f"r-{number}", private={"peer": b"127.0.0.1"}))
    await ledger.erase(Erasure(basis=Basis.ORDER, entries=(3, 4)), RequestId("r-erase"))
    await ledger.release(build.release("r-last"))
    await ledger.close()

    assert audited(files).faults == ()
    changed(files, "DELETE FROM opening WHERE idx = 5")
    assert audited(files).faults == (
        "the store holds 8 openings, and what the log says of erasures leaves 9",
    )


@pytest.fixture
async def told(files: Any, build: Any) -> tuple[Any, list[HandedIn]]:
    """A ledger of 20 entries, and the receipts of all of them."""
    ledger = files.open()
    receipts = []
    for number in range(20):
        receipt = await ledger.release(build.release(f"r-{number}", body=b"body"))
        receipts.append(
            HandedIn(name=f"{number}.receipt", proof=receipt.proof, entry=receipt.entry, body=b"body")
        )
    await ledger.close()
    return files, receipts


async def test_receipts_that_firms_kept_are_found_at_their_index(told: Any) -> None:
    """Promise P1, held by an auditor."""
    files, receipts = told

    report = audited(files, receipts=receipts)

    assert (report.faults, report.receipts) == ((), 20)


async def test_an_operator_who_logs_less_than_he_releases_is_found(told: Any, build: Any) -> None:
    """Promise P1: entries 15 to 19 were answered, and the log that he shows ends before them."""
    files, receipts = told
    for file in files.folder.iterdir():
        file.unlink()
    ledger = files.open()
    for number in range(15):
        await ledger.release(build.release(f"r-{number}", body=b"body"))
    await ledger.close()

    report = audited(files, receipts=receipts[15:16])

    assert report.faults == (
        "receipt `15.receipt`: a tree of 16 entries was signed, the store holds 15",
        "receipt `15.receipt`: the store has no entry 15",
    )
    assert report.receipts == 0


async def test_an_operator_who_shows_another_log_is_found(told: Any, build: Any) -> None:
    files, receipts = told
    for file in files.folder.iterdir():
        file.unlink()
    ledger = files.open()
    for number in range(25):
        await ledger.release(build.release(f"r-{number}", body=b"body"))
    await ledger.close()

    report = audited(files, receipts=[receipts[7]])

    assert report.faults == (
        "receipt `7.receipt`: the first 8 entries are not the ones that were signed",
        "receipt `7.receipt`: entry 7 of the store is another one",
    )


async def test_a_receipt_that_proves_nothing_is_named(told: Any) -> None:
    files, receipts = told
    other_body = HandedIn(name="a", proof=receipts[3].proof, entry=receipts[3].entry, body=b"other")
    other_entry = HandedIn(name="b", proof=receipts[3].proof, entry=receipts[4].entry, body=None)
    place_only = HandedIn(name="c", proof=receipts[3].proof, entry=receipts[3].entry, body=None)

    report = audited(files, receipts=[other_body, other_entry, place_only])

    assert report.faults == (
        "receipt `a`: proves nothing: the entry does not commit to this body",
        "receipt `b`: proves nothing: the entry does not stand in the log at that index",
    )
    assert report.receipts == 1


async def test_a_receipt_whose_plaintext_was_exchanged_is_named(files: Any, build: Any) -> None:
    """What an encrypted answer says is held against the entry, with its ciphertext and without."""
    ledger = files.open()
    kept = await ledger.release(replace(build.release("r-1", body=b"a.jwe"), plain=b"plain"))
    await ledger.close()
    in_log = {"proof": kept.proof, "entry": kept.entry}

    def handed_in(body: bytes | None, plain: bytes | None) -> AuditReport:
        return audited(files, receipts=[HandedIn(name="a", **in_log, body=body, plain=plain)])

    for body in (b"a.jwe", None):
        assert handed_in(body, b"plain").faults == ()
        assert handed_in(body, b"other").faults == (
            "receipt `a`: proves nothing: the entry does not commit to this plaintext",
        )


async def test_the_caller_is_told_how_far_the_check_is(used: Any) -> None:
    told: list[tuple[int, int]] = []

    audited(used, on_progress=lambda done, total: told.append((done, total)))

    assert told == [(256, 300), (300, 300)]


async def test_a_clock_that_was_set_back_is_counted_and_is_no_fault(files: Any, build: Any) -> None:
    ledger = files.open()
    await ledger.release(build.release("r-1"))
    files.clock.moment = files.clock.moment.replace(year=2025)
    await ledger.release(build.release("r-2"))
    await ledger.close()

    report = audited(files)

    assert (report.faults, report.steps_back) == ((), 1)
