"""Which replies are to be inspected afterwards: a draw from the log that anybody who has it can repeat.

A reply's entry says in clear at which rate its rules had it inspected (``inspection_ppm``). Whether it is
drawn follows from the entry's bytes alone. A firm cannot steer it: an entry holds salted commitments, of
which nobody outside knows the salts beforehand. Whoever runs the gateway chooses the salts and could.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from gateway.errors import HomeInvalid
from gateway.ledger.audit_entries import Entry, Fact
from gateway.ledger.audit_store import snapshot
from gateway.terms.entry import EntryKind

CONTEXT: Final = b"gateway inspection v1\n"
_PPM: Final = 10**6
_REPLIES: Final = frozenset({EntryKind.RELEASE, EntryKind.SINGLE})
_DECODER: Final = msgspec.json.Decoder(Entry)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """One reply to inspect."""

    index: int
    request_id: str
    facts: Mapping[str, Fact]


def is_drawn(entry: bytes, ppm: int) -> bool:
    """Return whether a reply with this entry is inspected, at so many of a million."""
    place = int.from_bytes(hashlib.sha256(CONTEXT + entry).digest()[:8])
    return place * _PPM < ppm << 64


def drawn(store: Path, *, since: int = 0) -> Iterator[Drawn]:
    """Yield the replies of a log to inspect, from an index on; it is believed as it stands.

    Raises:
        HomeInvalid: There is no log that this version can read; ``audit verify`` says more.

    """
    with snapshot(store) as connection:
        rows = connection.execute(
            "SELECT idx, CAST(leaf AS BLOB) FROM entry WHERE idx >= ? ORDER BY idx", (since,)
        )
        for index, leaf in rows:
            try:
                entry = _DECODER.decode(leaf)
            except (msgspec.DecodeError, UnicodeDecodeError):
                raise HomeInvalid(f"entry {index} cannot be read; `audit verify` says more") from None
            ppm = entry.facts.get("inspection_ppm")
            if not isinstance(ppm, int) or entry.kind not in _REPLIES or entry.facts.get("dry_run"):
                continue
            if is_drawn(leaf, ppm):
                yield Drawn(index=index, request_id=entry.id, facts=entry.facts)
