"""The declared sensitivity of a planned measure against what one person really does to it (P4).

The exact measures are computed here by an implementation of its own, after bounding as an engine
bounds: at most ``rows_max`` rows of a person, the same ones whoever else is in the data.
"""

import hashlib
import json
from decimal import Decimal
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.planning.statistic import plan_statistic
from gateway.terms.dataset import Column
from gateway.terms.permit import Permit
from gateway.terms.plan import Measure, MeasureKind, StatisticPlan
from gateway.terms.predicate import AllOf, Comparator, Comparison, Predicate

Row = dict[str, object]

QUESTIONS = [
    "SELECT province, COUNT(*), COUNT(income), COUNT(DISTINCT id), AVG(income) FROM data GROUP BY province",
    "SELECT province, SUM(income), COUNT(born) FROM data WHERE age >= 18 GROUP BY province",
    "SELECT province, sex, COUNT(DISTINCT id), AVG(age), SUM(age) FROM data GROUP BY sex, province",
    "SELECT COUNT(*), COUNT(DISTINCT id), AVG(income), SUM(age) FROM data WHERE age >= 18",
]


def bounded(rows: list[Row], rows_max: int) -> list[Row]:
    kept: dict[object, list[Row]] = {}
    for row in rows:
        kept.setdefault(row["id"], []).append(row)
    return [row for own in kept.values() for row in sorted(own, key=_content)[:rows_max]]


def _content(row: Row) -> bytes:
    return hashlib.sha256(repr(sorted(row.items())).encode()).digest()


def selected(predicate: Predicate, row: Row) -> bool:
    match predicate:
        case AllOf(parts):
            return all(selected(part, row) for part in parts)
        case Comparison("note", Comparator.NOT_EQUAL, _):
            return row["note"] != "dead"
        case Comparison("age", Comparator.AT_LEAST, (least,)):
            return row["age"] is not None and row["age"] >= least
    raise AssertionError(predicate)


def grid(value: Decimal, column: Column) -> int:
    low, high = column.bounds
    return int(max(low, min(high, value)).scaleb(column.decimals).to_integral_value())


def exact(measure: Measure, rows: list[Row], plan: StatisticPlan) -> list[int]:
    groups = product(*(key.values for key in plan.keys))
    return [_one(measure, [r for r in rows if _in_group(r, group, plan)], plan) for group in groups]


def _in_group(row: Row, group: tuple[object, ...], plan: StatisticPlan) -> bool:
    return all(row[key.column.name] == value for key, value in zip(plan.keys, group, strict=True))


def _one(measure: Measure, rows: list[Row], plan: StatisticPlan) -> int:
    if measure.kind is MeasureKind.ROWS:
        return len(rows)
    if measure.kind is MeasureKind.UNITS:
        return len({row["id"] for row in rows})
    values = [row[measure.column] for row in rows if row[measure.column] is not None]
    if measure.kind is MeasureKind.VALUES:
        return len(values)
    column = plan.dataset.column(measure.column)
    return sum(grid(value, column) - measure.centre for value in values)


def moved(measure: Measure, plan: StatisticPlan, rows: list[Row], person: list[Row]) -> int:
    """Return the squared distance between the vectors without and with a person."""
    without, with_ = (
        exact(measure, [r for r in bounded(data, 4) if selected(plan.predicate, r)], plan)
        for data in (rows, rows + person)
    )
    return sum((a - b) ** 2 for a, b in zip(without, with_, strict=True))


numbers = st.one_of(
    st.none(),
    st.sampled_from([Decimal(-10), Decimal("1000.50"), Decimal(10**9), Decimal(-(10**9)), Decimal(0)]),
    st.decimals(-50, 2000, places=3),
)


def rows_of(person: str, size: int) -> st.SearchStrategy[list[Row]]:
    row = st.fixed_dictionaries(
        {
            "id": st.just(person),
            "province": st.sampled_from(["01", "48", "79", "99", None]),
            "sex": st.sampled_from(["f", "m"]),
            "age": st.one_of(st.none(), st.integers(-5, 300).map(Decimal)),
            "income": numbers,
            "born": st.sampled_from([None, "2000-01-01"]),
            "note": st.sampled_from(["", "dead"]),
        }
    )
    return st.lists(row, max_size=size)


@given(sql=st.sampled_from(QUESTIONS), others=rows_of("a", 5), person=rows_of("b", 9))
@settings(max_examples=300, deadline=None)
def test_no_person_moves_a_measure_further_than_declared(
    permit: Permit, sql: str, others: list[Row], person: list[Row]
) -> None:
    """Promise P4."""
    plan = plan_statistic(json.dumps({"sql": sql}).encode(), permit)

    for measure in plan.measures:
        assert moved(measure, plan, others, person) <= measure.sensitivity**2


@pytest.mark.parametrize("sql", QUESTIONS)
def test_the_worst_person_moves_a_measure_exactly_as_far_as_declared(permit: Permit, sql: str) -> None:
    """Promise P4: the declared sensitivities are no larger than they must be."""
    plan = plan_statistic(json.dumps({"sql": sql}).encode(), permit)
    one = {
        "id": "b",
        "province": "01",
        "sex": "f",
        "age": Decimal(120),
        "income": Decimal(10**6),
        "born": "",
        "note": "",
    }
    together = [one] * 4
    low = [one | {"income": Decimal(-(10**6)), "age": Decimal(0)}] * 4
    # spread over as many groups as there are, at most four
    spread = [one | {"province": p, "sex": s} for p, s in product(["01", "48", "79"], ["f", "m"])]
    spread = [spread[0], spread[2], spread[4], spread[1]]

    for measure in plan.measures:
        furthest = max(moved(measure, plan, [], person) for person in (together, low, spread))
        shortfall = measure.sensitivity**2 - furthest
        if measure.kind is MeasureKind.UNITS:
            assert (measure.sensitivity - 1) ** 2 < furthest  # the root is rounded up
        else:
            assert shortfall == 0


def test_bounding_leaves_others_rows_alone() -> None:
    """Promise P4: removing one person changes no one else's rows."""
    rows = [{"id": str(n * n % 7), "n": n * 5 % 11} for n in range(60)]

    kept = bounded(rows, 3)

    assert bounded([row for row in rows if row["id"] != "2"], 3) == [row for row in kept if row["id"] != "2"]
