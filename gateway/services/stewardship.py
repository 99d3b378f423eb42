"""Which sharing rules are active: the documents of the home's ``policies`` folder.

A document that does not load stops as a whole and its last good revision stays active (promise P3):
the ledger keeps the bytes of every document that was ever activated, so a restart changes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import Fault, RulesInvalid
from gateway.policy.load import load_rules
from gateway.policy.rules import Rules
from gateway.terms.entry import Change
from gateway.terms.identifiers import DatasetId

RULES = "rules"


@dataclass(frozen=True, slots=True)
class Activation:
    """What to serve, what to tell the ledger, and what is wrong."""

    rules: Mapping[DatasetId, Rules]
    changes: tuple[Change, ...]
    """Documents that are new or other than the ones the ledger knows, to be recorded before they serve."""
    faults: tuple[Fault, ...]


def activated(folder: Path, known: tuple[Change, ...]) -> Activation:
    """Return the rules to serve: one document a dataset, in a file named after it.

    A file that is gone takes its dataset out of service; a file that is broken does not.
    """
    last_good = {change.id: change.document for change in known if change.kind == RULES}
    active: dict[DatasetId, Rules] = {}
    changes: list[Change] = []
    faults: list[Fault] = []
    for path in sorted(folder.glob("*.yaml")):
        text = path.read_bytes()
        try:
            rules = _loaded(text, path.name)
        except RulesInvalid as error:
            faults += error.faults
            active |= _last_good(last_good.get(path.stem), path.name, faults)
            continue
        active[rules.dataset.id] = rules
        if last_good.get(path.stem) != text:
            changes.append(Change(kind=RULES, id=path.stem, document=text))
    for name, fault in _shared_sources(active, first=frozenset(last_good)):
        faults.append(fault)
        active.pop(name, None)
    served = tuple(change for change in changes if change.id in active)
    return Activation(active, served, tuple(faults))


def _shared_sources(
    active: Mapping[DatasetId, Rules], *, first: frozenset[str]
) -> list[tuple[DatasetId, Fault]]:
    """Return the documents that would let one source's budget be spent twice, each with its fault.

    SECURITY: a budget belongs to the lineage, whoever shows it (DESIGN.md section 8), so documents of
    one lineage must state the same unit and budgets, and one source cannot have two lineages. Documents
    that served before (``first``) stay; a new one does not displace them.
    """
    found: list[tuple[DatasetId, Fault]] = []
    first_of_lineage: dict[str, Rules] = {}
    lineage_of_path: dict[str, str] = {}
    for name, rules in sorted(active.items(), key=lambda item: (item[0] not in first, item[0])):
        source, file = rules.dataset.source, f"{name}.yaml"
        leading = first_of_lineage.setdefault(source.lineage, rules)
        if (leading.dataset.unit, leading.caps) != (rules.dataset.unit, rules.caps):
            message = (
                f"lineage `{source.lineage}` has another unit or other budgets in `{leading.dataset.id}`"
            )
            found.append((name, Fault(file, 1, 1, message)))
        elif lineage_of_path.setdefault(source.path, source.lineage) != source.lineage:
            message = f"this source belongs to lineage `{lineage_of_path[source.path]}` already"
            found.append((name, Fault(file, 1, 1, message)))
    return found


def _last_good(text: bytes | None, file: str, faults: list[Fault]) -> dict[DatasetId, Rules]:
    """Return the revision that served before; a newer release may no longer take it, then nothing serves."""
    if text is None:
        return {}
    try:
        rules = load_rules(text, file=f"{file} (last good revision)")
    except RulesInvalid as error:
        faults += error.faults
        return {}
    return {rules.dataset.id: rules}


def _loaded(text: bytes, file: str) -> Rules:
    rules = load_rules(text, file=file)
    if file != f"{rules.dataset.id}.yaml":
        raise RulesInvalid((Fault(file, 1, 1, f"the file must be named `{rules.dataset.id}.yaml`"),))
    return rules
