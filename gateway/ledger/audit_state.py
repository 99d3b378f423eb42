"""What a check found, kept for the next one, so that the next reads only what is newer.

    {"format": ..., "note": signed head, "books": what the entries up to it add up to, "sha256": of the rest}

What it takes to believe it: the tree needs no trust, because the note is signed by the log and the new
entries must continue its root. The sums are as good as the place where the file was kept: the digest
finds damage, not a person who writes the file anew. So it belongs to the checker, never to the log's
operator, and its digest, which the command prints, into the checker's own records.
"""

import hashlib
import json
from dataclasses import asdict
from typing import Final

from gateway.ledger.audit import Since
from gateway.ledger.audit_entries import Books

FORMAT: Final = "data-sharing-gateway audit state 1"
BYTES_MAX: Final = 256 * 1024 * 1024


class StateInvalid(ValueError):
    """A file is no state of an earlier check, and no checkpoint either; it says why."""


def state_text(since: Since) -> bytes:
    """Return the file that a check leaves for the next one."""
    assert since.books is not None, "a check that read books keeps them"  # noqa: S101
    members: dict[str, object] = {
        "format": FORMAT,
        "note": since.note.decode("utf-8"),
        "books": asdict(since.books) | {"closed_older": sorted(since.books.closed_older)},
    }
    return _spelt(members | {"sha256": digest_of(members)})


def since_of(text: bytes) -> Since:
    """Return where a check can go on: from the file of an earlier check, or from a bare checkpoint.

    Raises:
        StateInvalid: It is neither, it is damaged, or another version wrote it.

    """
    if len(text) > BYTES_MAX:
        raise StateInvalid("the file is too large")
    if not text.startswith(b"{"):
        return Since(note=text, books=None)
    try:
        members = json.loads(text)
        stated = members.pop("sha256")
    except (ValueError, KeyError, RecursionError) as error:
        raise StateInvalid("the state file is cut off or damaged: it is not JSON with a digest") from error
    if stated != digest_of(members) or _spelt(members | {"sha256": stated}) != text:
        raise StateInvalid("the state file is damaged: its digest does not fit")
    if members.get("format") != FORMAT:
        raise StateInvalid("the state file is of another version; check in full once")
    try:
        return Since(note=members["note"].encode("utf-8"), books=_books(**members["books"]))
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise StateInvalid("the state file holds no books of a log") from error


def state_digest(text: bytes) -> str:
    """Return the digest that a state file carries."""
    return str(json.loads(text)["sha256"])


def digest_of(members: dict[str, object]) -> str:
    """Return the digest of a state's members."""
    return hashlib.sha256(_spelt(members)).hexdigest()


def _spelt(members: dict[str, object]) -> bytes:
    return json.dumps(members, sort_keys=True, separators=(",", ":")).encode("ascii") + b"\n"


def _books(
    *,
    sums: dict[str, list[int]],
    open: dict[str, str],  # noqa: A002 -- a member's name
    closed_older: list[int],
    records: dict[str, list[int | str]],
    **counts: int,
) -> Books:
    return Books(
        sums={str(node): (int(rho), int(delta), int(keys)) for node, (rho, delta, keys) in sums.items()},
        open={int(index): str(name) for index, name in open.items()},
        closed_older={int(index) for index in closed_older},
        records={str(name): (int(index), str(field)) for name, (index, field) in records.items()},
        **counts,
    )
