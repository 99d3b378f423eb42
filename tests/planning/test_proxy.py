"""What a plan of an upstream's path promises: only what the permit binds, only what it binds it to."""

import dataclasses
from datetime import date
from decimal import Decimal
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import GatewayError, MalformedRequest, QuestionRefused
from gateway.planning.normal import normal
from gateway.planning.proxy import plan_proxy, proxy_cursor
from gateway.terms.identifiers import ColumnName
from gateway.terms.permit import Permit
from gateway.terms.plan import ProxyPlan
from gateway.terms.predicate import AllOf, Comparator, Comparison
from gateway.terms.query import Action
from gateway.terms.treatment import Band, Keep
from gateway.terms.upstream import (
    CURSOR_BYTES_MAX,
    Cursor,
    Equals,
    Fixed,
    Order,
    Position,
    Size,
    UpstreamPath,
)

KEY, OTHER_KEY = b"\x01" * 32, b"\x02" * 32
LIVING = Comparison(ColumnName("note"), Comparator.NOT_EQUAL, ("dead",))
PEOPLE = UpstreamPath(
    path="/db/people.json",
    rows_pointer="/rows",
    parameters=(
        ("_next", Cursor("/next")),
        ("_shape", Fixed("objects")),
        ("_size", Size(100)),
        ("_sort", Order((ColumnName("born"), ColumnName("province")))),
        ("_sort_desc", Order((ColumnName("born"),))),
        ("born", Equals(ColumnName("born"))),
        ("income", Equals(ColumnName("income"))),
        ("married", Equals(ColumnName("married"))),
        ("province", Equals(ColumnName("province"))),
    ),
)
PAGES = UpstreamPath(path="/pages", rows_pointer="", parameters=(("page", Position(50)),))


@pytest.fixture(scope="session")
def permit(rows_permit: Permit) -> Permit:
    return dataclasses.replace(rows_permit, action=Action.PROXY, paths=(PEOPLE, PAGES))


def seal(data: bytes) -> bytes:
    return b"sealed" + bytes(byte ^ 0x5A for byte in data)


def unseal(sealed: bytes) -> bytes:
    if not sealed.startswith(b"sealed"):
        raise ValueError("not sealed here")
    return bytes(byte ^ 0x5A for byte in sealed[6:])


def planned(permit: Permit, query: str = "", path: str = "/db/people.json", key: bytes = KEY) -> ProxyPlan:
    return plan_proxy(path, query, permit, order_key=key, unseal=unseal)


def test_asking_nothing_sends_what_is_fixed_and_a_size(permit: Permit) -> None:
    plan = planned(permit)

    assert plan.parameters == (("_shape", "objects"), ("_size", "100"))
    assert (plan.path, plan.rows_pointer, plan.cursor_pointer) == ("/db/people.json", "/rows", "/next")
    assert "phone" not in dict(plan.columns)
    assert plan.predicate == normal(LIVING)
    assert plan.rows_max == 500
    assert plan.ordered_by is None


def test_a_size_is_never_more_than_the_permit_gives(permit: Permit) -> None:
    narrow = dataclasses.replace(permit, rows_max=7)

    assert ("_size", "7") in planned(narrow).parameters
    with pytest.raises(QuestionRefused) as refused:
        planned(narrow, "_size=8")
    assert (refused.value.about, refused.value.nearest) == ("_size", "7")


def test_parameters_are_sent_in_one_order_whatever_the_callers(permit: Permit) -> None:
    one = planned(permit, "_size=5&province=01&_sort=born")
    other = planned(permit, "_sort=born&province=%30%31&_size=5")

    assert one == other
    assert one.parameters == (("_shape", "objects"), ("_size", "5"), ("_sort", "born"), ("province", "01"))
    assert one.ordered_by == "born"


@pytest.mark.parametrize(
    ("query", "column", "value"),
    [
        ("province=01", "province", "01"),
        ("born=1990-01-01", "born", date(1990, 1, 1)),
        ("married=1", "married", True),
        ("married=false", "married", False),
        ("income=12.50", "income", Decimal("12.50")),
    ],
)
def test_an_equality_is_typed_and_judged_on_the_reply_too(
    permit: Permit, query: str, column: str, value: object
) -> None:
    equality = Comparison(ColumnName(column), Comparator.EQUAL, (value,))  # type: ignore[arg-type]

    assert planned(permit, query).predicate == normal(AllOf((LIVING, equality)))


@pytest.mark.parametrize(
    ("query", "about"),
    [
        ("_facet=note", "_facet"),
        ("_search=x", "_search"),
        ("sql=select", "sql"),
        ("_shape=array", "_shape"),
        ("note=dead", "note"),
        ("province__gt=1", "province__gt"),
        ("PROVINCE=01", "PROVINCE"),
        ("_size=5&_size=5", "_size"),
        ("_size=05", "_size"),
        ("_size=+5", "_size"),
        ("_size=5.0", "_size"),
        ("_size=%D9%A5", "_size"),
        ("_size=", "_size"),
        ("_sort=note", "note"),
        ("_sort=age", "age"),
        ("_sort=-born", "-born"),
        ("_sort=born,age", "born,age"),
        ("_sort=born&_sort_desc=born", "_sort_desc"),
        ("province=nowhere", "province"),
        ("born=1990-02-30", "born"),
        ("born=1990", "born"),
        ("married=maybe", "married"),
        ("income=1e3", "income"),
        ("income=NaN", "income"),
    ],
)
def test_what_is_not_bound_so_is_refused_by_name(permit: Permit, query: str, about: str) -> None:
    with pytest.raises(QuestionRefused) as refused:
        planned(permit, query)
    assert refused.value.about == about


@pytest.mark.parametrize("query", ["page=51", "page=-1", "page=1&size=1", "offset=1"])
def test_a_position_has_its_bound(permit: Permit, query: str) -> None:
    assert planned(permit, "page=50", "/pages").parameters == (("page", "50"),)
    with pytest.raises(QuestionRefused):
        planned(permit, query, "/pages")


@pytest.mark.parametrize("path", ["/", "/db/people.jso", "/db/people.json/", "/DB/people.json", "/pages/"])
def test_another_path_is_refused(permit: Permit, path: str) -> None:
    with pytest.raises(QuestionRefused):
        planned(permit, "", path)


def test_a_column_that_is_not_kept_for_this_caller_is_not_bound_any_more(permit: Permit) -> None:
    """Loading looked at one permit; a forbid or a second permit that matched left less."""
    taken = tuple((name, how) for name, how in permit.columns if name != "province")
    banded = tuple((name, Band(10) if how == Keep() and name == "income" else how) for name, how in taken)
    narrow = dataclasses.replace(permit, columns=banded)

    assert planned(narrow, "_sort=born").ordered_by == "born"
    for query in ("_sort=province", "province=01", "income=1"):
        with pytest.raises(QuestionRefused):
            planned(narrow, query)


def test_a_cursor_goes_on_where_the_upstream_said_and_shows_not_even_its_length(permit: Permit) -> None:
    plan = planned(permit, "_size=5")
    short, long = (proxy_cursor(plan, text, seal) for text in ("1", "Nguyễn Văn A," * 20))

    assert dict(planned(permit, f"_size=5&_next={short}").parameters)["_next"] == "1"
    assert dict(planned(permit, f"_size=5&_next={long}").parameters)["_next"] == "Nguyễn Văn A," * 20
    assert len(short) == len(long)
    assert planned(permit, f"_next={short}&_size=5").digest == plan.digest


@pytest.mark.parametrize("query", ["_size=6", "_size=5&province=01", "_size=5&_sort=born"])
def test_a_cursor_serves_one_question_and_one_recipient(permit: Permit, query: str) -> None:
    cursor = proxy_cursor(planned(permit, "_size=5"), "p" * CURSOR_BYTES_MAX, seal)

    with pytest.raises(MalformedRequest):
        planned(permit, f"{query}&_next={cursor}")
    with pytest.raises(MalformedRequest):
        planned(permit, f"_size=5&_next={cursor}", key=OTHER_KEY)


@settings(max_examples=300)
@given(st.text(alphabet="_sizenxt=&%+;2fA0 \x00é'", max_size=40))
def test_whatever_is_asked_the_upstream_is_sent_bound_parameters_only(permit: Permit, query: str) -> None:
    try:
        plan = planned(permit, query)
    except GatewayError:
        return
    assert {name for name, _ in plan.parameters} <= dict(PEOPLE.parameters).keys()
    assert dict(plan.parameters)["_shape"] == "objects"
    assert 1 <= int(dict(plan.parameters)["_size"]) <= 100


@given(st.text(min_size=1, max_size=30))
def test_no_value_becomes_another_parameter(permit: Permit, value: str) -> None:
    free = dataclasses.replace(PEOPLE, parameters=(("note", Equals(ColumnName("note"))),))
    columns = tuple((name, Keep() if name == "note" else how) for name, how in permit.columns)
    opened = dataclasses.replace(permit, paths=(free,), columns=columns)
    try:
        plan = planned(opened, f"note={quote(value, safe='')}")
    except GatewayError:
        return
    assert plan.parameters == (("note", value),)
    assert value.isprintable() or not any(ord(character) < 32 for character in value)
