"""Rows: typed, chosen by bound constants, in an order of the recipient's own, page by page."""

import hashlib
from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gateway.terms.dataset import ColumnType
from gateway.terms.identifiers import ColumnName
from gateway.terms.predicate import AllOf, AnyOf, Comparator, Comparison, Not

HEADER = ["person", "region", "age", "income", "day", "flag"]
FORMATS = pytest.mark.parametrize("path", ["rows.csv", "rows.parquet"])


def order_key(order: bytes, position: int) -> str:
    return hashlib.sha256(f"{order.hex()}{position}".encode()).hexdigest()


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

    assert answer.last_order_key is None
    assert answer.table.schema == pa.schema(
        [
            ("person", pa.string()),
            ("region", pa.string()),
            ("age", pa.int64()),
            ("income", pa.decimal128(38, 2)),
            ("day", pa.date32()),
            ("flag", pa.bool_()),
        ]
    )
    assert sorted(tuple(row.values()) for row in answer.table.to_pylist()) == [
        ("a", 'đ\n"é;', 7, Decimal("1.01"), date(2024, 2, 29), True),
        ("b", "", None, None, None, None),
        ("c", None, None, None, None, None),
    ]


@FORMATS
def test_pages_follow_the_recipients_order_and_miss_no_row(bench: Any, path: str) -> None:
    bench.put(path, HEADER, [[str(n), "n", str(n), None, None, None] for n in range(50)])
    order, pages, after = bytes(32), [], None
    while True:
        plan = bench.a_rows_plan(
            bench.a_dataset(path), names=("age",), rows_max=7, after=after, order_key=order
        )
        answer = bench.ask(plan)
        pages.append(answer.table.column("age").to_pylist())
        after = answer.last_order_key
        if after is None:
            break
        assert after == order_key(order, pages[-1][-1])

    assert [len(page) for page in pages] == [7] * 7 + [1]
    assert [n for page in pages for n in page] == sorted(range(50), key=lambda n: order_key(order, n))


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
    firsts = [
        bench.rows(bench.a_rows_plan(bench.a_dataset(path, columns), names=("person",), rows_max=3))
        for path in ("large.csv", "large.parquet")
    ]
    order = bytes(range(32))

    expected = sorted(range(count), key=lambda n: order_key(order, n))[:3]
    assert firsts == [[(str(n),) for n in expected]] * 2


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
