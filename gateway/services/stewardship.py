"""Which sharing rules are active: the documents of the home's ``policies`` folder that a steward signed.

A document counts only while a trusted steward of its publisher vouches for exactly its bytes; before that
nothing of it is read. One that does not load stops as a whole and its last good revision stays active
(promise P3): the ledger keeps bytes and signature of every document that was activated last, so a restart
changes nothing. Revisions go up by one, also across a time in which the file was gone. A steward whom the
home trusts no longer takes their documents along, the last good one too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from gateway.errors import Fault, RulesInvalid
from gateway.policy.load import load_rules
from gateway.policy.risks import between
from gateway.policy.rules import Rules
from gateway.policy.signature import Vouched, digest_of, require_next, require_said, vouched
from gateway.services.documents import SignedDocument
from gateway.terms.entry import Change, Fact
from gateway.terms.identifiers import DatasetId, LineageId
from gateway.transparency.note import VerifierKey

RULES: Final = "rules"
SIGNATURE: Final = "rulessignature"
KEPT: Final = frozenset({RULES, SIGNATURE})
"""Kinds of changes that are no records of the registry: the ledger keeps them for this room."""


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
    """What the ledger has of one dataset. ``rules`` is None where a newer release does not take it."""

    text: bytes | None
    note: bytes | None
    rules: Rules | None = None
    faults: tuple[Fault, ...] = ()
    trusted: bool = False


@dataclass(slots=True)
class _Found:
    """What there is so far; owned by one call of ``activated``."""

    served: dict[DatasetId, Rules] = field(default_factory=dict)
    active: dict[DatasetId, Rules] = field(default_factory=dict)
    taken: dict[DatasetId, Taken] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


def activated(
    documents: Mapping[str, SignedDocument | Fault],
    stewards: tuple[VerifierKey, ...],
    known: tuple[Change, ...],
    *,
    loaded: Mapping[DatasetId, Rules] | None = None,
) -> Activation:
    """Return the rules to serve: one document a dataset, in a file named after it.

    A file that is gone takes its dataset out of service; a file that is broken, or that nobody signed, does
    not. ``loaded`` are rules at hand: a document of the same bytes is not read again.
    """
    at_hand = {rules.dataset.digest: rules for rules in (loaded or {}).values()}
    kept = {(change.kind, change.id): change.document for change in known if change.kind in KEPT}
    found = _Found()
    for name, document in documents.items():
        last = _last_good(name, kept.get((RULES, name)), kept.get((SIGNATURE, name)), stewards, at_hand)
        if last.rules and last.trusted:
            found.served[last.rules.dataset.id] = found.active[last.rules.dataset.id] = last.rules
        if isinstance(document, Fault):
            found.faults.append(document)
            continue
        try:
            _take(document, last, stewards, found)
        except RulesInvalid as error:
            found.faults += (*error.faults, *last.faults)
    found.faults += _settled(found.active, found.served)
    taken = {name: each for name, each in found.taken.items() if _is_active(each, found.active.get(name))}
    return Activation(found.active, taken, tuple(found.faults))


def _take(
    document: SignedDocument, last: _LastGood, stewards: tuple[VerifierKey, ...], found: _Found
) -> None:
    """Have a document be active, and told of unless the ledger knows it as it is."""
    voucher = vouched(document.text, document.note, stewards, file=document.file)
    rules = last.rules if document.text == last.text else None
    if rules is None:
        rules = load_rules(document.text, file=document.file, after=last.rules)
    require_said(voucher, rules, file=document.file)
    if last.rules is None and last.note is not None:
        require_next(voucher, last.note, file=document.file)
    name = rules.dataset.id
    if document.name != name:
        raise RulesInvalid((Fault(document.file, 1, 1, f"the file must be named `{name}.yaml`"),))
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


def _settled(active: dict[DatasetId, Rules], served: Mapping[DatasetId, Rules]) -> list[Fault]:
    """Take back, in ``active``, what cannot serve beside the others, to what served or to nothing."""
    faults: list[Fault] = []
    for _ in range(2 * len(active)):  # each turn takes at least one back, and each at most twice
        ordered = sorted(active, key=lambda name: (active[name] is not served.get(name), name))
        found = _conflict([active[name] for name in ordered])
        if found is None:
            break
        name, message = found
        faults.append(Fault(f"{name}.yaml", 1, 1, message))
        if active.pop(name) is not (before := served.get(name)) and before is not None:
            active[name] = before
    return faults


def _conflict(ordered: list[Rules]) -> tuple[DatasetId, str] | None:
    """Return the first document that cannot serve beside one before it, and why.

    SECURITY: a budget belongs to the lineage, whoever shows it (DESIGN.md section 8), so documents of
    one lineage must state the same unit and budgets, and one source cannot have two lineages; and what
    one of them opens beside another, both owners must have accepted. Documents that served come first.
    """
    leading: dict[LineageId, Rules] = {}
    lineages: dict[str, LineageId] = {}
    shown: dict[LineageId, list[Rules]] = {}
    for rules in ordered:
        name, source = rules.dataset.id, rules.dataset.source
        first = leading.setdefault(source.lineage, rules)
        if (first.dataset.unit, first.caps) != (rules.dataset.unit, rules.caps):
            return (
                name,
                f"lineage `{source.lineage}` has another unit or other budgets in `{first.dataset.id}`",
            )
        if lineages.setdefault(source.path, source.lineage) != source.lineage:
            return name, f"this source belongs to lineage `{lineages[source.path]}` already"
        for other in shown.setdefault(source.lineage, []):
            for risk, said in between(other, rules):
                return name, f"beside `{other.dataset.id}`, {said}; both owners must acknowledge `{risk}`"
        shown[source.lineage].append(rules)
    return None


def _last_good(
    name: str,
    text: bytes | None,
    note: bytes | None,
    stewards: tuple[VerifierKey, ...],
    at_hand: Mapping[str, Rules],
) -> _LastGood:
    """Return the revision that served before, or why it cannot any more."""
    if text is None:
        return _LastGood(None, None)
    file = f"{name}.yaml (last good revision)"
    faults: tuple[Fault, ...] = ()
    try:
        vouched(text, note, stewards, file=file)
    except RulesInvalid as error:
        faults = error.faults
    try:
        rules = at_hand.get(digest_of(text)) or load_rules(text, file=file)
    except RulesInvalid as error:
        return _LastGood(text, note, faults=(*faults, *error.faults))
    return _LastGood(text, note, rules, faults, trusted=not faults)
