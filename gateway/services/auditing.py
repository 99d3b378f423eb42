"""Take evidence out of the log for an auditor, and tell the log that it was taken.

    read the proofs -> open the chosen fields -> pack and check -> record the READ entry -> hand over

The READ entry commits to the very bytes that are handed over, so nobody has a bundle that the log does
not know of. Which entries and fields were taken lies in its opening, how many in its facts.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from gateway.ledger.bundle import EntryUnknown, Opened, bundled
from gateway.ledger.openings import Salts
from gateway.services.stewardship import RULES
from gateway.terms.charge import Receipt
from gateway.terms.entry import Change, EntryKind, Fact, ReleaseRequest
from gateway.terms.identifiers import RequestId


class AuditedLedger(Protocol):
    """What a bundle needs of the ledger."""

    async def checkpoint(self) -> bytes: ...
    async def opening(self, index: int) -> tuple[bytes, Mapping[str, bytes]] | None: ...
    async def registry(self) -> tuple[Change, ...]: ...
    async def release(self, request: ReleaseRequest) -> Receipt: ...


@dataclass(frozen=True, slots=True)
class Evidence:
    """A bundle, and the entry that tells of it."""

    bundle: bytes = field(repr=False)
    receipt: Receipt
    entries: int
    opened: int


async def evidence(
    ledger: AuditedLedger,
    *,
    store: Path,
    policies: Path,
    vkeys: str,
    request_id: RequestId,
    indices: frozenset[int],
    fields: Mapping[int, frozenset[str]],
    closed: str | None = None,
) -> Evidence:
    """Return a bundle of these entries with these fields opened; recorded before it is returned.

    ``closed`` is the origin of the log that they stand in, where that is not the one that grows.

    Raises:
        EntryUnknown: No such entry, or no such field to open (never recorded, erased, or sent as body).
        LedgerUnavailable: It cannot be recorded, so it is not handed over.

    """
    opened = {index: await _opened(ledger, index, names) for index, names in fields.items()}
    documents = _documents(policies, await ledger.registry())
    bundle = bundled(
        store,
        indices | fields.keys(),
        note=await ledger.checkpoint(),
        vkeys=vkeys,
        opened=opened,
        documents=documents,
    )
    count = sum(len(names) for names in opened.values())
    taken = ",".join(str(index) for index in sorted(indices | fields.keys()))
    shown = ",".join(f"{index}.{name}" for index in sorted(opened) for name in sorted(opened[index]))
    facts: dict[str, Fact] = {"event": "bundle", "entries": len(indices | fields.keys()), "opened": count}
    if closed is not None:
        facts["log"] = closed
    receipt = await ledger.release(
        ReleaseRequest(
            request_id=request_id,
            kind=EntryKind.READ,
            facts=facts,
            private={"entries": taken.encode("ascii"), "opened": shown.encode("ascii")},
            body=bundle,
        )
    )
    return Evidence(bundle, receipt, len(indices | fields.keys()), count)


async def _opened(ledger: AuditedLedger, index: int, names: Iterable[str]) -> dict[str, Opened]:
    found = await ledger.opening(index)
    if found is None:
        raise EntryUnknown(f"the opening of entry {index} was erased, or never was")
    seed, values = found
    salts = Salts(seed)
    if missing := sorted(set(names) - values.keys()):
        raise EntryUnknown(
            f"entry {index} has no `{missing[0]}` to open; it has: {', '.join(sorted(values))}"
        )
    return {name: Opened(salts.of(name), values[name]) for name in names}


def _documents(policies: Path, known: tuple[Change, ...]) -> dict[str, bytes]:
    """Return the sharing-rules documents at hand, by digest: the last good ones, and the folder's."""
    texts = [change.document for change in known if change.kind == RULES]
    texts += [path.read_bytes() for path in sorted(policies.glob("*.yaml"))]
    return {sha256(text).hexdigest(): text for text in texts}
