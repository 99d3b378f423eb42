"""From one log to the next: the files of a home's ledger, moved so that a crash anywhere can be made good.

    ledger/log.sqlite, head, cosigned     the log that grows
    ledger/next/                          the one that follows, in the making; thrown away by who repeats
    ledger/closed/<origin>/               a closed log: log.sqlite, head, cosigned, log.vkey

(1) The closed store gets a second name in its folder, and its heads and keys go there. (2) The new store is
renamed over the old name: this is the change; before it the new log is thrown away and made anew, after
it there is only the rest to finish. (3) The new head is renamed too. The settings, which name the log, come
last: until they do, no gateway opens the new store; the closed one it never opens.

Owner: the process that holds the home's lock.
"""

import os
import shutil
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import quote

import apsw

from gateway.errors import HomeInvalid
from gateway.ledger.audit_store import snapshot

STORE: Final = "log.sqlite"
HEAD: Final = "head"
COSIGNED: Final = "cosigned"
VKEYS: Final = "log.vkey"
_NEXT: Final = "next"
_CLOSED: Final = "closed"
CLOSED_MAX: Final = 1000


class Log(NamedTuple):
    """What a store says of itself."""

    origin: str
    next: str | None


def log_of(store: Path) -> Log:
    """Return which log a store holds.

    Raises:
        HomeInvalid: It is no ledger.

    """
    with snapshot(store) as connection:
        return Log(*connection.execute("SELECT origin, next FROM log").get)


def closed_folder(ledger: Path, origin: str) -> Path:
    """Return where the files of a closed log lie."""
    return ledger / _CLOSED / quote(origin, safe="")


def closed_folders(ledger: Path) -> list[Path]:
    """Return the folders of all closed logs.

    Raises:
        HomeInvalid: There are too many.

    """
    found = sorted(path.parent for path in (ledger / _CLOSED).glob(f"*/{STORE}"))
    if len(found) > CLOSED_MAX:
        raise HomeInvalid(f"more than {CLOSED_MAX:,} closed logs")
    return found


def next_folder(ledger: Path) -> Path:
    """Return the folder for the log in the making, empty.

    Raises:
        HomeInvalid: The disk refuses.

    """
    folder = ledger / _NEXT
    try:
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(mode=0o700)
    except OSError as error:
        raise HomeInvalid(f"the next log cannot be made: {error.strerror}") from error
    return folder


def take_over(ledger: Path, *, origin: str, vkeys: str, note: bytes) -> None:
    """Put the log in the making in place of the closed one of that origin. Steps (1) and (2).

    ``note`` is the closed log's signed end, ``vkeys`` all that it ever signed with.

    Raises:
        HomeInvalid: The disk refuses, or another program has the ledger open.

    """
    try:
        _require_whole(ledger / STORE)
        _require_whole(ledger / _NEXT / STORE)
        folder = closed_folder(ledger, origin)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _put(folder / HEAD, note)
        if (ledger / COSIGNED).exists():
            _put(folder / COSIGNED, (ledger / COSIGNED).read_bytes())
        _put(folder / VKEYS, f"{vkeys}\n".encode("ascii"))
        (folder / STORE).unlink(missing_ok=True)  # from a try that came no further; it is the same file
        (folder / STORE).hardlink_to(ledger / STORE)
        _sync(folder, folder.parent, ledger)
        _sync(ledger / _NEXT / STORE, ledger / _NEXT / HEAD, ledger / _NEXT)
        (ledger / _NEXT / STORE).replace(ledger / STORE)
        _sync(ledger)
    except OSError as error:
        raise HomeInvalid(f"the ledger's files cannot be moved: {error.strerror}") from error


def finish(ledger: Path) -> None:
    """Take over the new head; to repeat it does no harm. Step (3).

    Raises:
        HomeInvalid: The disk refuses.

    """
    try:
        (ledger / COSIGNED).unlink(missing_ok=True)  # of the closed log, which keeps it
        if (ledger / _NEXT / HEAD).exists():
            (ledger / _NEXT / HEAD).replace(ledger / HEAD)
        _sync(ledger)
    except OSError as error:
        raise HomeInvalid(f"the ledger's files cannot be moved: {error.strerror}") from error


def forget_next(ledger: Path) -> None:
    """Remove what is left of the making."""
    shutil.rmtree(ledger / _NEXT, ignore_errors=True)


def replace_durably(path: Path, content: bytes) -> None:
    """Put a file in place of another, whole and durable.

    Raises:
        HomeInvalid: The disk refuses.

    """
    try:
        _put(path, content)
        _sync(path.parent)
    except OSError as error:
        raise HomeInvalid(f"`{path.name}` cannot be written: {error.strerror}") from error


def _require_whole(store: Path) -> None:
    """Have everything in the one file: a journal left behind would be taken for the next store's.

    Raises:
        HomeInvalid: Somebody else has it open.

    """
    journal, index = (store.with_name(f"{store.name}-{end}") for end in ("wal", "shm"))
    connection = apsw.Connection(str(store), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()[0][0]
    finally:
        connection.close()
    if busy or journal.exists() or index.exists():
        raise HomeInvalid("another program reads the ledger; end it, then repeat")


def _put(path: Path, content: bytes) -> None:
    fresh = path.with_name(f".{path.name}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        if path.exists():
            os.fchmod(descriptor, path.stat().st_mode & 0o777)
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    fresh.replace(path)


def _sync(*paths: Path) -> None:
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
