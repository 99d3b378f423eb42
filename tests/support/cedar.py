"""The allow/deny part of a document in Cedar (cedarpolicy.com), an evaluator that we did not write.

One Cedar request asks for one column (of a statistic: by one function; of a proxy: of one path; of a
lookup: by one key and with some attributes that match). So that
two permits meet at the strictest, a permit stands as two policies: it permits what it matches, and it
forbids what it matches but does not give. What is not known of a caller is an absent attribute.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC
from itertools import product
from typing import Any

import cedarpy

from gateway.policy.decide import CLOCK_AHEAD_MAX_S, Ask, decide
from gateway.policy.rules import Audience, ForbidRule, PermitRule, Rules
from gateway.terms.permit import Function, Permit, Refusal
from gateway.terms.query import Action
from gateway.terms.treatment import Drop

Judge = Callable[[Ask, Rules], Permit | Refusal]
SCOPE = "(principal, action, resource)"


def _set(names: object) -> str:
    return "[" + ", ".join(f'"{name}"' for name in sorted(map(str, names))) + "]"  # type: ignore[call-overload]


def _named(part: str, names: frozenset[Any], *, if_missing: bool) -> str:
    if not names:
        return "true"
    listed = f"{_set(names)}.contains(context.{part})"
    return f"(!(context has {part}) || {listed})" if if_missing else f"(context has {part} && {listed})"


def _audience(audience: Audience, *, if_missing: bool) -> str:
    parts = (
        ("org_class", audience.org_classes),
        ("agreement", audience.agreements),
        ("country", audience.countries),
    )
    return " && ".join(_named(part, names, if_missing=if_missing) for part, names in parts)


def _matches(rule: PermitRule) -> str:
    acts = f"{_set(rule.actions)}.contains(context.may)"
    named = _named("purpose", rule.purposes, if_missing=False)
    return f"{acts} && {named} && {_audience(rule.audience, if_missing=False)}"


def _gives(rule: PermitRule) -> str:
    columns = _set(name for name, treatment in rule.columns if treatment != Drop())
    given = [f"{columns}.contains(context.column)", f"context.level >= {int(rule.assurance)}"]
    given.append(f'(context.may != "aggregate" || {_set(rule.functions)}.contains(context.function))')
    given.append(f'(context.may != "proxy" || {_set(p.path for p in rule.paths)}.contains(context.path))')
    given.append(f'(context.may != "lookup" || {_by(rule)})')
    if rule.age_max_s is not None:
        given.append(f"(context.unattended || {_within(rule.age_max_s)})")
    given.append(f"(!context.unattended || {_within(rule.unattended_s)})")
    return " && ".join(given)


def _by(rule: PermitRule) -> str:
    if rule.lookup is None:
        return "false"
    matching = f"context.matching.containsAll({_set(rule.lookup.matching)})"
    return f'(context.key == "{rule.lookup.key}" && {matching})'


def _within(age_max_s: int | None) -> str:
    if age_max_s is None:
        return "false"
    return f"(context has age && context.age >= {-CLOCK_AHEAD_MAX_S} && context.age <= {age_max_s})"


def _forbids(rule: ForbidRule) -> str:
    acts = f"{_set(rule.actions)}.contains(context.may)" if rule.actions else "true"
    named = _named("purpose", rule.purposes, if_missing=True)
    columns = f"{_set(rule.columns)}.contains(context.column)" if rule.columns else "true"
    return f"{acts} && {named} && {_audience(rule.audience, if_missing=True)} && {columns}"


def policies_of(rules: Rules) -> str:
    first, last = rules.valid_from.toordinal(), rules.valid_until.toordinal()
    lines = [f"forbid {SCOPE} when {{ context.day < {first} || context.day > {last} }};"]
    for permit in rules.permits:
        lines.append(f"permit {SCOPE} when {{ {_matches(permit)} }};")
        lines.append(f"forbid {SCOPE} when {{ ({_matches(permit)}) && !({_gives(permit)}) }};")
    lines += [f"forbid {SCOPE} when {{ {_forbids(forbid)} }};" for forbid in rules.forbids]
    for forbid, permit in product(rules.forbids, rules.permits):  # nor is what is forbidden compared
        if permit.lookup is not None and permit.lookup.columns & forbid.columns:
            whole = _forbids(replace(forbid, columns=frozenset()))
            tried = f'context.may == "lookup" && {_matches(permit)}'
            lines.append(f"forbid {SCOPE} when {{ {whole} && {tried} }};")
    return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Point:
    """One thing that may leave."""

    column: str
    function: str
    path: str
    key: str
    matching: tuple[str, ...]


def points_of(rules: Rules, action: Action) -> list[Point]:
    """Every column by every function or path; columns that all rules treat alike stand for each other."""
    kinds: dict[tuple[bool, ...], str] = {}
    for column in rules.dataset.columns:
        shown = [dict(permit.columns).get(column.name, Drop()) != Drop() for permit in rules.permits]
        taken = [column.name in forbid.columns for forbid in rules.forbids]
        kinds.setdefault((*shown, *taken), column.name)
    functions = [*Function] if action is Action.AGGREGATE else [""]
    paths = sorted({path.path for permit in rules.permits for path in permit.paths}) or [""]
    lookups = [permit.lookup for permit in rules.permits if permit.lookup is not None]
    keys = sorted({lookup.key for lookup in lookups}) or [""]
    every = tuple(sorted({name for lookup in lookups for name in lookup.matching}))
    matching = sorted({every, *(lookup.matching for lookup in lookups)})
    return [
        Point(*point)
        for point in product(
            kinds.values(),
            functions,
            paths if action is Action.PROXY else [""],
            keys if action is Action.LOOKUP else [""],
            matching if action is Action.LOOKUP else [()],
        )
    ]


def _request(ask: Ask, point: Point) -> dict[str, Any]:
    caller = ask.caller
    known = {part: getattr(caller, part) for part in ("org_class", "agreement", "country", "purpose")}
    context: dict[str, Any] = {part: str(value) for part, value in known.items() if value}
    context |= {
        "may": str(ask.action),
        "column": point.column,
        "function": str(point.function),
        "path": point.path,
        "key": point.key,
        "matching": list(point.matching),
        "level": int(caller.assurance),
        "unattended": caller.unattended,
        "day": ask.now.astimezone(UTC).date().toordinal(),
    }
    if caller.authenticated_at is not None:
        context["age"] = round((ask.now - caller.authenticated_at).total_seconds())
    return {"principal": 'Firm::"f"', "action": 'Action::"ask"', "resource": 'Data::"d"', "context": context}


@dataclass(frozen=True, slots=True)
class Compared:
    """What came of a comparison."""

    judged: int
    allowed: int
    wrong: tuple[tuple[Ask, Point], ...]
    """Where the two evaluators differ, or Cedar met an error."""


def compare(rules: Rules, asks: list[Ask], judge: Judge = decide) -> Compared:
    """Judge every tuple twice."""
    tuples = [(ask, point) for ask in asks for point in points_of(rules, ask.action)]
    if not tuples:
        return Compared(0, 0, ())
    answers = cedarpy.is_authorized_batch([_request(*each) for each in tuples], policies_of(rules), [])
    ours = {id(ask): judge(ask, rules) for ask in asks}
    wrong = tuple(
        each
        for each, answer in zip(tuples, answers, strict=True)
        if answer.allowed != _leaves(ours[id(each[0])], each[1]) or answer.diagnostics.errors
    )
    return Compared(len(tuples), sum(answer.allowed for answer in answers), wrong)


def _leaves(decision: object, point: Point) -> bool:
    if not isinstance(decision, Permit) or point.column not in dict(decision.columns):
        return False
    if decision.action is Action.AGGREGATE:
        return point.function in decision.functions
    if decision.lookup is not None:
        return point.key == decision.lookup.key and {*decision.lookup.matching} <= {*point.matching}
    if decision.action is Action.PROXY:
        return point.path in {path.path for path in decision.paths}
    return True


def batches(asks: Iterator[Ask], size: int = 2000) -> Iterator[list[Ask]]:
    batch: list[Ask] = []
    for ask in asks:
        batch.append(ask)
        if len(batch) == size:
            yield batch
            batch = []
    yield batch
