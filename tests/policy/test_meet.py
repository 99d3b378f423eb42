"""Where permits meet: at the strictest, in whatever order and however often they are named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.meet import BAND_WIDTH_MAX, all_of, meet, strength
from gateway.terms.identifiers import ColumnName
from gateway.terms.predicate import EVERY_ROW, AllOf, Comparator, Comparison, Predicate
from gateway.terms.treatment import (
    Band,
    DatePrecision,
    Drop,
    Keep,
    Partial,
    Precision,
    Prefix,
    Redact,
    Tokenise,
    Treatment,
)

ANY_TYPE = st.sampled_from([Keep(), Drop(), Redact(), Tokenise("a"), Tokenise("b"), Tokenise("c")])
ENDS = st.integers(0, 4)
TEXT = st.one_of(ANY_TYPE, st.builds(Partial, ENDS, ENDS), st.builds(Prefix, st.integers(1, 5)))
NUMBER = st.one_of(ANY_TYPE, st.builds(Band, st.one_of(st.integers(1, 30), st.integers(2**55, 2**62))))
DATE = st.one_of(ANY_TYPE, st.builds(Precision, st.sampled_from(DatePrecision)))

THREE_OF_ONE_COLUMN = st.one_of(
    st.tuples(TEXT, TEXT, TEXT), st.tuples(NUMBER, NUMBER, NUMBER), st.tuples(DATE, DATE, DATE)
)
ANY_TREATMENT = st.one_of(TEXT, NUMBER, DATE)


@given(ANY_TREATMENT, ANY_TREATMENT)
def test_meeting_is_commutative(one: Treatment, other: Treatment) -> None:
    assert meet(one, other) == meet(other, one)


@given(THREE_OF_ONE_COLUMN)
def test_meeting_is_associative(three: tuple[Treatment, Treatment, Treatment]) -> None:
    a, b, c = three

    assert meet(meet(a, b), c) == meet(a, meet(b, c))


@given(ANY_TREATMENT)
def test_meeting_itself_changes_nothing(treatment: Treatment) -> None:
    assert meet(treatment, treatment) == treatment


@given(ANY_TREATMENT, ANY_TREATMENT)
def test_what_is_met_is_never_weaker_than_either_side(one: Treatment, other: Treatment) -> None:
    met = meet(one, other)

    assert strength(met) >= max(strength(one), strength(other))
    assert meet(met, one) == meet(met, other) == met


@given(ANY_TREATMENT)
def test_keeping_yields_to_everything_and_nothing_yields_to_keeping(treatment: Treatment) -> None:
    assert meet(treatment, Keep()) == treatment
    assert meet(treatment, Drop()) == Drop()


def test_kinds_are_as_strict_as_the_terms_say() -> None:
    weakest_first = [Keep(), Prefix(2), Partial(0, 3), Tokenise("a"), Redact(), Drop()]

    assert [strength(each) for each in weakest_first] == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("one", "other", "met"),
    [
        (Partial(3, 0), Partial(0, 4), Partial(0, 0)),
        (Prefix(2), Prefix(3), Prefix(2)),
        (Precision(DatePrecision.MONTH), Precision(DatePrecision.YEAR), Precision(DatePrecision.YEAR)),
        (Band(5), Band(10), Band(10)),
        (Band(4), Band(6), Band(12)),
        (Band(2**61), Band(3), Band(BAND_WIDTH_MAX)),
        (Tokenise("a"), Tokenise("b"), Redact()),
        (Band(4), Prefix(2), Redact()),
    ],
)
def test_one_kind_meets_where_both_can_be_turned_into(
    one: Treatment, other: Treatment, met: Treatment
) -> None:
    assert meet(one, other) == met


@given(st.integers(1, 60), st.integers(1, 60), st.integers(-500, 500), st.integers(-500, 500))
def test_what_met_bands_tell_apart_both_bands_told_apart(w: int, v: int, x: int, y: int) -> None:
    met = meet(Band(w), Band(v))
    assert isinstance(met, Band)

    if x // met.width != y // met.width:
        assert x // w != y // w
        assert x // v != y // v


COMPARISONS = st.builds(
    Comparison,
    st.sampled_from([ColumnName("a"), ColumnName("b")]),
    st.sampled_from([Comparator.EQUAL, Comparator.LESS]),
    st.tuples(st.integers(0, 3)),
)
FILTERS = st.recursive(COMPARISONS, lambda inner: st.builds(AllOf, st.lists(inner, max_size=3).map(tuple)))


@given(st.lists(FILTERS, max_size=5), st.randoms())
def test_the_order_and_repetition_of_row_filters_are_nothing(
    filters: list[Predicate], random: object
) -> None:
    again = [*filters, *filters[:2]]
    random.shuffle(again)  # type: ignore[attr-defined]

    assert all_of(again) == all_of(filters)


def test_no_filter_selects_every_row() -> None:
    assert all_of([]) == all_of([EVERY_ROW, AllOf((EVERY_ROW,))]) == EVERY_ROW
