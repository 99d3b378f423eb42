"""The world in which tokens, proofs and assertions are made and judged."""

import pytest
from attack_world import World


@pytest.fixture(scope="session")
def world() -> World:
    return World()
