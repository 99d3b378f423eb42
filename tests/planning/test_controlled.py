"""A controlled transaction never passes silently: what hits a trigger is refused, however it is asked."""

import json
from dataclasses import replace

import pytest

from gateway.errors import NotPermitted, QuestionRefused
from gateway.planning.controlled import require_uncontrolled
from gateway.planning.lookup import plan_lookup
from gateway.planning.rows import plan_rows
from gateway.planning.statistic import plan_statistic
from gateway.terms.controlled import Trigger
from gateway.terms.identifiers import ColumnName
from gateway.terms.permit import Lookup, Permit, Reason
from gateway.terms.plan import RowsPlan
from gateway.terms.predicate import AllOf, Comparator, Comparison
from gateway.terms.query import Action

PROVINCE, AGE, NOTE = ColumnName("province"), ColumnName("age"), ColumnName("note")


def rows(permit: Permit, **asked: object) -> RowsPlan:
    return plan_rows(json.dumps(asked).encode(), permit, order_key=bytes(32), unseal=bytes)


def is_held(plan: object, permit: Permit, *triggers: Trigger) -> bool:
    try:
        require_uncontrolled(plan, replace(permit, triggers=triggers))  # type: ignore[arg-type]
    except NotPermitted as error:
        return (error.reason, error.rules) == (Reason.APPROVAL_NEEDED, permit.rules)
    return False


def test_p3_more_rows_than_the_trigger_says_are_held_and_so_is_each_page_after_the_first(
    rows_permit: Permit,
) -> None:
    """Promise P3: two hundred pages of ten rows are no way around a limit of ten."""
    over_ten = Trigger(action=Action.EXTRACT, rows_over=10)
    first = rows(rows_permit, limit=10)

    assert not is_held(first, rows_permit, over_ten)
    assert is_held(rows(rows_permit, limit=11), rows_permit, over_ten)
    assert is_held(rows(rows_permit), rows_permit, over_ten), "who names no limit gets the default's"
    assert is_held(replace(first, after="00"), rows_permit, over_ten)


def test_p3_a_column_is_held_if_it_leaves_or_is_asked_about(rows_permit: Permit) -> None:
    """Promise P3: a condition on a column tells of it, though it is not selected."""
    of_province = Trigger(column=PROVINCE)
    asked = {"column": "province", "equals": "01"}

    assert is_held(rows(rows_permit), rows_permit, of_province)
    assert is_held(rows(rows_permit, select=["province"]), rows_permit, of_province)
    assert is_held(rows(rows_permit, select=["id"], where=asked), rows_permit, of_province)
    assert not is_held(rows(rows_permit, select=["id"]), rows_permit, of_province)


def test_the_owners_own_filter_asks_nothing(rows_permit: Permit) -> None:
    same = {"column": "province", "equals": "01"}
    filtered = replace(rows_permit, rows=AllOf((Comparison(PROVINCE, Comparator.EQUAL, ("01",)),)))
    other = {"column": "province", "not_equals": "48"}

    assert not is_held(rows(filtered, select=["id"]), filtered, Trigger(column=PROVINCE))
    assert not is_held(rows(filtered, select=["id"], where=same), filtered, Trigger(column=PROVINCE)), (
        "what the owner's filter says already tells nothing"
    )
    assert is_held(rows(filtered, select=["id"], where=other), filtered, Trigger(column=PROVINCE))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT province, COUNT(*) FROM data GROUP BY province",
        "SELECT COUNT(province) FROM data",
        "SELECT COUNT(*) FROM data WHERE province = '01'",
    ],
)
def test_p3_a_statistic_of_a_column_is_held_too(permit: Permit, sql: str) -> None:
    """Promise P3."""
    plan = plan_statistic(json.dumps({"sql": sql}).encode(), permit)

    assert is_held(plan, permit, Trigger(column=PROVINCE))
    assert is_held(plan, permit, Trigger(action=Action.AGGREGATE))
    assert not is_held(plan, permit, Trigger(column=AGE), Trigger(action=Action.EXTRACT))
    assert not is_held(plan, permit, Trigger(column=NOTE)), "only the owner's filter reads it"


def test_p3_the_column_that_tells_persons_apart_is_asked_about_where_persons_are_counted(
    permit: Permit,
) -> None:
    """Promise P3: its measure names no column, and so it once passed."""
    unit = permit.dataset.unit
    assert unit is not None
    assert unit.column is not None
    of_unit = Trigger(column=unit.column)

    def asking(item: str) -> bool:
        sql = json.dumps({"sql": f"SELECT {item} FROM data"}).encode()  # noqa: S608 -- refused or planned, never run
        return is_held(plan_statistic(sql, permit), permit, of_unit)

    assert asking(f"COUNT(DISTINCT {unit.column})")
    assert asking(f"COUNT(*), COUNT(DISTINCT {unit.column})")
    assert not asking("COUNT(*)"), "that each person is bounded asks nothing of a person"


@pytest.mark.parametrize("clause", ["HAVING COUNT(note) > 1", "ORDER BY note", "LIMIT 1", "WINDOW w AS ()"])
def test_p3_no_clause_reads_a_column_unseen(permit: Permit, clause: str) -> None:
    """Promise P3: what is neither group, measure nor condition cannot be said at all."""
    body = json.dumps({"sql": f"SELECT COUNT(*) FROM data {clause}"}).encode()  # noqa: S608 -- refused

    with pytest.raises(QuestionRefused):
        plan_statistic(body, permit)


def test_p3_a_key_that_is_looked_up_is_asked_about(rows_permit: Permit) -> None:
    """Promise P3: the key and what must match beside it; the owner's filter, in whatever form, is not."""
    lookup = Lookup(key=ColumnName("id"), matching=(PROVINCE,), keys_max=2, rows_max=2)
    one = Comparison(NOTE, Comparator.ONE_OF, ("dead",))
    permit = replace(rows_permit, action=Action.LOOKUP, lookup=lookup, rows=AllOf((AllOf((one,)),)))
    asked = {"keys": [{"key": "a", "matching": {"province": "01"}}], "select": ["age"]}
    plan = plan_lookup(json.dumps(asked).encode(), permit, order_key=bytes(32))

    assert [is_held(plan, permit, Trigger(column=name)) for name in ("id", PROVINCE, AGE)] == [True] * 3
    assert not is_held(plan, permit, Trigger(column=NOTE), Trigger(action=Action.EXTRACT))
    assert is_held(plan, permit, Trigger(action=Action.LOOKUP))


def test_all_parts_of_a_trigger_must_hold_and_one_trigger_of_several_is_enough(rows_permit: Permit) -> None:
    plan = rows(rows_permit, select=["id"], limit=10)
    both = Trigger(action=Action.EXTRACT, column=PROVINCE, rows_over=5)

    assert not is_held(plan, rows_permit, both)
    assert is_held(plan, rows_permit, both, Trigger(action=Action.EXTRACT, rows_over=5))
