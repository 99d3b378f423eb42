"""Take over the home's sharing rules while requests are answered.

Order: read whom to trust and all documents, look at the sources of those that are new, put what was sent,
make the changes durable, replace the rules by one assignment. So no request sees a mixture: each is decided
by the mapping that it finds, and carries its document's revision and digest with it. What fails anywhere
leaves the last good revision active and is told (promise P3); a renewal that cannot be recorded changes
nothing that decides.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gateway import telemetry
from gateway.errors import ActRefused, Fault, RulesInvalid
from gateway.keyring.stewards import trusted_stewards
from gateway.policy.rules import Rules
from gateway.policy.signature import require_cases, vouched
from gateway.services.documents import FOLDER, SignedDocument, put_document, read_documents
from gateway.services.stewardship import RULES, SIGNATURE, Activation, Taken, activated
from gateway.terms.charge import Receipt
from gateway.terms.dataset import Dataset
from gateway.terms.entry import Change, Fact
from gateway.terms.identifiers import DatasetId
from gateway.transparency.note import VerifierKey

Record = Callable[
    [tuple[Change, ...], Mapping[str, Fact], Mapping[str, bytes], str | None], Awaitable[Receipt]
]
"""Makes changes durable with one entry: its facts, its private values, and the person it is about."""


def rules_at(
    home: Path,
    known: tuple[Change, ...],
    *,
    put: tuple[SignedDocument, ...] = (),
    loaded: Mapping[DatasetId, Rules] | None = None,
) -> Activation:
    """Return the rules to serve, as a home's folders say at this moment, or would with ``put`` in them.

    Raises:
        HomeInvalid: The home does not say whom it trusts.
        RulesInvalid: What is put comes with other cases than were signed.

    """
    stewards = trusted_stewards(home)
    for each in put:
        require_cases(vouched(each.text, each.note, stewards, file=each.file), each.cases, file=each.file)
    documents = {**read_documents(home / FOLDER), **{document.name: document for document in put}}
    return activated(documents, stewards, known, loaded=loaded)


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    """Renews the rules of one installation, one renewal at a time."""

    home: Path
    known: Callable[[], Awaitable[tuple[Change, ...]]]
    """What the ledger's registry holds."""
    check: Callable[[Dataset], Awaitable[tuple[str, ...]]]
    """What is wrong with a source, in sentences."""
    record: Record
    active: Callable[[], Mapping[DatasetId, Rules]]
    take_over: Callable[[Mapping[DatasetId, Rules]], None]
    tell: Callable[[Mapping[DatasetId, Rules], tuple[Fault, ...]], None]
    """Told what decides from now on, and what does not."""
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while rules are renewed; one for all who renew the same."""

    async def __call__(self, put: tuple[SignedDocument, ...] = (), *, by: str = "") -> tuple[Fault, ...]:
        """Renew, and return what is not active and why.

        ``put`` are revisions to put into the folder first: all of them come into force, or nothing changes.
        ``by`` is the user who wants it.

        Raises:
            RulesInvalid: A revision to put cannot come into force.
            HomeInvalid: The home does not say whom it trusts, or the disk refuses.
            LedgerUnavailable: It could not be recorded; the next renewal tries again.

        """
        async with self.turn:
            before, known = self.active(), await self.known()
            found = await asyncio.to_thread(rules_at, self.home, known, put=put, loaded=before)
            faults = list(found.faults)
            _require_none(faults, put)
            rules: dict[DatasetId, Rules] = {}
            for name, candidate in found.rules.items():
                if kept := await self._checked(name, candidate, before.get(name), faults):
                    rules[name] = kept
            _require_none(faults, put)
            for document in put:
                await asyncio.to_thread(put_document, self.home / FOLDER, document)
            served = {name for name, each in rules.items() if each is found.rules[name]}
            taken = {name: each for name, each in found.taken.items() if name in served}
            await record_all(taken, self.record, by)
            self.take_over(rules)
        self.tell(rules, tuple(faults))
        return tuple(faults)

    async def activate(self, put: tuple[SignedDocument, ...], by: str) -> tuple[Fault, ...]:
        """Put revisions into force, and return what else is not active and why.

        Raises:
            ActRefused: One of them cannot come into force, or rules are being renewed at this moment.

        """
        if self.turn.locked():
            raise ActRefused("the rules are being renewed at this moment; try again")
        try:
            return await self(put, by=by)
        except RulesInvalid as error:
            raise ActRefused(error.detail) from error

    async def shown(self) -> tuple[dict[str, object], ...]:
        """Return a row for each document that decides, with who vouches for it."""
        known = {(change.kind, change.id): change.document for change in await self.known()}
        stewards = await asyncio.to_thread(trusted_stewards, self.home)
        return tuple(
            _row(rules, known.get((RULES, name), b""), known.get((SIGNATURE, name)), stewards)
            for name, rules in sorted(self.active().items())
        )

    async def _checked(
        self, name: DatasetId, candidate: Rules, before: Rules | None, faults: list[Fault]
    ) -> Rules | None:
        """Return the rules to serve: the candidate if its source is as it declares, else what served."""
        if candidate is before:
            return candidate
        wrong = await self.check(candidate.dataset)
        faults += [Fault(f"{name}.yaml", 1, 1, said) for said in wrong]
        return before if wrong else candidate


async def record_all(taken: Mapping[DatasetId, Taken], record: Record, by: str = "") -> None:
    """Make revisions durable, an entry each; the ones that fail are recorded by the next renewal."""
    for each in taken.values():
        await record(each.changes, each.facts, {"user": by.encode()} if by else {}, None)


def tell(rules: Mapping[DatasetId, Rules], faults: tuple[Fault, ...]) -> None:
    """Show operators what decides from now on, and raise an alarm for what does not."""
    for fault in faults:
        telemetry.log(
            "rules_refused", file=fault.file, line=fault.line, column=fault.column, message=fault.message
        )
    revisions = {str(name): each.dataset.revision for name, each in rules.items()}
    telemetry.rules_taken_over(revisions, len({fault.file for fault in faults}))
    telemetry.log("rules_active", datasets=len(rules), refused=len({fault.file for fault in faults}))


def _require_none(faults: list[Fault], put: tuple[SignedDocument, ...]) -> None:
    """Raise unless everything to put can come into force."""
    if refused := tuple(fault for fault in faults if fault.file in {document.file for document in put}):
        raise RulesInvalid(refused)


def _row(
    rules: Rules, text: bytes, note: bytes | None, stewards: tuple[VerifierKey, ...]
) -> dict[str, object]:
    try:
        steward: str | None = vouched(text, note, stewards, file=rules.dataset.id).vkey
    except RulesInvalid:  # trusted no longer: the next renewal takes it out of service
        steward = None
    return {
        "id": rules.dataset.id,
        "revision": rules.dataset.revision,
        "until": rules.valid_until.isoformat(),
        "rules_sha256": rules.dataset.digest,
        "steward": steward,
    }
