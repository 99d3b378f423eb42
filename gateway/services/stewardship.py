"""Which sharing rules are active: the documents of the home's ``policies`` folder.

A document that does not load stops as a whole and its last good revision stays active (promise P3):
the ledger keeps the bytes of every document that was activated last, so a restart changes nothing.
Revisions go up by one, also across a time in which the file was gone.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import Fault, RulesInvalid
from gateway.policy.load import load_rules
from gateway.policy.risks import between
from gateway.policy.rules import Rules
from gateway.terms.entry import Change
from gateway.terms.identifiers import DatasetId, LineageId

RULES = "rules"


@dataclass(frozen=True, slots=True)
class Activation:
    """What to serve, what to tell the ledger, and what is wrong."""

    rules: Mapping[DatasetId, Rules]
    changes: tuple[Change, ...]
    """Documents that are new or other than the ones the ledger knows, to be recorded before they serve."""
    faults: tuple[Fault, ...]


def activated(
    folder: Path, known: tuple[Change, ...], *, loaded: Mapping[DatasetId, Rules] | None = None
) -> Activation:
    """Return the rules to serve: one document a dataset, in a file named after it.

    A file that is gone takes its dataset out of service; a file that is broken does not. ``loaded`` are
    rules at hand: a document of the same bytes is not read again.
    """
    last_good = {change.id: change.document for change in known if change.kind == RULES}
    at_hand = {rules.dataset.digest: rules for rules in (loaded or {}).values()}
    served: dict[DatasetId, Rules] = {}
    active: dict[DatasetId, Rules] = {}
    texts: dict[DatasetId, bytes] = {}
    faults: list[Fault] = []
    for path in sorted(folder.glob("*.yaml")):
        before, outdated = _last_good(last_good.get(path.stem), path.name, at_hand)
        if before:
            served[before.dataset.id] = active[before.dataset.id] = before
        try:
            text = path.read_bytes()
            if not before or _digest(text) != before.dataset.digest:
                rules = _loaded(text, path, before)
                active[rules.dataset.id], texts[rules.dataset.id] = rules, text
        except RulesInvalid as error:
            faults += (*error.faults, *outdated)
        except OSError as error:
            faults.append(Fault(path.name, 1, 1, f"the file cannot be read: {error.strerror}"))
    faults += _settled(active, served)
    changes = (
        Change(kind=RULES, id=name, document=text)
        for name, text in texts.items()
        if name in active and active[name].dataset.digest == _digest(text)
    )
    return Activation(active, tuple(changes), tuple(faults))


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
    text: bytes | None, file: str, at_hand: Mapping[str, Rules]
) -> tuple[Rules | None, tuple[Fault, ...]]:
    """Return the revision that served before, or why a newer release no longer takes it."""
    if text is None:
        return None, ()
    if rules := at_hand.get(_digest(text)):
        return rules, ()
    try:
        return load_rules(text, file=f"{file} (last good revision)"), ()
    except RulesInvalid as error:
        return None, error.faults


def _loaded(text: bytes, path: Path, before: Rules | None) -> Rules:
    rules = load_rules(text, file=path.name, after=before)
    if path.stem != rules.dataset.id:
        raise RulesInvalid((Fault(path.name, 1, 1, f"the file must be named `{rules.dataset.id}.yaml`"),))
    return rules


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()
