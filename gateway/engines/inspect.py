"""Look at a file or folder that an operator wants to serve: header, types and shapes, never values.

A CSV is read strictly to its end, a folder's Parquet files must have one schema. Of at most
``ROWS_EXAMINED`` rows the cells are held against patterns; what comes back are names and shares.
"""

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gateway.engines.csv_file import check_text, guess_delimiter, records
from gateway.engines.parquet_file import opened_alike, parquet_files
from gateway.engines.shapes import NULL_SPELLINGS, column_facts, is_number, shape_of, unread
from gateway.engines.source import csv_header
from gateway.errors import EngineFailed
from gateway.terms.dataset import SourceFormat
from gateway.terms.source_facts import Shape, SourceFacts

ROWS_EXAMINED: Final = 10_000
MARK: Final = b"\xef\xbb\xbf"
PARQUET_MAGIC: Final = b"PAR1"
YEAR: Final = re.compile(r"(19|20)[0-9]{2}")
"""A name that a column of a wide table may have."""
_NEVER_NAMES: Final = frozenset(Shape) - {Shape.CAPITALISED_WORDS, Shape.LONG_TEXT, Shape.CODE}


def inspect(path: Path) -> SourceFacts:
    """Return what a file, or a folder of Parquet files, looks like.

    Raises:
        EngineFailed: It cannot be read; the sentence says which file and line, and why.

    """
    if path.is_dir():
        return _inspect_parquet(parquet_files(path))
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as error:
        raise EngineFailed(f"`{path.name}` cannot be read: {error.strerror}") from error
    if start == PARQUET_MAGIC:
        return _inspect_parquet((path,))
    if not start.strip():
        raise EngineFailed(f"`{path.name}` is empty or begins with blank lines: a header must come first")
    return _inspect_csv(path, has_mark=start.startswith(MARK))


def _inspect_csv(path: Path, *, has_mark: bool) -> SourceFacts:
    check_text(path)
    delimiter = guess_delimiter(path)
    names = csv_header(path, delimiter)
    _refuse_row_as_header(path, names)
    rest = (fields for _, fields in records(path, delimiter))
    sample = list(islice(rest, ROWS_EXAMINED))
    rows = len(sample) + sum(1 for _ in rest)  # to the end: a fault may stand in the last line
    seen = {cell for fields in sample for cell in fields} & set(NULL_SPELLINGS)
    return SourceFacts(
        format=SourceFormat.CSV,
        delimiter=delimiter,
        nulls=tuple(spelling for spelling in NULL_SPELLINGS if not spelling or spelling in seen),
        has_mark=has_mark,
        rows=rows,
        rows_examined=len(sample),
        columns=tuple(column_facts(name, [fields[at] for fields in sample]) for at, name in enumerate(names)),
    )


def _refuse_row_as_header(path: Path, names: tuple[str, ...]) -> None:
    """SECURITY: a first row taken for names would put one person's cells into a public document."""
    if are_data(names):
        raise EngineFailed(
            f"line 1 of `{path.name}` looks like data, not like names: "
            "a source begins with a line of column names"
        )


def are_data(names: tuple[str, ...]) -> bool:
    """Return whether names look like the cells of one row."""
    numbers = sum(1 for name in names if is_number(name) and not YEAR.fullmatch(name))
    return any(shape_of(name.strip()) in _NEVER_NAMES for name in names) or 2 * numbers >= len(names)


def _inspect_parquet(files: tuple[Path, ...]) -> SourceFacts:
    opened = opened_alike(files)
    schema = opened[0].schema_arrow
    batches = [batch for file in opened for batch in _head(file)]
    table = pa.Table.from_batches(batches, schema).slice(0, ROWS_EXAMINED)
    return SourceFacts(
        format=SourceFormat.PARQUET,
        delimiter=",",
        nulls=(),
        has_mark=False,
        rows=sum(file.metadata.num_rows for file in opened),
        rows_examined=table.num_rows,
        columns=tuple(
            column_facts(field.name, _texts(table.column(at))) if _is_read(field.type) else unread(field.name)
            for at, field in enumerate(schema)
        ),
    )


def _head(file: pq.ParquetFile) -> Iterator[pa.RecordBatch]:
    """Yield a file's first rows; a page that is damaged is a file that cannot be read."""
    try:
        left = ROWS_EXAMINED
        for batch in file.iter_batches(batch_size=ROWS_EXAMINED):
            yield batch
            left -= batch.num_rows
            if left <= 0:
                return
    except (OSError, pa.ArrowException):
        raise EngineFailed("a Parquet file of the source is damaged") from None


def _texts(column: pa.ChunkedArray) -> list[str | None]:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    texts: list[str | None] = pc.cast(column, pa.string(), safe=False).to_pylist()
    return texts


def _is_read(kind: pa.DataType) -> bool:
    """Return whether DuckDB stores it as a scalar that ``typed.py`` reads."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_timestamp(kind):
        return kind.tz is None
    tests = (
        pa.types.is_integer,
        pa.types.is_floating,
        pa.types.is_decimal,
        pa.types.is_string,
        pa.types.is_large_string,
        pa.types.is_date,
        pa.types.is_boolean,
        pa.types.is_null,
    )
    return any(test(kind) for test in tests)
