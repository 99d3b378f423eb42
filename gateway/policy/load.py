"""Load one sharing-rules document, or refuse it whole and say everything that is wrong with it.

A document is used only if nothing at all is wrong (promise P3): there is no rule that is skipped. All
faults that can be seen together are reported together, in the order of the text: the syntax first
(without it there is nothing else to see), then shape and whether the parts fit.

It reads no file and no clock: whether the document is in force is ``decide``'s question.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from typing import Final, TypeVar

from gateway.errors import Fault, RulesInvalid
from gateway.policy.build import rules_of
from gateway.policy.check_data import Parts, check_data
from gateway.policy.check_rules import check_rules
from gateway.policy.conditions import Complain
from gateway.policy.document import (
    BudgetsEntry,
    ClassificationEntry,
    ColumnEntry,
    Document,
    ForbidEntry,
    PermitEntry,
    SourceEntry,
    UnitEntry,
    ValidEntry,
)
from gateway.policy.document_terms import RetentionEntry, TriggerEntry
from gateway.policy.entry import Entry
from gateway.policy.faults import gap_named, shape_faults
from gateway.policy.read import Path, Tree, read
from gateway.policy.risks import risks
from gateway.policy.rules import Rules

FAULTS_MAX: Final = 200
"""What is shown of one document; whoever has more starts again."""

_E = TypeVar("_E", bound=Entry)


def load_rules(
    text: bytes, *, file: str, agreements: Collection[str] | None = None, after: Rules | None = None
) -> Rules:
    """Return the rules that a document states.

    ``file`` is the name that faults show. ``agreements`` are the ones that exist, where they are known:
    then a rule for any other is a fault too. ``after`` is the active revision that it is to follow.

    Raises:
        RulesInvalid: Anything in the document is not as it must be; ``faults`` has all of it.

    """
    tree, unreadable = read(text, file=file)
    unreadable = tuple(gap_named(tree, fault) for fault in unreadable)
    shape, broken = shape_faults(tree)
    fitting: list[Fault] = []

    def complain(path: Path, message: str) -> None:
        names_column = len(path) > 1 and path[-2] == "columns" and isinstance(path[-1], str)
        fitting.append(tree.fault(path, message, at_key=names_column))

    parts = parts_of(tree, broken, agreements)
    check_data(parts, complain)
    check_rules(parts, complain)
    if after is not None:
        _check_succession(parts, tree, after, complain)
    if faults := _in_order(unreadable, (*shape, *fitting)):
        raise RulesInvalid(faults)
    rules = rules_of(Document.model_validate(dict(tree.content)), hashlib.sha256(text).hexdigest())
    if found := [tree.fault(path, message) for path, message in risks(rules)]:
        raise RulesInvalid(_in_order((), found))
    return rules


def _check_succession(parts: Parts, tree: Tree, after: Rules, complain: Complain) -> None:
    """Refuse what cannot follow the active revision.

    SECURITY: revisions go up by one, so that no older document comes back and none goes by unseen; and
    the lineage stays, for under another name it would have its whole privacy budget once more. For how
    long the log is kept was promised to those whom its entries are about, so that is never made shorter.
    """
    active, lineage = after.dataset.revision, after.dataset.source.lineage
    if tree.content.get("revision") != active + 1:
        complain(("revision",), f"revision {active} is active: what differs from it is revision {active + 1}")
    if parts.source and parts.source.lineage != lineage:
        complain(("source", "lineage"), f"the lineage is `{lineage}` and stays so: budgets belong to it")
    months = parts.retention.log if parts.retention else 0
    is_readable = parts.retention is not None or "retention" not in parts.written
    if is_readable and months < (after.log_months or 0):
        complain(("retention",), f"{after.log_months} months of the log were promised: promise no less")


def _in_order(unreadable: tuple[Fault, ...], others: Iterable[Fault]) -> tuple[Fault, ...]:
    """Return the faults in the order of the text, each once; what cannot be read is not judged further."""
    places = {(fault.line, fault.column) for fault in unreadable}
    more = [fault for fault in others if (fault.line, fault.column) not in places]
    ordered = sorted({*unreadable, *more}, key=lambda fault: (fault.line, fault.column, fault.message))
    return tuple(ordered[:FAULTS_MAX])


def parts_of(tree: Tree, broken: frozenset[Path], agreements: Collection[str] | None) -> Parts:
    """Return the parts of a document that fit the model by themselves."""
    content = tree.content

    def section(name: str) -> Mapping[str | int, object]:
        here = content.get(name)
        if isinstance(here, dict):
            return {key: value for key, value in here.items() if (name,) not in broken}
        return dict(enumerate(here)) if isinstance(here, list) and (name,) not in broken else {}

    def fits(path: Path) -> bool:
        return not any(each[: len(path)] == path for each in broken)

    def single(model: type[_E], name: str) -> _E | None:
        return model.model_validate(content[name]) if name in content and fits((name,)) else None

    def named(model: type[_E], name: str) -> dict[str, _E]:
        found = section(name).items()
        return {str(key): model.model_validate(value) for key, value in found if fits((name, key))}

    def numbered(model: type[_E], name: str) -> dict[int, _E]:
        found = section(name).items()
        return {int(key): model.model_validate(value) for key, value in found if fits((name, key))}

    return Parts(
        written=frozenset(content),
        names=tuple(map(str, section("columns"))),
        columns=named(ColumnEntry, "columns"),
        purposes=frozenset(map(str, section("purposes"))),
        agreements=agreements,
        valid=single(ValidEntry, "valid"),
        classification=single(ClassificationEntry, "classification"),
        source=single(SourceEntry, "source"),
        unit=single(UnitEntry, "unit"),
        budgets=single(BudgetsEntry, "budgets"),
        retention=single(RetentionEntry, "retention"),
        triggers=numbered(TriggerEntry, "triggers"),
        permits=numbered(PermitEntry, "permits"),
        forbids=numbered(ForbidEntry, "forbids"),
    )
