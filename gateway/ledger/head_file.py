"""Signed heads kept outside the database, so that an old or shortened database shows.

Two files: ``head``, the last one signed, written after each commit; and ``cosigned``, the last one that
enough witnesses cosigned. Both are written by renaming, without a sync of their own: after a power
failure a file may be older than the database, which is harmless, never newer. A database that is behind
one, or does not contain it, was restored from an old backup or cut: no service until people have
reconciled it.
"""

import os
from collections.abc import Callable
from pathlib import Path

from gateway.errors import HomeInvalid
from gateway.transparency.proof import Checkpoint, verify_checkpoint
from gateway.transparency.tree import ProofInvalid


def write_head(path: Path, note: bytes) -> None:
    """Replace a head file."""
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
