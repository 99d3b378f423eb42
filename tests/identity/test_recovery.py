"""Recovery codes: enough chance in each, one spelling, bound to their operator."""

import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.identity.recovery import new_codes, recovery_hash


def test_ten_different_codes_are_made_in_groups_of_four() -> None:
    codes = new_codes(os.urandom)

    assert len(set(codes)) == 10
    assert all(re.fullmatch(r"[0-9a-hjkmnp-tv-z]{4}(-[0-9a-hjkmnp-tv-z]{4}){3}", code) for code in codes)


@given(st.binary(min_size=10, max_size=10), st.binary(min_size=10, max_size=10))
def test_different_chance_makes_different_codes(one: bytes, other: bytes) -> None:
    """Law: all 80 bits are in the code."""
    first, second = (new_codes(lambda _, made=made: made)[0] for made in (one, other))  # type: ignore[misc]

    assert (first == second) == (one == other)
    assert (recovery_hash("lan", first) == recovery_hash("lan", second)) == (one == other)


def test_a_code_may_be_typed_carelessly() -> None:
    assert recovery_hash("lan", "0l23-4567-89AB-CDEF") == recovery_hash("lan", " o1234567 89ab.cdef")


def test_a_code_is_its_operators() -> None:
    assert recovery_hash("lan", "0123-4567-89ab-cdef") != recovery_hash("minh", "0123-4567-89ab-cdef")


@pytest.mark.parametrize(
    "typed", ["", "123456", "0123-4567-89ab-cde", "0123-4567-89ab-cdeff", "u" * 16, "\u0661" * 16]
)
def test_what_looks_otherwise_is_no_code(typed: str) -> None:
    assert recovery_hash("lan", typed) is None


@given(st.text())
def test_any_text_is_read_without_an_error(typed: str) -> None:
    recovery_hash("lan", typed)
