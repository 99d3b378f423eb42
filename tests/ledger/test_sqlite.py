"""What the SQLite store adds to the contract: restarts, old copies, tampering, private parts kept apart."""

import asyncio
import hashlib
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import apsw
import pytest

from gateway.errors import ChargedFailure, HomeInvalid, LedgerUnavailable
from gateway.ledger.audit import verify_store
from gateway.ledger.port import EntryRefused
from gateway.ledger.schema import VERSION, connect
from gateway.terms.charge import Charge
from gateway.terms.entry import Change, EntryKind
from gateway.transparency.canonical import parsed
from gateway.transparency.proof import verify_checkpoint, verify_receipt

CANARY = b"0123456789-canary"


async def test_everything_is_still_there_after_a_restart(files: Any, build: Any, reopened: Any) -> None:
    """Promises P1, P2 and P7."""
    ledger = files.open()
    charge = await ledger.charge(build.charge("r-1", key="k"))
    await ledger.release(build.release("r-1", charge=charge.index, answer=b"answer"))
    change = Change(kind="client", id="etl-1", document=b"{}")
    await ledger.release(build.release("r-2", kind=EntryKind.CONFIG, changes=(change,)))
    await ledger.use_once("jti", 1)
    entries, head = await ledger.entries(0, 256), await ledger.checkpoint()

    again = await reopened()

    assert await again.entries(0, 256) == entries
    assert await again.checkpoint() == head
    assert await again.spent(build.nodes()) == (build.loss(10),) * 3
    assert (await again.charge(build.charge("r-3", key="k"))).answer == b"answer"
    assert await again.registry() == (change,)
    assert not await again.use_once("jti", 1)


async def test_a_charge_left_open_is_recovered_once_and_stays_charged(
    files: Any, build: Any, reopened: Any
) -> None:
    """Promise P2."""
    await files.open().charge(build.charge("r-1", key="k"))

    for _ in range(2):
        again = await reopened()
        assert [parsed(entry)["kind"] for entry in await again.entries(0, 256)] == ["charge", "recover"]
    recovered = parsed((await again.entries(1, 2))[0])

    assert (recovered["charge"], recovered["id"]) == (0, "r-1")
    assert await again.spent(build.nodes()) == (build.loss(10),) * 3
    with pytest.raises(ChargedFailure):
        await again.charge(build.charge("r-2", key="k"))
    with pytest.raises(EntryRefused):
        await again.release(build.release("r-1", charge=0))


async def test_more_charges_than_a_batch_holds_are_all_recovered(
    files: Any, build: Any, reopened: Any
) -> None:
    ledger = files.open()
    await asyncio.gather(*(ledger.charge(build.charge(f"r-{number}", rho=0)) for number in range(300)))

    await reopened()

    report = verify_store(files.path, files.signer.vkey, checkpoints=[files.head.read_bytes()])
    assert (report.charges, report.recovered, report.open_charges, report.faults) == (300, 300, 0, ())


@pytest.mark.parametrize("grown", [1, 254, 255, 256, 257, 600])
async def test_a_log_grows_on_after_a_restart_wherever_it_stopped(
    grown: int, files: Any, build: Any, reopened: Any
) -> None:
    ledger = files.open()
    receipts = await asyncio.gather(*(ledger.release(build.release(f"r-{n}")) for n in range(grown)))

    again = await reopened()
    receipt = await again.release(build.release("r-last", body=b"last"))

    verify_receipt(
        proof=receipt.proof,
        entry=receipt.entry,
        body=b"last",
        salt=receipt.salt,
        vkey=files.signer.vkey,
    )
    heads = [receipts[-1].proof.partition(b"\n\n")[2], await again.checkpoint(), files.head.read_bytes()]
    report = verify_store(files.path, files.signer.vkey, checkpoints=heads)
    assert (report.size, report.checkpoints, report.faults) == (grown + 1, 3, ())


async def test_no_private_byte_lies_in_clear_in_any_file(files: Any, build: Any) -> None:
    """Promise P9."""
    ledger = files.open()
    charge = await ledger.charge(build.charge("r-1", private={"question": CANARY}, key=CANARY.decode()))
    await ledger.release(
        build.release("r-1", charge=charge.index, body=CANARY, private={"peer": CANARY}, answer=CANARY)
    )
    change = Change(kind="operator", id="op-1", document=CANARY)
    await ledger.release(build.release("r-2", kind=EntryKind.CONFIG, changes=(change,)))
    await ledger.use_once(CANARY.decode(), 1)

    written = [path for path in files.folder.iterdir() if path.is_file()]
    assert len(written) >= 3
    assert [path.name for path in written if CANARY in path.read_bytes()] == []
    assert {path.stat().st_mode & 0o077 for path in written} == {0}
    assert CANARY.decode() not in repr(ledger) + repr(charge)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE entry SET leaf = x'00' WHERE idx = 0",
        "DELETE FROM entry WHERE idx = 0",
        "DELETE FROM entry",
        "REPLACE INTO entry VALUES (0, x'00')",
        "INSERT INTO entry VALUES (0, x'00') ON CONFLICT (idx) DO UPDATE SET leaf = x'00'",
        "UPDATE spent SET rho = 0",
        "UPDATE spent SET keys = -1",
        "REPLACE INTO spent SELECT node, 0, 0, 0 FROM spent",
        "REPLACE INTO spent SELECT node, rho, delta, -1 FROM spent",
        "DELETE FROM spent",
    ],
)
async def test_the_store_itself_refuses_to_rewrite(sql: str, files: Any, build: Any) -> None:
    """Promise P2, against a slip of our own; who owns the file is caught by heads and receipts."""
    ledger = files.open()
    await ledger.charge(build.charge("r-1"))

    with pytest.raises(apsw.ConstraintError):
        apsw.Connection(str(files.path)).execute(sql)


async def test_a_signature_is_made_only_for_what_is_durable(files: Any, build: Any) -> None:
    """Promise P1."""
    seen = []

    class WatchingSigner(type(files.signer)):  # type: ignore[misc]
        def sign(self, message: bytes) -> bytes:
            outside = apsw.Connection(str(files.path))
            seen.append((int(message.split(b"\n")[1]), outside.execute("SELECT size FROM head").get))
            return super().sign(message)  # type: ignore[no-any-return]

    ledger = files.open(signer=WatchingSigner())
    await ledger.release(build.release("r-1"))
    await ledger.charge(build.charge("r-2"))

    assert seen == [(0, 0), (1, 1), (2, 2)]


async def test_an_old_copy_is_refused(files: Any, build: Any, reopened: Any) -> None:
    ledger = files.open()
    await ledger.release(build.release("r-1"))
    await ledger.close()
    old = files.path.read_bytes()
    ledger = await reopened()
    await ledger.release(build.release("r-2"))
    await ledger.close()
    files.path.write_bytes(old)

    with pytest.raises(HomeInvalid, match=r"holds 1 entries but 2 were signed"):
        await reopened()


async def test_a_missing_database_beside_its_head_is_refused(files: Any, build: Any, reopened: Any) -> None:
    ledger = files.open()
    await ledger.release(build.release("r-1"))
    await ledger.close()
    files.path.unlink()

    with pytest.raises(HomeInvalid, match=r"holds 0 entries but 1 were signed"):
        await reopened()


async def test_another_history_of_the_same_length_is_refused(files: Any, build: Any, reopened: Any) -> None:
    ledger = files.open()
    await ledger.release(build.release("r-1"))
    await ledger.close()
    head = files.head.read_bytes()
    files.path.unlink()
    files.head.unlink()
    for _ in range(2):
        await files.open().release(build.release("r-2"))
        await files.opened[-1].close()
    files.head.write_bytes(head)

    with pytest.raises(HomeInvalid, match="not the ones that were signed"):
        await reopened()


@pytest.mark.parametrize("damage", ["missing", "empty", "another key", "flipped"])
async def test_a_head_file_that_says_nothing_is_refused(
    damage: str, files: Any, build: Any, reopened: Any
) -> None:
    ledger = files.open()
    await ledger.release(build.release("r-1"))
    await ledger.close()
    match damage:
        case "missing":
            files.head.unlink()
        case "empty":
            files.head.write_bytes(b"")
        case "another key":
            files.signer = type(files.signer)("thief")
        case _:
            files.head.write_bytes(files.head.read_bytes().replace(b"\n1\n", b"\n0\n"))

    with pytest.raises(HomeInvalid):
        await reopened()


async def test_a_head_file_behind_the_database_is_only_old(files: Any, build: Any, reopened: Any) -> None:
    ledger = files.open()
    await ledger.release(build.release("r-1"))
    head = files.head.read_bytes()
    await ledger.release(build.release("r-2"))
    await ledger.close()
    files.head.write_bytes(head)

    await reopened()

    assert verify_checkpoint(files.head.read_bytes(), files.signer.vkey).size == 2


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("DROP TRIGGER entry_is_never_deleted; DELETE FROM entry WHERE idx = 299", "same number"),
        (
            "DROP TRIGGER entry_is_never_changed; UPDATE entry SET leaf = x'7b7d' WHERE idx = 299",
            "newest entries",
        ),
        ("UPDATE tile SET hashes = zeroblob(8192) WHERE level = 1", "newest entries"),
        ("DELETE FROM tile WHERE level = 1", "tile 0 of level 1 is missing"),
        ("UPDATE head SET root = zeroblob(32)", "newest entries"),
        (f"PRAGMA user_version = {VERSION + 1}", "start the newer gateway"),
        ("PRAGMA application_id = 7", "another program"),
        ("UPDATE log SET origin = 'other'", "another log"),
    ],
)
async def test_a_store_that_does_not_fit_together_is_not_opened(
    sql: str, says: str, files: Any, build: Any, reopened: Any
) -> None:
    ledger = files.open()
    await asyncio.gather(*(ledger.release(build.release(f"r-{number}")) for number in range(300)))
    await ledger.close()
    with apsw.Connection(str(files.path)) as outside:
        outside.execute(sql)

    with pytest.raises(HomeInvalid, match=says):
        await reopened()


async def test_the_store_is_set_to_be_durable(files: Any) -> None:
    """Promise P1: with NORMAL, a power failure loses commits that were answered."""
    connection = connect(files.path, vfs=None)

    settings = ("journal_mode", "synchronous", "secure_delete", "trusted_schema")
    assert [connection.pragma(name) for name in settings] == ["wal", 3, 1, 0]


async def test_another_programs_file_is_left_alone(files: Any) -> None:
    apsw.Connection(str(files.path)).execute("CREATE TABLE mine (a)")
    with pytest.raises(HomeInvalid, match="another program"):
        files.open()
    files.path.write_bytes(b"no database" * 500)
    with pytest.raises(HomeInvalid, match="cannot be opened"):
        files.open()


async def test_two_gateways_cannot_serve_one_ledger(files: Any, reopened: Any) -> None:
    files.open()
    with pytest.raises(HomeInvalid, match="in use by another gateway"):
        files.open()
    await reopened()


async def test_what_another_process_wrote_is_read_before_the_next_write(files: Any, build: Any) -> None:
    """Promise P2: caches are believed only while the head has not moved."""
    first = files.open(head_file=None)
    await first.charge(build.charge("r-1", rho=60))
    files.path.with_name("ledger.sqlite.lock").unlink()  # as if there were no lock
    second = files.open(head_file=None)  # closes r-1 by recovery
    await second.charge(build.charge("r-2", rho=30))

    outcome = await first.charge(build.charge("r-3", rho=10))
    with pytest.raises(EntryRefused):
        await first.release(build.release("r-1", charge=0))
    receipt = await first.release(build.release("r-3", charge=outcome.index, body=b"b"))

    verify_receipt(
        proof=receipt.proof, entry=receipt.entry, body=b"b", salt=receipt.salt, vkey=files.signer.vkey
    )
    assert await first.spent(build.nodes()) == (build.loss(100),) * 3
    report = verify_store(files.path, files.signer.vkey, checkpoints=[await first.checkpoint()])
    assert (report.size, report.open_charges, report.faults) == (5, 1, ())


async def test_a_tampered_registry_record_is_not_given_out(files: Any, build: Any, reopened: Any) -> None:
    ledger = files.open()
    for document in (b"active", b"suspended"):
        change = Change(kind="client", id="etl-1", document=document)
        await ledger.release(build.release(kind=EntryKind.CONFIG, changes=(change,)))
    await ledger.close()
    with apsw.Connection(str(files.path)) as outside:
        outside.execute("UPDATE registry SET sealed = CAST(substr(sealed, 1, 38) || x'000102' AS BLOB)")

    with pytest.raises(LedgerUnavailable):
        await (await reopened()).registry()


async def test_stored_answers_cannot_be_exchanged(files: Any, build: Any, reopened: Any) -> None:
    ledger = files.open()
    for number in range(2):
        charge = await ledger.charge(build.charge(f"r-{number}", key=f"k-{number}"))
        await ledger.release(
            build.release(f"r-{number}", charge=charge.index, answer=b"answer of %d" % number)
        )
    await ledger.close()
    with apsw.Connection(str(files.path)) as outside:
        outside.execute("UPDATE claim SET answer = (SELECT answer FROM claim WHERE charge = 2)")

    again = await reopened()
    assert (await again.charge(build.charge("r-3", key="k-1"))).answer == b"answer of 1"
    with pytest.raises(LedgerUnavailable):
        await again.charge(build.charge("r-4", key="k-0"))


async def test_used_ids_are_forgotten_only_a_day_after_they_expired(files: Any) -> None:
    """Promise P7."""
    ran = [0.0]
    ledger = files.open(elapsed_s=lambda: ran[0])
    now_ms = int(files.clock.moment.timestamp() * 1000)
    await ledger.use_once("old", now_ms)
    files.clock.moment += timedelta(hours=25)
    ran[0] += 25 * 3600
    await ledger.use_once("recent", now_ms + 2 * 3600 * 1000)

    await asyncio.gather(*(ledger.use_once(f"jti-{number}", now_ms + 10**9) for number in range(1100)))
    await ledger.use_once("jti-last", now_ms + 10**9)

    ids = dict(apsw.Connection(str(files.path)).execute("SELECT id, 1 FROM once"))
    assert hashlib.sha256(b"recent").digest() in ids
    assert hashlib.sha256(b"old").digest() not in ids


async def test_a_closed_ledger_answers_nothing(files: Any, build: Any) -> None:
    """Promise P1."""
    ledger = files.open()
    await ledger.close()
    await ledger.close()

    with pytest.raises(LedgerUnavailable):
        await ledger.release(build.release())


async def test_a_large_body_is_recorded_like_any_other(files: Any, build: Any) -> None:
    body = bytes(300_000)
    receipt = await files.open().release(build.release(body=body))

    verify_receipt(
        proof=receipt.proof, entry=receipt.entry, body=body, salt=receipt.salt, vkey=files.signer.vkey
    )
    assert len(receipt.proof) < 2048


async def test_an_auditor_can_read_entries_as_plain_json(files: Any, build: Any) -> None:
    charge = await files.open().charge(build.charge("r-1", facts={"masks": {"drop": 2}}))
    assert isinstance(charge, Charge)

    leaf = apsw.Connection(str(files.path)).execute("SELECT leaf FROM entry").get

    assert json.loads(leaf)["facts"] == {"masks": {"drop": 2}}


@pytest.mark.parametrize(
    "sql", ["UPDATE registry SET id = 'etl-2'", "UPDATE registry SET kind = 'agreement'"]
)
async def test_a_record_under_another_name_is_not_given_out(
    sql: str, files: Any, build: Any, reopened: Any
) -> None:
    """The entry says which record it put; the row's own name is only looked up by."""
    ledger = files.open()
    change = Change(kind="client", id="etl-1", document=b"{}")
    await ledger.release(build.release(kind=EntryKind.CONFIG, changes=(change,)))
    await ledger.close()
    with apsw.Connection(str(files.path)) as outside:
        outside.execute(sql)

    with pytest.raises(LedgerUnavailable):
        await (await reopened()).registry()


async def test_a_store_that_is_not_opened_holds_no_file(files: Any, build: Any, reopened: Any) -> None:
    ledger = files.open()
    await ledger.release(build.release())
    await ledger.close()
    files.head.write_bytes(b"nonsense")
    before = open_files(files.folder)
    with pytest.raises(HomeInvalid) as refused:
        await reopened()

    assert refused.value is not None  # holds the frames, and with them whatever was not closed
    assert open_files(files.folder) == before == []


def open_files(folder: Path) -> list[str]:
    """Which files of a folder this process has open."""
    targets = [str(entry.readlink()) for entry in Path("/proc/self/fd").iterdir() if entry.exists()]
    return [target for target in targets if target.startswith(str(folder))]
