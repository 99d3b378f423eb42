"""Judge one request by the sharing rules of its dataset.

The judgement is a pure function of its arguments: no clock, no I/O, no logging. Laws that hold for
every input, proved by property in ``tests/policy/test_decide.py`` (promise P3): default deny; one
matching forbid outweighs every permit; order and repetition of rules are nothing; permits that match
together meet at the strictest; another forbid never widens; what is not known of a caller makes a
permit's condition false and a forbid's true; a step-up is named only where nothing else is missing.

Source: Cedar's authorizer and its theorems (cedar-spec, Cedar/Thm/Authorization.lean).
Departure: a rule Cedar cannot evaluate is skipped; here it never loads (``load.py``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import reduce
from typing import Final, Protocol

from gateway.budget import NOTHING
from gateway.errors import NotPermitted, StepUpRequired
from gateway.policy.meet import all_of, meet
from gateway.policy.meet_lookup import meet_lookups
from gateway.policy.meet_paths import meet_paths
from gateway.policy.meet_terms import meet_terms
from gateway.policy.rules import Audience, ForbidRule, PermitRule, Rules
from gateway.terms.caller import Assurance
from gateway.terms.identifiers import ColumnName, RuleId
from gateway.terms.loss import Loss, PicoDelta, PicoRho
from gateway.terms.permit import Function, Permit, Reason, Refusal
from gateway.terms.query import Action
from gateway.terms.treatment import Drop, Treatment

CLOCK_AHEAD_MAX_S: Final = 60
"""An activation dated further in the future proves nothing (FAPI 2.0 Security Profile, 5.3.2.1)."""
JUDGEMENTS_MAX: Final = 4096
_DROP: Final = Drop()
_PULLS: Final = frozenset({Action.EXTRACT, Action.PROXY})
"""What costs nothing."""


class Asker(Protocol):
    """What a judgement reads of a caller; an empty text is not known."""

    @property
    def org_class(self) -> str: ...
    @property
    def agreement(self) -> str: ...
    @property
    def country(self) -> str: ...
    @property
    def purpose(self) -> str: ...
    @property
    def assurance(self) -> Assurance: ...
    @property
    def authenticated_at(self) -> datetime | None: ...
    @property
    def unattended(self) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Who wants to do what, and when."""

    caller: Asker
    action: Action
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What the rules say of a caller at any moment: a permit, and the activation it asks for."""

    permit: Permit
    assurance: Assurance
    age_max_s: int | None
    unattended_s: int | None
    """How old the approval of a saved request may be; None: nothing runs without a person."""


class SeenJudgements:
    """Judgements that were made before, so that a page after page of pulls is not judged anew each time.

    SECURITY: what is kept is what no later moment can change: what one document, this very object, says
    of all that a judgement reads of a caller but the activation. Whether the document is in force, and
    the activation strong and fresh enough, is looked at for every request.

    Owner of the state: the one thread that decides. At most ``JUDGEMENTS_MAX``, oldest out first.
    """

    def __init__(self) -> None:
        self._seen: dict[tuple[str, ...], tuple[Rules, Judged | Refusal]] = {}

    def judged(self, ask: Ask, rules: Rules) -> Judged | Refusal:
        """Return ``judged`` of the same."""
        asker = ask.caller
        name = (rules.dataset.id, ask.action, asker.org_class, asker.agreement, asker.country, asker.purpose)
        seen = self._seen.pop(name, None)
        if seen is None or seen[0] is not rules:
            seen = (rules, judged(ask, rules))
        self._seen[name] = seen
        if len(self._seen) > JUDGEMENTS_MAX:
            del self._seen[next(iter(self._seen))]
        return seen[1]


def decide(ask: Ask, rules: Rules, seen: SeenJudgements | None = None) -> Permit | Refusal:
    """Return leave to proceed, or the reason there is none."""
    if not rules.valid_from <= ask.now.astimezone(UTC).date() <= rules.valid_until:
        return Refusal(reason=Reason.DOCUMENT_NOT_VALID_NOW, rules=frozenset())
    found = judged(ask, rules) if seen is None else seen.judged(ask, rules)
    return found if isinstance(found, Refusal) else _assured(found, ask)


def judged(ask: Ask, rules: Rules) -> Judged | Refusal:
    """Return what the rules say of a caller, whenever and however well the caller is known."""
    forbids = [rule for rule in rules.forbids if _forbids(rule, ask)]
    if whole := [rule for rule in forbids if not rule.columns]:
        return Refusal(reason=Reason.RULE_FORBIDS, rules=_ids(whole))

    permits = [rule for rule in rules.permits if _permits(rule, ask)]
    if not permits:
        return Refusal(reason=Reason.NO_RULE_PERMITS, rules=frozenset())

    permit = _meeting(permits, forbids, ask.action, rules)
    if isinstance(permit, Refusal):
        return permit
    return Judged(
        permit=permit,
        assurance=max(rule.assurance for rule in permits),
        age_max_s=min((rule.age_max_s for rule in permits if rule.age_max_s is not None), default=None),
        unattended_s=_shortest([rule.unattended_s for rule in permits]),
    )


def require(ask: Ask, rules: Rules, seen: SeenJudgements | None = None) -> Permit:
    """Return leave to proceed. Unlike ``decide``, ignoring its outcome is impossible.

    Raises:
        NotPermitted: No rule permits the request, or one forbids it.
        StepUpRequired: A stronger or fresher activation would be permitted.

    """
    decision = decide(ask, rules, seen)
    if isinstance(decision, Permit):
        return decision
    if decision.assurance_needed is not None:
        raise StepUpRequired(
            "a stronger or fresher activation by a person is needed",
            needed=decision.assurance_needed,
            age_max_s=decision.age_max_s,
        )
    raise NotPermitted(_DETAIL[decision.reason], reason=decision.reason, rules=decision.rules)


_DETAIL: Final = {
    Reason.NO_RULE_PERMITS: "no sharing rule of the dataset permits this purpose to do this",
    Reason.RULE_FORBIDS: "a sharing rule of the dataset forbids this",
    Reason.DOCUMENT_NOT_VALID_NOW: "the sharing rules of the dataset are not in force today",
    Reason.ASSURANCE_TOO_LOW: "the activation is too weak",
    Reason.ACTIVATION_TOO_OLD: "the activation is too old",
    Reason.UNATTENDED_NOT_PERMITTED: "no sharing rule of the dataset permits this while nobody is there",
}


def _permits(rule: PermitRule, ask: Ask) -> bool:
    named = _named(ask.caller.purpose, rule.purposes, if_missing=False)
    return ask.action in rule.actions and named and _in(rule.audience, ask.caller, if_missing=False)


def _forbids(rule: ForbidRule, ask: Ask) -> bool:
    acts = not rule.actions or ask.action in rule.actions
    named = _named(ask.caller.purpose, rule.purposes, if_missing=True)
    return acts and named and _in(rule.audience, ask.caller, if_missing=True)


def _in(audience: Audience, caller: Asker, *, if_missing: bool) -> bool:
    return (
        _named(caller.org_class, audience.org_classes, if_missing=if_missing)
        and _named(caller.agreement, audience.agreements, if_missing=if_missing)
        and _named(caller.country, audience.countries, if_missing=if_missing)
    )


def _named(value: str, names: frozenset[str], *, if_missing: bool) -> bool:
    """Return whether ``value`` is among the names a rule gives; no names ask nothing."""
    if not names:
        return True
    return value in names if value else if_missing


def _meeting(
    permits: Sequence[PermitRule], forbids: Sequence[ForbidRule], action: Action, rules: Rules
) -> Permit | Refusal:
    """Return the strictest of the permits without what the forbids take; all forbids here name columns."""
    met = _columns(permits, rules)
    taken = frozenset[ColumnName]().union(*(rule.columns for rule in forbids))
    columns = tuple((name, treatment) for name, treatment in met if name not in taken)
    aggregate = action is Action.AGGREGATE
    functions = frozenset(Function).intersection(*(rule.functions for rule in permits)) if aggregate else None

    paths = reduce(meet_paths, (rule.paths for rule in permits)) if action is Action.PROXY else ()
    lookup = reduce(meet_lookups, (rule.lookup for rule in permits)) if action is Action.LOOKUP else None
    delivery, price = meet_terms(permits)

    if not met or not delivery.formats or functions == frozenset() or (action is Action.PROXY and not paths):
        return Refusal(reason=Reason.NO_RULE_PERMITS, rules=_ids(permits))
    if action is Action.LOOKUP and lookup is None:
        return Refusal(reason=Reason.NO_RULE_PERMITS, rules=_ids(permits))
    # SECURITY: what is forbidden is not compared with either: that a row is found would tell of it.
    if not columns or (lookup is not None and lookup.columns & taken):
        return Refusal(reason=Reason.RULE_FORBIDS, rules=_ids(forbids))

    return Permit(
        rules=_ids(permits),
        action=action,
        dataset=rules.dataset,
        columns=columns,
        rows=all_of(rule.rows for rule in permits),
        functions=functions or frozenset(),
        rows_max=min(rule.rows_max for rule in permits) if action in _PULLS else 0,
        groups_max=min(rule.groups_max for rule in permits) if aggregate else 0,
        loss_max=_smallest([rule.loss_max for rule in permits]) if aggregate else NOTHING,
        caps=None if action in _PULLS else rules.caps,
        paths=paths,
        lookup=lookup,
        delivery=delivery,
        price=price,
        triggers=rules.triggers,
        inspection_ppm=rules.inspection_ppm,
    )


def _columns(permits: Sequence[PermitRule], rules: Rules) -> tuple[tuple[ColumnName, Treatment], ...]:
    """Return the columns that leave, in the document's order; one that a permit does not name is dropped."""
    treatments = [dict(rule.columns) for rule in permits]
    met = (
        (column.name, reduce(meet, [named.get(column.name, _DROP) for named in treatments]))
        for column in rules.dataset.columns
    )
    return tuple((name, treatment) for name, treatment in met if treatment != _DROP)


def _smallest(losses: Sequence[Loss]) -> Loss:
    return Loss(
        PicoRho(min(loss.rho for loss in losses)),
        PicoDelta(min(loss.delta for loss in losses)),
    )


def _shortest(spans: Sequence[int | None]) -> int | None:
    """Return the shortest; None where one of them allows nothing."""
    return None if None in spans else min(span for span in spans if span is not None)


def _assured(found: Judged, ask: Ask) -> Permit | Refusal:
    """Return the permit, if the caller's activation is strong and fresh enough for all of its rules."""
    age_max_s = found.unattended_s if ask.caller.unattended else found.age_max_s
    if ask.caller.unattended and age_max_s is None:
        return Refusal(reason=Reason.UNATTENDED_NOT_PERMITTED, rules=found.permit.rules)
    if ask.caller.assurance < found.assurance:
        reason = Reason.ASSURANCE_TOO_LOW
    elif age_max_s is not None and not _fresh(ask, age_max_s):
        reason = Reason.ACTIVATION_TOO_OLD
    else:
        return found.permit
    return Refusal(
        reason=reason,
        rules=found.permit.rules,
        assurance_needed=found.assurance,
        age_max_s=found.age_max_s,
    )


def _fresh(ask: Ask, age_max_s: int) -> bool:
    if ask.caller.authenticated_at is None:
        return False
    age_s = (ask.now - ask.caller.authenticated_at).total_seconds()
    return -CLOCK_AHEAD_MAX_S <= age_s <= age_max_s


def _ids(rules: Sequence[PermitRule] | Sequence[ForbidRule]) -> frozenset[RuleId]:
    return frozenset(rule.id for rule in rules)
