"""Take over the home's sharing rules while requests are answered.

Order: read whom to trust and all documents, look at the sources of those that are new and at whose files
all are, write what was sent beside its place, make the changes durable, replace the rules by one assignment,
rename what was sent. So no request sees a mixture: each is decided by the mapping that it finds, and carries
its document's revision and digest with it. What fails anywhere leaves the last good revision active and is
told (promise P3); a renewal that cannot be recorded changes nothing that decides. A start is a renewal too.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gateway import telemetry
from gateway.errors import ActRefused, Fault, HomeInvalid, LedgerUnavailable, RulesInvalid
from gateway.keyring.stewards import trusted_stewards
from gateway.policy.rules import Rules
from gateway.policy.signature import require_cases, vouched
from gateway.services.documents import FOLDER, SignedDocument, Staged, read_documents, stage_document
from gateway.services.stewardship import (
    RULES,
    SIGNATURE,
    Activation,
    Files,
    LoadedRules,
    Seen,
    Taken,
    activated,
)
from gateway.terms.charge import Receipt
from gateway.terms.dataset import Dataset, Source
from gateway.terms.entry import Change, Fact
from gateway.terms.identifiers import DatasetId
from gateway.transparency.note import VerifierKey

Record = Callable[
    [tuple[Change, ...], Mapping[str, Fact], Mapping[str, bytes], str | None], Awaitable[Receipt]
]
"""Makes changes durable with one entry: its facts, its private values, and the person it is about."""


Reads = Callable[[Dataset], Awaitable[Files]]
"""Which files a source is, by whatever path."""


def last_good_at(home: Path, known: tuple[Change, ...]) -> Mapping[DatasetId, Rules]:
    """Return what the ledger has of the documents in a home, as far as it may serve; no source is looked at.

    Raises:
        HomeInvalid: The home does not say whom it trusts, or which documents it has.

    """
    names = dict.fromkeys(read_documents(home / FOLDER))
    return activated(names, trusted_stewards(home), known).rules


@dataclass(frozen=True, slots=True)
class _Folder:
    """What the home says at one moment, or would with something put into it."""

    documents: Mapping[str, SignedDocument | Fault]
    stewards: tuple[VerifierKey, ...]

    @classmethod
    def of(cls, home: Path, put: tuple[SignedDocument, ...]) -> "_Folder":
        """Return it, read once.

        Raises:
            HomeInvalid: It does not say whom it trusts, or which documents it has.
            RulesInvalid: What is put comes with other cases than were signed.

        """
        stewards = trusted_stewards(home)
        for each in put:
            require_cases(vouched(each.text, each.note, stewards, file=each.file), each.cases, file=each.file)
        return cls({**read_documents(home / FOLDER), **{each.name: each for each in put}}, stewards)


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    """Renews the rules of one installation, one renewal at a time."""

    home: Path
    known: Callable[[], Awaitable[tuple[Change, ...]]]
    """What the ledger's registry holds."""
    check: Callable[[Dataset], Awaitable[tuple[str, ...]]]
    """What is wrong with a source, in sentences."""
    reads: Reads
    record: Record
    active: Callable[[], Mapping[DatasetId, Rules]]
    take_over: Callable[[Mapping[DatasetId, Rules]], None]
    tell: Callable[[Mapping[DatasetId, Rules], tuple[Fault, ...]], None]
    """Told what decides from now on, and what does not."""
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while rules are renewed; one for all who renew the same."""
    patience_s: float = 10.0
    """How long an activation waits for its turn: a renewal is quick, but may prepare a source for minutes."""

    async def __call__(self) -> tuple[Fault, ...]:
        """Renew, and return what is not active and why.

        Raises:
            HomeInvalid: The home does not say whom it trusts, or the disk refuses.
            LedgerUnavailable: It could not be recorded; the next renewal tries again.

        """
        async with self.turn:
            return await self._renewed((), by="")

    async def activate(self, put: tuple[SignedDocument, ...], by: str) -> tuple[Fault, ...]:
        """Put revisions into force, all or none, and return what else is not active and why.

        ``put`` are revisions to put into the folder; ``by`` is the user who wants it.

        Raises:
            ActRefused: One of them cannot come into force, or its turn did not come.
            HomeInvalid, LedgerUnavailable: As for a renewal.

        """
        try:
            async with asyncio.timeout(self.patience_s):
                await self.turn.acquire()
        except TimeoutError as error:
            raise ActRefused("the rules are being renewed at this moment; try again") from error
        try:
            return await self._renewed(put, by=by)
        except RulesInvalid as error:
            raise ActRefused(error.detail) from error
        finally:
            self.turn.release()

    async def shown(self) -> tuple[dict[str, object], ...]:
        """Return a row for each document that decides, with who vouches for it."""
        known = {(change.kind, change.id): change.document for change in await self.known()}
        stewards = await asyncio.to_thread(trusted_stewards, self.home)
        return tuple(
            _row(rules, known.get((RULES, name), b""), known.get((SIGNATURE, name)), stewards)
            for name, rules in sorted(self.active().items())
        )

    async def _renewed(self, put: tuple[SignedDocument, ...], *, by: str) -> tuple[Fault, ...]:
        """Renew with ``put`` in the folder: all of it comes into force, or nothing changes."""
        folder = await asyncio.to_thread(_Folder.of, self.home, put)
        found = await self._fitting(folder, put)
        staged = await asyncio.to_thread(_staged, self.home / FOLDER, put)
        try:
            await self._record(found.taken, staged, by)
            self.take_over(found.rules)
            self.tell(found.rules, found.faults)
            await asyncio.to_thread(_put, staged)
        finally:
            await asyncio.to_thread(_discard, staged)
        return found.faults

    async def _fitting(self, folder: _Folder, put: tuple[SignedDocument, ...]) -> Activation:
        """Return what can serve, after a look at each source that does not serve already.

        SECURITY: what its source does not fit counts as broken, and then everything is judged once more: what
        serves in its place must be trusted, fit its own source, and stand beside the others. Which files
        all sources are is asked each time: links and folders change without a word.

        Raises:
            RulesInvalid: Something to put cannot serve.

        """
        serving, known = tuple(self.active().values()), await self.known()
        loaded = LoadedRules(serving)
        wrong: dict[str, tuple[str, ...]] = {rules.dataset.digest: () for rules in serving}
        files: dict[Source, Files] = {}
        while True:  # each turn but the last looks at another document: at most two of a name
            found = await asyncio.to_thread(
                activated, folder.documents, folder.stewards, known, loaded=loaded, seen=Seen(wrong, files)
            )
            _require_none(found.faults, put)
            fresh = [rules.dataset for rules in found.rules.values() if rules.dataset.source not in files]
            unseen = [rules.dataset for rules in found.rules.values() if rules.dataset.digest not in wrong]
            if not fresh and not unseen:
                return found
            for dataset in unseen:
                wrong[dataset.digest] = await self.check(dataset)
            for dataset in fresh:
                files[dataset.source] = await self.reads(dataset)

    async def _record(self, taken: Mapping[DatasetId, Taken], staged: tuple[Staged, ...], by: str) -> None:
        """Make revisions durable, an entry each, all at once: the ledger takes what comes together as one.

        Raises:
            LedgerUnavailable: Not all were recorded; of those that were, the files are put all the same.

        """
        private = {"user": by.encode()} if by else {}
        outcomes = await asyncio.gather(
            *(self.record(each.changes, each.facts, private, None) for each in taken.values()),
            return_exceptions=True,
        )
        failed = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        if not failed:
            return
        done = {
            name
            for name, outcome in zip(taken, outcomes, strict=True)
            if not isinstance(outcome, BaseException)
        }
        await asyncio.to_thread(_put, tuple(each for each in staged if each.name in done))
        if done and isinstance(failed[0], LedgerUnavailable):
            later = ", ".join(sorted(done))
            raise LedgerUnavailable(
                f"{failed[0].detail}; recorded, to serve from the next renewal on: {later}"
            )
        raise failed[0]


def _staged(folder: Path, put: tuple[SignedDocument, ...]) -> tuple[Staged, ...]:
    """Write all that is to be put beside its places, or nothing."""
    staged: list[Staged] = []
    try:
        for document in put:
            staged.append(stage_document(folder, document))  # noqa: PERF401 -- what is done is undone below
    except HomeInvalid:
        _discard(tuple(staged))
        raise
    return tuple(staged)


def _put(staged: tuple[Staged, ...]) -> None:
    """Put what the ledger has.

    Raises:
        HomeInvalid: The disk refuses one of them.

    """
    failed: dict[str, str] = {}
    for each in staged:
        try:
            each.put()
        except OSError as error:
            failed[each.name] = str(error.strerror)
    for name, why in failed.items():
        raise HomeInvalid(
            f"`{name}` is recorded, but `{FOLDER}` could not take it ({why}): activate it again. "
            "Until then the next renewal goes by what lies there: beside an older file the recorded revision "
            "serves, with an alarm; where there is no file, nothing does"
        )


def _discard(staged: tuple[Staged, ...]) -> None:
    for each in staged:
        each.discard()


def tell(rules: Mapping[DatasetId, Rules], faults: tuple[Fault, ...]) -> None:
    """Show operators what decides from now on, and raise an alarm for what does not."""
    for fault in faults:
        telemetry.log(
            "rules_refused", file=fault.file, line=fault.line, column=fault.column, message=fault.message
        )
    revisions = {str(name): each.dataset.revision for name, each in rules.items()}
    telemetry.rules_taken_over(revisions, len({fault.file for fault in faults}))
    telemetry.log("rules_active", datasets=len(rules), refused=len({fault.file for fault in faults}))


def _require_none(faults: tuple[Fault, ...], put: tuple[SignedDocument, ...]) -> None:
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
