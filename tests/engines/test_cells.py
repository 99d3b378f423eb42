"""A value of an upstream is of its column's type, or null: nothing passes for not fitting."""

import re
import time
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.engines.cells import (
    arrow_type,
    table_of,
    typed_cell,
    typed_column,
    typed_columns,
    values_of,
)
from gateway.engines.document import CONTAINERS_MAX, Number, at, read, rows_at, strictly_read
from gateway.engines.typed import INTEGER_TEXT, integer_of
from gateway.errors import EngineFailed
from gateway.terms.dataset import INTEGER_MAX, INTEGER_MIN, Column, ColumnType, Personal
from gateway.terms.identifiers import ColumnName


def a_column(kind: ColumnType, decimals: int = 0) -> Column:
    return Column(name=ColumnName("c"), type=kind, meaning="", personal=Personal.NONE, decimals=decimals)


def value_of(text: str, kind: ColumnType, decimals: int = 0) -> object:
    rows = rows_at(read(f'[{{"c":{text}}}]'.encode()), "", rows_max=1)
    (values,) = typed_columns(rows, (a_column(kind, decimals),)).values()
    return values[0]


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


@settings(deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from("cde"), ANYTHING), max_size=5), st.sampled_from(ColumnType))
def test_no_value_is_an_error_and_none_leaves_its_type(rows: list[dict[str, Any]], kind: ColumnType) -> None:
    column = a_column(kind, 2)
    table = table_of(typed_columns(rows, (column,)), (column,))

    assert table.column_names == ["c"]
    assert table.schema.field("c").type == arrow_type(column)
    assert table.num_rows == len(rows)
    assert values_of(table.column(0)) == typed_columns(rows, (column,))[column.name]


CELLS: dict[str, st.SearchStrategy[Any]] = {
    "texts": st.text(max_size=5) | st.sampled_from(["\ud800", "\udc00", "12", "true", "2020-02-29"]),
    "days": st.dates().map(str) | st.sampled_from(["2020-02-30", "0000-01-01", "2020-1-011", "20200101--"]),
    "odd days": st.text(alphabet="0123456789-T: ", min_size=10, max_size=10)
    | st.dates().map("{}T00:00:00".format),
    "integers": st.integers() | st.sampled_from([2**63, -(2**63) - 1, 2**63 - 1, 0, 1]),
    "truths": st.booleans(),
    "numbers": st.decimals(allow_nan=False, allow_infinity=False).map(lambda number: Number(str(number))),
    "nested": st.just({"a": 1}) | st.just([1]),
    "nothing": st.none(),
}
KINDS_OF_CELLS = st.lists(st.sampled_from(sorted(CELLS)), min_size=1, max_size=3, unique=True)


@settings(max_examples=500, deadline=None)
@given(KINDS_OF_CELLS, st.sampled_from(ColumnType), st.data())
def test_a_column_is_typed_as_its_cells_are(kinds: list[str], kind: ColumnType, data: st.DataObject) -> None:
    cells = data.draw(st.lists(st.one_of([CELLS[name] for name in kinds]), max_size=8))
    column = a_column(kind, 2)

    typed = typed_column(cells, column)

    expected = [typed_cell(cell, column) for cell in cells]
    assert [(type(value), value) for value in typed] == [(type(value), value) for value in expected]


INTEGER_LIKE = st.text("+-.0 1\uff19x", max_size=30) | st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "+", "-", "+-"]),
    st.text("0", max_size=30),
    st.integers(0, 2 * 10**19) | st.integers(INTEGER_MAX - 1, INTEGER_MAX + 2),
    st.sampled_from(["", ".", ".0", ".000", ".5", ".0.0", "e3", "\n"]),
)


@settings(max_examples=1000)
@given(INTEGER_LIKE)
def test_an_integer_is_what_the_grammar_says(text: str) -> None:
    number = int(Decimal(text)) if re.fullmatch(INTEGER_TEXT, text) else None
    expected = number if number is not None and INTEGER_MIN <= number <= INTEGER_MAX else None

    assert integer_of(text) == expected


@pytest.mark.parametrize("kind", ColumnType)
@pytest.mark.parametrize(
    "cell", ["0" * 1_000_000 + "x", "-" + "9" * 1_000_000, "1." + "0" * 1_000_000 + "x", " " * 1_000_000]
)
def test_a_cell_of_a_megabyte_is_typed_at_once(cell: str, kind: ColumnType) -> None:
    """A regular expression that goes back holds the interpreter meanwhile."""
    began = time.process_time()
    typed_column([cell], a_column(kind))

    assert time.process_time() - began < 0.1


@pytest.mark.parametrize("text", ["-0.001", "-0", "-0.00", "-0e5"])
def test_nothing_is_less_than_nothing(text: str) -> None:
    assert str(value_of(text, ColumnType.DECIMAL, 2)) == "0.00"


JSON_WORDS = st.sampled_from(
    [*"{}[],: \n1é\x01\ufeff", '"a"', '"a":', '"a" :', '"b":', '"\\":"', '":"', '"a:b"', '"\\u0061":']
) | st.sampled_from(["1.50", "-0", "1e5", "9" * 30, "9" * 5000, "null", "true", "NaN", '"\\ud800"'])
DOCUMENTS = st.recursive(
    st.sampled_from(
        ["1", "-1.50", "1e5", "null", "true", '"x"', '"a:b"', '":"', '"\\":"', '"b\\" : c"', '"\\ud83d"']
    ),
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda parts: "[" + ",".join(parts) + "]")
        | st.lists(
            st.tuples(
                st.sampled_from(['"a"', '"b"', '"\\u0061"', '"c:"', '"\\"c"', '""']),
                st.sampled_from([":", ": ", " :", "\n:"]),
                inner,
            ),
            max_size=4,
        ).map(lambda members: "{" + ",".join("".join(member) for member in members) + "}")
    ),
    max_leaves=12,
)


def outcome(reader: Callable[[bytes], object], body: bytes) -> str:
    try:
        return repr(reader(body))
    except EngineFailed:
        return "refused"


@settings(max_examples=1500, deadline=None)
@given((DOCUMENTS | st.lists(JSON_WORDS, max_size=12).map("".join)).map(str.encode) | st.binary(max_size=12))
def test_reading_quickly_is_reading_strictly(body: bytes) -> None:
    assert outcome(read, body) == outcome(strictly_read, body)


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":2}',
        '{"a" :1,"a":2}',
        '{"a":1,"\\u0061":2}',
        '[{"a":1},{"a":1,"a" :1}]',
        '{"rows":[{"a":":"}],"rows":[]}',
        '[{"a":{"b":1,"b":2}}]',
        '[[{"b":1,"b":2}]]',
    ],
)
def test_a_name_that_comes_twice_is_found_wherever_it_stands(text: str) -> None:
    assert outcome(read, text.encode()) == "refused"


NESTED = [b'{"a":' * 600 + b"1" + b"}" * 600, b'[{"a":' * 300 + b"1" + b"}]" * 300, b"[" * 600 + b"]" * 600]


@pytest.mark.parametrize("body", [*NESTED, b'{"rows":[],"x":' + NESTED[0] + b"}", b'{"a":' * 100_000])
def test_however_deep_a_reply_is_it_is_read_or_refused(body: bytes) -> None:
    assert outcome(read, body) == outcome(strictly_read, body)


@pytest.mark.parametrize("part", [b"{}", b"[]", b'{"a":[]}', b'"{["'])
def test_a_reply_of_too_many_parts_is_refused_before_they_are_made(
    part: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight megabytes of empty objects are half a gigabyte of memory."""
    inside = part.count(b"{") + part.count(b"[")
    most = (CONTAINERS_MAX - 1) // inside
    assert len(rows_at([{}] * 10_000, "", rows_max=10_000)) * 20 <= CONTAINERS_MAX
    assert read(b"[" + b",".join([part] * most) + b"]")
    monkeypatch.setattr("gateway.engines.document._DECODER", None)
    with pytest.raises(EngineFailed, match="too many parts"):
        read(b"[" + b",".join([part] * (most + 1)) + b"]")


@pytest.mark.parametrize("text", ['[{"a":1.50,"b":null}]', '{"rows":[{"a":"12:30"}],"next":null}', "[]"])
def test_a_usual_reply_is_read_by_the_quick_way_alone(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.engines.document.json", None)
    assert read(text.encode()) is not None


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
