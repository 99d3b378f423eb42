"""One house with real tables and two firms, served by a real process for a whole test module."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from house import House, a_firm, make_house
from real_data import Tables, tables

from gateway.cli.demo.cast import Firm


@dataclass(frozen=True, slots=True)
class Scene:
    """A running gateway over real data and who may ask it."""

    house: House
    tables: Tables
    firm: Firm
    rival: Firm
    """Another firm with the same rights."""
    stranger: Firm
    """A firm that no rule names."""
    sleeper: Firm
    """A firm with the first one's rights whose client nobody activates."""


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    found = tables()
    house = make_house(tmp_path_factory.mktemp("house") / "home", data=found.folder, rules=found.rules)
    firm, rival = a_firm("bank-a", number=1), a_firm("bank-b", number=2)
    stranger = a_firm("shop-c", org_class="shop", number=3)
    sleeper = a_firm("bank-d", number=4)
    house.register(firm, rival, stranger, sleeper)
    with house.serving():
        yield Scene(house, found, firm, rival, stranger, sleeper)
