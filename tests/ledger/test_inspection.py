"""Which replies are drawn for inspection: the share that the rules say, by the log alone."""

import hashlib
from itertools import pairwise

import pytest

from gateway.ledger.inspection import is_drawn

ENTRIES = [hashlib.sha256(str(number).encode()).digest() for number in range(20_000)]


@pytest.mark.parametrize("ppm", [10_000, 50_000, 500_000])
def test_the_share_that_is_drawn_is_the_rate(ppm: int) -> None:
    """Within five standard deviations: once in 1.7 million such tests it would fail without a fault."""
    share = ppm / 10**6
    deviation = (share * (1 - share) / len(ENTRIES)) ** 0.5

    found = sum(is_drawn(entry, ppm) for entry in ENTRIES) / len(ENTRIES)

    assert abs(found - share) < 5 * deviation


def test_all_are_drawn_at_one_and_none_at_nothing_and_more_at_a_higher_rate() -> None:
    rates = [0, 1, 10_000, 20_000, 999_999, 10**6]
    drawn = [{entry for entry in ENTRIES if is_drawn(entry, ppm)} for ppm in rates]

    assert (drawn[0], drawn[-1]) == (set(), set(ENTRIES))
    assert all(less <= more for less, more in pairwise(drawn))


def test_the_draw_is_the_one_that_the_documentation_gives_to_whoever_repeats_it() -> None:
    entry = b'{"id":"1"}'
    number = int.from_bytes(hashlib.sha256(b"gateway inspection v1\n" + entry).digest()[:8], "big")
    ppm_above = number * 10**6 // 2**64 + 1

    assert is_drawn(entry, ppm_above)
    assert not is_drawn(entry, ppm_above - 1)
