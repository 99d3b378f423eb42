"""Whatever lies where a ledger should be is named, within seconds, and is never "ok"."""

import asyncio
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import pytest

from gateway.errors import HomeInvalid
from gateway.ledger.audit import verify_store
from gateway.ledger.schema import VERSION

TIME_LIMIT_S = 20


@pytest.fixture
async def copy(files: Any, build: Any, tmp_path: Path) -> Path:
    """A copy of a ledger with 600 entries, taken while it runs: most of it lies in the journal."""
    ledger = files.open()
    await asyncio.gather(*(ledger.release(build.release(f"r-{number}")) for number in range(600)))
    folder = tmp_path / "copy"
    folder.mkdir()
    for name in ("ledger.sqlite", "ledger.sqlite-wal"):
        shutil.copy(files.folder / name, folder / name)
    (folder / "head").write_bytes(await ledger.checkpoint())  # the file of that name comes to it soon
    return folder / "ledger.sqlite"


async def found(path: Path, vkey: str) -> list[str]:
    """Return what is said of a file; a check that hangs is a failure."""
    head = path.with_name("head").read_bytes()

    def check() -> list[str]:
        try:
            return list(verify_store(path, vkey, checkpoints=[head]).faults)
        except HomeInvalid as error:
            return [error.detail]

    return await asyncio.wait_for(asyncio.to_thread(check), TIME_LIMIT_S)


async def test_a_copy_with_its_journal_is_a_ledger(copy: Path, files: Any) -> None:
    assert await found(copy, files.signer.vkey) == []


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def made_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def made_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def made_foreign(path: Path) -> None:
    path.unlink()
    path.with_name(path.name + "-wal").unlink()
    with apsw.Connection(str(path)) as other:
        other.execute("CREATE TABLE entry (idx INTEGER PRIMARY KEY, leaf BLOB)")


def made_newer(path: Path) -> None:
    with apsw.Connection(str(path)) as other:
        other.pragma("user_version", VERSION + 1)


def made_huge(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(1 << 40)  # a hole: a terabyte that takes no place


def filled_with_zeros(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def without_journal(path: Path) -> None:
    path.with_name(path.name + "-wal").unlink()


def with_half_the_journal(path: Path) -> None:
    journal = path.with_name(path.name + "-wal")
    os.truncate(journal, journal.stat().st_size // 2)


def with_its_first_page_damaged(path: Path) -> None:
    whole(path)
    with path.open("r+b") as file:
        file.seek(16)
        file.write(b"\xff" * 84)


def with_a_page_damaged(path: Path) -> None:
    whole(path)
    with path.open("r+b") as file:
        file.seek(4096 * 9)
        file.write(os.urandom(4096))


def cut_off(path: Path) -> None:
    whole(path)
    os.truncate(path, path.stat().st_size // 2)


def with_a_huge_value(path: Path) -> None:
    with apsw.Connection(str(path)) as other:
        other.execute("DROP TRIGGER entry_is_never_changed")
        other.execute("UPDATE entry SET leaf = zeroblob(200000000) WHERE idx = 5")


def whole(path: Path) -> None:
    """Bring the journal into the file, as a gateway that stops does."""
    other = apsw.Connection(str(path))
    other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    other.close()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (Path.unlink, "there is no ledger at this path"),
        (emptied, "the ledger's file is empty"),
        (made_a_folder, "no plain file"),
        (made_a_pipe, "no plain file"),
        (made_foreign, "belongs to another program"),
        (made_newer, f"the ledger has format {VERSION + 1}, this program knows {VERSION}"),
        (made_huge, "the ledger's file goes on after its last page"),
        (filled_with_zeros, "the ledger's file is no SQLite file"),
        (without_journal, ""),
        (with_half_the_journal, "a tree of 600 entries was signed, the store holds"),
        (with_its_first_page_damaged, "no SQLite file, or its first page is damaged"),
        (with_a_page_damaged, "damaged"),
        (cut_off, "damaged"),
        (with_a_huge_value, "a value of more than 1,048,576 bytes"),
    ],
)
async def test_what_is_no_whole_ledger_is_named(
    copy: Path, files: Any, spoil: Callable[[Path], None], says: str
) -> None:
    spoil(copy)

    faults = await found(copy, files.signer.vkey)

    assert any(says in fault for fault in faults), faults


async def test_a_key_of_another_log_believes_nothing(copy: Path) -> None:
    for vkey in ("", "log", "log+00000000+AAAA", "\n", "\ud800"):
        assert await found(copy, vkey) != []


def test_a_check_changes_nothing(copy: Path, files: Any) -> None:
    whole(copy)
    before = copy.read_bytes()

    report = verify_store(copy, files.signer.vkey, checkpoints=[copy.with_name("head").read_bytes()])

    assert report.faults == ()
    assert copy.read_bytes() == before
    assert not any(path.stat().st_size for path in copy.parent.glob("*-wal"))
