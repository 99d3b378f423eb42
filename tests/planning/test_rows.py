"""What a plan of rows promises: treated columns only, conditions on what is seen, sealed cursors."""

import dataclasses
import json
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import GatewayError, MalformedRequest, QuestionRefused
from gateway.jose import base64url, base64url_decoded
from gateway.planning.rows import next_cursor, plan_rows
from gateway.terms.identifiers import ColumnName
from gateway.terms.permit import Permit
from gateway.terms.plan import RowsPlan
from gateway.terms.predicate import AllOf, AnyOf, Comparator, Comparison, Not
from gateway.terms.treatment import Keep, Partial, Redact, Tokenise

KEY = b"\x01" * 32
OTHER_KEY = b"\x02" * 32
LIVING = Comparison(ColumnName("note"), Comparator.NOT_EQUAL, ("dead",))
LAST = "0f" * 32


def seal(data: bytes) -> bytes:
    return b"sealed" + bytes(byte ^ 0x5A for byte in data)


def unseal(sealed: bytes) -> bytes:
    if not sealed.startswith(b"sealed"):
        raise ValueError("not sealed here")
    return bytes(byte ^ 0x5A for byte in sealed[6:])


def planned(permit: Permit, body: object, key: bytes = KEY) -> RowsPlan:
    return plan_rows(json.dumps(body).encode(), permit, order_key=key, unseal=unseal)


def test_asking_nothing_gives_what_the_permit_shows(rows_permit: Permit) -> None:
    """Promise P3: a dropped column is not there."""
    plan = planned(rows_permit, {})

    assert [name for name, _ in plan.columns] == [
        "id", "province", "age", "born", "married", "income", "note",
    ]  # fmt: skip
    assert plan.predicate == LIVING
    assert (plan.rows_max, plan.after, plan.order_key) == (100, None, KEY)
    assert planned(dataclasses.replace(rows_permit, rows_max=7), {}).rows_max == 7


def test_columns_leave_in_the_asked_order_each_with_its_treatment(rows_permit: Permit) -> None:
    plan = planned(rows_permit, {"select": ["note", "id", "province"], "limit": 500})

    assert plan.columns == (("note", Partial(1, 1)), ("id", Tokenise("person")), ("province", Keep()))
    assert plan.rows_max == 500


def test_a_condition_joins_the_owners_filter(rows_permit: Permit) -> None:
    where = {
        "all": [
            {"column": "province", "in": ["79", "01"]},
            {"any": [{"column": "income", "at_least": 1.5}, {"column": "born", "less": "2000-01-31"}]},
            {"not": {"column": "married", "equals": True}},
            {"column": "born", "is_null": False},
        ]
    }
    plan = planned(rows_permit, {"where": where})

    assert isinstance(plan.predicate, AllOf)
    assert set(plan.predicate.parts) == {
        LIVING,
        Comparison(ColumnName("province"), Comparator.ONE_OF, ("01", "79")),
        AnyOf(
            (
                Comparison(ColumnName("born"), Comparator.LESS, (date(2000, 1, 31),)),
                Comparison(ColumnName("income"), Comparator.AT_LEAST, (Decimal("1.5"),)),
            )
        ),
        Not(Comparison(ColumnName("married"), Comparator.EQUAL, (True,))),
        Not(Comparison(ColumnName("born"), Comparator.IS_NULL, ())),
    }


@pytest.mark.parametrize(("column", "word"), [("id", "tokenise"), ("age", "generalise"), ("note", "partial")])
def test_a_condition_names_no_column_that_leaves_masked(rows_permit: Permit, column: str, word: str) -> None:
    """Promise P3: else rows could be searched by what the masks hide."""
    with pytest.raises(QuestionRefused) as refused:
        planned(rows_permit, {"where": {"not": {"column": column, "equals": "x"}}})

    assert refused.value.detail == (
        f"`{column}` leaves under `{word}`, and a condition sees masked values only"
    )
    assert refused.value.about == column


@pytest.mark.parametrize("name", ["phone", "sex", "nothing"])
def test_a_column_that_does_not_leave_cannot_be_named(rows_permit: Permit, name: str) -> None:
    """Promise P3."""
    for body in ({"select": [name]}, {"where": {"column": name, "equals": "x"}}):
        with pytest.raises(QuestionRefused, match="there is no column"):
            planned(rows_permit, body)


@pytest.mark.parametrize(
    "body",
    [
        {"select": []},
        {"select": "id"},
        {"select": [1]},
        {"limit": 0},
        {"limit": True},
        {"limit": "5"},
        {"limit": 1.5},
        {"limit": None},
        {"cursor": 5},
        {"cursor": "a" * 600},
        {"cursor": "!!"},
        {"cursor": ""},
        {"order": "id"},
        {"where": None},
        {"where": []},
        {"where": {}},
        {"where": {"all": []}},
        {"where": {"all": [], "any": []}},
        {"where": {"column": "province"}},
        {"where": {"column": 5, "equals": 5}},
        {"where": {"column": "province", "equals": "01", "less": "02"}},
        {"where": {"column": "province", "like": "0%"}},
        {"where": {"column": "province", "in": []}},
        {"where": {"column": "province", "in": "01"}},
        {"where": {"column": "province", "is_null": 1}},
    ],
)
def test_a_body_of_another_form_is_malformed(rows_permit: Permit, body: object) -> None:
    with pytest.raises(MalformedRequest):
        planned(rows_permit, body)


def nested(depth: int) -> object:
    where: object = {"column": "province", "equals": "01"}
    for _ in range(depth):
        where = {"not": where}
    return where


@pytest.mark.parametrize(
    ("body", "about"),
    [
        ({"limit": 501}, "limit"),
        ({"select": ["id", "id"]}, "id"),
        ({"where": {"column": "province", "equals": 1}}, "province"),
        ({"where": {"column": "province", "equals": None}}, "province"),
        ({"where": {"column": "province", "equals": "0" * 201}}, "province"),
        ({"where": {"column": "born", "equals": "20000131"}}, "born"),
        ({"where": {"column": "married", "less": True}}, "married"),
        ({"where": {"column": "income", "in": [1, "2"]}}, "income"),
        ({"where": {"column": "income", "equals": True}}, "income"),
        ({"where": nested(8)}, "where"),
        ({"where": nested(20)}, "where"),
        ({"where": {"any": [{"column": "province", "equals": "01"}] * 101}}, "where"),
        ({"where": {"column": "province", "in": ["01"] * 1001}}, "where"),
    ],
)
def test_what_passes_a_bound_or_a_type_is_refused(rows_permit: Permit, body: object, about: str) -> None:
    with pytest.raises(QuestionRefused) as refused:
        planned(rows_permit, body)

    assert refused.value.about == about


def test_a_cursor_goes_on_where_the_page_before_ended(rows_permit: Permit) -> None:
    body = {"where": {"column": "province", "equals": "01"}, "select": ["id"]}
    cursor = next_cursor(planned(rows_permit, body), LAST, seal)

    assert planned(rows_permit, body | {"cursor": cursor, "limit": 9}).after == LAST


def test_a_cursor_serves_no_other_question_and_no_other_recipient(rows_permit: Permit) -> None:
    """Promise P8: the order of one recipient's rows tells another nothing."""
    body = {"select": ["id"]}
    cursor = next_cursor(planned(rows_permit, body), LAST, seal)
    revised = dataclasses.replace(rows_permit, dataset=dataclasses.replace(rows_permit.dataset, revision=9))
    stricter = dataclasses.replace(rows_permit, columns=((ColumnName("id"), Redact()),))

    for permit, key, question in (
        (rows_permit, KEY, {"select": ["note"]}),
        (rows_permit, KEY, body | {"where": {"column": "province", "equals": "01"}}),
        (rows_permit, OTHER_KEY, body),
        (revised, KEY, body),
        (stricter, KEY, body),
    ):
        with pytest.raises(MalformedRequest, match="belongs to another question"):
            planned(permit, question | {"cursor": cursor}, key)


@given(position=st.integers(0, 200), flip=st.integers(1, 255))
@settings(max_examples=50, deadline=None)
def test_what_unsealing_gives_is_not_believed(rows_permit: Permit, position: int, flip: int) -> None:
    plan = planned(rows_permit, {})
    sealed = bytearray(base64url_decoded(next_cursor(plan, LAST, seal)))
    sealed[position % len(sealed)] ^= flip

    try:
        after = planned(rows_permit, {"cursor": base64url(bytes(sealed))}).after
    except MalformedRequest:
        return
    assert after is not None
    assert len(after) == len(LAST)  # another place at most: this room's seal is a toy


wheres = st.recursive(
    st.one_of(
        st.none(),
        st.fixed_dictionaries(
            {"column": st.sampled_from(["province", "income", "born", "married", "id", "zz"])},
            optional={
                key: st.one_of(
                    st.text(max_size=3), st.integers(), st.booleans(), st.lists(st.text(max_size=2))
                )
                for key in ("equals", "less", "in", "is_null")
            },
        ),
    ),
    lambda parts: st.one_of(
        st.fixed_dictionaries({"not": parts}),
        st.fixed_dictionaries({"all": st.lists(parts, max_size=3)}),
        st.dictionaries(st.text(max_size=3), parts, max_size=2),
    ),
    max_leaves=6,
)


@given(where=wheres)
@settings(max_examples=150, deadline=None)
def test_no_condition_raises_anything_but_an_error_of_the_gateway(rows_permit: Permit, where: object) -> None:
    try:
        planned(rows_permit, {"where": where})
    except GatewayError as error:
        assert len(error.detail) < 200  # noqa: PT017 - many are refused, some are not
