"""A CSV is read strictly, or refused with its line and its reason, never with a cell.

The law that ties it to the engine: of every file that the reader accepts, DuckDB reads every row,
cell by cell the same.
"""

from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.engines.csv_file import check_text, guess_delimiter, records
from gateway.engines.source import csv_header
from gateway.errors import EngineFailed

SECRET = "Nguyễn Văn Bí Mật"


def read(path: Path) -> tuple[str, list[tuple[int, list[str]]]]:
    check_text(path)
    delimiter = guess_delimiter(path)
    csv_header(path, delimiter)
    return delimiter, list(records(path, delimiter))


def written(folder: Path, data: bytes) -> Path:
    path = folder / "people.csv"
    path.write_bytes(data)
    return path


def of_engine(path: Path, delimiter: str, width: int) -> list[tuple[str | None, ...]]:
    """The rows as the engine's own options read them (gateway/engines/preparation.py)."""
    columns = ", ".join(f"'f{at}': 'VARCHAR'" for at in range(width))
    with duckdb.connect() as connection:
        return connection.execute(
            f"SELECT * FROM read_csv($path, columns = {{{columns}}}, "  # noqa: S608
            "auto_detect = false, header = true, delim = $delimiter, quote = '\"', escape = '\"', "
            "nullstr = ['no null'], allow_quoted_nulls = true, compression = 'none', "
            "hive_partitioning = false, ignore_errors = true, strict_mode = true, parallel = false)",
            {"path": str(path), "delimiter": delimiter},
        ).fetchall()


@pytest.mark.parametrize(
    ("data", "delimiter", "rows"),
    [
        (b"a,b\n1,2\n3,4\n", ",", [(2, ["1", "2"]), (3, ["3", "4"])]),
        (b"a;b\n1,5;2\n", ";", [(2, ["1,5", "2"])]),
        (b"a|b\r\n1|2\r\n", "|", [(2, ["1", "2"])]),
        (b"a\tb\n1\t2", "\t", [(2, ["1", "2"])]),
        (b"\xef\xbb\xbfa,b\n1,2\n", ",", [(2, ["1", "2"])]),
        (b"a,b\r1,2\r", ",", [(2, ["1", "2"])]),
        (b'a,b\n"1\n2",3\n4,5\n', ",", [(2, ["1\n2", "3"]), (4, ["4", "5"])]),
        (b'a,b\n"x ""y""",2\n', ",", [(2, ['x "y"', "2"])]),
        (b"a,b\n\n1,2\n\n", ",", [(3, ["1", "2"])]),
        (b"a\n1\n2\n", ",", [(2, ["1"]), (3, ["2"])]),
        (b"a,b\n", ",", []),
    ],
)
def test_what_csv_writers_write_is_read(
    tmp_path: Path, data: bytes, delimiter: str, rows: list[tuple[int, list[str]]]
) -> None:
    path = written(tmp_path, data)

    assert read(path) == (delimiter, rows)
    width = len(csv_header(path, delimiter))
    assert of_engine(path, delimiter, width) == [tuple(fields) for _, fields in rows]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (f"a,b\n1,2\n{SECRET},x,y\n".encode(), "line 3 of `people.csv` has 3 fields, the header has 2"),
        (f"a,b\n1,2\n{SECRET}\n".encode(), "line 3 of `people.csv` has 1 field, the header has 2"),
        (f'a,b\n1,"{SECRET}\n2,3\n'.encode(), "line 2 of `people.csv` opens a quote that is never closed"),
        (f'a,b\n"{SECRET}"x,3\n'.encode(), "line 2 of `people.csv` has characters after a closing quote"),
        (f'a,b\n"x\n{SECRET}",3\n4\n'.encode(), "line 4 of `people.csv` has 1 field, the header has 2"),
        (
            b"a,b\r\n1,2\r\n3,4\n",
            "line 3 of `people.csv` ends with a line feed, the first with carriage return",
        ),
        (b'a,b\n1, "x,y"\n', "line 2 of `people.csv` has 3 fields"),
        (b'a,b\n1, "x"\n', "line 2 of `people.csv` has a space before a quote"),
        (b"a,,c\n1,2,3\n", "column 2 of the source's header has no name"),
        (b"a,b,a\n1,2,3\n", "the source has the column `a` twice"),
        (b"a,b\n1,\x002\n", "line 2, byte 3 of `people.csv` is a NUL: not a text"),
        (
            b"a,b\n1,caf\xe9\n",
            "line 2, byte 6 of `people.csv` is not UTF-8; it looks like Latin-1 or Windows-1252",
        ),
        (
            "a,b\n1,Nguyê\u0303n\n".encode("cp1258"),
            "line 2, byte 7 of `people.csv` is not UTF-8; it looks like Windows-1258",
        ),
        (
            "a,b\n1,2\n".encode("utf-16"),
            "line 1, byte 1 of `people.csv`: it looks like UTF-16: convert the file",
        ),
        ("a,b\n1,2\n".encode("utf-16-le"), "line 1, byte 2 of `people.csv`: it looks like UTF-16LE"),
        ("a,b\n1,2\n".encode("utf-16-be"), "line 1, byte 1 of `people.csv`: it looks like UTF-16BE"),
        ("a,b\n1,2\n".encode("utf-32"), "line 1, byte 1 of `people.csv`: it looks like UTF-32"),
        ("a,b\n1,é".encode()[:-1], "`people.csv` ends within a character"),
        (b"PK\x03\x04....", "`people.csv` is a workbook or an archive, not a CSV"),
        (b"\x1f\x8b....", "`people.csv` is a compressed file, not a CSV"),
        (b"a,b\n" + b"x" * (1 << 21) + b",2\n", "line 2 of `people.csv` is longer than 1,048,576 characters"),
        (b"a,b\n" + b"x" * (1 << 18) + b",2\n", "line 2 of `people.csv` has a field of more than"),
    ],
)
def test_what_is_no_csv_is_refused_with_line_and_reason(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(EngineFailed) as refused:
        read(written(tmp_path, data))

    assert refused.value.detail.startswith(message)
    assert SECRET not in refused.value.detail
    assert refused.value.__cause__ is None


def test_lines_and_bytes_are_counted_through_chunks(tmp_path: Path) -> None:
    path = written(tmp_path, b"a,b\n" + b"xxxxxxx,y\n" * 300_000 + b"xx\xff,y\n")

    with pytest.raises(EngineFailed, match=r"line 300,002, byte 3 of `people.csv`"):
        check_text(path)


def test_a_bounded_look_stops_and_says_nothing_of_what_it_cut(tmp_path: Path) -> None:
    path = written(tmp_path, b'a,b\n1,2\n"3\n4",5\n6\n')

    assert list(records(path, ",", bytes_max=11)) == [(2, ["1", "2"])]


def test_a_file_that_no_delimiter_fits_is_judged_by_its_widest_header(tmp_path: Path) -> None:
    assert guess_delimiter(written(tmp_path, b"a;b;c,d\n1;2\n")) == ";"


PIECES = st.sampled_from(
    ["a", "é", '"', ",", "\n", "\r\n", "\r", " ", "", '"x"', '"x\n"', '""', ",,", "1,2", "\n1,2\n"]
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(PIECES, max_size=12).map("".join))
def test_of_what_is_accepted_the_engine_reads_every_row(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, b"h,k\n" + text.encode())
    try:
        check_text(path)
        rows = [tuple(fields) for _, fields in records(path, ",")]
    except EngineFailed:
        return

    assert of_engine(path, ",", 2) == rows


def test_two_stray_quotes_do_not_swallow_other_peoples_rows(tmp_path: Path) -> None:
    """Promise P4: a record of many lines is a missing quote, not a person."""
    rows = [f"{number},{name},1" for number, name in enumerate(["Lan"] * 300)]
    rows[10], rows[200] = '10,"Thao,1', '200,Minh",1'
    path = tmp_path / "people.csv"
    path.write_text("id,name,n\n" + "\n".join(rows) + "\n", encoding="utf-8")

    with pytest.raises(EngineFailed, match=r"begins in line 12 of `people\.csv` runs over more than 50"):
        list(records(path, ","))
