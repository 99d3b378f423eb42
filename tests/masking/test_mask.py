"""What leaves a table: the treated columns, nothing else, and nothing that does not fit its treatment."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.engines.document import Number
from gateway.masking.mask import MaskedRows, protect_rows
from gateway.pseudonym import PseudonymKey, tokens_of, value_of
from gateway.terms.frame import UnprotectedRows
from gateway.terms.identifiers import ColumnName
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

PSEUDONYMS = PseudonymKey(bytes(32))
TREATMENTS: list[Treatment] = [
    Keep(),
    Redact(),
    Partial(1, 1),
    Tokenise("person"),
    Band(10),
    Precision(DatePrecision.YEAR),
    Prefix(2),
]

texts = st.text(st.characters(codec="utf-8", exclude_characters="*"), min_size=1, max_size=30)


def protected(columns: dict[str, Any], *, recipient: str = "org-a", **treatments: Treatment) -> MaskedRows:
    named_columns = {ColumnName(name): values for name, values in columns.items()}
    rows = UnprotectedRows(columns=named_columns, ended_at=None)
    named = tuple((ColumnName(name), treatment) for name, treatment in treatments.items())
    return protect_rows(rows, named, pseudonyms=PSEUDONYMS, recipient=recipient)


def values(columns: dict[str, Any], **treatments: Treatment) -> dict[str, list[object]]:
    return {str(name): [*masked] for name, masked in protected(columns, **treatments).columns.items()}


PEOPLE = {
    "cccd": ["001203123456", None],
    "name": ["Nguyễn Thị Hồng", "An"],
    "phone": ["0912345678", "0987654321"],
    "born": [date(1985, 8, 31), None],
    "income": [Decimal("12345.50"), Decimal("-0.50")],
    "children": [2, None],
    "ward": ["01-004", "7"],
    "notes": ["gọi 0912345678", "x"],
    "secret": ["never", "leaves"],
}


def test_each_column_is_treated_as_its_rule_says() -> None:
    masked = protected(
        PEOPLE,
        phone=Partial(0, 3),
        cccd=Tokenise("person"),
        name=Partial(1, 0),
        born=Precision(DatePrecision.QUARTER),
        income=Band(1000),
        children=Keep(),
        ward=Prefix(2),
        notes=Redact(),
        secret=Drop(),
    )

    (token,) = tokens_of(["001203123456"], PSEUDONYMS.token_key("person", "org-a"))
    assert masked.columns == {
        "phone": ["*******678", "*******321"],
        "cccd": [token, None],
        "name": ["N**************", "**"],
        "born": [date(1985, 7, 1), None],
        "income": [Decimal("12000.00"), Decimal("-1000.00")],
        "children": [2, None],
        "ward": ["01", None],
        "notes": [None, None],
    }
    assert [*masked.columns][:2] == ["phone", "cccd"]
    assert masked.treatments == {"partial": 2, "tokenise": 1, "generalise": 3, "keep": 1, "redact": 1}


def test_a_column_without_a_treatment_stops_everything() -> None:
    """Promise P3."""
    with pytest.raises(AssertionError, match=r"without a treatment: \['secret'\]"):
        protected({"secret": ["x"], "kept": [1]}, kept=Keep())


def test_a_column_that_is_missing_stops_everything() -> None:
    with pytest.raises(AssertionError, match=r"left out: \['kept'\]"):
        protected({"other": [1]}, kept=Keep(), other=Keep())


def test_a_column_that_comes_twice_stops_everything() -> None:
    with pytest.raises(AssertionError, match="twice"):
        protect_rows(
            UnprotectedRows(columns={ColumnName("a"): [1]}, ended_at=None),
            ((ColumnName("a"), Redact()), (ColumnName("a"), Keep())),
            pseudonyms=PSEUDONYMS,
            recipient="org-a",
        )


def test_columns_of_two_lengths_stop_everything() -> None:
    with pytest.raises(AssertionError, match="not of one length"):
        protected({"a": [1], "b": [1, 2]}, a=Keep(), b=Keep())


def test_a_dropped_column_may_be_absent_and_never_comes_out() -> None:
    """Promise P3."""
    assert values({"kept": [1]}, kept=Keep(), gone=Drop()) == {"kept": [1]}
    assert values({"kept": [1], "gone": ["x"]}, kept=Keep(), gone=Drop()) == {"kept": [1]}


@pytest.mark.parametrize("treatment", TREATMENTS, ids=repr)
def test_null_stays_null(treatment: Treatment) -> None:
    for value in ("x", 1, Decimal("1.5"), date(1985, 8, 31), True):
        beside = values({"column": [None, value, None]}, column=treatment)["column"]
        assert beside[::2] == [None, None]
    assert values({"column": [None, None]}, column=treatment) == {"column": [None, None]}


@pytest.mark.parametrize("treatment", TREATMENTS, ids=repr)
@pytest.mark.parametrize(
    "column",
    [[1.5], [[1]], [{"a": 1}], [b"raw"], [datetime(2020, 1, 1, tzinfo=UTC)], [timedelta(1)], [Number("1.5")]],
    ids=["float", "list", "struct", "binary", "timestamp", "duration", "another text"],
)
def test_a_value_of_an_undeclared_type_becomes_null(column: Any, treatment: Treatment) -> None:
    """Promise P3."""
    assert values({"column": column}, column=treatment) == {"column": [None]}


@pytest.mark.parametrize(
    ("column", "treatments"),
    [
        (["1234567890"], [Band(10), Precision(DatePrecision.YEAR)]),
        ([1234567890], [Partial(1, 1), Prefix(1), Precision(DatePrecision.YEAR)]),
        ([Decimal("1.50")], [Partial(1, 1), Prefix(1), Precision(DatePrecision.YEAR), Tokenise("person")]),
        ([date(1985, 8, 31)], [Partial(1, 1), Prefix(1), Band(10), Tokenise("person")]),
        ([True], [Partial(1, 1), Prefix(1), Band(10), Precision(DatePrecision.YEAR), Tokenise("person")]),
    ],
    ids=["text", "integer", "decimal", "date", "boolean"],
)
def test_a_value_that_does_not_fit_its_treatment_becomes_null(
    column: Any, treatments: list[Treatment]
) -> None:
    """Promise P3."""
    for treatment in treatments:
        assert values({"column": column}, column=treatment) == {"column": [None]}


@pytest.mark.parametrize("treatment", TREATMENTS, ids=repr)
@pytest.mark.parametrize("column", [[True, 1], [1, Decimal(1)], ["1", 1], [date(2020, 1, 1), "2020-01-01"]])
def test_a_column_of_several_types_is_of_none_that_was_declared(
    column: list[Any], treatment: Treatment
) -> None:
    """Promise P3. Equal values of two types would stand for each other."""
    assert values({"column": column}, column=treatment) == {"column": [None, None]}


def test_columns_of_one_domain_join_at_one_recipient_and_not_at_two() -> None:
    """Promise P8."""
    household = protected({"head": ["001203123456"]}, head=Tokenise("person"))
    visit = protected(
        {"patient": [1203123456], "who": ["001203123456"]}, patient=Keep(), who=Tokenise("person")
    )
    elsewhere = protected({"head": ["001203123456"]}, recipient="org-b", head=Tokenise("person"))
    another = protected({"head": ["001203123456"]}, head=Tokenise("household"))

    tokens = [
        household.columns[ColumnName("head")],
        visit.columns[ColumnName("who")],
        elsewhere.columns[ColumnName("head")],
        another.columns[ColumnName("head")],
    ]
    here, there, at_other, in_other_domain = (column[0] for column in tokens)
    assert here == there
    assert len({here, at_other, in_other_domain}) == 3


def test_integers_and_texts_of_one_domain_join() -> None:
    """Promise P8."""
    masked = values({"a": [120, -5], "b": ["120", "-5"]}, a=Tokenise("person"), b=Tokenise("person"))

    assert masked["a"] == masked["b"]
    assert value_of(str(masked["a"][0]), PSEUDONYMS.token_key("person", "org-a")) == "120"


@given(
    st.lists(texts, min_size=1, max_size=20), st.sampled_from([Redact(), Partial(2, 2), Tokenise("person")])
)
def test_no_raw_value_is_in_the_output(raw: list[str], treatment: Treatment) -> None:
    out = values({"column": raw}, column=treatment)["column"]

    assert set(out).isdisjoint(raw)


def test_the_same_rows_give_the_same_result() -> None:
    first, second = (protected({"name": ["An", "Bình"]}, name=Tokenise("person")) for _ in range(2))

    assert first == second
