"""Signed heads kept outside the database, so that an old or shortened database shows.

Two files: ``head``, the newest one signed, which ``HeadFile`` writes beside the commits; and ``cosigned``,
the last one that enough witnesses cosigned. Both are synced before they take the old one's place, so a
power failure leaves one of the two, whole. A file may be older than the database, which is harmless,
never newer. A database that is behind one, or does not contain it, was restored from an old backup or
cut: no service until people have reconciled it.
"""

import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from gateway.errors import HomeInvalid
from gateway.transparency.proof import Checkpoint, verify_checkpoint
from gateway.transparency.tree import ProofInvalid

PAUSE_S: Final = 0.1
"""Between two writings of ``head``: their syncs would hold up those of the commits."""


class HeadFile:
    """The file ``head``, written in a thread of its own: always the newest note, never two at once.

    One that cannot be written stays older than the database; the next note is tried anew.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._newest = b""
        self._changed = threading.Event()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ledger-head", daemon=True)

    def start(self, note: bytes) -> None:
        """Write the first note at once, so that no entry is there before a head file is.

        Raises:
            OSError: It cannot be written.

        """
        self._newest = note
        write_head(self._path, note)
        self._thread.start()

    def put(self, note: bytes) -> None:
        """Have a note written, soon."""
        self._newest = note
        self._changed.set()

    def close(self) -> None:
        """Return once the newest note was written, or could not be."""
        self._closed.set()
        self._changed.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        written, closed = self._newest, False
        while not closed:
            self._changed.wait()
            self._changed.clear()
            closed, note = self._closed.is_set(), self._newest
            if note != written:
                with contextlib.suppress(OSError):
                    write_head(self._path, note)
                    written = note
            self._closed.wait(PAUSE_S)


def write_head(path: Path, note: bytes) -> None:
    """Replace a head file by a note, durably.

    Raises:
        OSError: It cannot be written; the old file stays.

    """
    fresh = path.with_name(path.name + ".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        if os.write(descriptor, note) != len(note):
            raise OSError("no room for the whole head")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def check_head(path: Path, *, vkey: str, size: int, root_at: Callable[[int], bytes]) -> None:
    """Compare a database of ``size`` entries with the head file.

    Raises:
        HomeInvalid: The file is missing beside a used database, unreadable, or tells of a log that the
            database is behind or does not contain.

    """
    try:
        head = verify_checkpoint(path.read_bytes(), vkey)
    except FileNotFoundError:
        if size:
            raise HomeInvalid(
                f"the ledger holds {size} entries but its head file is missing; restore the head file"
            ) from None
        return
    except OSError as error:
        raise HomeInvalid(f"the ledger's head file cannot be read: {error.strerror}") from error
    except ProofInvalid as error:
        raise HomeInvalid(f"the ledger's head file cannot be believed: {error}") from error
    require_reached(head, size, "were signed")
    require_contained(head, root_at(head.size), "were signed")


def require_reached(head: Checkpoint, size: int, told: str) -> None:
    """Refuse a ledger that is behind a signed head; ``told`` says who tells of that head.

    Raises:
        HomeInvalid: It is.

    """
    if size < head.size:
        raise HomeInvalid(
            f"the ledger holds {size} entries but {head.size} {told}: it was restored from an old "
            "backup or its end was cut off; bring back the newest copy"
        )


def require_contained(head: Checkpoint, root: bytes, told: str) -> None:
    """Refuse a ledger whose first entries have another root than a signed head.

    Raises:
        HomeInvalid: They have.

    """
    if root != head.root:
        raise HomeInvalid(
            f"the ledger's first {head.size} entries are not the ones that {told}; bring back the true copy"
        )
