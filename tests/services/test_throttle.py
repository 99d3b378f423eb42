"""Guessing stops; strangers lock nobody out, however many addresses they have."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from gateway.ledger.volatile import Volatile
from gateway.services.throttle import Throttle, source_of

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def volatile() -> Iterator[Volatile]:
    store = Volatile.create(None)
    yield store
    store.close()


def throttle(
    volatile: Volatile, peer: str = "192.0.2.7", *, account: str = "lan", after_s: int = 0
) -> Throttle:
    return Throttle(volatile, account, peer, NOON + timedelta(seconds=after_s))


@pytest.mark.parametrize(
    ("peer", "source"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("no address", "no address"),
    ],
)
def test_a_subscribers_whole_network_is_one_source(peer: str, source: str) -> None:
    assert source_of(peer) == source


def test_five_failures_shut_a_source_out_of_one_account_until_the_window_ends(volatile: Volatile) -> None:
    for _ in range(5):
        assert throttle(volatile).wait_s() == 0
        throttle(volatile).failed()

    assert throttle(volatile, after_s=100).wait_s() == 800
    assert throttle(volatile, "192.0.2.8").wait_s() == 0
    assert throttle(volatile, account="minh").wait_s() == 0
    assert throttle(volatile, after_s=900).wait_s() == 0


def test_another_address_of_the_same_network_does_not_help(volatile: Volatile) -> None:
    for number in range(5):
        throttle(volatile, f"2001:db8:1:2::{number}").failed()

    assert throttle(volatile, "2001:db8:1:2:ffff::1").wait_s() == 900


def test_a_crowd_leaves_an_account_to_the_sources_it_is_known_from(volatile: Volatile) -> None:
    throttle(volatile, "198.51.100.1").succeeded()
    for number in range(49):
        throttle(volatile, f"203.0.113.{number}").failed()
    assert throttle(volatile, "192.0.2.8").wait_s() == 0
    throttle(volatile, "203.0.113.49").failed()

    assert throttle(volatile, "192.0.2.8").wait_s() == 900
    assert throttle(volatile, "198.51.100.1").wait_s() == 0
    assert throttle(volatile, "192.0.2.8", account="minh").wait_s() == 0


def test_a_known_source_is_no_free_pass(volatile: Volatile) -> None:
    throttle(volatile).succeeded()
    for _ in range(5):
        throttle(volatile).failed()

    assert throttle(volatile).wait_s() == 900


def test_strangers_without_the_password_never_shut_the_codes(volatile: Volatile) -> None:
    for number in range(200):
        throttle(volatile, f"203.0.113.{number}").failed()

    assert not throttle(volatile).codes_shut()


def test_wrong_codes_shut_the_codes_from_everywhere_longer_each_time(volatile: Volatile) -> None:
    """5 in 15 minutes, 10 in two hours, 20 in a day of UTC."""
    tried = 0
    for minute in range(12 * 60, 36 * 60):
        for number in range(3):
            attempt = throttle(volatile, f"203.0.113.{number}", after_s=60 * minute)
            tried += not attempt.codes_shut()
            attempt.code_wrong()

    assert tried == 20
    assert not throttle(volatile, account="minh").codes_shut()


def test_what_is_typed_as_a_name_is_not_kept(volatile: Volatile) -> None:
    throttle(volatile, account="my-secret-password").failed()
    throttle(volatile, account="my-secret-password").succeeded()

    kept = [*volatile._connection.execute("SELECT id FROM hits UNION SELECT id FROM held")]
    assert kept
    assert "my-secret-password" not in repr(kept)
