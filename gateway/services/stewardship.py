"""Which sharing rules are active: the documents of the home's ``policies`` folder that a steward signed.

A document counts only while a trusted steward of its publisher vouches for exactly its bytes; before that
nothing of it is read. One that does not load stops as a whole and its last good revision stays active
(promise P3): the ledger keeps bytes and signature of every document that was activated last, so a restart
changes nothing. Revisions go up by one, also across a time in which the file was gone. A steward whom the
home trusts no longer takes their documents along, the last good one too.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import urlsplit

from gateway.errors import Fault, RulesInvalid
from gateway.policy.load import load_rules
from gateway.policy.read import read
from gateway.policy.risks import across, between
from gateway.policy.rules import Rules
from gateway.policy.signature import Vouched, digest_of, require_next, require_said, signed_as, vouched
from gateway.services.documents import SignedDocument
from gateway.terms.dataset import Source, SourceFormat
from gateway.terms.entry import Change, Fact
from gateway.terms.identifiers import DatasetId, LineageId
from gateway.transparency.note import VerifierKey

RULES: Final = "rules"
SIGNATURE: Final = "rulessignature"
KEPT: Final = frozenset({RULES, SIGNATURE})
"""Kinds of changes that are no records of the registry: the ledger keeps them for this room."""
Files = frozenset[tuple[int, int]]
"""Device and inode of each file that a source is read from, whatever it is called."""
NO_FILES: Final = Files()


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look at sources brought: what is wrong, by a document's digest, and which files they are."""

    wrong: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    files: Mapping[Source, Files] = field(default_factory=dict)

    def faults_of(self, rules: Rules, file: str) -> tuple[Fault, ...]:
        """Return why a document cannot serve, as its source is."""
        return tuple(Fault(file, 1, 1, said) for said in self.wrong.get(rules.dataset.digest, ()))


NOTHING: Final = Seen()


class LoadedRules:
    """Documents that were read, each once: renewals judge the same ones again and again.

    ``loaded`` are rules at hand. Owned by one renewal.
    """

    def __init__(self, loaded: Iterable[Rules] = ()) -> None:
        self._rules = {rules.dataset.digest: rules for rules in loaded}
        self._next: dict[tuple[str, str], Rules] = {}
        """By a document's digest and that of the revision that it may follow."""

    def rules(self, text: bytes, *, file: str) -> Rules:
        """Return the rules that a document states.

        Raises:
            RulesInvalid: As ``load_rules`` does.

        """
        digest = digest_of(text)
        if digest not in self._rules:
            self._rules[digest] = load_rules(text, file=file)
        return self._rules[digest]

    def next(self, text: bytes, after: Rules, *, file: str) -> Rules:
        """Return the rules of a document that may follow ``after``.

        Raises:
            RulesInvalid: As ``load_rules`` does.

        """
        both = (digest_of(text), after.dataset.digest)
        if both not in self._next:
            self._next[both] = load_rules(text, file=file, after=after)
        return self._next[both]


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A revision that the ledger does not know yet, or knows by another signature: one entry."""

    facts: Mapping[str, Fact]
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Activation:
    """What to serve, what to tell the ledger, and what is wrong."""

    rules: Mapping[DatasetId, Rules]
    taken: Mapping[DatasetId, Taken]
    """What is to be recorded before it serves."""
    faults: tuple[Fault, ...]


@dataclass(frozen=True, slots=True)
class _LastGood:
    """What the ledger has of one dataset. ``rules`` is None where a newer release does not take it.

    ``faults`` say why it cannot serve; without any, it does as long as nothing follows.
    """

    text: bytes | None
    note: bytes | None
    rules: Rules | None = None
    faults: tuple[Fault, ...] = ()


@dataclass(slots=True)
class _Found:
    """What there is so far; owned by one call of ``activated``."""

    served: dict[DatasetId, Rules] = field(default_factory=dict)
    active: dict[DatasetId, Rules] = field(default_factory=dict)
    taken: dict[DatasetId, Taken] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


def activated(
    documents: Mapping[str, SignedDocument | Fault | None],
    stewards: tuple[VerifierKey, ...],
    known: tuple[Change, ...],
    *,
    loaded: LoadedRules | None = None,
    seen: Seen = NOTHING,
) -> Activation:
    """Return the rules to serve: one document a dataset, in a file named after it.

    A file that is gone takes its dataset out of service; a file that is broken, or that nobody signed, does
    not. Of a document that is None, only the last good revision is asked for. ``seen`` is what a look at
    the sources brought so far.
    """
    loaded = loaded or LoadedRules()
    kept = {(change.kind, change.id): change.document for change in known if change.kind in KEPT}
    found = _Found()
    for name, document in documents.items():
        last = _last_good(name, kept, stewards, loaded, seen)
        if last.rules and not last.faults:
            found.served[last.rules.dataset.id] = found.active[last.rules.dataset.id] = last.rules
        if not isinstance(document, SignedDocument):
            found.faults += (*([document] if document else []), *last.faults)
            continue
        try:
            _take(document, last, stewards, loaded=loaded, seen=seen, found=found)
        except RulesInvalid as error:
            found.faults += (*error.faults, *(() if document.text == last.text else last.faults))
    found.faults += _settled(found.active, found.served, seen.files)
    taken = {name: each for name, each in found.taken.items() if _is_active(each, found.active.get(name))}
    return Activation(found.active, taken, tuple(found.faults))


def _take(
    document: SignedDocument,
    last: _LastGood,
    stewards: tuple[VerifierKey, ...],
    *,
    loaded: LoadedRules,
    seen: Seen,
    found: _Found,
) -> None:
    """Have a document be active, and told of unless the ledger knows it as it is."""
    voucher = vouched(document.text, document.note, stewards, file=document.file)
    if last.rules is None or document.text == last.text:
        rules = loaded.rules(document.text, file=document.file)
    else:
        rules = loaded.next(document.text, last.rules, file=document.file)
    require_said(voucher, rules, file=document.file)
    name = rules.dataset.id
    if document.name != name:
        raise RulesInvalid((Fault(document.file, 1, 1, f"the file must be named `{name}.yaml`"),))
    if last.rules is None and last.text is not None:
        require_next(voucher, _words_of(last.text, last.note), file=document.file)
    if wrong := seen.faults_of(rules, document.file):
        raise RulesInvalid(wrong)
    found.active[name] = rules
    if (document.text, document.note) != (last.text, last.note):
        found.taken[name] = _taken(document, voucher)


def _taken(document: SignedDocument, voucher: Vouched) -> Taken:
    assert document.note is not None, "what is vouched for is signed"  # noqa: S101
    said = voucher.statement
    return Taken(
        facts={
            "event": "activate",
            "dataset": said.dataset,
            "revision": said.revision,
            "rules_sha256": said.document,
            "steward": voucher.vkey,
        },
        changes=(
            Change(kind=RULES, id=said.dataset, document=document.text),
            Change(kind=SIGNATURE, id=said.dataset, document=document.note),
        ),
    )


def _is_active(taken: Taken, rules: Rules | None) -> bool:
    return rules is not None and taken.facts["rules_sha256"] == rules.dataset.digest


def _settled(
    active: dict[DatasetId, Rules], served: Mapping[DatasetId, Rules], reads: Mapping[Source, Files]
) -> list[Fault]:
    """Take back, in ``active``, what cannot serve beside the others, to what served or to nothing."""
    faults: list[Fault] = []
    for _ in range(2 * len(active)):  # each turn takes at least one back, and each at most twice
        ordered = sorted(active, key=lambda name: (active[name] is not served.get(name), name))
        found = _conflict([active[name] for name in ordered], reads)
        if found is None:
            break
        name, message = found
        faults.append(Fault(f"{name}.yaml", 1, 1, message))
        if active.pop(name) is not (before := served.get(name)) and before is not None:
            active[name] = before
    return faults


def _conflict(ordered: list[Rules], reads: Mapping[Source, Files]) -> tuple[DatasetId, str] | None:
    """Return the first document that cannot serve beside one before it, and why.

    Documents that served come first.
    """
    shown: dict[LineageId, list[Rules]] = {}
    for rules in ordered:
        for said in (*_beside_its_own(rules, shown), *_beside_others(rules, shown, reads)):
            return rules.dataset.id, said
        shown.setdefault(rules.dataset.source.lineage, []).append(rules)
    return None


def _beside_its_own(rules: Rules, shown: Mapping[LineageId, list[Rules]]) -> Iterator[str]:
    """Yield what is wrong with a document beside others of its lineage.

    SECURITY: a budget belongs to the lineage, whoever shows it (DESIGN.md section 8), so they must state
    the same unit and budgets; and what one of them opens beside another, both owners must have accepted.
    """
    lineage = rules.dataset.source.lineage
    for other in shown.get(lineage, ()):
        if (other.dataset.unit, other.caps) != (rules.dataset.unit, rules.caps):
            yield f"lineage `{lineage}` has another unit or other budgets in `{other.dataset.id}`"
        for risk, said in between(other, rules):
            yield f"beside `{other.dataset.id}`, {said}; both owners must acknowledge `{risk}`"


def _beside_others(
    rules: Rules, shown: Mapping[LineageId, list[Rules]], reads: Mapping[Source, Files]
) -> Iterator[str]:
    """Yield what is wrong with a document beside other lineages: the same data, or the same pseudonyms.

    SECURITY: one source cannot have two lineages, or its budget would be spent twice.
    """
    source = rules.dataset.source
    own = [*shown.get(source.lineage, ()), rules]
    for lineage, others in shown.items():
        if lineage == source.lineage:
            continue
        for other in others:
            theirs = other.dataset.source
            files = reads.get(source, NO_FILES) & reads.get(theirs, NO_FILES)
            if files or _overlap(_place(source), _place(theirs)):
                yield f"this source belongs to lineage `{lineage}` already (`{other.dataset.id}`)"
        for one, second, said in (*across(own, others), *across(others, own)):
            both = f"`{one.dataset.id}` and `{second.dataset.id}`"
            yield f"{said}; the owners of {both} must acknowledge `relinkable`"


def _place(source: Source) -> tuple[str, ...]:
    """Return where a source is, in one spelling: to some file systems, and to every host, case is nothing."""
    path = unicodedata.normalize("NFC", source.path.casefold())
    if source.format is not SourceFormat.HTTP:
        return ("", *PurePosixPath(path).parts)
    parts = urlsplit(path)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return (f"{parts.hostname}:{port}", *filter(None, parts.path.split("/")))


def _overlap(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Return whether two places are one, or one is within the other."""
    return all(mine == theirs for mine, theirs in zip(one, other, strict=False))


def _last_good(
    name: str,
    kept: Mapping[tuple[str, str], bytes],
    stewards: tuple[VerifierKey, ...],
    loaded: LoadedRules,
    seen: Seen,
) -> _LastGood:
    """Return the revision that served before, or why it cannot any more."""
    text, note = kept.get((RULES, name)), kept.get((SIGNATURE, name))
    if text is None:
        return _LastGood(None, None)
    file = f"{name}.yaml (last good revision)"
    faults: tuple[Fault, ...] = ()
    try:
        vouched(text, note, stewards, file=file)
    except RulesInvalid as error:
        faults = error.faults
    try:
        rules = loaded.rules(text, file=file)
    except RulesInvalid as error:
        return _LastGood(text, note, faults=(*faults, *error.faults))
    return _LastGood(text, note, rules, (*faults, *seen.faults_of(rules, file)))


def _words_of(text: bytes, note: bytes | None) -> tuple[int, str] | None:
    """Return revision and lineage of a document that this release does not load; None: nothing says them."""
    if note is not None:
        return signed_as(note)
    try:
        content = read(text, file="")[0].content  # from before signatures: its own words, however it reads
    except RulesInvalid:
        return None
    source = content.get("source")
    revision, lineage = content.get("revision"), source.get("lineage") if isinstance(source, dict) else None
    return (revision, lineage) if isinstance(revision, int) and isinstance(lineage, str) else None
