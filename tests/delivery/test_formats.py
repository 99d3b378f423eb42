"""What is written reads back the same, in each format, with readers that are not ours."""

import csv
import io
import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.delivery.formats import write_document, write_rows
from gateway.terms.format import Format

Columns = dict[str, list[Any]]

TABLE: Columns = {
    "name": ["Nguyễn Thị Hồng", None, 'a "b"\\\n\u2028\x00'],
    "id": [2**63 - 1, -1, None],
    "income": [Decimal("12345678901234567890.10"), Decimal("-0.50"), None],
    "born": [date(1985, 8, 31), date(1, 1, 1), None],
    "member": [True, False, None],
    "hidden": [None, None, None],
}


def part_of(columns: Columns, start: int, stop: int) -> Columns:
    return {name: values[start:stop] for name, values in columns.items()}


def rows_of(columns: Columns) -> list[dict[str, Any]]:
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


FORMULA_STARTS = "=+-@\t\r\n\x00\ufeff\uff1d\uff0b\uff0d\uff20"

texts = st.text(st.characters(codec="utf-8"), max_size=20)
wild_texts = texts | st.text(FORMULA_STARTS + "'\",; a", max_size=6)
tables = st.lists(
    st.tuples(
        st.none() | wild_texts,
        st.none() | st.integers(-(2**63), 2**63 - 1),
        st.none() | st.decimals(-(10**20), 10**20, places=3),
        st.none() | st.dates(),
        st.none() | st.booleans(),
    ),
    max_size=20,
).map(
    lambda rows: {
        name: [row[place] for row in rows]
        for place, name in enumerate(["text", "integer", "odd name, é", "day", "yes"])
    }
)


def as_json(columns: Columns) -> list[dict[str, object]]:
    """The rows as a JSON reader sees them."""
    return [
        {name: value.isoformat() if isinstance(value, date) else value for name, value in row.items()}
        for row in rows_of(columns)
    ]


def read_json(text: bytes) -> object:
    return json.loads(text, parse_float=Decimal)


def test_json_holds_the_envelope_and_then_the_rows() -> None:
    content_type, body = write_rows(part_of(TABLE, 0, 2), Format.JSON, {"dataset": "homes", "revision": 3})

    assert content_type == "application/json"
    assert body.decode() == (
        '{"dataset":"homes","revision":3,"rows":['
        '{"name":"Nguyễn Thị Hồng","id":9223372036854775807,"income":12345678901234567890.10,'
        '"born":"1985-08-31","member":true,"hidden":null},'
        '{"name":null,"id":-1,"income":-0.50,"born":"0001-01-01","member":false,"hidden":null}]}'
    )


def test_ndjson_holds_one_row_a_line() -> None:
    content_type, body = write_rows(TABLE, Format.NDJSON, {"dataset": "homes"})

    assert content_type == "application/x-ndjson"
    assert body.endswith(b"}\n")
    assert [read_json(line) for line in body.splitlines()] == as_json(TABLE)


def test_csv_holds_a_header_and_one_row_a_line() -> None:
    content_type, body = write_rows(part_of(TABLE, 0, 2), Format.CSV, {"dataset": "homes"})

    assert content_type == "text/csv; charset=utf-8"
    assert body.decode() == (
        "name,id,income,born,member,hidden\r\n"
        "Nguyễn Thị Hồng,9223372036854775807,12345678901234567890.10,1985-08-31,true,\r\n"
        ",-1,-0.50,0001-01-01,false,\r\n"
    )


@given(tables)
def test_json_and_ndjson_read_back_to_the_same_values(table: Columns) -> None:
    envelope = {"next": None, "cost": Decimal("0.10")}

    _, whole = write_rows(table, Format.JSON, envelope)
    _, lines = write_rows(table, Format.NDJSON, envelope)

    assert read_json(whole) == {**envelope, "rows": as_json(table)}
    assert [read_json(line) for line in lines.split(b"\n")[:-1]] == as_json(table)


@given(tables)
def test_csv_reads_back_to_the_same_values(table: Columns) -> None:
    _, body = write_rows(table, Format.CSV, {})

    header, *lines = csv.reader(io.StringIO(body.decode(), newline=""), strict=True)
    assert header == list(table)
    assert [[unguarded(line[0]), *line[1:]] for line in lines] == [
        [plain(value) for value in row.values()] for row in rows_of(table)
    ]


def unguarded(cell: str) -> str:
    return cell.removeprefix("'")


def plain(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case date():
            return value.isoformat()
        case Decimal():
            return f"{value:f}"
        case _:
            return str(value)


@given(wild_texts)
def test_no_text_cell_begins_like_a_formula(text: str) -> None:
    _, body = write_rows({text: [text], "b": [text]}, Format.CSV, {})

    cells = [cell for line in csv.reader(io.StringIO(body.decode(), newline="")) for cell in line]
    assert not any(cell and cell[0] in FORMULA_STARTS for cell in cells)


@pytest.mark.parametrize("start", FORMULA_STARTS)
def test_a_formula_is_defused_with_an_apostrophe(start: str) -> None:
    _, body = write_rows({"a": [f"{start}1"], "n": [-1]}, Format.CSV, {})

    (_, line) = csv.reader(io.StringIO(body.decode(), newline=""))
    assert line == [f"'{start}1", "-1"]


def test_text_that_a_spreadsheet_of_another_locale_would_split_is_quoted() -> None:
    _, body = write_rows({"a": ["x;=1", "y\t=1"], "b": [1, 2]}, Format.CSV, {})

    assert body.decode() == 'a,b\r\n"x;=1",1\r\n"y\t=1",2\r\n'


def test_empty_text_and_null_differ_in_csv_and_a_lone_null_is_a_line() -> None:
    _, two = write_rows({"a": ["", None], "b": ["x", "x"]}, Format.CSV, {})
    _, one = write_rows({"a": [None, "x"]}, Format.CSV, {})

    assert two == b'a,b\r\n"",x\r\n,x\r\n'
    assert one == b'a\r\n""\r\nx\r\n'


@pytest.mark.parametrize(
    ("form", "body"), [(Format.JSON, b'{"rows":[]}'), (Format.NDJSON, b""), (Format.CSV, b"a\r\n")]
)
def test_no_rows_are_written_as_none(form: Format, body: bytes) -> None:
    assert write_rows({"a": []}, form, {}) == (form.content_type, body)


@pytest.mark.parametrize("form", Format)
def test_many_rows_are_written_like_few(form: Format) -> None:
    table: Columns = {"n": list(range(40_000)), "text": [f"số {n}" for n in range(40_000)]}

    _, body = write_rows(table, form, {})

    starts = range(0, 40_000, 8_000)
    parts = [write_rows(part_of(table, start, start + 8_000), form, {})[1] for start in starts]
    head, tail, between = {
        Format.JSON: (b'{"rows":[', b"]}", b","),
        Format.NDJSON: (b"", b"", b""),
        Format.CSV: (b"n,text\r\n", b"", b""),
    }[form]
    assert body == head + between.join(p.removeprefix(head).removesuffix(tail) for p in parts) + tail


@pytest.mark.parametrize("form", Format)
@pytest.mark.parametrize(
    "column", [[1.5], [[1]], [b"x"], [None, 1.5]], ids=["float", "list", "binary", "float and null"]
)
def test_a_type_that_masking_never_returns_is_not_written(form: Format, column: list[object]) -> None:
    with pytest.raises(AssertionError, match="no format writes"):
        write_rows({"a": column}, form, {})


@pytest.mark.parametrize("form", Format)
@pytest.mark.parametrize("number", ["NaN", "-Infinity", "sNaN"])
def test_a_decimal_that_is_no_number_is_not_written(form: Format, number: str) -> None:
    with pytest.raises(TypeError):
        write_rows({"a": [Decimal(1), None, Decimal(number)]}, form, {})


@pytest.mark.parametrize("form", Format)
def test_a_decimal_keeps_its_digits_and_has_no_exponent(form: Format) -> None:
    spelled = ["0.00000000", "0.00000010", "-0.00000001", "5.00000000", "1" * 18 + ".00000000"]
    _, body = write_rows({"a": [*map(Decimal, spelled), None], "b": [Decimal("1E+3")] * 6}, form, {})

    assert all(number in body.decode() for number in spelled)
    assert body.count(b"1000") == 6
    assert b"E" not in body


def test_an_envelope_cannot_smuggle_rows() -> None:
    with pytest.raises(AssertionError, match="no rows of its own"):
        write_rows(TABLE, Format.JSON, {"rows": []})


STATISTIC = {
    "dataset": "homes",
    "columns": ["province", "year", "n", "income"],
    "rows": [
        {
            "province": "=Hà Nội",
            "year": 2024,
            "n": {"value": -3, "margin": 14},
            "income": {"value": Decimal("12.50"), "margin": Decimal("0.10")},
        },
        {
            "province": None,
            "year": 2025,
            "n": {"value": 7, "margin": 14},
            "income": {"value": None, "margin": Decimal("0.10")},
        },
    ],
    "confidence": 0.95,
}


def test_a_statistic_is_whole_in_json() -> None:
    content_type, body = write_document(STATISTIC, Format.JSON)

    assert content_type == "application/json"
    assert json.loads(body) == json.loads(json.dumps(STATISTIC, default=float))
    assert b'{"value":12.50,"margin":0.10}' in body


def test_a_statistic_in_ndjson_is_its_rows() -> None:
    content_type, body = write_document(STATISTIC, Format.NDJSON)

    assert content_type == "application/x-ndjson"
    assert [read_json(line) for line in body.splitlines()] == STATISTIC["rows"]


def test_a_statistic_in_csv_has_a_column_for_each_margin() -> None:
    content_type, body = write_document(STATISTIC, Format.CSV)

    assert content_type == "text/csv; charset=utf-8"
    assert body.decode() == (
        "province,year,n,n.margin,income,income.margin\r\n"
        "'=Hà Nội,2024,-3,14,12.50,0.10\r\n"
        ",2025,7,14,,0.10\r\n"
    )


def test_keys_of_every_type_are_written_in_csv() -> None:
    row = {"day": date(2024, 1, 31), "yes": True, "amount": Decimal("1.50"), "n": {"value": 1.5, "margin": 2}}
    document = {"columns": list(row), "rows": [row]}

    _, body = write_document(document, Format.CSV)

    assert body == b"day,yes,amount,n,n.margin\r\n2024-01-31,true,1.50,1.5,2\r\n"


@pytest.mark.parametrize("value", [Decimal("NaN"), Decimal("Infinity"), {1, 2}, b"raw"])
def test_what_json_cannot_say_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        write_document({"columns": [], "rows": [], "value": value}, Format.JSON)
