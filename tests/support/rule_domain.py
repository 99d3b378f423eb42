"""Every request that a document's rules can tell apart: its complete finite domain.

Of each attribute: every name that some rule mentions, one that none does, and nothing (not known). Of
assurance: each level; of the activation's age and of the day: both sides of every limit; somebody is
there, or a saved request runs. Two requests that differ in nothing of this are the same to ``decide``.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice, product

from builders import a_caller

from gateway.policy.decide import CLOCK_AHEAD_MAX_S, Ask
from gateway.policy.rules import Rules
from gateway.terms.caller import Assurance, SavedRun
from gateway.terms.identifiers import AgreementId, PurposeId
from gateway.terms.loss import PicoRho
from gateway.terms.query import Action

OTHER = {"org_class": "stranger", "agreement": "AGR-STRANGER", "country": "ZZ", "purpose": "stranger"}

A_RUN = SavedRun(activation="act-1", number=0, over_at_ms=0, effect="", pico_rho_max=PicoRho(0), vnd_max=0)


def names_of(rules: Rules) -> dict[str, list[str]]:
    """Every value of each attribute that is worth asking with."""
    every = [*rules.permits, *rules.forbids]
    named: dict[str, set[str]] = {
        "org_class": {name for rule in every for name in rule.audience.org_classes},
        "agreement": {name for rule in every for name in rule.audience.agreements},
        "country": {name for rule in every for name in rule.audience.countries},
        "purpose": {name for rule in every for name in rule.purposes},
    }
    return {part: ["", OTHER[part], *sorted(names)] for part, names in named.items()}


def days_of(rules: Rules) -> list[date]:
    day = timedelta(days=1)
    return [rules.valid_from - day, rules.valid_from, rules.valid_until, rules.valid_until + day]


def ages_of(rules: Rules) -> list[int | None]:
    """Ages of an activation in seconds; None: no person activated it."""
    spans = [span for permit in rules.permits for span in (permit.age_max_s, permit.unattended_s)]
    limits = {span for span in spans if span is not None}
    edges = {0, -CLOCK_AHEAD_MAX_S, -CLOCK_AHEAD_MAX_S - 1, *limits, *(limit + 1 for limit in limits)}
    return [None, *sorted(edges)]


def size_of(rules: Rules) -> int:
    size = 2 * len(Action) * len(Assurance) * len(ages_of(rules)) * len(days_of(rules))
    for names in names_of(rules).values():
        size *= len(names)
    return size


def requests(rules: Rules) -> Iterator[Ask]:
    """Yield every request but for the activation and the day: nobody activated it, on the first day."""
    names = names_of(rules)
    now = datetime.combine(rules.valid_from, time(12), UTC)
    unactivated = replace(a_caller(), assurance=Assurance.AAL1, authenticated_at=None)
    for org_class, agreement, country, purpose, action in product(*names.values(), Action):
        caller = replace(
            unactivated,
            org_class=org_class,
            agreement=AgreementId(agreement),
            country=country,
            purpose=PurposeId(purpose),
        )
        yield Ask(caller=caller, action=action, now=now)


def domain(rules: Rules, *, first: int = 0, step: int = 1) -> Iterator[Ask]:
    """Yield the requests numbered ``first``, ``first + step`` and so on, of ``size_of(rules)``."""
    points = product(requests(rules), Assurance, ages_of(rules), days_of(rules), (None, A_RUN))
    for ask, assurance, age_s, day, saved in islice(points, first, None, step):
        now = datetime.combine(day, time(12), UTC)
        at = None if age_s is None else now - timedelta(seconds=age_s)
        caller = replace(ask.caller, assurance=assurance, authenticated_at=at, saved=saved)
        yield replace(ask, caller=caller, now=now)
