"""Which clauses of a document its cases have tried, each in both outcomes.

A clause is tried if some request passes it into its rule, and some other fails by it alone: put right in
that one attribute, the same request would pass. So each clause is seen to decide (MC/DC of testing).
Judged by ``decide`` itself over each rule by itself: this file knows no rule of its own.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from gateway.policy.decide import Ask, decide
from gateway.policy.read import Path
from gateway.policy.rules import ForbidRule, PermitRule, Rules
from gateway.terms.caller import Assurance
from gateway.terms.permit import Permit, Reason

Repair = Callable[[Ask], Ask]
Found = Iterator[tuple[Path, str]]


def untested(asked: Sequence[Ask], rules: Rules) -> Found:
    """Yield the rules that no request passes into."""
    for path, rule in _rules(rules):
        if not any(_passes(ask, rule, rules) for ask in asked):
            yield (*path, "id"), f"no case matches `{rule.id}`"


def uncovered(asked: Sequence[Ask], stated: set[str], rules: Rules) -> Found:
    """Yield the clauses that no request fails by alone, and permits whose columns no case states."""
    if not any(_is_of_another_day(ask, rules) for ask in asked):
        yield ("valid",), "no case asks on a day on which the document is not valid"
    for path, rule in _rules(rules):
        failing = [ask for ask in asked if not _passes(ask, rule, rules)]
        for clause, repair in _clauses(rule):
            if not any(_passes(repair(ask), rule, rules) for ask in failing):
                yield (*path, *clause), f"no case fails `{rule.id}` by its `{clause[-1]}` alone"
        if isinstance(rule, PermitRule) and rule.id not in stated:
            yield (*path, "columns"), f"no case states all the columns that `{rule.id}` gives"


def _rules(rules: Rules) -> Iterator[tuple[Path, PermitRule | ForbidRule]]:
    for number, permit in enumerate(rules.permits):
        yield ("permits", number), permit
    for number, forbid in enumerate(rules.forbids):
        yield ("forbids", number), forbid


def _passes(ask: Ask, rule: PermitRule | ForbidRule, rules: Rules) -> bool:
    """Return whether a request matches one rule, whatever the others say."""
    if isinstance(rule, PermitRule):
        return isinstance(decide(ask, replace(rules, permits=(rule,), forbids=())), Permit)
    whole = replace(rule, columns=frozenset())
    refusal = decide(ask, replace(rules, permits=(), forbids=(whole,)))
    return not isinstance(refusal, Permit) and refusal.reason is Reason.RULE_FORBIDS


def _is_of_another_day(ask: Ask, rules: Rules) -> bool:
    return not rules.valid_from <= ask.now.date() <= rules.valid_until


def _clauses(rule: PermitRule | ForbidRule) -> Iterator[tuple[Path, Repair]]:
    """Yield each clause that is written, and what puts a request right in it alone."""
    audience = rule.audience
    if audience.org_classes:
        yield ("to", "org_class"), _asker(org_class=min(audience.org_classes))
    if audience.agreements:
        yield ("to", "agreements"), _asker(agreement=min(audience.agreements))
    if audience.countries:
        yield ("to", "countries"), _asker(country=min(audience.countries))
    if rule.purposes:
        yield ("purposes",), _asker(purpose=min(rule.purposes))
    if rule.actions:
        action = min(rule.actions)
        yield ("may",), lambda ask: replace(ask, action=action)
    if isinstance(rule, PermitRule) and rule.assurance is not Assurance.AAL1:
        yield ("assurance", "acr"), _activated(rule.assurance)
        yield ("assurance", "max_age"), _approved_now(unattended=False)
        if rule.unattended_s is not None:
            yield ("assurance", "unattended"), _approved_now(unattended=True)


def _asker(**right: Any) -> Repair:  # noqa: ANN401 - attributes of whoever asks
    return lambda ask: replace(ask, caller=replace(ask.caller, **right))  # type: ignore[type-var]


def _approved_now(*, unattended: bool) -> Repair:
    """Return what makes a person's word new, where somebody is there, or where nobody is."""

    def repaired(ask: Ask) -> Ask:
        return _asker(authenticated_at=ask.now)(ask) if ask.caller.unattended is unattended else ask

    return repaired


def _activated(level: Assurance) -> Repair:
    def repaired(ask: Ask) -> Ask:
        return _asker(assurance=level, authenticated_at=ask.caller.authenticated_at or ask.now)(ask)

    return repaired
