"""A number of an opening key never serves twice, whichever copy of the key file comes back (P9)."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import apsw
import pytest

from gateway.errors import HomeInvalid, LedgerUnavailable
from gateway.ledger.audit import verify_store
from gateway.ledger.port import EntryRefused
from gateway.terms.entry import Basis, Erasure
from gateway.terms.identifiers import RequestId
from tests.faults.disk import Disk, Do, Operation

RID = RequestId("erase-1")
LAN = Erasure(basis=Basis.REQUEST, subject="lan")


def key_file(files: Any) -> Path:
    path: Path = files.folder / "openings.sqlite"
    return path


@pytest.mark.parametrize("erases", [False, True])
async def test_a_copy_from_before_a_key_was_used_is_refused(
    erases: bool,
    files: Any,
    build: Any,
    reopened: Any,
) -> None:
    """Else the next new key would take the number of one that was used, or erased."""
    ledger = files.open()
    await ledger.release(build.release("r-1"))
    before = key_file(files).read_bytes()
    await ledger.release(build.release("r-2", subject="lan"))
    if erases:
        await ledger.erase(LAN, RID)
    await ledger.close()
    newest = key_file(files).read_bytes()
    key_file(files).write_bytes(before)

    with pytest.raises(
        HomeInvalid,
        match=r"key file `openings.sqlite` is older.*has made 1 .*has used 2; bring back the newest",
    ):
        await reopened()
    key_file(files).write_bytes(newest)
    await (await reopened()).release(build.release("r-3", subject="lan"))


async def test_a_key_file_that_was_deleted_after_a_retention_is_refused(
    files: Any, build: Any, reopened: Any
) -> None:
    """Every key that is left is erased by then, so no opening would miss its key."""
    ledger = files.open()
    await ledger.release(build.release("r-1"))
    files.clock.moment += timedelta(days=31)
    await ledger.erase(Erasure(basis=Basis.RETENTION, before="2026-11"), RID)
    await ledger.erase(Erasure(basis=Basis.MISTAKE, entries=(1,)), RequestId("erase-2"))
    await ledger.close()
    key_file(files).unlink()

    with pytest.raises(HomeInvalid, match="it has made 0 opening keys and the ledger has used 3"):
        await reopened()


async def test_a_key_that_no_entry_used_does_not_count(files: Any, build: Any, reopened: Any) -> None:
    """A key is durable before its entry: where the entry was not written, the file is ahead, and good."""
    ledger = files.open()
    await ledger.release(build.release("r-1"))
    with apsw.Connection(str(key_file(files))) as outside:
        outside.execute("UPDATE sqlite_sequence SET seq = seq + 7")

    again = await reopened()
    await again.release(build.release("r-2", subject="lan"))

    assert apsw.Connection(str(files.path)).execute("SELECT key FROM newest_key").get == 9


@pytest.mark.parametrize(
    "swap",
    [
        "UPDATE opening_key SET wrapped = (SELECT wrapped FROM opening_key WHERE id = 1) WHERE id = 2",
        "UPDATE opening_key SET subject = x'' WHERE id = 2",
        "UPDATE opening_key SET period = '2026-09' WHERE id = 2",
        "UPDATE opening_key SET id = 7 WHERE id = 2",
    ],
)
async def test_a_key_serves_its_own_number_and_place_only(
    swap: str, files: Any, build: Any, reopened: Any
) -> None:
    ledger = files.open()
    for subject in ("minh", "lan"):
        await ledger.release(build.release(f"r-{subject}", private={"question": b"q"}, subject=subject))
    await ledger.close()
    with apsw.Connection(str(key_file(files))) as outside:
        outside.execute(swap)

    again = await reopened()
    with pytest.raises(LedgerUnavailable):
        await again.opening(1)
    assert (await again.opening(0))[1] == {"question": b"q"}


@pytest.mark.parametrize("before", ["2026-11", "2027-01", "9999-12"])
async def test_a_month_that_has_not_begun_is_no_limit_of_a_retention(
    before: str, files: Any, build: Any
) -> None:
    """The entry that tells of it would lose its own opening, and `audit verify` would never agree again."""
    ledger = files.open()
    await ledger.release(build.release("r-1", private={"question": b"q"}))

    with pytest.raises(EntryRefused, match="has not begun yet"):
        await ledger.erase(Erasure(basis=Basis.RETENTION, before=before), RID)

    assert (await ledger.opening(0))[1] == {"question": b"q"}
    files.clock.moment += timedelta(days=31)
    await ledger.erase(Erasure(basis=Basis.RETENTION, before="2026-11"), RID)
    assert await ledger.opening(0) is None
    report = verify_store(files.path, files.signer.vkey, checkpoints=[await ledger.checkpoint()])
    assert report.faults == ()


async def test_an_erasure_whose_keys_cannot_be_destroyed_yet_says_that_it_is_recorded(
    files: Any, build: Any
) -> None:
    """Promise P9: the key file is full while the store is not; what is due is done before anything else."""
    full = [False]

    def meddle(operation: Operation, do: Do) -> None:
        if full[0] and operation.kind == "write" and operation.file.startswith("openings"):
            raise apsw.FullError("no space left")
        do(operation)

    disk = Disk(meddle)
    died: list[bool] = []
    ledger = files.open(vfs=disk.name, on_fatal=lambda: died.append(True))
    await ledger.release(build.release("r-0"))
    await ledger.release(build.release("r-1", private={"question": b"q"}, subject="lan"))

    full[0] = True
    with pytest.raises(LedgerUnavailable, match=r"recorded as entry 2, but its keys cannot be destroyed"):
        await ledger.erase(LAN, RID)
    with pytest.raises(LedgerUnavailable):
        await ledger.release(build.release("r-2"))
    assert await ledger.opening(1) is None

    full[0] = False
    assert (await ledger.release(build.release("r-2"))).index == 3
    with apsw.Connection(str(key_file(files))) as outside:
        held = {number for (number,) in outside.execute("SELECT id FROM opening_key")}
    assert (held, died) == ({0, 1}, [])
    await ledger.close()


async def test_an_index_beyond_every_log_is_nothing_to_erase(files: Any, build: Any) -> None:
    ledger = files.open()
    await ledger.release(build.release("r-1"))

    with pytest.raises(EntryRefused, match="nothing of that"):
        await ledger.erase(Erasure(basis=Basis.MISTAKE, entries=(2**63, 10**30)), RID)
