"""What the consent page says a purpose opens is what the rules in force allow, neither more nor less."""

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.policy.load import load_rules
from gateway.policy.rules import Audience, ForbidRule, Rules
from gateway.registry.registry import Standing, standing
from gateway.services.offers import opened_by, words_of
from gateway.services.screens import Opened
from gateway.terms.dataset import Title
from gateway.terms.identifiers import ClientId, DatasetId, PurposeId, RuleId
from gateway.terms.query import Action

Town = Any
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUSEHOLDS = Path(__file__).parents[2] / "policies" / "vn.nso.household-2026.yaml"
PURPOSE = PurposeId("credit-risk")


@pytest.fixture(scope="module")
def rules() -> Rules:
    """A shipped document whose first permit is for banks and our purpose, and nothing else is."""
    loaded = load_rules(HOUSEHOLDS.read_bytes(), file=HOUSEHOLDS.name)
    permit = replace(
        loaded.permits[0],
        audience=Audience(org_classes=frozenset({"bank"})),
        purposes=frozenset({PURPOSE}),
        actions=frozenset({Action.AGGREGATE, Action.EXTRACT}),
    )
    words = Title(vi="Rủi ro tín dụng", en="Credit risk")
    offer = replace(loaded.offer, purposes=((PURPOSE, words),))
    return replace(
        loaded,
        offer=offer,
        permits=(permit,),
        forbids=(),
        valid_from=date(2026, 1, 1),
        valid_until=date(2026, 12, 31),
    )


def chain_of(town: Town, client: str = "etl-1", purpose: str = "credit-risk") -> Standing:
    key = town.keys[client].thumbprint
    return standing(town.registry, ClientId(client), PurposeId(purpose), key, NOON)


def opened(rules: Rules, chain: Standing, purpose: str = "credit-risk") -> tuple[Opened, ...]:
    return opened_by({rules.dataset.id: rules}, chain, PurposeId(purpose), NOON)


async def test_a_dataset_is_named_with_all_that_is_allowed(town: Town, rules: Rules) -> None:
    found = opened(rules, chain_of(town))

    assert found == (
        Opened(id=rules.dataset.id, title=rules.offer.title, actions=(Action.EXTRACT, Action.AGGREGATE)),
    )
    named = words_of({rules.dataset.id: rules}, PURPOSE, found)
    assert named == Title(vi="Rủi ro tín dụng", en="Credit risk")
    assert words_of({rules.dataset.id: rules}, PurposeId("audit"), found) is None


async def test_what_is_forbidden_over_or_for_others_is_not_named(town: Town, rules: Rules) -> None:
    chain = chain_of(town)
    forbid = ForbidRule(id=RuleId("frozen"), actions=frozenset({Action.EXTRACT}))

    assert [each.actions for each in opened(replace(rules, forbids=(forbid,)), chain)] == [
        (Action.AGGREGATE,)
    ]
    assert opened(replace(rules, forbids=(ForbidRule(id=RuleId("all")),)), chain) == ()
    assert opened(replace(rules, valid_until=date(2026, 3, 1)), chain) == ()
    assert opened(replace(rules, valid_from=date(2026, 3, 3)), chain) == ()
    assert opened(rules, chain, purpose="audit") == ()
    assert opened(rules, chain_of(town, "relief-1", "flood-relief")) == ()


async def test_the_page_shows_it_to_the_person(town: Town, rules: Rules) -> None:
    town.rules = {DatasetId(rules.dataset.id): rules}

    shown = (await town.sign_in(await town.device())).body.decode()

    for word in ("Rủi ro tín dụng", "Credit risk", rules.offer.title.vi, "rows with personal data masked"):
        assert word in shown


async def test_without_rules_the_page_says_that_nothing_is_opened(town: Town) -> None:
    assert "None at present" in (await town.sign_in(await town.device())).body.decode()
