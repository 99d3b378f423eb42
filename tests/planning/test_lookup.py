"""A lookup's body becomes a plan: typed keys, a price in keys, and no word of a key in any refusal."""

import json
import unicodedata
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import GatewayError, MalformedRequest, QuestionRefused
from gateway.planning.describe import describe
from gateway.planning.lookup import plan_lookup
from gateway.terms.dataset import PrivacyUnit
from gateway.terms.identifiers import ColumnName
from gateway.terms.loss import Loss, PicoDelta, PicoRho
from gateway.terms.permit import Lookup, Permit
from gateway.terms.plan import LookupPlan
from gateway.terms.predicate import Comparator, Comparison
from gateway.terms.query import Action
from gateway.terms.treatment import Drop

ORDER_KEY = bytes(range(32))
SECRET = "001085012345"


@pytest.fixture(scope="session")
def leave(rows_permit: Permit) -> Permit:
    """Leave to look up by `id`, where `born` matches too."""
    return by(rows_permit, "id", "born")


def by(permit: Permit, key: str, *matching: str) -> Permit:
    lookup = Lookup(key=ColumnName(key), matching=tuple(map(ColumnName, matching)), keys_max=3, rows_max=2)
    return replace(permit, action=Action.LOOKUP, rows_max=0, lookup=lookup)


def planned(permit: Permit, *keys: object, order_key: bytes = ORDER_KEY, **more: object) -> LookupPlan:
    return plan_lookup(json.dumps({"keys": keys, **more}).encode(), permit, order_key=order_key)


def key(value: object, **matching: object) -> dict[str, object]:
    return {"key": value, "matching": matching}


def test_a_plan_has_typed_keys_in_the_requests_order_and_costs_as_many(leave: Permit) -> None:
    plan = planned(leave, key("b", born="2000-01-01"), key("a", born="1990-01-01"), select=["age"])

    assert plan == LookupPlan(
        dataset=leave.dataset,
        columns=((ColumnName("age"), dict(leave.columns)[ColumnName("age")]),),
        predicate=leave.rows,
        by=(ColumnName("id"), ColumnName("born")),
        keys=(("b", date(2000, 1, 1)), ("a", date(1990, 1, 1))),
        rows_max=2,
        order_key=ORDER_KEY,
        loss=Loss(PicoRho(0), PicoDelta(0), 2),
        release_after_s=1.0,
        digest=plan.digest,
        rules=plan.rules,
    )
    assert describe(plan) == {
        "kind": "lookup",
        "dataset": leave.dataset.id,
        "columns": [{"name": "age", "treatment": "generalise"}],
        "by": ["id", "born"],
        "rows_max": 4,
        "price": {"keys": 2},
        "release_after_s": 1.0,
        "digest": plan.digest,
    }


@pytest.mark.parametrize("select", [[SECRET], ["age", SECRET], [SECRET, SECRET]])
def test_p9_a_key_in_the_wrong_place_is_in_no_error(leave: Permit, select: list[str]) -> None:
    """Promise P9: the error is sealed as the entry's cause, and goes into logs of the firm."""
    with pytest.raises(QuestionRefused) as refused:
        planned(leave, key("a", born="1990-01-01"), select=select)

    assert SECRET not in repr((refused.value, refused.value.args, refused.value.members()))


def test_an_answer_kept_for_a_repeat_belongs_to_all_that_decided(leave: Permit) -> None:
    other_filter = Comparison(ColumnName("note"), Comparator.ONE_OF, ("x",))
    (column, _), *_ = leave.columns
    others = [
        replace(leave, dataset=replace(leave.dataset, digest="f" * 64)),
        replace(leave, dataset=replace(leave.dataset, revision=99)),
        replace(leave, rows=other_filter),
        replace(leave, columns=((column, Drop()), *leave.columns[1:])),
    ]

    rules = [planned(permit, key("a", born="1990-01-01")).rules for permit in (leave, *others)]

    assert len(set(rules)) == len(rules)
    assert planned(leave, key("b", born="1991-01-01")).rules == rules[0]


def test_p9_the_digest_is_keyed_so_that_nobody_else_finds_a_key_by_trying(leave: Permit) -> None:
    """Promise P9."""
    one = planned(leave, key(SECRET, born="1990-01-01"))
    same = planned(leave, key(SECRET, born="1990-01-01"))
    elsewhere = planned(leave, key(SECRET, born="1990-01-01"), order_key=bytes(32))

    assert one.digest == same.digest != elsewhere.digest
    assert SECRET not in repr(one)


def test_a_text_is_one_text_however_it_is_composed_and_whatever_blanks_surround_it(leave: Permit) -> None:
    composed = unicodedata.normalize("NFC", "Nguyễn")

    for spelt in (composed, unicodedata.normalize("NFD", composed), f"  {composed} "):
        assert planned(leave, key(spelt, born="1990-01-01")).keys[0][0] == composed


@pytest.mark.parametrize(
    ("column", "given", "wanted"),
    [
        ("age", 41, 41),
        ("age", "41", 41),
        ("income", "-1.50", Decimal("-1.5")),
        ("income", 7, Decimal(7)),
        ("married", "true", True),
        ("married", False, False),
        ("born", " 2000-01-01 ", date(2000, 1, 1)),
    ],
)
def test_a_value_is_written_as_its_type_has_it_or_as_text(
    rows_permit: Permit, column: str, given: object, wanted: object
) -> None:
    plan = planned(by(rows_permit, "id", column), key("a", **{column: given}))

    assert plan.keys == (("a", wanted),)


BAD: list[tuple[Any, type[GatewayError], str]] = [
    ({}, MalformedRequest, "the body has `keys`, perhaps `select`, and nothing else"),
    ({"keys": [key("a", born="1990-01-01")], SECRET: 1}, MalformedRequest, "and nothing else"),
    ({"keys": {}}, MalformedRequest, "`keys` is a list of at least one key"),
    ({"keys": []}, MalformedRequest, "`keys` is a list of at least one key"),
    ({"keys": [SECRET]}, MalformedRequest, "key 1 is not written as"),
    ({"keys": [{SECRET: 1}]}, MalformedRequest, "key 1 is not written as"),
    ({"keys": [{"key": SECRET, "matching": []}]}, MalformedRequest, "key 1 is not written as"),
    ({"keys": [{"key": SECRET}]}, QuestionRefused, "key 1: `matching` gives `born`, no more and no less"),
    ({"keys": [key(SECRET, born="1990-01-01", age=3)]}, QuestionRefused, "no more and no less"),
    ({"keys": [key(SECRET, **{SECRET: "x"})]}, QuestionRefused, "no more and no less"),
    ({"keys": [key(5, born="1990-01-01")]}, QuestionRefused, "key 1: `id` is compared with a text"),
    ({"keys": [key([SECRET], born="1990-01-01")]}, QuestionRefused, "key 1: `id` is compared with a text"),
    ({"keys": [key("x" * 201, born="1990-01-01")]}, QuestionRefused, "a text of at most 200 characters"),
    ({"keys": [key("   ", born="1990-01-01")]}, QuestionRefused, "key 1: `id` is empty"),
    ({"keys": [key("a\u0000b", born="1990-01-01")]}, MalformedRequest, "a character that no text holds"),
    ({"keys": [key("a\nb", born="1990-01-01")]}, QuestionRefused, "key 1: `id` is compared with"),
    (
        {"keys": [key("a", born="1990-02-30")]},
        QuestionRefused,
        "`born` is compared with a date as YYYY-MM-DD",
    ),
    ({"keys": [key("a", born=None)]}, QuestionRefused, "`born` is compared with a date as YYYY-MM-DD"),
    ({"keys": [key("a", born="1990-01-01")] * 2}, QuestionRefused, "keys 1 and 2 are the same"),
    ({"keys": [key(str(n), born="1990-01-01") for n in range(4)]}, QuestionRefused, "tries at most 3 keys"),
]


@pytest.mark.parametrize(("body", "kind", "said"), BAD)
def test_what_is_no_lookup_is_refused_in_words_that_name_no_key(
    leave: Permit, body: object, kind: type[GatewayError], said: str
) -> None:
    with pytest.raises(kind) as refused:
        plan_lookup(json.dumps(body).encode(), leave, order_key=ORDER_KEY)

    assert said in refused.value.detail
    assert SECRET not in f"{refused.value.detail}{dict(refused.value.members())}"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from([SECRET, "1990-01-01", "", "key"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["key", "keys", "matching", "born", "select", SECRET]), inner, max_size=3
        )
    ),
    max_leaves=12,
)


@given(json_values)
def test_whatever_is_sent_becomes_a_plan_within_the_permit_or_a_refusal_without_a_key(
    leave: Permit, body: object
) -> None:
    said = ""
    try:
        plan = plan_lookup(json.dumps(body).encode(), leave, order_key=ORDER_KEY)
        assert 1 <= len(plan.keys) == plan.loss.keys <= 3
    except (MalformedRequest, QuestionRefused) as refused:
        said = refused.detail

    assert SECRET not in said


@pytest.mark.parametrize(
    ("units", "seconds"), [(250_000, 1.0), (2_500_000, 4.0), (25_000_000, 16.0), (10**9, 64.0)]
)
def test_p5_when_a_reply_leaves_follows_from_public_sizes(leave: Permit, units: int, seconds: float) -> None:
    """Promise P5."""
    unit = PrivacyUnit(column=ColumnName("id"), rows_max=4, units_max=units)
    permit = replace(leave, dataset=replace(leave.dataset, unit=unit))

    assert planned(permit, key("a", born="1990-01-01")).release_after_s == seconds
