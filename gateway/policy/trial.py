"""Run a document's cases: what comes of every request, beside what was expected.

Judged by ``decide`` itself, as of the case's day; ``coverage.py`` says what the cases leave untried.
"""

from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from gateway.budget import pico_rho_down
from gateway.errors import Fault
from gateway.policy.build import treatment_of
from gateway.policy.cases import AskerEntry, ButEntry, CaseEntry, Cases, ExpectEntry
from gateway.policy.coverage import uncovered, untested
from gateway.policy.decide import Ask, decide
from gateway.policy.read import Path, Tree
from gateway.policy.rehearsal import Rehearsal, Row, difference, rows_of, unfiltered
from gateway.policy.rules import Rules
from gateway.terms.caller import Assurance
from gateway.terms.identifiers import ColumnName, RuleId
from gateway.terms.permit import Permit, Refusal
from gateway.terms.treatment import Treatment, name_of

_NOON: Final = time(12)


@dataclass(frozen=True, slots=True, kw_only=True)
class Invented:
    """Somebody who asks in a case. Nobody can be served as such: it is no ``Caller``."""

    org_class: str
    agreement: str
    country: str
    purpose: str
    assurance: Assurance
    authenticated_at: datetime | None
    unattended: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """One request of a case, and how it came out otherwise than expected; empty: as expected."""

    says: str
    fault: Fault | None


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of a document's cases."""

    outcomes: tuple[Outcome, ...]
    untested: tuple[tuple[Path, str], ...]
    """Rules that no case has pass, each with its place in the document."""
    uncovered: tuple[tuple[Path, str], ...]
    """Clauses and row filters that no case has fail alone, and permits whose columns no case states."""


def trial(cases: Cases, tree: Tree, rules: Rules, rehearsal: Rehearsal) -> Trial:
    """Return what comes of every case, and what the cases leave untried."""
    outcomes: list[Outcome] = []
    asked: list[Ask] = []
    stated: set[str] = set()
    tried: dict[str, list[Row]] = {}
    for number, case in enumerate(cases.cases):
        for path, says, ask, expect in _requests(cases, case, ("cases", number)):
            decision = decide(ask, rules)
            said = _difference(decision, expect, rules)
            if expect is case.expect and case.rows is not None and isinstance(decision, Permit):
                said = said or difference(case.rows, case.gives or (), decision, rehearsal)
                for rule in decision.rules:
                    tried.setdefault(rule, []).extend(rows_of(case.rows, rules.dataset))
            outcomes.append(Outcome(says, tree.fault(path, f"{says}: {said}") if said else None))
            asked.append(ask)
        if case.expect.permit and case.expect.columns:
            stated.add(case.expect.permit)
    left = (*uncovered(asked, stated, rules), *unfiltered(tried, rules, rehearsal))
    return Trial(tuple(outcomes), tuple(untested(asked, rules)), left)


def _requests(cases: Cases, case: CaseEntry, path: Path) -> Iterator[tuple[Path, str, Ask, ExpectEntry]]:
    day = case.on or cases.on
    yield (*path, "expect"), case.says, _ask(case.asker, case, day), case.expect
    for number, but in enumerate(case.but):
        changes = {name: value for name in but.model_fields_set if (value := getattr(but, name)) is not None}
        words = ", ".join(f"{name} {changes[name]}" for name in sorted(changes) if name in _CHANGED)
        asker = case.asker.model_copy(
            update={name: value for name, value in changes.items() if name in AskerEntry.model_fields}
        )
        ask = _ask(asker, but if but.may else case, but.on or day)
        expect = ExpectEntry(permit=but.permit, refused=but.refused)
        yield (*path, "but", number), f"{case.says}, but {words}", ask, expect


_CHANGED: Final = frozenset(ButEntry.model_fields) - {"permit", "refused"}


def _ask(asker: AskerEntry, act: CaseEntry | ButEntry, day: date) -> Ask:
    assert act.may is not None  # noqa: S101 - the caller chose one that says it
    now = datetime.combine(day, _NOON, UTC)
    level = Assurance[asker.acr.upper()]
    age_s = asker.age or 0 if asker.unattended is None else asker.unattended
    at = None if level is Assurance.AAL1 else now - timedelta(seconds=age_s)
    invented = Invented(
        org_class=asker.org_class or "",
        agreement=asker.agreement or "",
        country=asker.country or "",
        purpose=asker.purpose or "",
        assurance=level,
        authenticated_at=at,
        unattended=asker.unattended is not None,
    )
    return Ask(caller=invented, action=act.may, now=now)


def _difference(decision: Permit | Refusal, expect: ExpectEntry, rules: Rules) -> str:
    """Return in words what is other than expected; empty: nothing."""
    if isinstance(decision, Refusal):
        if expect.refused is not decision.reason:
            wanted = f"`{expect.permit}`" if expect.permit else f"a refusal, {expect.refused}"
            return f"expected {wanted}; it is refused, {decision.reason}{_named(decision.rules)}"
        return _unequal("by", frozenset(expect.by), decision.rules) if expect.by else ""
    if expect.permit is None:
        return f"expected a refusal, {expect.refused}; it is permitted{_named(decision.rules)}"
    found = [
        _unequal("permit", frozenset({expect.permit}), decision.rules),
        *_bounds(decision, expect, rules),
    ]
    return "; ".join(said for said in found if said)


def _bounds(permit: Permit, expect: ExpectEntry, rules: Rules) -> Iterator[str]:
    """Yield what differs of what a permit is bound to."""
    given = dict(permit.columns)
    if expect.columns is not None:
        lineage = rules.dataset.source.lineage
        wanted = {name: treatment_of(entry, name, lineage) for name, entry in expect.columns.items()}
        for name in [*given, *(name for name in wanted if name not in given)]:
            yield _unequal(f"column `{name}`", _word(wanted.get(name)), _word(given.get(ColumnName(name))))
    for name in expect.never or ():
        if name in given:
            yield f"column `{name}` leaves, {_word(given[ColumnName(name)])}"
    if expect.functions is not None:
        yield _unequal("functions", frozenset(expect.functions), permit.functions)
    if expect.rho_per_query is not None:
        yield _unequal("rho_per_query", pico_rho_down(expect.rho_per_query), permit.loss_max.rho)
    lookup = permit.lookup
    if expect.lookup is not None:
        wanted_by = _by(expect.lookup.key, expect.lookup.matching or ())
        yield _unequal("lookup", wanted_by, _by(lookup.key, lookup.matching) if lookup else "none")
    keys = (lookup.keys_max, lookup.rows_max) if lookup else (0, 0)
    limits = ("rows", permit.rows_max), ("groups", permit.groups_max)
    for word, most in (*limits, ("keys_per_request", keys[0]), ("rows_per_key", keys[1])):
        if (expected := getattr(expect, word)) is not None:
            yield _unequal(word, expected, most)


def _by(key: str, matching: Iterable[str]) -> str:
    return f"by {key}, matching {', '.join(sorted(matching)) or 'nothing'}"


def _unequal(what: str, expected: object, given: object) -> str:
    if expected == given:
        return ""
    shown = [", ".join(sorted(side)) if isinstance(side, frozenset) else side for side in (expected, given)]
    return f"{what}: expected {shown[0]}, it is {shown[1]}"


def _word(treatment: Treatment | None) -> str:
    if treatment is None:
        return "absent"
    return " ".join([name_of(treatment), *map(str, astuple(treatment))])


def _named(rules: frozenset[RuleId]) -> str:
    return f" by `{'`, `'.join(sorted(rules))}`" if rules else ""
