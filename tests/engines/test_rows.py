"""Rows: typed, chosen by bound constants, in an order of the recipient's own, page by page."""

import re
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gateway.errors import DataChanged, EngineFailed
from gateway.order import Order, key_of
from gateway.terms.dataset import ColumnType, Dataset
from gateway.terms.identifiers import ColumnName
from gateway.terms.plan import RowsPlan
from gateway.terms.predicate import AllOf, AnyOf, Comparator, Comparison, Not

HEADER = ["person", "region", "age", "income", "day", "flag"]
FORMATS = pytest.mark.parametrize("path", ["rows.csv", "rows.parquet"])


def in_order(bench: Any, plan: RowsPlan, rows: int) -> list[int]:
    """The places of a table's rows in the order of a plan and of the state that was just read."""
    state = bench.engine._snapshots._open[plan.dataset.id].state
    key = key_of(plan.order_key, of="table", digest=plan.digest, state=state.encode())
    order = Order.of(rows, key)
    return list(order.rows_at(0, order.ranks, rows=rows)["place"].to_pylist())


def paged(bench: Any, dataset: Dataset, **more: Any) -> list[list[Any]]:
    """The first column of every page."""
    pages, after = [], None
    while True:
        answer = bench.ask(bench.a_rows_plan(dataset, after=after, **more))
        pages.append(next(iter(answer.columns.values())))
        after = answer.ended_at
        if after is None:
            return pages
        assert re.fullmatch("[0-9a-f]{48}", after)


@FORMATS
def test_cells_are_values_of_their_declared_type_or_null(bench: Any, path: str) -> None:
    bench.put(
        path,
        HEADER,
        [
            ["a", 'đ\n"é;', "7", "1.005", "2024-02-29", "TRUE"],
            ["b", "", "7.5", "1e400", "2024-02-30", "yes"],
            ["c", None, "9" * 30, "nan", "today", "2"],
        ],
    )
    answer = bench.ask(bench.a_rows_plan(bench.a_dataset(path)))

    assert answer.ended_at is None
    assert list(answer.columns) == ["person", "region", "age", "income", "day", "flag"]
    kinds = [set(map(type, values)) - {type(None)} for values in answer.columns.values()]
    assert kinds == [{str}, {str}, {int}, {Decimal}, {date}, {bool}]
    assert sorted(zip(*answer.columns.values(), strict=True)) == [
        ("a", 'đ\n"é;', 7, Decimal("1.01"), date(2024, 2, 29), True),
        ("b", "", None, None, None, None),
        ("c", None, None, None, None, None),
    ]


@FORMATS
def test_pages_follow_the_recipients_order_and_miss_no_row(bench: Any, path: str) -> None:
    bench.put(path, HEADER, [[str(n), "n", str(n), None, None, None] for n in range(50)])
    dataset = bench.a_dataset(path)
    pages = paged(bench, dataset, names=("age",), rows_max=7, order_key=bytes(32))

    assert [len(page) for page in pages] == [7] * 7 + [1]
    plan = bench.a_rows_plan(dataset, order_key=bytes(32))
    assert [n for page in pages for n in page] == in_order(bench, plan, 50)


@pytest.mark.parametrize("share", [1, 2, 30, 1_000, 40_000])
@pytest.mark.parametrize("rows_max", [1, 40, 100_000])
def test_pages_of_a_condition_are_the_order_without_the_other_rows(
    bench: Any, share: int, rows_max: int
) -> None:
    """However few rows a condition chooses: looked for among the next ranks, or ranked all."""
    count = 40_000
    numbers = pa.array(range(count))
    pq.write_table(
        pa.table({"age": numbers, "person": numbers.cast(pa.string())}), bench.folder / "n.parquet"
    )
    dataset = bench.a_dataset("n.parquet", (bench.columns[2], bench.columns[0]))
    chosen = Comparison(ColumnName("age"), Comparator.LESS, (count // share,))
    plan = bench.a_rows_plan(dataset, predicate=chosen, rows_max=rows_max, names=("age",))
    bench.ask(plan)
    expected = [n for n in in_order(bench, plan, count) if n < count // share]
    got, after = [], None
    for _ in range(4):
        answer = bench.ask(replace(plan, after=after))
        got += answer.columns["age"]
        after = answer.ended_at
        if after is None:
            break

    assert got == expected[: 4 * rows_max]
    assert (after is None) == (len(expected) <= 4 * rows_max)


def put_numbers(bench: Any, numbers: range) -> None:
    bench.put("states.csv", HEADER, [[str(n), "n", str(n), None, None, None] for n in numbers])


@pytest.mark.parametrize("rows_max", [5, 15])
@pytest.mark.parametrize("later", [range(17), range(1, 17), range(15), range(10), range(16, 0, -1)], ids=str)
def test_a_page_of_another_state_of_the_source_does_not_go_on(
    bench: Any, later: range, rows_max: int
) -> None:
    """Else rows would come twice, or never, and nobody would know."""
    put_numbers(bench, range(16))
    plan = bench.a_rows_plan(bench.a_dataset("states.csv"), names=("age",), rows_max=rows_max)
    first = bench.ask(plan)
    put_numbers(bench, later)
    with pytest.raises(DataChanged):
        bench.ask(replace(plan, after=first.ended_at))

    assert sorted(n for page in paged(bench, plan.dataset, names=("age",)) for n in page) == sorted(later)


def test_a_source_that_shifts_by_one_row_does_not_show_its_order(bench: Any) -> None:
    """Promise P8: in one order of the places, each row would stand where the one before it stood."""
    plan = bench.a_rows_plan(bench.a_dataset("states.csv"), names=("age",))
    put_numbers(bench, range(256))
    before = [n for (n,) in bench.rows(plan) if n != 255]
    put_numbers(bench, range(1, 256))
    after = [n for (n,) in bench.rows(plan)]

    assert sorted(after) == list(range(1, 256))
    assert sum(mine + 1 == theirs for mine, theirs in zip(before, after, strict=True)) <= 10  # of 1


def test_two_questions_of_one_recipient_have_two_orders(bench: Any) -> None:
    """Else a firm with two purposes lays the columns of one permit beside those of the other."""
    put_numbers(bench, range(50))
    plan = bench.a_rows_plan(bench.a_dataset("states.csv"), names=("age",), digest="00")
    one, again, other = (bench.rows(replace(plan, digest=digest)) for digest in ("00", "00", "01"))

    assert one == again
    assert sorted(one) == sorted(other)
    assert one != other


@pytest.mark.parametrize("after", ["", "0f" * 32, "06", "0" * 47, "0" * 49, "g" * 48])
def test_a_page_goes_on_from_nowhere_else(bench: Any, after: str) -> None:
    bench.put("order.csv", HEADER, [["a", "n", "1", None, None, None]])
    with pytest.raises(EngineFailed):
        bench.ask(bench.a_rows_plan(bench.a_dataset("order.csv"), after=after))


def test_a_table_without_rows_is_one_empty_page(bench: Any) -> None:
    bench.put("empty.csv", HEADER, [])

    assert paged(bench, bench.a_dataset("empty.csv")) == [[]]


def test_two_recipients_get_two_orders(bench: Any) -> None:
    bench.put("order.csv", HEADER, [[str(n), "n", str(n), None, None, None] for n in range(50)])
    dataset = bench.a_dataset("order.csv")
    one, other = (bench.rows(bench.a_rows_plan(dataset, order_key=bytes([n]) * 32)) for n in (1, 2))

    assert sorted(one) == sorted(other)
    assert one != other


def test_a_row_number_is_the_place_in_the_file_whatever_the_threads(bench: Any) -> None:
    count = 200_000
    table = pa.table(
        {"person": pa.array(range(count)).cast(pa.string()), "note": ['tab\t"line\n;' * 5] * count}
    )
    pq.write_table(table, bench.folder / "large.parquet", row_group_size=10_000)
    bench.put("large.csv", ["person", "note"], [list(row.values()) for row in table.to_pylist()])
    columns = tuple(bench.a_column(name, ColumnType.TEXT) for name in ("person", "note"))
    for path in ("large.csv", "large.parquet"):
        plan = bench.a_rows_plan(bench.a_dataset(path, columns), names=("person",), rows_max=3)
        firsts = bench.rows(plan)

        assert firsts == [(str(n),) for n in in_order(bench, plan, count)[:3]]


@FORMATS
@pytest.mark.parametrize(
    ("predicate", "chosen"),
    [
        (Comparison(ColumnName("age"), Comparator.NOT_EQUAL, (1,)), {"b"}),
        (Not(Comparison(ColumnName("age"), Comparator.EQUAL, (1,))), {"b"}),
        (Comparison(ColumnName("age"), Comparator.IS_NULL, ()), {"c"}),
        (Not(Comparison(ColumnName("age"), Comparator.IS_NULL, ())), {"a", "b"}),
        (Not(Comparison(ColumnName("age"), Comparator.LESS, (10**40,))), set()),
        (Comparison(ColumnName("age"), Comparator.LESS, (10**40,)), {"a", "b"}),
        (Not(Comparison(ColumnName("age"), Comparator.ONE_OF, (1, 10**40))), {"b"}),
        (Not(Comparison(ColumnName("income"), Comparator.EQUAL, (Decimal("0.001"),))), {"a", "b"}),
        (Comparison(ColumnName("income"), Comparator.MORE, (Decimal("1.499"),)), {"a"}),
        (Comparison(ColumnName("income"), Comparator.AT_MOST, (Decimal("1.499"),)), {"b"}),
        (Comparison(ColumnName("region"), Comparator.AT_LEAST, ("é",)), {"b"}),
        (AllOf(()), {"a", "b", "c"}),
        (AnyOf(()), set()),
        (Not(AnyOf(())), {"a", "b", "c"}),
    ],
    ids=str,
)
def test_a_condition_is_three_valued(bench: Any, path: str, predicate: Any, chosen: set[str]) -> None:
    bench.put(
        path,
        HEADER,
        [
            ["a", "e", "1", "1.50", None, None],
            ["b", "đ", "2", "-1.50", None, None],
            ["c", None, "x", None, None, None],
        ],
    )
    plan = bench.a_rows_plan(bench.a_dataset(path), names=("person",), predicate=predicate)

    assert {person for (person,) in bench.rows(plan)} == chosen


HOSTILE = ["' OR 1=1 --", '"; DROP TABLE x; --', "$p0", "{'f0': 'VARCHAR'}", "a''b", "%s", "\\", "ÿ\t\n"]


@pytest.mark.parametrize("text", HOSTILE)
@FORMATS
def test_hostile_constants_and_column_names_are_data(bench: Any, path: str, text: str) -> None:
    columns = (
        bench.a_column("person", ColumnType.TEXT),
        bench.a_column(text, ColumnType.TEXT, values=("x", text)),
    )
    bench.put(path, ["person", text], [["a", text], ["b", "other"]])
    dataset = bench.a_dataset(path, columns)
    equal = Comparison(ColumnName(text), Comparator.EQUAL, (text,))
    statistic = bench.a_statistic(dataset, keys=(bench.a_key(dataset, text),), predicate=equal)

    assert bench.rows(bench.a_rows_plan(dataset, predicate=equal)) == [("a", text)]
    assert bench.ask(statistic).values == ((0,), (1,))


def test_lines_that_are_no_csv_are_left_out(bench: Any) -> None:
    lines = b"\xef\xbb\xbfperson;region\r\na;n\r\nb\r\nc;n;n\r\n\xff;n\r\n\r\nd;s\r\n"
    (bench.folder / "broken.csv").write_bytes(lines)
    dataset = bench.a_dataset("broken.csv", bench.columns[:2])

    assert sorted(bench.rows(bench.a_rows_plan(dataset))) == [("a", "n"), ("d", "s")]


def test_declared_delimiter_and_spellings_of_null_are_used(bench: Any) -> None:
    (bench.folder / "own.csv").write_text('person\tregion\na\tNA\nb\t""\nc\t"NA"\nd\tNaN\n')
    dataset = bench.a_dataset("own.csv", bench.columns[:2], source={"delimiter": "\t", "nulls": ("NA", "")})
    no_nulls = bench.a_dataset("own.csv", bench.columns[:2], source={"delimiter": "\t", "nulls": ()})

    assert sorted(bench.rows(bench.a_rows_plan(dataset))) == [
        ("a", None),
        ("b", None),
        ("c", None),
        ("d", "NaN"),
    ]
    assert sorted(bench.rows(bench.a_rows_plan(no_nulls))) == [
        ("a", "NA"),
        ("b", ""),
        ("c", "NA"),
        ("d", "NaN"),
    ]


def test_lists_and_blobs_are_never_passed_through(bench: Any) -> None:
    table = pa.table({"person": pa.array([[1], [2]]), "region": pa.array([b"a", b"\xff"])})
    pq.write_table(table, bench.folder / "nested.parquet")
    dataset = bench.a_dataset("nested.parquet", bench.columns[:2])

    assert bench.rows(bench.a_rows_plan(dataset)) == [(None, None)] * 2
