"""Wider values in place of exact ones: bands, periods, prefixes."""

import unicodedata
from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.masking.generalise import decimal_banded, integers_banded, prefixed, with_precision
from gateway.terms.treatment import DatePrecision

WIDTHS = st.integers(1, 10**15)
INT64 = st.integers(-(2**63), 2**63 - 1)


@pytest.mark.parametrize(
    ("number", "edge"), [(0, 0), (9, 0), (10, 10), (-1, -10), (-10, -10), (-11, -20), (None, None)]
)
def test_a_number_becomes_the_lower_edge_of_its_band(number: int | None, edge: int | None) -> None:
    assert integers_banded([number], 10) == [edge]
    if number is not None:
        assert decimal_banded(Decimal(number), 10) == edge


@given(st.lists(st.one_of(st.none(), INT64), max_size=10), WIDTHS)
def test_every_integer_lies_in_its_band(numbers: list[int | None], width: int) -> None:
    edges = integers_banded(numbers, width)

    expected = [None if n is None or n // width * width < -(2**63) else n // width * width for n in numbers]
    assert edges == expected


@given(st.decimals(-(10**30), 10**30, places=2), WIDTHS)
def test_every_decimal_lies_in_its_band_exactly(number: Decimal, width: int) -> None:
    edge = decimal_banded(number, width)

    assert Fraction(edge) == Fraction(number) // width * width
    assert edge.as_tuple().exponent == number.as_tuple().exponent
    assert not (edge == 0 and edge.is_signed())


def test_bands_reach_the_ends_of_every_type() -> None:
    assert integers_banded([-1, 2**63 - 1], 2**62) == [-(2**62), 2**62]
    assert decimal_banded(Decimal(-(10**38) + 1), 10**15) == -(10**38)
    assert decimal_banded(Decimal("-0.01"), 10) == -10


@given(st.dates())
def test_a_date_becomes_the_first_day_of_its_period(day: date) -> None:
    quarter_month = (day.month - 1) // 3 * 3 + 1

    first_days = [with_precision([day], precision)[0] for precision in DatePrecision]

    assert first_days == [
        date(day.year, 1, 1),
        date(day.year, quarter_month, 1),
        date(day.year, day.month, 1),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *(("79-123", "79"), ("79", "79"), ("7", None), ("", None), ("Đà Nẵng", "Đà")),
        *(("q\u0303x\u0303z", "q\u0303x\u0303"), ("q\u0303", None)),
    ],
)
def test_a_code_keeps_its_first_characters_and_a_shorter_one_is_null(text: str, expected: str | None) -> None:
    assert prefixed(text, 2) == expected


def test_both_spellings_of_an_accent_have_one_prefix() -> None:
    decomposed = unicodedata.normalize("NFD", "Đồng Nai")

    assert [prefixed(text, 4) for text in (decomposed, "Đồng Tháp")] == ["Đồng", "Đồng"]


@given(st.lists(st.integers(-(10**6), 10**6), max_size=10), st.integers(1, 1000))
def test_a_band_of_a_band_is_the_band(numbers: list[int], width: int) -> None:
    once = integers_banded(numbers, width)

    assert integers_banded(once, width) == once
