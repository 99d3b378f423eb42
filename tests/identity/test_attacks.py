"""The attack list as a whole: what every claim must not be, and how many cases there are. Promise P7."""

from collections.abc import Callable
from typing import Any

import pytest
from attack_world import World
from attacks_by_value import BY_VALUE
from attacks_on_assertions import ASSERTIONS
from attacks_on_proofs import PROOFS
from attacks_on_requests import MALFORMED, STOLEN
from attacks_on_tokens import ACCEPTED, CLAIMS, JOSE, SHAPES
from attacks_on_trust import ATTACKS
from attacks_over_http import ENDPOINTS, FORMS, NOT_FOUND, RAW

VALUES = {name: (kind, *attack) for kind, attacks in BY_VALUE.items() for name, attack in attacks.items()}


@pytest.mark.parametrize(("kind", "attack", "outcome"), VALUES.values(), ids=VALUES)
def test_a_claim_is_exactly_what_it_must_be(
    world: World, kind: str, attack: Callable[[World], str], outcome: str
) -> None:
    verify = getattr(world, f"verify_{kind}")

    assert world.outcome(verify, attack(world)) == outcome


def test_there_are_more_than_six_hundred_cases_that_somebody_thought_of() -> None:
    outcomes: list[Any] = [
        outcome for table in (JOSE, CLAIMS, PROOFS, ASSERTIONS, ATTACKS) for _, outcome in table.values()
    ]
    negative = {
        "texts": sum(outcome != ACCEPTED for outcome in outcomes),
        "shapes of other texts": 2 * len(SHAPES),
        "values": len(VALUES),
        "requests": len(STOLEN) + len(MALFORMED),
        "forms": len(FORMS) * len(ENDPOINTS),
        "connections": sum(outcome != NOT_FOUND for _, outcome in RAW.values()),
    }
    print(negative)  # noqa: T201  the count is a result

    assert all(count > 0 for count in negative.values())
    assert sum(negative.values()) >= 600
    assert outcomes.count(ACCEPTED) >= 20, "a verifier that refuses everything passes no test"
