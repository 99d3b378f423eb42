"""Which replies are drawn for inspection: the share that the rules say, by the log alone."""

import hashlib
from itertools import pairwise
from typing import Any

import pytest

from gateway.ledger.inspection import drawn, is_drawn
from gateway.terms.entry import EntryKind

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
    found = [{entry for entry in ENTRIES if is_drawn(entry, ppm)} for ppm in rates]

    assert (found[0], found[-1]) == (set(), set(ENTRIES))
    assert all(less <= more for less, more in pairwise(found))


def test_the_draw_is_the_one_that_the_documentation_gives_to_whoever_repeats_it() -> None:
    entry = b'{"id":"1"}'
    number = int.from_bytes(hashlib.sha256(b"gateway inspection v1\n" + entry).digest()[:8], "big")
    ppm_above = number * 10**6 // 2**64 + 1

    assert is_drawn(entry, ppm_above)
    assert not is_drawn(entry, ppm_above - 1)


async def test_of_a_log_the_replies_are_drawn_whose_rules_say_so_and_nothing_else(
    files: Any, build: Any
) -> None:
    """Not refusals, not dry runs, not the charge before a reply, and not what no rule wants inspected."""
    all_of_it = {"inspection_ppm": 10**6, "dry_run": False}
    ledger = files.open()
    charge = await ledger.charge(build.charge("r-1", facts=all_of_it))
    await ledger.release(build.release("r-1", charge=charge.index, facts=all_of_it))
    await ledger.release(build.release("r-2", kind=EntryKind.SINGLE, facts=all_of_it))
    await ledger.release(build.release("r-3", kind=EntryKind.SINGLE, facts=all_of_it | {"dry_run": True}))
    await ledger.release(build.release("r-4", kind=EntryKind.SINGLE, facts={"dry_run": False}))
    await ledger.release(build.release("r-5", kind=EntryKind.DENY, facts=all_of_it))

    found = list(drawn(files.path))

    assert [(each.index, each.request_id) for each in found] == [(1, "r-1"), (2, "r-2")]
    assert [each.request_id for each in drawn(files.path, since=2)] == ["r-2"]
