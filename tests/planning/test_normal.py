"""Conditions that say the same have one form, and the form selects the same rows."""

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.planning.normal import both, data_of, digest_of, normal
from gateway.terms.identifiers import ColumnName
from gateway.terms.predicate import AllOf, AnyOf, Comparator, Comparison, Not, Predicate

COLUMNS = ("a", "b")
comparisons = st.one_of(
    st.builds(
        lambda column, comparator, constant: Comparison(ColumnName(column), comparator, (constant,)),
        st.sampled_from(COLUMNS),
        st.sampled_from([Comparator.EQUAL, Comparator.NOT_EQUAL, Comparator.LESS, Comparator.AT_LEAST]),
        st.integers(0, 2),
    ),
    st.builds(
        lambda column, constants: Comparison(ColumnName(column), Comparator.ONE_OF, tuple(constants)),
        st.sampled_from(COLUMNS),
        st.lists(st.integers(0, 2), min_size=1, max_size=4),
    ),
    st.builds(lambda c: Comparison(ColumnName(c), Comparator.IS_NULL, ()), st.sampled_from(COLUMNS)),
)
predicates = st.recursive(
    comparisons,
    lambda parts: st.one_of(
        st.builds(Not, parts),
        st.lists(parts, max_size=3).map(lambda found: AllOf(tuple(found))),
        st.lists(parts, max_size=3).map(lambda found: AnyOf(tuple(found))),
    ),
    max_leaves=8,
)
ROWS = [{"a": a, "b": b} for a in (None, 0, 1, 2) for b in (None, 0, 1, 2)]


def truth(predicate: Predicate, row: dict[str, int | None]) -> bool | None:
    """Kleene's three values, as SQL has them."""
    match predicate:
        case Comparison(column, Comparator.IS_NULL, ()):
            return row[column] is None
        case Comparison(column, comparator, constants):
            value = row[column]
            return None if value is None else compared(value, comparator, constants)
        case Not(part):
            inner = truth(part, row)
            return None if inner is None else not inner
        case AllOf(parts):
            found = {truth(part, row) for part in parts}
            return False if False in found else None if None in found else True
        case AnyOf(parts):
            found = {truth(part, row) for part in parts}
            return True if True in found else None if None in found else False


def compared(value: int, comparator: Comparator, constants: tuple[int, ...]) -> bool:
    return {
        Comparator.EQUAL: value == constants[0],
        Comparator.NOT_EQUAL: value != constants[0],
        Comparator.LESS: value < constants[0],
        Comparator.AT_LEAST: value >= constants[0],
        Comparator.ONE_OF: value in constants,
    }[comparator]


@given(predicates)
@settings(max_examples=200)
def test_the_one_form_has_the_same_truth_in_every_row(predicate: Predicate) -> None:
    assert [truth(normal(predicate), row) for row in ROWS] == [truth(predicate, row) for row in ROWS]


@given(predicates)
def test_the_one_form_of_the_one_form_is_itself(predicate: Predicate) -> None:
    assert normal(normal(predicate)) == normal(predicate)


@given(st.lists(predicates, min_size=1, max_size=4), st.randoms())
def test_order_and_repetition_do_not_matter(parts: list[Predicate], source: object) -> None:
    shuffled = parts + parts[:1]
    source.shuffle(shuffled)

    assert normal(AllOf(tuple(shuffled))) == normal(AllOf(tuple(parts)))
    assert normal(AnyOf(tuple(shuffled))) == normal(AnyOf(tuple(parts)))


@given(predicates, predicates)
def test_the_owners_filter_and_the_firms_condition_both_hold(owners: Predicate, firms: Predicate) -> None:
    for row in ROWS:
        holds = truth(owners, row) is True and truth(firms, row) is True
        assert (truth(both(owners, firms), row) is True) == holds


def test_equal_constants_have_one_digest_and_others_have_not() -> None:
    def digest(constant: object) -> str:
        return digest_of(data_of(Comparison(ColumnName("a"), Comparator.EQUAL, (constant,))))

    assert digest(Decimal("1.50")) == digest(Decimal("1.5")) == digest(Decimal("15E-1"))
    assert len({digest(c) for c in (1, Decimal(1), "1", True, "true", Decimal("1.5"))}) == 6
