"""What was erased stays erased: in the store, its journals, the key file, and any older copy of the store.

The finder of these tests has everything that lies on the disk, the home's key, and a full older copy of
the store; what he lacks is a key that was destroyed.
"""

import asyncio
import shutil
import sqlite3
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import apsw
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.errors import HomeInvalid, LedgerUnavailable
from gateway.ledger.audit import verify_store
from gateway.ledger.key_file import period_of
from gateway.ledger.openings import unpacked
from gateway.ledger.port import EntryRefused
from gateway.ledger.sqlite import SqliteLedger
from gateway.terms.entry import Basis, Change, EntryKind, Erasure
from gateway.terms.identifiers import RequestId
from gateway.transparency.canonical import parsed
from gateway.transparency.proof import verify_receipt
from gateway.transparency.tree import leaf_hash

RID = RequestId("erase-1")


def facts_of(receipt: Any) -> Any:
    return parsed(receipt.entry)["facts"]


def opened_by_a_finder(stores: Iterable[Path], key_files: Iterable[Path], unseal: Any) -> set[bytes]:
    """Every private value that all these files together open."""
    ciphers = []
    for path in key_files:
        with sqlite3.connect(path) as keys:
            rows = keys.execute("SELECT wrapped FROM opening_key WHERE id > 0").fetchall()
            ciphers += [AESGCM(unseal(wrapped)[-32:]) for (wrapped,) in rows]
    found = set()
    for path in stores:
        with sqlite3.connect(path) as store:
            rows = store.execute("SELECT sealed, leaf FROM opening JOIN entry USING (idx)").fetchall()
        for sealed, leaf in rows:
            for cipher in ciphers:
                try:
                    opening = cipher.decrypt(sealed[:12], sealed[12:], leaf_hash(leaf))
                except InvalidTag:
                    continue
                found |= set(unpacked(opening)[1].values())
    return found


@pytest.fixture
def unseal() -> Any:
    return lambda data: bytes(255 - byte for byte in data.removeprefix(b"sealed"))


@pytest.fixture
async def used(files: Any, build: Any) -> SqliteLedger:
    """Entries of two people and of nobody, in two months."""
    ledger: SqliteLedger = files.open()
    for month in range(2):
        for person in ("lan", "minh", None):
            private = {"question": f"{person} asked in month {month}".encode()}
            await ledger.release(build.release(f"r-{person}-{month}", private=private, subject=person))
        files.clock.moment += timedelta(days=31)
    return ledger


ALL = {f"{person} asked in month {month}".encode() for person in ("lan", "minh", None) for month in (0, 1)}


@pytest.mark.parametrize(
    ("erasure", "gone", "facts"),
    [
        (
            Erasure(basis=Basis.REQUEST, subject="lan"),
            {b"lan asked in month 0", b"lan asked in month 1"},
            {"basis": "request", "openings": 2, "records": 0},
        ),
        (
            Erasure(basis=Basis.RETENTION, before="2026-11"),
            {b"lan asked in month 0", b"minh asked in month 0", b"None asked in month 0"},
            {"basis": "retention", "before": "2026-11", "openings": 3, "records": 0},
        ),
        (
            Erasure(basis=Basis.MISTAKE, entries=(1,)),
            {b"minh asked in month 0"},
            {"basis": "mistake", "openings": 1, "records": 0},
        ),
        (
            Erasure(basis=Basis.ORDER, entries=(2, 5, 5)),
            {b"None asked in month 0", b"None asked in month 1"},
            {"basis": "order", "openings": 2, "records": 0},
        ),
    ],
)
async def test_what_was_erased_opens_nowhere_and_the_rest_still_does(  # noqa: PLR0917 -- fixtures
    erasure: Erasure,
    gone: set[bytes],
    facts: Any,
    used: SqliteLedger,
    files: Any,
    unseal: Any,
    tmp_path: Path,
) -> None:
    """Promise P9."""
    older = tmp_path / "older.sqlite"
    with sqlite3.connect(files.path) as store, sqlite3.connect(older) as copy:
        store.backup(copy)
    key_file = files.folder / "openings.sqlite"
    assert opened_by_a_finder([files.path, older], [key_file], unseal) == ALL

    receipt = await used.erase(erasure, RID)

    assert facts_of(receipt) == facts
    assert opened_by_a_finder([files.path], [key_file], unseal) == ALL - gone
    assert opened_by_a_finder([older], [key_file], unseal) & gone == set()
    report = verify_store(files.path, files.signer.vkey, checkpoints=[await used.checkpoint()])
    assert (report.size, report.faults) == (7, ())


async def test_what_lies_under_the_key_of_an_erased_entry_stays_openable(
    files: Any, build: Any, unseal: Any
) -> None:
    """Promise P9: many of one person in one month, in more than one part, and one of them goes."""
    ledger = files.open()
    asked = [f"question {number}".encode() for number in range(1100)]
    await asyncio.gather(
        *(
            ledger.release(build.release(f"r-{at}", private={"question": value}, subject="lan"))
            for at, value in enumerate(asked)
        )
    )

    await ledger.erase(Erasure(basis=Basis.MISTAKE, entries=(700,)), RID)

    erased = set(asked) - opened_by_a_finder([files.path], [files.folder / "openings.sqlite"], unseal)
    assert len(erased) == 1
    report = verify_store(files.path, files.signer.vkey, checkpoints=[await ledger.checkpoint()])
    assert report.faults == ()


async def test_every_proof_stays_valid(files: Any, build: Any) -> None:
    """Promise P9."""
    ledger = files.open()
    receipt = await ledger.release(build.release("r-1", private={"peer": b"203.0.113.7"}, subject="lan"))

    await ledger.erase(Erasure(basis=Basis.REQUEST, subject="lan"), RID)

    verify_receipt(
        proof=receipt.proof, entry=receipt.entry, body=b"body", salt=receipt.salt, vkey=files.signer.vkey
    )


async def test_no_file_holds_a_destroyed_key_or_a_persons_name(
    used: SqliteLedger, files: Any, unseal: Any
) -> None:
    """Promise P9: neither the key, nor as it is wrapped, nor the id, in any byte of any file."""
    with sqlite3.connect(files.folder / "openings.sqlite") as keys:
        wrapped = {row[0] for row in keys.execute("SELECT wrapped FROM opening_key WHERE id > 0")}
    await used.erase(Erasure(basis=Basis.REQUEST, subject="lan"), RID)
    with sqlite3.connect(files.folder / "openings.sqlite") as keys:
        left = {row[0] for row in keys.execute("SELECT wrapped FROM opening_key WHERE id > 0")}

    destroyed = wrapped - left
    assert len(destroyed) == 2
    keys = {unseal(secret)[-32:] for secret in wrapped}
    secrets = destroyed | keys | {b"lan asked", b'"lan"'}
    texts = {path.name: path.read_bytes() for path in files.folder.iterdir() if path.is_file()}
    assert set(texts) >= {"ledger.sqlite", "ledger.sqlite-wal", "openings.sqlite", "head"}
    assert [name for name, text in texts.items() for secret in secrets if secret in text] == []
    assert "openings.sqlite-journal" not in texts


async def test_a_crash_after_the_entry_is_made_good_at_the_next_start(
    used: SqliteLedger, files: Any, build: Any, reopened: Any, unseal: Any
) -> None:
    """The entry says erased, so it must be; the key file as it was before stands for the crash."""
    await used.release(build.release("r-last"))
    key_file = files.folder / "openings.sqlite"
    before = key_file.read_bytes()
    await used.erase(Erasure(basis=Basis.REQUEST, subject="lan"), RID)
    await used.close()
    key_file.write_bytes(before)

    await reopened()

    left = opened_by_a_finder([files.path], [key_file], unseal)
    assert left == ALL - {b"lan asked in month 0", b"lan asked in month 1"}


async def test_a_key_file_that_is_older_than_the_ledger_is_refused(
    files: Any, build: Any, reopened: Any
) -> None:
    await files.open().release(build.release("r-1"))
    key_file = files.folder / "openings.sqlite"
    before = key_file.read_bytes()
    await files.opened[-1].release(build.release("r-2", subject="lan"))
    await files.opened[-1].close()

    key_file.write_bytes(before)
    with pytest.raises(HomeInvalid, match=r"`openings.sqlite` is older than the ledger: it has made 1"):
        await reopened()
    key_file.unlink()
    with pytest.raises(HomeInvalid, match=r"`openings.sqlite` is older than the ledger: it has made 0"):
        await reopened()


@pytest.mark.parametrize("damage", ["another home's", "another program's", "newer", "garbage"])
async def test_a_key_file_that_is_not_ours_is_refused(
    damage: str, files: Any, build: Any, reopened: Any
) -> None:
    await files.open().release(build.release("r-1"))
    await files.opened[-1].close()
    key_file = files.folder / "openings.sqlite"
    match damage:
        case "another program's":
            key_file.unlink()
            apsw.Connection(str(key_file)).execute("CREATE TABLE mine (a)")
        case "newer":
            apsw.Connection(str(key_file)).pragma("user_version", 9)
        case "garbage":
            key_file.write_bytes(b"no database" * 500)
        case _:
            apsw.Connection(str(key_file)).execute("UPDATE opening_key SET wrapped = x'00'")

    with pytest.raises(HomeInvalid, match="opening keys"):
        await reopened()


async def test_an_erased_person_is_left_out_of_the_registry_and_can_come_back(
    files: Any, build: Any, reopened: Any
) -> None:
    """Promise P9: the person's records go with the person; nobody else's do."""
    lan = Change(kind="operator", id="lan", document=b'{"name":"Lan"}', subject="lan")
    grant = Change(kind="activation", id="a-1", document=b'{"operator":"lan"}', subject="lan")
    bank = Change(kind="organisation", id="bank-a", document=b"{}")
    ledger = files.open()
    await ledger.release(build.release(kind=EntryKind.CONFIG, changes=(lan, grant, bank)))
    shown = parsed((await ledger.entries(0, 1))[0])["changes"]
    assert isinstance(shown, list)
    assert [str(change).partition("/")[0] for change in shown] == ["operator", "activation", "organisation"]
    assert shown[2] == "organisation/bank-a"
    assert not {"operator/lan", "activation/a-1"} & set(shown)

    receipt = await ledger.erase(Erasure(basis=Basis.REQUEST, subject="lan"), RID)

    assert facts_of(receipt) == {"basis": "request", "openings": 0, "records": 2}
    ledger = await reopened()
    assert await ledger.registry() == (bank,)
    again = Change(kind="operator", id="lan", document=b'{"name":"Lan again"}', subject="lan")
    await ledger.release(build.release(kind=EntryKind.CONFIG, changes=(again,)))
    assert {change.id: change for change in await ledger.registry()} == {"bank-a": bank, "lan": again}
    report = verify_store(files.path, files.signer.vkey, checkpoints=[await ledger.checkpoint()])
    assert report.faults == ()


async def test_records_survive_the_months(files: Any, build: Any) -> None:
    bank = Change(kind="organisation", id="bank-a", document=b"{}")
    ledger = files.open()
    await ledger.release(build.release(kind=EntryKind.CONFIG, changes=(bank,)))
    files.clock.moment += timedelta(days=400)

    await ledger.erase(Erasure(basis=Basis.RETENTION, before="2027-06"), RID)

    assert await ledger.registry() == (bank,)


async def test_what_was_erased_once_is_not_erased_again(used: SqliteLedger) -> None:
    for erasure in (
        Erasure(basis=Basis.REQUEST, subject="lan"),
        Erasure(basis=Basis.RETENTION, before="2026-11"),
        Erasure(basis=Basis.MISTAKE, entries=(4,)),
    ):
        await used.erase(erasure, RID)
        with pytest.raises(EntryRefused, match="nothing of that"):
            await used.erase(erasure, RID)
    with pytest.raises(EntryRefused, match="nothing of that"):
        await used.erase(Erasure(basis=Basis.REQUEST, subject="nobody"), RID)
    with pytest.raises(EntryRefused, match="nothing of that"):
        await used.erase(Erasure(basis=Basis.MISTAKE, entries=(10**6, -1)), RID)


async def test_a_lost_key_is_no_erasure(files: Any, build: Any) -> None:
    """A record that nobody erased and nobody can read is a fault, not a gap."""
    ledger = files.open()
    change = Change(kind="client", id="etl-1", document=b"{}")
    await ledger.release(build.release(kind=EntryKind.CONFIG, changes=(change,)))
    with apsw.Connection(str(files.folder / "openings.sqlite")) as outside:
        outside.execute("DELETE FROM opening_key WHERE period = 'registry'")

    with pytest.raises(LedgerUnavailable):
        await ledger.registry()


async def test_entries_after_an_erasure_lie_under_new_keys(
    used: SqliteLedger, files: Any, build: Any
) -> None:
    await used.erase(Erasure(basis=Basis.REQUEST, subject="lan"), RID)
    await used.release(build.release("r-new", private={"question": b"new"}, subject="lan"))

    with sqlite3.connect(files.path) as store:
        gone = {row[0] for row in store.execute("SELECT key FROM erased")}
        newest = store.execute("SELECT key FROM opening ORDER BY idx DESC LIMIT 1").fetchone()[0]
    assert len(gone) == 2
    assert newest not in gone
    assert newest > max(gone)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"subject": "lan", "before": "2026-10"},
        {"before": "2026-13"},
        {"before": "registry"},
        {"before": "October"},
    ],
)
def test_an_erasure_names_one_thing(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"names a person|written as"):
        Erasure(basis=Basis.REQUEST, **wrong)


@pytest.mark.parametrize(
    ("ts", "period"),
    [
        (0, "1970-01"),
        (1_793_491_199_999, "2026-10"),
        (1_793_491_200_000, "2026-11"),
        (1_793_491_199_999 + 1 + 30 * 86_400_000, "2026-12"),
        (2**53 - 1, "9999-12"),
    ],
)
def test_a_period_is_the_utc_month(ts: int, period: str) -> None:
    assert period_of(ts) == period


async def test_a_copy_of_the_whole_home_taken_before_is_the_only_thing_that_still_opens(
    used: SqliteLedger, files: Any, unseal: Any, tmp_path: Path
) -> None:
    """The limit of it: who kept store, key file and home's key from before has kept all of it."""
    kept = tmp_path / "kept"
    kept.mkdir()
    shutil.copy(files.folder / "openings.sqlite", kept / "openings.sqlite")

    await used.erase(Erasure(basis=Basis.REQUEST, subject="lan"), RID)

    assert opened_by_a_finder([files.path], [kept / "openings.sqlite"], unseal) == ALL
