"""The order of rows: every row once, another order for each key, the same from both ends."""

from itertools import pairwise

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.order import ROUNDS, Order, key_of, order_of_reply

KEY = bytes(range(32))
keys = st.binary(min_size=32, max_size=32)


def whole(order: Order, rows: int) -> list[int]:
    """The places of a whole table, in order of rank."""
    return list(order.rows_at(0, order.ranks, rows=rows)["place"].to_pylist())


def place_of(rank: int, key: bytes, bits: int) -> int:
    """The same in Python's own numbers, after the picture of a Feistel network."""
    half = bits // 2
    left, right = rank >> half, rank % (1 << half)
    for number in range(ROUNDS):
        encryptor = Cipher(algorithms.AES256(key), modes.ECB()).encryptor()  # noqa: S305
        block = encryptor.update(bytes([number, bits, 0, 0, 0, 0, 0, 0]) + right.to_bytes(8, "little"))
        left, right = right, left ^ int.from_bytes(block[:8], "little") % (1 << half)
    return left << half | right


@pytest.mark.parametrize(("rows", "bits"), [(0, 2), (1, 2), (4, 2), (5, 4), (16, 4), (17, 6), (10**7, 24)])
def test_an_order_is_the_least_power_of_four_that_holds_the_table(rows: int, bits: int) -> None:
    assert Order.of(rows, KEY).bits == bits


@settings(deadline=None)
@given(keys, st.integers(0, 1100))
def test_every_row_has_one_rank(key: bytes, rows: int) -> None:
    assert sorted(whole(Order.of(rows, key), rows)) == list(range(rows))


@settings(deadline=None)
@given(keys, st.integers(1, 31), st.integers(0, 2**62 - 1))
def test_a_rank_leads_to_its_place_and_back_as_the_picture_says(key: bytes, half: int, rank: int) -> None:
    order = Order(key, 2 * half)
    rank %= order.ranks
    (place,) = order.rows_at(rank, 1, rows=order.ranks)["place"].to_pylist()

    assert place == place_of(rank, key, order.bits)
    assert order.first_of([np.array([place])], 0, 1).to_pylist() == [{"place": place, "rank": rank}]


@settings(deadline=None)
@given(keys, st.integers(1, 300), st.sets(st.integers(0, 299)), st.integers(0, 70), st.integers(0, 20))
def test_ranking_some_places_is_leaving_the_others_out(
    key: bytes, rows: int, chosen: set[int], first: int, count: int
) -> None:
    places = [place for place in chosen if place < rows]
    order = Order.of(rows, key)
    every = order.rows_at(first, order.ranks, rows=rows).to_pylist()
    parts = [np.array(places[start : start + 7], dtype=np.int64) for start in range(0, len(places), 7)]

    assert (
        order.first_of(parts, first, count).to_pylist()
        == [row for row in every if row["place"] in chosen][:count]
    )


def test_two_recipients_orders_have_nothing_in_common() -> None:
    """Promise P8: of 4096 rows about one stands at one rank in both, and neighbours stay none."""
    one, other = (whole(Order.of(4096, bytes([number]) * 32), 4096) for number in (1, 2))
    same = sum(mine == theirs for mine, theirs in zip(one, other, strict=True))
    neighbours = {frozenset(pair) for pair in pairwise(one)} & {frozenset(pair) for pair in pairwise(other)}

    assert same <= 10  # Poisson of 1: more once in 10 ** 8 keys, and these two do not change
    assert len(neighbours) <= 15  # of 2
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.1
    assert abs(np.corrcoef(one, range(4096))[0, 1]) < 0.1


USES = [
    {"of": "table", "digest": "00", "state": b"one"},
    {"of": "reply", "digest": "00", "state": b"one"},
    {"of": "table", "digest": "01", "state": b"one"},
    {"of": "table", "digest": "00", "state": b"two"},
]


def test_each_use_question_and_state_has_a_key_of_its_own() -> None:
    keys = {key_of(secret, **use) for secret in (KEY, bytes(32)) for use in USES}  # type: ignore[arg-type]

    assert len(keys | {KEY, bytes(32)}) == 2 * len(USES) + 2
    assert {len(key) for key in keys} == {32}
    assert key_of(KEY, **USES[0]) == key_of(KEY, **USES[0])  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [64, 4096])
def test_a_state_that_shifted_by_one_row_shows_nothing_of_the_sources_order(count: int) -> None:
    """Promise P8: with one key for both, each row of the second stands where its neighbour stood."""
    keys = [key_of(KEY, of="table", digest="00", state=state) for state in (b"one", b"two")]
    before = [place for place in whole(Order.of(count, keys[0]), count) if place < count - 1]
    after = [place + 1 for place in whole(Order.of(count - 1, keys[1]), count - 1)]  # the first row is gone

    assert sum(mine + 1 == theirs for mine, theirs in zip(before, after, strict=True)) <= 10  # of 1


def test_orders_of_two_sizes_under_one_key_have_nothing_in_common() -> None:
    small, large = whole(Order(KEY, 12), 4096), whole(Order(KEY, 14), 4096)

    assert sum(one == other for one, other in zip(small, large, strict=True)) <= 10  # of 1


def test_rows_of_a_reply_are_numbered_by_one_stream() -> None:
    numbers = order_of_reply(10_000, KEY).tolist()

    assert len(set(numbers)) == 10_000
    assert order_of_reply(5, KEY).tolist() == numbers[:5]
    assert order_of_reply(5, bytes(32)).tolist() != numbers[:5]
    assert order_of_reply(0, KEY).tolist() == []


@pytest.mark.parametrize("bits", [0, 3, 63, 64])
def test_an_order_of_no_such_size_does_not_exist(bits: int) -> None:
    with pytest.raises(ValueError, match="an even count of bits"):
        Order(KEY, bits)


def test_the_key_is_not_shown() -> None:
    assert repr(Order(KEY, 4)) == "Order(bits=4)"
