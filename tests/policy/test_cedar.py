"""Our judgement and Cedar's are one: on every request that shipped documents can tell apart, and at random.

What Cedar cannot say (masks, row filters, limits, budgets) is compared elsewhere; ``tests/support/cedar.py``
says how the rest is translated.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, time, timedelta
from pathlib import Path
from random import Random

import pytest
from cedar import batches, compare
from rule_domain import A_RUN, ages_of, days_of, domain, names_of, size_of

from gateway.policy.decide import Ask, decide
from gateway.policy.load import load_rules
from gateway.policy.rules import Audience, ForbidRule, PermitRule, Rules
from gateway.terms.caller import Assurance
from gateway.terms.identifiers import ColumnName, PurposeId, RuleId
from gateway.terms.permit import Function, Lookup
from gateway.terms.predicate import EVERY_ROW
from gateway.terms.query import Action
from gateway.terms.treatment import Drop, Keep, Redact
from gateway.terms.upstream import UpstreamPath
from tests.faults.share import chance_of, say

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted((ROOT / "policies").glob("*.yaml"))
SHARE = 400
"""CI asks one request of so many, another one at each run."""
ASKS_EACH = 100
"""Of one random document."""


def compared(rules: Rules, asks: Iterator[Ask]) -> tuple[int, int]:
    """How many tuples both judged alike, and how many of these they allowed."""
    found = [compare(rules, batch) for batch in batches(asks)]
    assert [each.wrong for each in found if each.wrong] == []
    return sum(each.judged for each in found), sum(each.allowed for each in found)


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: file.stem)
def test_p3_cedar_agrees_on_a_share_of_what_a_shipped_document_can_tell_apart(file: Path) -> None:
    """Promise P3."""
    rules = load_rules(file.read_bytes(), file=file.name)
    first = chance_of(file.name).randrange(SHARE)

    assert compared(rules, domain(rules, first=first, step=SHARE))[0] > 0


@pytest.mark.long
def test_p3_cedar_agrees_on_all_that_the_shipped_documents_can_tell_apart() -> None:
    """Promise P3."""
    requests = tuples = allowed = 0
    for file in DOCUMENTS:
        rules = load_rules(file.read_bytes(), file=file.name)
        requests += size_of(rules)
        judged, permitted = compared(rules, domain(rules))
        tuples, allowed = tuples + judged, allowed + permitted

    say(
        f"{len(DOCUMENTS)} documents, {requests} requests, {tuples} tuples judged by us and by Cedar "
        f"({allowed} allowed), 0 differ"
    )
    assert 0 < allowed < requests < tuples


BASE = load_rules((Path(__file__).parent / "vectors" / "example.yaml").read_bytes(), file="example.yaml")
NAMES = {"org_classes": ("bank", "relief"), "agreements": ("A-1", "A-2"), "countries": ("VN", "LA")}
PATHS = tuple(UpstreamPath(path=path, rows_pointer="", parameters=()) for path in ("/a", "/b"))


def some(chance: Random, things: tuple[object, ...], *, least: int = 0) -> frozenset[object]:
    return frozenset(chance.sample(things, chance.randint(least, len(things))))


def an_audience(chance: Random) -> Audience:
    return Audience(**{part: some(chance, names) for part, names in NAMES.items()})  # type: ignore[arg-type]


def a_permit(chance: Random, number: int) -> PermitRule:
    columns = tuple(column.name for column in BASE.dataset.columns[:4])
    level = chance.choice(list(Assurance))
    return PermitRule(
        id=RuleId(f"permit-{number}"),
        audience=an_audience(chance),
        purposes=some(chance, (PurposeId("p"), PurposeId("q")), least=1),  # type: ignore[arg-type]
        actions=some(chance, tuple(Action), least=1),  # type: ignore[arg-type]
        assurance=level,
        age_max_s=None if level is Assurance.AAL1 else chance.choice([60, 900, 28_800]),
        unattended_s=chance.choice([None, 900, 604_800]),
        rows=EVERY_ROW,
        columns=tuple(
            (ColumnName(name), chance.choice([Keep(), Keep(), Redact(), Drop()]))
            for name in sorted(map(str, some(chance, columns, least=1)))
        ),
        functions=some(chance, tuple(Function), least=1),  # type: ignore[arg-type]
        rows_max=1,
        groups_max=1,
        loss_max=BASE.permits[1].loss_max,
        paths=tuple(sorted(some(chance, PATHS, least=1), key=repr)),  # type: ignore[arg-type]
        lookup=a_lookup(chance, columns),
    )


def a_lookup(chance: Random, columns: tuple[ColumnName, ...]) -> Lookup:
    """By one of two keys, with some of the others to match."""
    matching = sorted(map(ColumnName, some(chance, columns[2:])))  # type: ignore[arg-type]
    return Lookup(key=chance.choice(columns[:2]), matching=tuple(matching), keys_max=1, rows_max=1)


def a_forbid(chance: Random, number: int) -> ForbidRule:
    columns = tuple(column.name for column in BASE.dataset.columns[:4])
    return ForbidRule(
        id=RuleId(f"forbid-{number}"),
        audience=an_audience(chance),
        purposes=some(chance, (PurposeId("p"), PurposeId("q"))),  # type: ignore[arg-type]
        actions=some(chance, tuple(Action)),  # type: ignore[arg-type]
        columns=some(chance, columns),  # type: ignore[arg-type]
    )


def random_rules(chance: Random) -> Rules:
    """Rules as no document may have them: also such that match one request together."""
    return replace(
        BASE,
        permits=tuple(a_permit(chance, number) for number in range(chance.randint(1, 4))),
        forbids=tuple(a_forbid(chance, number) for number in range(chance.randint(0, 2))),
    )


def random_asks(chance: Random, rules: Rules) -> Iterator[Ask]:
    first = next(domain(rules))
    names = names_of(rules)
    for _ in range(ASKS_EACH):
        now = datetime.combine(chance.choice(days_of(rules)[1:3]), time(12), first.now.tzinfo)
        age_s = chance.choice(ages_of(rules))
        caller = replace(
            first.caller,  # type: ignore[type-var]
            **{part: chance.choice(_mostly_named(values, chance)) for part, values in names.items()},
            assurance=chance.choice(list(Assurance)),
            authenticated_at=None if age_s is None else now - timedelta(seconds=age_s),
            saved=chance.choice([None, None, A_RUN]),
        )
        yield Ask(caller=caller, action=chance.choice(list(Action)), now=now)


def _mostly_named(values: list[str], chance: Random) -> list[str]:
    """Without the unknown and the stranger, three times in four."""
    return values[2:] if len(values) > 2 and chance.random() < 0.75 else values


def random_tuples(chance: Random, wanted: int) -> tuple[int, int]:
    count = allowed = 0
    while count < wanted:
        rules = random_rules(chance)
        judged, permitted = compared(rules, random_asks(chance, rules))
        count, allowed = count + judged, allowed + permitted
    return count, allowed


def test_p3_cedar_agrees_on_random_rules_and_requests() -> None:
    """Promise P3."""
    count, allowed = random_tuples(chance_of("cedar"), 10_000)

    assert count >= 10_000
    assert allowed > count // 100


@pytest.mark.long
def test_p3_cedar_agrees_on_a_million_random_tuples() -> None:
    """Promise P3."""
    count, allowed = random_tuples(chance_of("cedar"), 1_000_000)

    say(f"{count} random tuples judged by us and by Cedar ({allowed} allowed), 0 differ")


def test_the_comparison_can_fail() -> None:
    """A judgement without the forbids, or with one permit too few, is found out."""
    chance = chance_of("broken")
    found = {"forbids": 0, "permits": 0}
    for _ in range(10):
        rules = random_rules(chance)
        asks = list(random_asks(chance, rules))
        for part in found:
            broken = replace(rules, **{part: ()})
            found[part] += len(compare(rules, asks, lambda ask, _, broken=broken: decide(ask, broken)).wrong)

    assert found["forbids"] > 0
    assert found["permits"] > 0
