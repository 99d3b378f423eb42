"""Conditions as people type them keep their meaning: a text stays a text, a number becomes one."""

import pytest

from gateway.client.condition import ConditionUnreadable, needs_types, where_of

TYPES = {"province": "text", "age": "integer", "income": "decimal", "married": "boolean", "born": "date"}


@pytest.mark.parametrize(
    ("typed", "where"),
    [
        ("province=01", {"column": "province", "equals": "01"}),
        ("province != 01", {"column": "province", "not_equals": "01"}),
        ("province=", {"column": "province", "equals": ""}),
        ("province=a=b", {"column": "province", "equals": "a=b"}),
        ("age>=18", {"column": "age", "at_least": 18}),
        ("age<-5", {"column": "age", "less": -5}),
        ("age=01", {"column": "age", "equals": "01"}),  # no number; the gateway says so
        ("income<=1.5", {"column": "income", "at_most": 1.5}),
        ("income>2", {"column": "income", "more": 2}),
        ("married=True", {"column": "married", "equals": True}),
        ("born>=2020-01-31", {"column": "born", "at_least": "2020-01-31"}),
        ("unknown=5", {"column": "unknown", "equals": "5"}),
        ('{"column": "age", "in": [1, 2]}', {"column": "age", "in": [1, 2]}),
    ],
)
def test_a_condition_means_what_its_column_is(typed: str, where: object) -> None:
    assert where_of([typed], TYPES) == where


def test_several_conditions_must_all_hold() -> None:
    assert where_of([], TYPES) is None
    assert where_of(["age>1", "age<9"], TYPES) == {
        "all": [{"column": "age", "more": 1}, {"column": "age", "less": 9}]
    }


@pytest.mark.parametrize("typed", ["", "province", "=01", "{", "{" * 9000, "{'a': 1}"])
def test_what_is_no_condition_is_refused_with_an_example(typed: str) -> None:
    with pytest.raises(ConditionUnreadable, match=r"province=01|is not JSON"):
        where_of([typed], TYPES)


def test_types_are_asked_for_only_where_they_are_needed() -> None:
    assert not needs_types([])
    assert not needs_types([' {"column": "a", "equals": 1}'])
    assert needs_types(["a=1"])
