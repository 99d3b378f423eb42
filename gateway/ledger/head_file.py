"""The last signed head, kept outside the database, so that an old or shortened database shows.

Written after each commit by renaming, without a sync of its own: after a power failure the file may be
older than the database, which is harmless, never newer. A database that is behind it, or does not
contain it, was restored from an old backup or cut: no service until people have reconciled it.
"""

import os
from collections.abc import Callable
from pathlib import Path

from gateway.errors import HomeInvalid
from gateway.transparency.proof import Checkpoint, verify_checkpoint
from gateway.transparency.tree import ProofInvalid


def write_head(path: Path, note: bytes) -> None:
    """Replace the head file."""
    fresh = path.with_name(path.name + ".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, note)
    finally:
        os.close(descriptor)
    fresh.replace(path)


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
    except ProofInvalid as error:
        raise HomeInvalid(f"the ledger's head file cannot be believed: {error}") from error
    _compare(head, size, root_at)


def _compare(head: Checkpoint, size: int, root_at: Callable[[int], bytes]) -> None:
    if size < head.size:
        raise HomeInvalid(
            f"the ledger holds {size} entries but {head.size} were signed: it was restored from an old "
            "backup or its end was cut off; bring back the newest copy"
        )
    if root_at(head.size) != head.root:
        raise HomeInvalid(
            f"the ledger's first {head.size} entries are not the ones that were signed; "
            "bring back the true copy"
        )
