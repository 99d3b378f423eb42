"""Entries are canonical, whatever facts they tell of."""

from typing import Any

import pytest
import rfc8785
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.ledger.entry import draft_of_charge, draft_of_release
from gateway.ledger.port import EntryRefused
from gateway.transparency.canonical import parsed
from gateway.transparency.proof import ENTRY_BYTES_MAX

words = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20)
names = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=10)
numbers = st.integers(-(2**53) + 1, 2**53 - 1)
lists, counts = st.lists(words, max_size=3).map(tuple), st.dictionaries(words, numbers, max_size=3)
facts = st.dictionaries(names, words | numbers | st.booleans() | lists | counts, max_size=8)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # `build` is a class without state
@given(facts, st.integers(0, 2**53 - 1))
def test_an_entry_is_what_rfc_8785_spells(build: Any, some: dict[str, Any], ts: int) -> None:
    draft = draft_of_release(build.release(facts=some, at_ms=ts), bytes)
    leaf = draft.leaf(ts=ts)

    assert leaf == rfc8785.dumps(parsed(leaf))
    assert len(leaf) <= ENTRY_BYTES_MAX
    assert parsed(leaf)["ts"] == ts


@pytest.mark.parametrize("field", ["body", "plain", "change.0", "change.7", "change.x"])
def test_a_private_value_is_not_called_what_the_ledger_itself_commits_to(field: str, build: Any) -> None:
    for made in (
        lambda: draft_of_release(build.release(private={field: b"x"}), bytes),
        lambda: draft_of_charge(build.charge(private={field: b"x"}), bytes),
    ):
        with pytest.raises(EntryRefused, match=f"`{field}` is what the ledger itself commits to"):
            made()
