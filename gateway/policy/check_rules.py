"""What must fit together in a document's permits and forbids: names, treatments, limits.

A name that does not exist is a fault and never a condition that is silently false: a misspelt forbid
must not open anything, a misspelt row filter must not select anything.
"""

from collections.abc import Iterable
from typing import Final

from gateway.budget import pico_rho_down
from gateway.policy.check_data import Parts
from gateway.policy.conditions import Complain, check_condition
from gateway.policy.document import (
    AudienceEntry,
    BandEntry,
    DateEntry,
    GeneraliseEntry,
    LimitsEntry,
    PartialEntry,
    PermitEntry,
    TokeniseEntry,
    TreatmentEntry,
)
from gateway.policy.document_terms import TriggerEntry
from gateway.policy.faults import nearest, shown
from gateway.policy.lookup import check_lookup
from gateway.policy.read import Path
from gateway.policy.upstream import check_paths
from gateway.terms.caller import Assurance
from gateway.terms.dataset import ColumnType
from gateway.terms.query import Action

UNATTENDED_MAX_S: Final = 30 * 86_400
AGE_MAX_S: Final = {Assurance.AAL2: 8 * 3600, Assurance.AAL3: 15 * 60}
"""How long an activation of a level lasts by its definition; a rule may ask for less."""


def check_rules(parts: Parts, complain: Complain) -> None:
    """Report what does not fit in the rules."""
    _check_ids(parts, complain)
    for number, permit in parts.permits.items():
        _check_permit(permit, ("permits", number), parts, complain)
    for number, trigger in parts.triggers.items():
        _check_trigger(trigger, ("triggers", number), parts, complain)
    for number, forbid in parts.forbids.items():
        path: Path = ("forbids", number)
        if len(forbid.model_fields_set) == 1:
            complain(path, "a forbid says what or whom: columns, purposes, may or to")
        if forbid.to is not None:
            _check_audience(forbid.to, (*path, "to"), parts, complain)
            _check_forbidden(forbid.to, (*path, "to"), parts, complain)
        _check_names((*path, "purposes"), forbid.purposes, parts.purposes, "purpose", complain)
        _check_names((*path, "columns"), forbid.columns, parts.names, "column", complain)


def _check_trigger(trigger: TriggerEntry, path: Path, parts: Parts, complain: Complain) -> None:
    if not trigger.model_fields_set:
        complain(path, "a trigger says what is controlled: may, column or rows_over")
    if trigger.column is not None:
        _check_names((*path, "column"), [trigger.column], parts.names, "column", complain)
    if trigger.rows_over is not None and trigger.may is not Action.EXTRACT:
        complain((*path, "rows_over"), "rows are counted of `may: extract` only: write it beside")


def _check_ids(parts: Parts, complain: Complain) -> None:
    seen: set[str] = set()
    for section, rules in (("permits", parts.permits), ("forbids", parts.forbids)):
        for number, rule in rules.items():
            if rule.id in seen:
                complain((section, number, "id"), f"{shown(rule.id)} is the id of another rule already")
            seen.add(rule.id)


def _check_names(
    path: Path, given: Iterable[str] | None, valid: Iterable[str], kind: str, complain: Complain
) -> None:
    known = frozenset(valid)
    for number, name in enumerate(given or ()):
        if name not in known:
            complain((*path, number), f"there is no {kind} {shown(name)}{nearest(name, known)}")


def _check_audience(audience: AudienceEntry, path: Path, parts: Parts, complain: Complain) -> None:
    if not audience.model_fields_set:
        complain(path, "nobody is named: give org_class, agreements or countries")
    if parts.agreements is not None:
        _check_names((*path, "agreements"), audience.agreements, parts.agreements, "agreement", complain)


def _check_forbidden(audience: AudienceEntry, path: Path, parts: Parts, complain: Complain) -> None:
    """Refuse a forbid for somebody whom no permit names: it is misspelt, or it does nothing.

    SECURITY: a permit's misspelt audience opens nothing; a forbid's would leave open what it should close.
    """
    for part in ("org_class", "agreements", "countries"):
        permitted = [getattr(permit.to, part) for permit in parts.permits.values()]
        known = frozenset(name for names in permitted for name in names or ())
        for number, name in enumerate(getattr(audience, part) or ()):
            if name not in known:
                complain((*path, part, number), f"no permit names {shown(name)}{nearest(name, known)}")


def _check_permit(permit: PermitEntry, path: Path, parts: Parts, complain: Complain) -> None:
    _check_audience(permit.to, (*path, "to"), parts, complain)
    _check_names((*path, "purposes"), permit.purposes, parts.purposes, "purpose", complain)
    _check_assurance(permit, (*path, "assurance"), complain)
    for number, condition in enumerate(permit.rows or []):
        check_condition(condition, (*path, "rows", number), frozenset(parts.names), parts.columns, complain)
    for name, treatment in permit.columns.items():
        _check_treatment(name, treatment, (*path, "columns", name), parts, complain)
    if Action.AGGREGATE in permit.may:
        _check_aggregate(permit, path, parts, complain)
    elif permit.functions is not None:
        complain((*path, "functions"), "functions are for permits that aggregate only")
    for action in (Action.EXTRACT, Action.PROXY):
        if action in permit.may and permit.limits.rows is None:
            complain((*path, "limits"), f"a permit to {action} needs `rows`: the most rows of one reply")
    _check_terms(permit, path, complain)
    check_paths(permit, path, parts.source, parts.columns, complain)
    check_lookup(permit, path, parts, complain)


def _check_terms(permit: PermitEntry, path: Path, complain: Complain) -> None:
    if permit.price and permit.price.per_row and set(permit.may) == {Action.AGGREGATE}:
        complain((*path, "price", "per_row"), "a permit to aggregate gives no rows: name `per_request`")
    if permit.price and permit.price.per_key and Action.LOOKUP not in permit.may:
        complain((*path, "price", "per_key"), "only a permit to look up takes keys")
    if permit.price and not permit.price.model_fields_set:
        complain((*path, "price"), "a price says per_request, per_row or per_key")
    if permit.delivery and not permit.delivery.model_fields_set:
        complain((*path, "delivery"), "delivery says formats or encrypted")


def _check_assurance(permit: PermitEntry, path: Path, complain: Complain) -> None:
    unattended_s = permit.assurance.unattended
    if unattended_s is not None and permit.assurance.level is not Assurance.AAL2:
        complain(
            (*path, "unattended"),
            "this goes with aal2 only: at aal3 somebody is there, and at aal1 nobody has to be",
        )
    if unattended_s is not None and unattended_s > UNATTENDED_MAX_S:
        complain((*path, "unattended"), "a request is approved for `30d` at most")
    if permit.assurance.max_age is None:
        return
    longest_s = AGE_MAX_S.get(permit.assurance.level)
    if longest_s is None:
        complain((*path, "max_age"), "at aal1 no person activates the client: there is no age to limit")
    elif permit.assurance.max_age > longest_s:
        acr = permit.assurance.acr
        complain((*path, "max_age"), f"an activation at {acr} lasts {longest_s // 60}m at most")


def _check_treatment(
    name: str, treatment: TreatmentEntry, path: Path, parts: Parts, complain: Complain
) -> None:
    if name not in parts.names:
        complain(path, f"there is no column {shown(name)}{nearest(name, parts.names)}")
    if name not in parts.columns:
        return
    wanted = _types_for(treatment)
    if wanted and parts.columns[name].type not in wanted:
        types = " or ".join(sorted(wanted))
        complain(path, f"this treatment needs a column of type {types}; {shown(name)} is none")


def _types_for(treatment: TreatmentEntry) -> frozenset[ColumnType]:
    """Return the column types that a treatment works on; empty: all."""
    match treatment:
        case "tokenise" | TokeniseEntry():
            return frozenset({ColumnType.INTEGER, ColumnType.TEXT})
        case PartialEntry():
            return frozenset({ColumnType.TEXT})
        case GeneraliseEntry(generalise=BandEntry()):
            return frozenset({ColumnType.INTEGER, ColumnType.DECIMAL})
        case GeneraliseEntry(generalise=DateEntry()):
            return frozenset({ColumnType.DATE})
        case GeneraliseEntry():
            return frozenset({ColumnType.TEXT})
        case _:
            return frozenset()


def _check_aggregate(permit: PermitEntry, path: Path, parts: Parts, complain: Complain) -> None:
    for section in ("unit", "budgets"):
        if section not in parts.written:
            complain((*path, "may"), f"a permit to aggregate needs `{section}` in the document")
    if permit.functions is None:
        complain(path, "a permit to aggregate needs `functions`: count, sum, avg")
    for name, treatment in permit.columns.items():
        if treatment != "keep":
            message = "statistics are protected by noise, not by masks: here a column is `keep` or left out"
            complain((*path, "columns", name), message)
    _check_statistic_limits(permit.limits, (*path, "limits"), parts, complain)


def _check_statistic_limits(limits: LimitsEntry, path: Path, parts: Parts, complain: Complain) -> None:
    for limit in ("groups", "rho_per_query"):
        if getattr(limits, limit) is None:
            complain(path, f"a permit to aggregate needs `{limit}`")
    if limits.rho_per_query is None:
        return
    most = parts.budgets.client.rho if parts.budgets else None
    if parts.budgets and most is None:
        complain((*path, "rho_per_query"), "the budgets limit no `rho`")
    elif most is not None and limits.rho_per_query > most:
        complain((*path, "rho_per_query"), "more than the budget of a client")
    if pico_rho_down(limits.rho_per_query) == 0:
        complain((*path, "rho_per_query"), "smaller than a pico-rho")
