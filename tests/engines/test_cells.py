"""A value of an upstream is of its column's type, or null: nothing passes for not fitting."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.engines.cells import arrow_type, table_of
from gateway.engines.document import at, read, rows_at
from gateway.errors import EngineFailed
from gateway.terms.dataset import Column, ColumnType, Personal
from gateway.terms.identifiers import ColumnName


def a_column(kind: ColumnType, decimals: int = 0) -> Column:
    return Column(name=ColumnName("c"), type=kind, meaning="", personal=Personal.NONE, decimals=decimals)


def value_of(text: str, kind: ColumnType, decimals: int = 0) -> object:
    rows = rows_at(read(f'[{{"c":{text}}}]'.encode()), "", rows_max=1)
    (value,) = table_of(rows, (a_column(kind, decimals),)).column(0).to_pylist()
    return value


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ('"a"', ColumnType.TEXT, "a"),
        ('""', ColumnType.TEXT, ""),
        ("1", ColumnType.TEXT, None),
        ("1.5", ColumnType.TEXT, None),
        ("true", ColumnType.TEXT, None),
        ('{"secret":"x"}', ColumnType.TEXT, None),
        ('["x"]', ColumnType.TEXT, None),
        (r'"\ud800"', ColumnType.TEXT, None),
        (r'"\ud83d\ude00"', ColumnType.TEXT, "\U0001f600"),
        ("12", ColumnType.INTEGER, 12),
        ('" 12 "', ColumnType.INTEGER, 12),
        ("12.0", ColumnType.INTEGER, 12),
        ("12.5", ColumnType.INTEGER, None),
        ("1e3", ColumnType.INTEGER, None),
        ("true", ColumnType.INTEGER, None),
        ("9223372036854775807", ColumnType.INTEGER, 2**63 - 1),
        ("9223372036854775808", ColumnType.INTEGER, None),
        ('"' + "0" * 9000 + '7"', ColumnType.INTEGER, 7),
        ("[12]", ColumnType.INTEGER, None),
        ("1.005", ColumnType.DECIMAL, Decimal("1.01")),
        ("-1.005", ColumnType.DECIMAL, Decimal("-1.01")),
        ("1e999", ColumnType.DECIMAL, None),
        ("0e999", ColumnType.DECIMAL, Decimal("0.00")),
        ("1e-999", ColumnType.DECIMAL, Decimal("0.00")),
        ("1e99999999999", ColumnType.DECIMAL, None),
        ("1" * 4000, ColumnType.DECIMAL, None),
        ("true", ColumnType.DECIMAL, None),
        ('"2020-01-31"', ColumnType.DATE, date(2020, 1, 31)),
        ('"2020-01-31T00:00:00"', ColumnType.DATE, date(2020, 1, 31)),
        ('"2020-01-31T00:00:01"', ColumnType.DATE, None),
        ("20200131", ColumnType.DATE, None),
        ("true", ColumnType.BOOLEAN, True),
        ("0", ColumnType.BOOLEAN, False),
        ("2", ColumnType.BOOLEAN, None),
        ("1.0", ColumnType.BOOLEAN, None),
        ('"T"', ColumnType.BOOLEAN, True),
        ("null", ColumnType.BOOLEAN, None),
    ],
)
def test_a_json_value_is_what_its_columns_type_says(text: str, kind: ColumnType, value: object) -> None:
    assert value_of(text, kind, 2) == value


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False).map(repr) | st.text()
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)


@given(st.lists(st.dictionaries(st.sampled_from("cde"), ANYTHING), max_size=5), st.sampled_from(ColumnType))
def test_no_value_is_an_error_and_none_leaves_its_type(rows: list[dict[str, Any]], kind: ColumnType) -> None:
    column = a_column(kind, 2)
    table = table_of(rows, (column,))

    assert table.column_names == ["c"]
    assert table.schema.field("c").type == arrow_type(column)
    assert table.num_rows == len(rows)


@pytest.mark.parametrize(
    ("pointer", "found"), [("", {"a": {"b/c": 1, "~": 2}}), ("/a/b~1c", 1), ("/a/~0", 2), ("/x/y", None)]
)
def test_a_pointer_names_members(pointer: str, found: object) -> None:
    assert at({"a": {"b/c": 1, "~": 2}}, pointer) == found


def test_a_failure_does_not_quote_the_reply() -> None:
    with pytest.raises(EngineFailed) as failed:
        read(b'{"secret": "Nguyen Van A"')

    assert failed.value.__cause__ is None
    assert failed.value.__suppress_context__
    assert "Nguyen" not in str(failed.value)
