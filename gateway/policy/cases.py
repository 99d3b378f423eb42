"""Tests of a document as data: who asks for what, and what must come of it. ``trial.py`` runs them.

They stand beside the document, in ``tests/<dataset>.yaml``, and are read as strictly as rules are. A case
says what one request gets; each line of its ``but`` changes something of it and says what comes then.
"""

from collections.abc import Callable, Iterable
from typing import Annotated, Literal

from pydantic import Field

from gateway.errors import Fault, RulesInvalid
from gateway.policy.document import TreatmentField
from gateway.policy.document_lookup import LookupEntry
from gateway.policy.entry import Entry
from gateway.policy.faults import nearest, shape_faults, shown
from gateway.policy.fields import (
    AgreementName,
    Amount,
    ColumnId,
    Constant,
    Count,
    Country,
    Day,
    Days,
    DottedName,
    Seconds,
    Text,
    Word,
)
from gateway.policy.read import Path, Tree, read
from gateway.policy.rehearsal import check_rows
from gateway.policy.rules import Rules
from gateway.terms.permit import Function, Reason
from gateway.terms.query import Action

Level = Literal["aal1", "aal2", "aal3"]


class AskerEntry(Entry):
    """Who asks. What is left out is not known of the caller."""

    org_class: Word | None = None
    agreement: AgreementName | None = None
    country: Country | None = None
    purpose: Word | None = None
    acr: Level
    age: Seconds | None = None
    """How long ago a person activated the client; just now unless given, and never at aal1."""
    unattended: Days | None = None
    """How long ago a person approved this very request, where it runs while nobody is there."""


class ExpectEntry(Entry):
    """What comes of it: a permit and what it is bound to, or a refusal. What is left out is not compared."""

    permit: DottedName | None = None
    columns: dict[ColumnId, TreatmentField] | None = None
    never: list[ColumnId] | None = Field(default=None, min_length=1)
    functions: list[Annotated[Function, Field(strict=False)]] | None = Field(default=None, min_length=1)
    rows: Count | None = None
    groups: Count | None = None
    rho_per_query: Amount | None = None
    lookup: LookupEntry | None = None
    keys_per_request: Count | None = None
    rows_per_key: Count | None = None
    refused: Reason | None = Field(default=None, strict=False)
    by: list[DottedName] | None = Field(default=None, min_length=1)


class ButEntry(Entry):
    """What changes, and what comes then."""

    org_class: Word | None = None
    agreement: AgreementName | None = None
    country: Country | None = None
    purpose: Word | None = None
    acr: Level | None = None
    age: Seconds | None = None
    unattended: Days | None = None
    may: Action | None = Field(default=None, strict=False)
    on: Day | None = None
    permit: DottedName | None = None
    refused: Reason | None = Field(default=None, strict=False)


class CaseEntry(Entry):
    """One request, and what must come of it."""

    says: Text
    asker: AskerEntry = Field(alias="as")
    may: Action = Field(strict=False)
    on: Day | None = None
    expect: ExpectEntry
    rows: list[dict[ColumnId, Constant]] | None = Field(default=None, min_length=1, max_length=100)
    gives: list[dict[ColumnId, Constant]] | None = Field(default=None, max_length=100)
    """What leaves of the rows (``rehearsal.py``)."""
    but: list[ButEntry] = Field(default=[], max_length=200)


class Cases(Entry):
    """The tests of one document."""

    tests: Literal[1]
    of: DottedName
    on: Day
    """The day of every request that names no other."""
    cases: list[CaseEntry] = Field(min_length=1, max_length=1000)


def load_cases(text: bytes, rules: Rules, *, file: str) -> tuple[Cases, Tree]:
    """Return the cases, and the tree that knows where each stands.

    Raises:
        RulesInvalid: Anything in the file is not as it must be; ``faults`` has all of it.

    """
    tree, faults = read(text, file=file)
    shape, _ = shape_faults(tree, Cases)
    if faults or shape:
        raise RulesInvalid((*faults, *shape))
    cases = Cases.model_validate(dict(tree.content))
    found: list[Fault] = []
    _check(cases, rules, lambda path, message: found.append(tree.fault(path, message)))
    if found:
        raise RulesInvalid(tuple(found))
    return cases, tree


def _check(cases: Cases, rules: Rules, complain: Callable[[Path, str], None]) -> None:
    """Report names that the document does not have: a case about them would prove nothing."""
    if cases.of != rules.dataset.id:
        complain(("of",), f"these are tests of {shown(cases.of)}, beside {shown(rules.dataset.id)}")
    columns = {column.name for column in rules.dataset.columns}
    permits = {rule.id for rule in rules.permits}
    every = {*permits, *(rule.id for rule in rules.forbids)}

    def names(path: Path, given: Iterable[str | None], known: Iterable[str], kind: str) -> None:
        valid = frozenset(known)
        for name in given:
            if name is not None and name not in valid:
                complain(path, f"there is no {kind} {shown(name)}{nearest(name, valid)}")

    for number, case in enumerate(cases.cases):
        at: Path = ("cases", number, "expect")
        _check_outcome(case.expect, at, complain)
        names((*at, "permit"), [case.expect.permit], permits, "permit")
        names((*at, "by"), case.expect.by or (), every, "rule")
        names((*at, "columns"), case.expect.columns or (), columns, "column")
        names((*at, "never"), case.expect.never or (), columns, "column")
        if lookup := case.expect.lookup:
            names((*at, "lookup"), [lookup.key, *(lookup.matching or ())], columns, "column")
        _check_rows(case, ("cases", number), rules, complain)
        for line, but in enumerate(case.but):
            place: Path = ("cases", number, "but", line)
            _check_outcome(but, place, complain)
            names((*place, "permit"), [but.permit], permits, "permit")
            if but.model_fields_set <= {"permit", "refused"}:
                complain(place, "nothing is changed: name what is other than in the case")


def _check_rows(case: CaseEntry, path: Path, rules: Rules, complain: Callable[[Path, str], None]) -> None:
    if (case.rows is None) != (case.gives is None):
        complain(path, "`rows` and `gives` go together: sample rows, and what leaves of them")
    if case.rows is not None and case.expect.permit is None:
        complain((*path, "rows"), "of a refusal no row leaves: leave out `rows`")
    check_rows(case.rows or (), (*path, "rows"), rules.dataset, complain)
    check_rows(case.gives or (), (*path, "gives"), rules.dataset, complain)


def _check_outcome(entry: ExpectEntry | ButEntry, path: Path, complain: Callable[[Path, str], None]) -> None:
    if (entry.permit is None) == (entry.refused is None):
        complain(path, "either `permit` (which one) or `refused` (why) is wanted")
    bound = entry.model_fields_set & {"columns", "functions", "rows", "groups", "rho_per_query"}
    bound |= entry.model_fields_set & {"lookup", "keys_per_request", "rows_per_key"}
    if entry.refused is not None and bound:
        complain(path, f"a refusal has no {', '.join(f'`{word}`' for word in sorted(bound))}")
