"""Nonces that say which minute it is, to whoever holds the secret, and nothing else."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.identity.nonce import nonce_accepted, nonce_at

SECRET = b"n" * 32
moments = st.datetimes(datetime(2026, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(moments, st.integers(0, 60))
def test_a_nonce_lives_at_least_a_minute(now: datetime, age_s: int) -> None:
    assert nonce_accepted(SECRET, nonce_at(SECRET, now), now + timedelta(seconds=age_s))


@given(moments, st.integers(120, 10**6))
def test_a_nonce_lives_less_than_two_minutes(now: datetime, age_s: int) -> None:
    """Promise P7."""
    assert not nonce_accepted(SECRET, nonce_at(SECRET, now), now + timedelta(seconds=age_s))


@given(moments, st.integers(60, 10**6))
def test_a_nonce_is_not_known_ahead(now: datetime, ahead_s: int) -> None:
    """Promise P7. A proof cannot be made today for tomorrow."""
    assert not nonce_accepted(SECRET, nonce_at(SECRET, now + timedelta(seconds=ahead_s)), now)


@given(moments)
def test_a_restart_voids_every_nonce(now: datetime) -> None:
    """Promise P7. A boot has its own secret."""
    assert not nonce_accepted(b"m" * 32, nonce_at(SECRET, now), now)


@pytest.mark.parametrize("nonce", ["", "x", "\ud800", "é" * 24, "A" * 10_000])
def test_anything_else_is_no_nonce(nonce: str) -> None:
    assert not nonce_accepted(SECRET, nonce, datetime(2026, 1, 1, tzinfo=UTC))


def test_a_nonce_fits_where_the_profile_wants_it() -> None:
    nonce = nonce_at(SECRET, datetime(2026, 1, 1, tzinfo=UTC))

    assert len(nonce) == 24
    assert nonce.isascii()
