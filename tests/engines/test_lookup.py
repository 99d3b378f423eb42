"""What keys find: the rows of a model in plain Python, whatever is stored and whatever is tried."""

import unicodedata
from datetime import date
from decimal import Decimal
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.engines.preparation import COMPARED_CHARS_MAX
from gateway.engines.statement import tried_statement
from gateway.planning.lookup import _TEXT_READ_MAX
from gateway.terms.dataset import Dataset
from gateway.terms.identifiers import ColumnName
from gateway.terms.loss import Loss, PicoDelta, PicoRho
from gateway.terms.plan import LookupPlan
from gateway.terms.predicate import EVERY_ROW, Comparator, Comparison, Literal, Predicate
from gateway.terms.treatment import Keep

HEADER = ["person", "region", "age", "income", "day", "flag"]
SHOWN = ("age", "flag")
ORDER_KEY = bytes(range(32))
ADULTS = Comparison(ColumnName("age"), Comparator.AT_LEAST, (18,))
E_ACUTE, E_COMBINED = "é", "e\u0301"


def a_plan(
    dataset: Dataset,
    by: tuple[str, ...],
    *keys: tuple[Literal, ...],
    predicate: Predicate = EVERY_ROW,
    rows_max: int = 100,
    order_key: bytes = ORDER_KEY,
) -> LookupPlan:
    return LookupPlan(
        dataset=dataset,
        columns=tuple((ColumnName(name), Keep()) for name in SHOWN),
        predicate=predicate,
        by=tuple(map(ColumnName, by)),
        keys=keys,
        rows_max=rows_max,
        order_key=order_key,
        loss=Loss(PicoRho(0), PicoDelta(0), len(keys)),
        release_after_s=0.0,
        digest="",
        rules="",
    )


def found(bench: Any, plan: LookupPlan) -> list[tuple[Any, ...]]:
    frame = bench.ask(plan)
    assert list(frame.columns) == [name for name, _ in plan.columns]
    return list(zip(frame.found_by, *frame.columns.values(), strict=True))


PEOPLE = ["a", "b", E_ACUTE, E_COMBINED, " a", "", None]
DAYS = ["2000-01-01", "2000-01-02", None, "never"]
stored = st.lists(
    st.tuples(
        st.sampled_from(PEOPLE), st.sampled_from(["N", "S", None]), st.sampled_from(["17", "18", "40", "x"]),
        st.sampled_from(["1", "1.00", "2.5", None]), st.sampled_from(DAYS), st.sampled_from(["t", "false"]),
    ),
    min_size=1, max_size=12,
)  # fmt: skip
tried = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", E_ACUTE, "nobody"]),
        st.sampled_from([date(2000, 1, 1), date(2000, 1, 2)]),
        st.sampled_from([Decimal(1), Decimal("2.5"), Decimal("0.001")]),
    ),
    min_size=1, max_size=5, unique=True,
)  # fmt: skip


def model(rows: list[tuple[str | None, ...]], keys: list[tuple[Any, ...]], *, adults: bool) -> list[Any]:
    """What each key finds: rows that have all three values and, if asked, are of grown-ups."""
    out = []
    for number, (person, day, income) in enumerate(keys, 1):
        for row in rows:
            is_person = row[0] is not None and unicodedata.normalize("NFC", row[0]) == person
            is_day = row[4] in {"2000-01-01", "2000-01-02"} and date.fromisoformat(str(row[4])) == day
            is_income = row[3] is not None and Decimal(row[3]) == income
            age = int(row[2]) if row[2] and row[2].isdigit() else None
            if is_person and is_day and is_income and (not adults or (age is not None and age >= 18)):
                out.append((number, age, row[5] == "t"))
    return sorted(out, key=repr)


@pytest.mark.parametrize("path", ["people.csv", "people.parquet"])
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=stored, keys=tried, adults=st.booleans())
def test_keys_find_what_a_model_in_plain_python_finds(
    bench: Any, path: str, rows: Any, keys: Any, adults: bool
) -> None:
    bench.put(path, HEADER, [list(row) for row in rows])
    predicate = ADULTS if adults else EVERY_ROW

    plan = a_plan(bench.a_dataset(path), ("person", "day", "income"), *keys, predicate=predicate)

    assert sorted(found(bench, plan), key=repr) == model(rows, keys, adults=adults)


def test_a_text_is_found_however_its_letters_are_composed(bench: Any) -> None:
    rows = [[text, "N", str(age), "1", "2000-01-01", "true"] for age, text in
            enumerate([E_ACUTE, E_COMBINED, f" {E_ACUTE} ", "e", E_ACUTE.upper()])]  # fmt: skip
    bench.put("letters.csv", HEADER, rows)

    answer = found(bench, a_plan(bench.a_dataset("letters.csv"), ("person",), (E_ACUTE,)))

    assert sorted(age for _, age, _ in answer) == [0, 1]


def test_spelling_is_settled_when_a_source_is_prepared_and_no_statement_of_a_lookup_does_it_again(
    bench: Any,
) -> None:
    """Composing a million names takes a second, which the slot of a lookup does not have."""
    before = set((bench.folder / "snapshots").iterdir())
    texts = [E_ACUTE, E_COMBINED, E_COMBINED * (COMPARED_CHARS_MAX // 2), E_COMBINED * COMPARED_CHARS_MAX]
    bench.put("spelt.csv", HEADER, [[text, "N", "1", "1", "2000-01-01", "true"] for text in texts])
    plan = a_plan(bench.a_dataset("spelt.csv"), ("person", "region"), (E_ACUTE, "N"))

    assert len(found(bench, plan)) == 2
    (snapshot,) = (file for file in (bench.folder / "snapshots").iterdir() if file not in before)
    with duckdb.connect(str(snapshot), read_only=True) as database:
        kept = database.execute("SELECT n0, n1 FROM snapshot ORDER BY position").fetchall()

    assert kept == [(None, None), (E_ACUTE, None), (E_ACUTE * (COMPARED_CHARS_MAX // 2), None), (None, None)]
    assert "normal" not in tried_statement(plan, "snapshot").sql


def test_a_text_too_long_to_be_composed_equals_no_key() -> None:
    longest = max(len(unicodedata.normalize("NFD", chr(point))) for point in range(0x30000))

    assert longest * _TEXT_READ_MAX == COMPARED_CHARS_MAX


def test_p3_a_row_that_the_owners_filter_hides_or_leaves_unknown_is_not_found(bench: Any) -> None:
    """Promise P3: a filter that is not true hides, also where the age is not known."""
    ages = ["17", "18", None, "x", "40"]
    bench.put("ages.csv", HEADER, [["a", "N", age, "1", "2000-01-01", "true"] for age in ages])

    answer = found(bench, a_plan(bench.a_dataset("ages.csv"), ("person",), ("a",), predicate=ADULTS))

    assert sorted(age for _, age, _ in answer) == [18, 40]


def test_p8_of_more_rows_than_are_shown_the_same_ones_are_shown_each_time_and_others_to_another_firm(
    bench: Any,
) -> None:
    """Promise P8, and a bound: asking again, or among other keys, shows no further row."""
    bench.put("many.csv", HEADER, [["a", "N", str(age % 99), "1", "2000-01-01", "true"] for age in range(99)])
    dataset = bench.a_dataset("many.csv")

    alone = found(bench, a_plan(dataset, ("person",), ("a",), rows_max=7))
    among = found(bench, a_plan(dataset, ("person",), ("x",), ("a",), ("y",), rows_max=7))
    elsewhere = found(bench, a_plan(dataset, ("person",), ("a",), rows_max=7, order_key=bytes(32)))

    assert len(alone) == 7
    assert [row[1:] for row in among] == [row[1:] for row in alone]
    assert {number for number, *_ in among} == {2}
    assert [row[1:] for row in elsewhere] != [row[1:] for row in alone]
    assert alone != sorted(alone)


def test_rows_stand_in_the_order_of_the_requests_keys(bench: Any) -> None:
    bench.put("two.csv", HEADER, [[p, "N", "20", "1", "2000-01-01", "true"] for p in "abab"])
    dataset = bench.a_dataset("two.csv")

    answer = found(bench, a_plan(dataset, ("person",), ("b",), ("nobody",), ("a",)))

    assert [number for number, *_ in answer] == [1, 1, 3, 3]


def test_a_key_is_a_bound_constant_and_never_text_of_a_statement(bench: Any) -> None:
    hostile = "a' OR '1'='1' --"
    bench.put("sql.csv", HEADER, [[p, "N", "20", "1", "2000-01-01", "true"] for p in ("a", hostile)])
    dataset = bench.a_dataset("sql.csv")

    assert len(found(bench, a_plan(dataset, ("person",), (hostile,)))) == 1
    assert found(bench, a_plan(dataset, ("person",), ("' OR true --",))) == []
