"""``docs/administration.md`` names every state and everything that can be frozen."""

import re
from pathlib import Path

from gateway.registry.records import Freezable, State

TEXT = (Path(__file__).parents[1] / "docs" / "administration.md").read_text(encoding="utf-8")


def first_cells(heading: str) -> list[str]:
    part = TEXT[TEXT.index(f"| {heading} |") :].partition("\n\n")[0]
    return re.findall(r"^\| ([a-z]+) \|", part, flags=re.MULTILINE)[1:]


def test_every_state_and_everything_that_can_be_frozen_is_described() -> None:
    assert first_cells("state") == [state.value for state in State]
    assert first_cells("what") == [what.value for what in Freezable]
