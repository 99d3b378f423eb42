"""An inspection tells names, types and shapes of a source, and not one of its values."""

import json
import os
from dataclasses import asdict
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gateway.engines.inspect import inspect
from gateway.engines.shapes import column_facts
from gateway.errors import EngineFailed
from gateway.terms.dataset import ColumnType, SourceFormat
from gateway.terms.source_facts import Shape

DATA = os.environ.get("GATEWAY_TEST_DATA")


def facts_of(*cells: str | None) -> tuple[ColumnType | None, float]:
    facts = column_facts("x", cells)
    return facts.type, round(facts.misfit_share, 4)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (("1", "2", "-3"), (ColumnType.INTEGER, 0)),
        (("1.0", "17000.0"), (ColumnType.INTEGER, 0)),
        (("1", "2.5"), (ColumnType.DECIMAL, 0)),
        (("01", "79"), (ColumnType.TEXT, 0)),
        (("001085012345", "079190000001"), (ColumnType.TEXT, 0)),
        (("99999999999999999999", "1"), (ColumnType.DECIMAL, 0)),
        (("2026-01-31", "1985-02-28"), (ColumnType.DATE, 0)),
        (("2026-02-30", "x"), (ColumnType.TEXT, 0)),
        (("31/01/2026", "28/02/1985"), (ColumnType.TEXT, 0)),
        (("true", "False", "t"), (ColumnType.BOOLEAN, 0)),
        (("0", "1"), (ColumnType.INTEGER, 0)),
        (("", "NA", None), (ColumnType.TEXT, 0)),
        ((*["7"] * 19, "seven"), (ColumnType.INTEGER, 0.05)),
        ((*["7"] * 5, "seven"), (ColumnType.TEXT, 0)),
        (("NULL", "\\N", "-", "5"), (ColumnType.INTEGER, 0)),
        (("0x1f", "1_000"), (ColumnType.TEXT, 0)),
        (
            ("\uff11\uff12", "\u0969"),
            (ColumnType.TEXT, 0),
        ),  # digits of other scripts are no numbers to the engine
        ((), (ColumnType.TEXT, 0)),
    ],
)
def test_the_type_proposed_reads_nearly_all_cells(
    cells: tuple[str | None, ...], expected: tuple[ColumnType, float]
) -> None:
    assert facts_of(*cells) == expected


@pytest.mark.parametrize(
    ("cell", "shape"),
    [
        ("001085012345", Shape.TWELVE_DIGITS),
        ("001 085 012 345", Shape.TWELVE_DIGITS),
        ("012345678", Shape.NINE_DIGITS),
        ("8012345678", Shape.TEN_DIGITS),
        ("0912345678", Shape.PHONE),
        ("+84 91-234.5678", Shape.PHONE),
        ("DN4010123456789", Shape.INSURANCE_CARD),
        ("B1234567", Shape.PASSPORT),
        ("29A-123.45", Shape.PLATE),
        ("an@example.vn", Shape.EMAIL),
        ("1985-03-14", Shape.ISO_DATE),
        ("14/3/1985", Shape.DAY_FIRST_DATE),
        ("Nguyễn Văn An", Shape.CAPITALISED_WORDS),
        ("HS-grad9", Shape.CODE),
        ("tái khám sau một tuần vì còn đau nhiều", Shape.LONG_TEXT),
        ("nam", None),
        ("42", None),
    ],
)
def test_shapes_are_told_apart(cell: str, shape: Shape | None) -> None:
    assert column_facts("x", [cell]).shapes == ({} if shape is None else {shape: 1.0})


def test_nothing_of_a_cell_comes_back(tmp_path: Path) -> None:
    cells = ["001085012345", "Nguyễn Văn An", "350123", "an@example.vn", "1985-03-14", "29A-123.45"]
    path = tmp_path / "people.csv"
    path.write_text("a,b,c,d,e,f\n" + ",".join(cells) + "\n", encoding="utf-8")

    told = json.dumps(asdict(inspect(path)), ensure_ascii=False, default=str)

    assert not any(cell in told for cell in cells)


def test_a_csv_tells_how_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes(b"\xef\xbb\xbfname;n\r\nx;1\r\nNA;\r\ny;NULL\r\nx;2\r\n")

    facts = inspect(path)

    assert (facts.format, facts.delimiter, facts.has_mark) == (SourceFormat.CSV, ";", True)
    assert facts.nulls == ("", "NA", "NULL")
    assert (facts.rows, facts.rows_examined) == (4, 4)
    assert [(c.name, c.type, c.null_share, c.is_repeated) for c in facts.columns] == [
        ("name", ColumnType.TEXT, 0.25, True),
        ("n", ColumnType.INTEGER, 0.5, False),
    ]


@pytest.mark.parametrize(
    "header", ["001085012345,Nguyễn Văn An", "an@example.vn,x", "1985-03-14,x,y", "17,32000", "0912345678,x"]
)
def test_a_file_without_a_header_is_refused_and_its_first_row_not_quoted(tmp_path: Path, header: str) -> None:
    path = tmp_path / "people.csv"
    path.write_text(f"{header}\n", encoding="utf-8")

    with pytest.raises(EngineFailed) as refused:
        inspect(path)

    assert refused.value.detail.startswith("line 1 of `people.csv` looks like data, not like names")
    assert not any(cell in refused.value.detail for cell in header.split(","))


def test_years_may_be_names(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    path.write_text("province,2024,2025\n01,3,4\n", encoding="ascii")

    assert [column.name for column in inspect(path).columns] == ["province", "2024", "2025"]


@pytest.mark.parametrize("content", [b"", b"\n\n\n\n\n", b"   "])
def test_an_empty_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes(content)

    with pytest.raises(EngineFailed, match="is empty or begins with blank lines"):
        inspect(path)


def test_a_fault_after_the_rows_examined_is_found(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("a,b\n" + "x,y\n" * 12_000 + "x\n", encoding="ascii")

    with pytest.raises(EngineFailed, match=r"line 12,002 of `people.csv` has 1 field, the header has 2"):
        inspect(path)


TABLE = pa.table(
    {
        "id": ["001085012345", None],
        "n": pa.array([1, 2], pa.int32()),
        "f": [1.5, 2.25],
        "d": [date(2026, 1, 1), None],
        "at": [datetime(2026, 1, 1), datetime(2026, 1, 2)],  # noqa: DTZ001  a file's timestamp has no zone
        "b": [True, False],
        "money": [Decimal("1.50"), Decimal("2.25")],
        "word": pa.array(["x", "x"]).dictionary_encode(),
        "list": [[1], [2]],
        "bytes": [b"x", b"y"],
    }
)


def test_a_parquet_file_tells_its_types(tmp_path: Path) -> None:
    pq.write_table(TABLE, tmp_path / "people.parquet")

    facts = inspect(tmp_path / "people.parquet")

    assert (facts.format, facts.rows) == (SourceFormat.PARQUET, 2)
    assert {column.name: column.type for column in facts.columns} == {
        "id": ColumnType.TEXT,
        "n": ColumnType.INTEGER,
        "f": ColumnType.DECIMAL,
        "d": ColumnType.DATE,
        "at": ColumnType.DATE,
        "b": ColumnType.BOOLEAN,
        "money": ColumnType.DECIMAL,
        "word": ColumnType.TEXT,
        "list": None,
        "bytes": None,
    }
    assert {c.name: c.decimals for c in facts.columns if c.decimals} == {"f": 2, "money": 2}


def test_a_folder_of_parquet_is_one_source(tmp_path: Path) -> None:
    for name in ("b", "a"):
        pq.write_table(TABLE, tmp_path / f"{name}.parquet")
    (tmp_path / "README").write_text("not data", encoding="ascii")

    assert inspect(tmp_path).rows == 4


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            TABLE.drop_columns(["n"]),
            "`b.parquet` has another schema than `a.parquet`: the column `n` is in one",
        ),
        (
            TABLE.select(TABLE.column_names[::-1]),
            "`b.parquet` has another schema than `a.parquet`: the columns stand",
        ),
        (
            TABLE.set_column(1, "n", pa.array(["1", "2"])),
            "`b.parquet` has another schema than `a.parquet`: the column `n` is of type string, not int32",
        ),
        (None, "`b.parquet` is not readable as Parquet"),
    ],
)
def test_files_of_mixed_schema_are_refused_by_name(
    tmp_path: Path, other: pa.Table | None, message: str
) -> None:
    pq.write_table(TABLE, tmp_path / "a.parquet")
    if other is None:
        (tmp_path / "b.parquet").write_bytes(b"PAR1")
    else:
        pq.write_table(other, tmp_path / "b.parquet")

    with pytest.raises(EngineFailed) as refused:
        inspect(tmp_path)

    assert refused.value.detail.startswith(message)


def test_a_folder_without_parquet_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineFailed, match="has 0 files"):
        inspect(tmp_path)


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "people"
    folder.mkdir()
    pq.write_table(TABLE, tmp_path / "elsewhere.parquet")
    (folder / "a.parquet").symlink_to(tmp_path / "elsewhere.parquet")

    with pytest.raises(EngineFailed, match="is not a plain file"):
        inspect(folder)


@pytest.mark.skipif(DATA is None, reason="GATEWAY_TEST_DATA is unset")
@pytest.mark.parametrize(
    ("file", "rows", "delimiter"),
    [
        ("adult/adult.csv", 30_162, ";"),
        ("pums/PUMS.csv", 1000, ","),
        ("pums/PUMS_pid.csv", 1000, ","),
        ("pums/PUMS_null.csv", 1948, ","),
        ("pums/PUMS_dup.csv", 1948, ","),
        ("vietnam/wards.csv", 3321, ","),
    ],
)
def test_real_files_are_read_whole_and_every_cell_fits(file: str, rows: int, delimiter: str) -> None:
    facts = inspect(Path(str(DATA)) / file)

    assert (facts.rows, facts.delimiter) == (rows, delimiter)
    assert all(column.misfit_share == 0 for column in facts.columns)
    if "PUMS" in file:
        types = {column.name: column.type for column in facts.columns}
        # One file has 1e+05 in it, which is no integer to the engine but an exact decimal.
        odd = {"income": ColumnType.DECIMAL} if file == "pums/PUMS.csv" else {}
        assert types == {**dict.fromkeys(types, ColumnType.INTEGER), **odd}
        assert all(column.decimals == 0 for column in facts.columns)
        repeated = {c.name: c.is_repeated for c in facts.columns}.get("pid")
        assert repeated is {"PUMS.csv": None, "PUMS_pid.csv": False}.get(Path(file).name, True)
