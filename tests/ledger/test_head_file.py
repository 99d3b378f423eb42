"""The head file: whole whatever happens, never newer than the store, off the commit's path."""

import asyncio
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import HomeInvalid
from gateway.ledger import head_file
from gateway.ledger.head_file import HeadFile, check_head, write_head
from gateway.transparency.proof import verify_checkpoint


def test_a_head_is_synced_before_it_takes_the_old_ones_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a power failure could leave an empty file, and with it no service."""
    done: list[str] = []
    true_sync, true_rename = os.fsync, Path.replace

    def sync(descriptor: int) -> None:
        done.append("sync " + Path(f"/proc/self/fd/{descriptor}").readlink().name)
        true_sync(descriptor)

    def rename(self: Path, target: Path) -> Path:
        done.append("rename")
        return true_rename(self, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "replace", rename)

    write_head(tmp_path / "head", b"note")

    assert done == ["sync head.new", "rename", f"sync {tmp_path.name}"]
    assert (tmp_path / "head").read_bytes() == b"note"


def test_half_a_head_is_no_head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_head(tmp_path / "head", b"old")
    true_write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: true_write(descriptor, data[: len(data) // 2]))

    with pytest.raises(OSError, match="no room"):
        write_head(tmp_path / "head", b"a longer note")

    assert (tmp_path / "head").read_bytes() == b"old"


def test_the_newest_head_is_written_and_those_in_between_need_not_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[bytes] = []
    go_on = threading.Event()

    def slowly(path: Path, note: bytes) -> None:
        written.append(note)
        assert go_on.wait(10) or not written
        write_head(path, note)

    head = HeadFile(tmp_path / "head")
    head.start(b"0")
    monkeypatch.setattr(head_file, "write_head", slowly)
    for number in range(1, 1000):
        head.put(b"%d" % number)
    go_on.set()
    head.close()

    assert written[-1] == b"999"
    assert len(written) <= 3
    assert (tmp_path / "head").read_bytes() == b"999"


async def test_a_commit_is_answered_while_its_head_is_being_written(
    files: Any, build: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    ledger = files.open()

    def stalled(path: Path, note: bytes) -> None:
        assert go_on.wait(10)
        write_head(path, note)

    monkeypatch.setattr(head_file, "write_head", stalled)
    async with asyncio.timeout(5):
        for number in range(3):
            await ledger.release(build.release(f"r-{number}"))
    go_on.set()
    await ledger.close()

    assert verify_checkpoint(files.head.read_bytes(), files.signer.vkey).size == 3


async def test_no_entry_is_there_before_a_head_file_is(files: Any) -> None:
    """Else a crash before the first writing would leave a store that is refused."""
    files.open()
    assert verify_checkpoint(files.head.read_bytes(), files.signer.vkey).size == 0

    other = files.folder / "other"
    other.mkdir()
    with pytest.raises(HomeInvalid, match="cannot be recovered"):
        files.open(path=other / "log.sqlite", head_file=other / "missing" / "head")
    files.open(path=other / "log.sqlite", head_file=other / "head")  # what did not start was closed


def test_a_head_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(HomeInvalid, match="head file cannot be read"):
        check_head(tmp_path, vkey="", size=1, root_at=lambda _: b"")
