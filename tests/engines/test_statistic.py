"""Exact integers and how much one person can change them, against a reference in plain Python."""

import hashlib
import math
import re
from dataclasses import replace
from datetime import date
from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gateway.errors import EngineFailed
from gateway.terms.dataset import Column, ColumnType
from gateway.terms.identifiers import ColumnName
from gateway.terms.plan import MeasureKind, StatisticPlan
from gateway.terms.predicate import EVERY_ROW, AllOf, AnyOf, Comparator, Comparison, Not, Predicate

HEADER = ["person", "region", "age", "income", "day", "flag"]
WIDE = Context(prec=2000, Emax=99999, Emin=-99999)

# The reference: a table of texts -> typed rows -> bounded rows -> integers. Written from the words of
# DESIGN.md section 8 and terms/, not from the SQL.


def typed(column: Column, text: str | None) -> Any:  # noqa: PLR0911
    """A number is its grid integer."""
    if text is None or column.type is ColumnType.TEXT:
        return text
    text = text.strip(" ")
    match column.type:
        case ColumnType.INTEGER:
            match = re.fullmatch(r"([+-]?0*[0-9]{1,19})(\.0*)?", text)
            return int(match[1]) if match and -(2**63) <= int(match[1]) < 2**63 else None
        case ColumnType.DECIMAL:
            if not re.fullmatch(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?", text):
                return None
            grid = Decimal(text).scaleb(column.decimals, WIDE).to_integral_value(ROUND_HALF_UP, WIDE)
            return int(grid) if abs(grid) < 10 ** (18 + column.decimals) else None
        case ColumnType.DATE:
            try:
                return date.fromisoformat(text) if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text) else None
            except ValueError:
                return None
        case ColumnType.BOOLEAN:
            words = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}
            return words.get(text.lower())


def canonical(column: Column, value: Any) -> str:
    if value is None:
        return "-"
    text = str(value)
    if column.type is ColumnType.DECIMAL:
        text = f"{Decimal(value).scaleb(-column.decimals, WIDE):.{column.decimals}f}"
    if column.type is ColumnType.BOOLEAN:
        text = str(value).lower()
    return f"{len(text.encode())}:{text}"


def bounded(columns: tuple[Column, ...], rows: list[tuple[Any, ...]], rows_max: int) -> list[tuple[Any, ...]]:
    def rank(row: tuple[Any, ...]) -> bytes:
        texts = [canonical(column, value) for column, value in zip(columns, row, strict=True)]
        return hashlib.sha256("".join([texts[0], *texts]).encode()).digest()

    kept = []
    for person in {row[0] for row in rows if row[0] is not None}:
        kept += sorted((row for row in rows if row[0] == person), key=rank)[:rows_max]
    return kept


def holds(predicate: Predicate, columns: tuple[Column, ...], row: tuple[Any, ...]) -> bool | None:
    match predicate:
        case Not(part):
            value = holds(part, columns, row)
            return None if value is None else not value
        case AllOf(parts):
            values = [holds(part, columns, row) for part in parts]
            return False if False in values else None if None in values else True
        case AnyOf(parts):
            values = [holds(part, columns, row) for part in parts]
            return True if True in values else None if None in values else False
        case Comparison(name, comparator, constants):
            at = [column.name for column in columns].index(name)
            value: Any = row[at]
            if comparator is Comparator.IS_NULL:
                return value is None
            if value is None:
                return None
            if columns[at].type is ColumnType.DECIMAL:
                value = Fraction(value, 10 ** columns[at].decimals)
            first: Any = constants[0]
            return {
                Comparator.EQUAL: lambda: value == first,
                Comparator.NOT_EQUAL: lambda: value != first,
                Comparator.LESS: lambda: value < first,
                Comparator.AT_MOST: lambda: value <= first,
                Comparator.MORE: lambda: value > first,
                Comparator.AT_LEAST: lambda: value >= first,
                Comparator.ONE_OF: lambda: value in constants,
            }[comparator]()


def reference(plan: StatisticPlan, table: list[list[str | None]]) -> tuple[tuple[int, ...], ...]:
    columns = plan.dataset.columns
    place = {column.name: at for at, column in enumerate(columns)}
    assert plan.dataset.unit is not None
    rows = [tuple(typed(c, text) for c, text in zip(columns, line, strict=True)) for line in table]
    rows = bounded(columns, rows, plan.dataset.unit.rows_max)
    rows = [row for row in rows if holds(plan.predicate, columns, row) is True]

    def integer(kind: MeasureKind, column: ColumnName | None, centre: int, group: list[Any]) -> int:
        if kind is MeasureKind.ROWS:
            return len(group)
        if kind is MeasureKind.UNITS:
            return len({row[0] for row in group})
        assert column is not None
        values = [row[place[column]] for row in group if row[place[column]] is not None]
        if kind is MeasureKind.VALUES:
            return len(values)
        declared = columns[place[column]]
        assert declared.bounds is not None
        low, high = (
            int((bound * 10**declared.decimals).to_integral_value(ROUND_HALF_UP)) for bound in declared.bounds
        )
        return sum(min(max(value, low), high) - centre for value in values)

    answer = []
    for listed in product(*(key.values for key in plan.keys)):
        equal = AllOf(
            tuple(
                Comparison(key.column.name, Comparator.EQUAL, (value,))
                for key, value in zip(plan.keys, listed, strict=True)
            )
        )
        group = [row for row in rows if holds(equal, columns, row) is True]
        answer.append(tuple(integer(m.kind, m.column, m.centre, group) for m in plan.measures))
    return tuple(answer)


# What may stand in a cell.

letters = st.text(alphabet="aé;\"\n,'đ😀 \t-0", max_size=3)
whole_numbers = st.one_of(
    st.integers(-200, 200).map(str),
    st.sampled_from(["9223372036854775807", "9223372036854775808", "-9223372036854775808", "007", " 5 "]),
    st.sampled_from(["1" * 50, "5.0", "5.", "5.5", "0x1f", "1_0", "1e2", "", "many", "٣"]),
)
decimals = st.one_of(
    st.decimals(-2000, 2000, places=3).map(str),
    st.sampled_from(
        ["inf", "-Infinity", "nan", "1e400", "1e-400", "0.005", "-0.005", "1.4449e2", ".5", "e1"]
    ),
    st.sampled_from(["9" * 18, "9" * 18 + ".994", "9" * 18 + ".995", "1e18", "-.009994e+35", "12,5", "--1"]),
)
days = st.one_of(
    st.dates(date(2020, 1, 1), date(2020, 1, 9)).map(str),
    st.sampled_from(
        ["2024-02-30", "epoch", "infinity", "0000-01-01", "2024-1-2", "01/02/2024", "9999-12-31"]
    ),
)
flags = st.sampled_from(["true", "FALSE", "t", "0", "yes", " 1 ", ""])
persons = st.sampled_from(["p", "p", "p", "", "đ"])  # one of them often has more rows than count
regions = st.one_of(st.sampled_from(["n", "s", "é", "' OR 1=1 --"]), letters)


def cells(kind: st.SearchStrategy[str]) -> st.SearchStrategy[str | None]:
    return st.one_of(kind, kind, kind, st.none())


lines = st.tuples(*(cells(kind) for kind in (persons, regions, whole_numbers, decimals, days, flags))).map(
    list
)
tables = st.one_of(
    st.lists(lines, max_size=4),
    st.lists(lines, min_size=8, max_size=16),
    st.lists(lines, max_size=5).map(lambda some: some * 2),  # identical rows
)

constants = {
    "region": st.one_of(st.sampled_from(["n", "s", "' OR 1=1 --"]), letters),
    "age": st.one_of(st.integers(-200, 200), st.just(10**30), st.just(-(10**30))),
    "income": st.one_of(
        st.decimals(-2000, 2000, places=3),
        st.sampled_from([Decimal("1e40"), Decimal("-1e40"), Decimal("0.0050")]),
    ),
    "day": st.dates(date(2020, 1, 1), date(2020, 1, 9)),
    "flag": st.booleans(),
}


@st.composite
def comparisons(draw: st.DrawFn) -> Comparison:
    name = draw(st.sampled_from(sorted(constants)))
    comparator = draw(st.sampled_from(Comparator))
    count = {Comparator.IS_NULL: (0, 0), Comparator.ONE_OF: (1, 3)}.get(comparator, (1, 1))
    values = draw(st.lists(constants[name], min_size=count[0], max_size=count[1]))
    return Comparison(ColumnName(name), comparator, tuple(values))


predicates = st.one_of(
    st.just(EVERY_ROW),
    st.recursive(
        comparisons(),
        lambda inner: st.one_of(
            inner.map(Not),
            st.lists(inner, max_size=2).map(lambda parts: AllOf(tuple(parts))),
            st.lists(inner, max_size=2).map(lambda parts: AnyOf(tuple(parts))),
        ),
        max_leaves=4,
    ),
)
key_counts = st.integers(0, 3)


def the_plan(bench: Any, path: str, predicate: Predicate, rows_max: int, keys: int) -> StatisticPlan:
    columns = bench.listing(
        bench.columns,
        region=("n", "é", "not there", "' OR 1=1 --"),
        flag=(True, False),
        income=(Decimal("0.005"), Decimal("0.010"), Decimal("1e40")),
    )
    dataset = bench.a_dataset(path, columns, rows_max=rows_max)
    all_keys = tuple(bench.a_key(dataset, name) for name in ("region", "flag", "income"))
    return bench.a_statistic(
        dataset,
        bench.a_measure(MeasureKind.ROWS),
        bench.a_measure(MeasureKind.UNITS),
        bench.a_measure(MeasureKind.VALUES, "age"),
        bench.a_measure(MeasureKind.SUM, "age", centre=50),
        bench.a_measure(MeasureKind.SUM, "income"),
        bench.a_measure(MeasureKind.SUM, "income", centre=-7),
        predicate=predicate,
        keys=all_keys[:keys],
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tables, predicates, st.integers(1, 3), key_counts)
@example([["p", "n", None, None, None, None]], EVERY_ROW, 1, 0)
@example([["p", "n", "1", "1", "2020-01-01", "t"]] * 4, EVERY_ROW, 3, 3)
def test_integers_equal_the_reference_for_csv_and_parquet(
    bench: Any, table: list[list[str | None]], predicate: Predicate, rows_max: int, keys: int
) -> None:
    """Promise P4."""
    answers = []
    for path in ("law.csv", "law.parquet"):
        bench.put(path, HEADER, table)
        plan = the_plan(bench, path, predicate, rows_max, keys)
        answers.append(bench.ask(plan).values)

    assert answers == [reference(plan, table)] * 2


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tables, persons, predicates, st.integers(1, 3), key_counts, st.randoms(use_true_random=False))
def test_removing_one_person_takes_away_that_persons_bounded_rows_and_nothing_else(  # noqa: PLR0917
    bench: Any, table: Any, person: str, predicate: Predicate, rows_max: int, keys: int, random: Any
) -> None:
    """Promise P4: f(all) = f(all but one) + f(one alone), in any order of rows, and f(one alone) is small."""

    def integers(rows: list[list[str | None]]) -> list[tuple[int, ...]]:
        bench.put("neighbours.parquet", HEADER, rows)
        plan = the_plan(bench, "neighbours.parquet", predicate, rows_max, keys)
        return list(zip(*bench.ask(plan).values, strict=True))  # one tuple a measure

    shuffled = list(table)
    random.shuffle(shuffled)
    everyone = integers(shuffled)
    others = integers([row for row in table if row[0] != person])
    alone = integers([row for row in table if row[0] == person])

    assert everyone == [tuple(map(sum, zip(*pair, strict=True))) for pair in zip(others, alone, strict=True)]
    groups = len(alone[0])
    age, income = 50, 100050  # the farthest from the centre that a clamped value lies
    sensitivities = [1, math.sqrt(min(groups, rows_max)) / rows_max, 1, age, income, income + 7]
    for vector, sensitivity in zip(alone, sensitivities, strict=True):
        assert math.hypot(*vector) <= rows_max * sensitivity + 1e-9


def test_one_person_with_a_million_rows_counts_as_often_as_allowed(bench: Any) -> None:
    """Promise P4."""
    bench.put("heavy.csv", HEADER, [["p", "n", str(n), "5", None, None] for n in range(5000)])
    plan = the_plan(bench, "heavy.csv", EVERY_ROW, 3, 0)

    assert [row[:3] for row in bench.ask(plan).values] == [(3, 1, 3)]


def test_a_filter_cannot_bring_back_rows_that_the_bound_left_out(bench: Any) -> None:
    """Promise P4."""
    bench.put("filter.csv", HEADER, [["p", "n", str(n), None, None, None] for n in range(20)])
    dataset = bench.a_dataset("filter.csv", rows_max=1)
    counted = [
        bench.ask(
            bench.a_statistic(dataset, predicate=Comparison(ColumnName("age"), Comparator.EQUAL, (age,)))
        ).values[0][0]
        for age in range(20)
    ]

    assert sorted(counted) == [0] * 19 + [1]


def test_a_value_listed_twice_counts_once(bench: Any) -> None:
    """Promise P4."""
    bench.put("twice.csv", HEADER, [["p", "n", None, None, None, None]])
    dataset = bench.a_dataset("twice.csv", bench.listing(bench.columns, region=("n", "n")))
    plan = bench.a_statistic(dataset, keys=(bench.a_key(dataset, "region"),))

    assert bench.ask(plan).values == ((1,), (0,))


def test_stored_numbers_and_dates_count_like_their_texts(bench: Any) -> None:
    """Promise P4: Parquet's own types and the texts of a CSV are the same values."""
    floats = [0.005, 1.005, -2.675, float("nan"), float("inf"), -1e300, 1e15, 999.999, 1e-7, None]
    table = pa.table(
        {
            "person": pa.array(np.arange(10)),
            "region": pa.array(["n"] * 10),
            "age": pa.array([5.0, 5.5, float("nan"), float("-inf"), 1e30, -3.0, 200.0, 7.0, 0.0, None]),
            "income": pa.array(floats, type=pa.float64(), from_pandas=False),
            "day": pa.array(np.arange(10), type=pa.int32()).cast(pa.date32()).cast(pa.timestamp("us")),
            "flag": pa.array([1, 0, 1, 2, None, 1, 0, 1, 1, 0], type=pa.int8()),
        }
    )
    pq.write_table(table, bench.folder / "stored.parquet")
    texts = [
        [
            str(row["person"]),
            row["region"],
            None if row["age"] is None else repr(row["age"]),
            None if row["income"] is None else repr(row["income"]),
            str(row["day"].date()),
            None if row["flag"] is None else str(row["flag"]),
        ]
        for row in table.to_pylist()
    ]
    bench.put("stored.csv", HEADER, texts)
    after = Comparison(ColumnName("day"), Comparator.MORE, (date(1970, 1, 1),))
    stored = the_plan(bench, "stored.parquet", after, 1, 2)
    spelled = the_plan(bench, "stored.csv", after, 1, 2)

    assert bench.ask(stored).values == bench.ask(spelled).values == reference(spelled, texts)


@pytest.mark.parametrize(
    "measure", [("age", 2**62), ("region", 0), ("nowhere", 0), ("day", 0)], ids=lambda measure: measure[0]
)
def test_a_sum_that_has_no_exact_integer_is_no_answer(bench: Any, measure: tuple[str, int]) -> None:
    bench.put("refused.csv", HEADER, [["p", "n", "1", "1", None, None]])
    column, centre = measure
    plan = bench.a_statistic(
        bench.a_dataset("refused.csv"), bench.a_measure(MeasureKind.SUM, column, centre=centre)
    )

    with pytest.raises(EngineFailed, match="the engine could not answer"):
        bench.ask(plan)


def test_where_each_row_is_a_person_every_row_counts_and_persons_cannot_be_told_apart(bench: Any) -> None:
    """Promise P4: the unit without a column (terms.dataset.PrivacyUnit)."""
    bench.put("each.csv", HEADER, [["p", "n", "1", None, None, None]] * 3 + [[None] * 6])
    dataset = bench.a_dataset("each.csv", rows_max=1)
    each = replace(dataset, unit=replace(dataset.unit, column=None))

    assert bench.ask(bench.a_statistic(each)).values == ((4,),)
    with pytest.raises(EngineFailed):
        bench.ask(bench.a_statistic(each, bench.a_measure(MeasureKind.UNITS)))
