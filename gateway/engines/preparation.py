"""A source as one statement that makes its snapshot: every row typed once, and which of them count.

A snapshot's row has ``position`` (the row's place in the source, from 0), ``counts`` and, where
several rows of a person may count, ``person`` (a number of that person's; NULL if the row is the only
one). A declared column at place ``n`` is ``c<n>`` (typed), ``g<n>`` (of numbers with public bounds:
clamped, on the grid), ``k<n>`` (of columns with a public list: the value's place, or NULL) and ``n<n>`` (of
texts: what a key is compared with where that is another spelling than the stored one, else NULL).

INVARIANT: which of a person's rows count is decided before any question, from that person's rows
only, through the SHA-256 of person and typed row, never by position, rank over the table or filter.
So removing one person changes no other row that counts, and no question can make one person's rows
count more than ``rows_max`` times (promise P4). Rows without a person never count.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.engines.source import StoredColumn
from gateway.engines.typed import Parameters, constants, grid_of, number, type_of, typed
from gateway.terms.dataset import Column, ColumnType, Dataset, SourceFormat
from gateway.terms.identifiers import ColumnName

NO_NULL_SPELLING: Final = "\x1fno spelling of null\x1f"
"""DuckDB wants at least one; this one is no text that a file of ours holds."""
INTEGER_LIMIT: Final = 2**62
COMPARED_CHARS_MAX: Final = 800
"""A longer text equals no key: a key has 200 characters at most, and each stands for at most four in any
spelling. NFC takes time in the square of a run of marks, so it is not asked of more."""
SNAPSHOT_FORM: Final = "ROW_GROUP_SIZE 40960"
"""Small row groups, so that two threads share a small table."""


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL text made of our own words and quoted column names, and the constants beside it."""

    sql: str
    parameters: dict[str, object]


@dataclass(frozen=True, slots=True)
class Scan:
    """An open source: its files and the columns they have."""

    files: tuple[Path, ...]
    dataset: Dataset
    stored: tuple[StoredColumn, ...]
    firsts: tuple[int, ...] = (0,)
    """The position of each file's first row."""

    @property
    def unnamed(self) -> tuple[str, ...]:
        """The columns that the document does not name: nothing reads them."""
        declared = {column.source_name for column in self.dataset.columns}
        return tuple(stored.name for stored in self.stored if stored.name not in declared)

    def expression(self, column: Column) -> str:
        """Return a column's typed value in terms of the scan.

        Raises:
            LookupError: The source has no such column.

        """
        for at, stored in enumerate(self.stored):
            if stored.name == column.source_name:
                is_csv = self.dataset.source.format is SourceFormat.CSV
                return typed(column, f"f{at}" if is_csv else quoted(stored.name), stored.type)
        raise LookupError("a declared column is not in the source")

    def relation(self, parameters: Parameters) -> str:
        """Return the table function that reads the source."""
        paths = parameters.bind([str(file) for file in self.files])
        source = self.dataset.source
        if source.format is SourceFormat.PARQUET:
            return parquet_relation(paths)
        # A CSV's columns get names of ours, by position: what its header says is never SQL.
        # Lines that are no CSV are left out, as NULL is for a cell: an error would tell of one line.
        # One thread cuts the file, so that lines cannot depend on where threads start.
        names = ", ".join(f"'f{at}': 'VARCHAR'" for at in range(len(self.stored)))
        nulls = parameters.bind(list(source.nulls) or [NO_NULL_SPELLING])
        return (
            f"read_csv({paths}, auto_detect = false, columns = {{{names}}}, header = true, "
            f"delim = {parameters.bind(source.delimiter)}, quote = '\"', escape = '\"', nullstr = {nulls}, "
            "allow_quoted_nulls = true, compression = 'none', hive_partitioning = false, "
            "ignore_errors = true, strict_mode = true, parallel = false)"
        )

    def position(self, parameters: Parameters) -> str:
        """Return the expression of a row's position in the source, from 0."""
        if self.dataset.source.format is SourceFormat.CSV:
            return "row_number() OVER () - 1"
        if len(self.files) == 1:
            return "file_row_number"
        firsts = parameters.bind(list(self.firsts))
        return f"file_row_number + CAST({firsts} AS BIGINT[])[CAST(file_index AS BIGINT) + 1]"


def parquet_relation(paths: str) -> str:
    """Return the table function that reads Parquet files with the position of each row in its file."""
    return (
        f"read_parquet({paths}, file_row_number = true, hive_partitioning = false, binary_as_string = false)"
    )


def quoted(identifier: str) -> str:
    """Return a quoted identifier, whatever characters it has."""
    return '"' + identifier.replace('"', '""') + '"'


def place_of(dataset: Dataset, name: ColumnName) -> int:
    """Return the number that a declared column has in the snapshot's names.

    Raises:
        LookupError: It is not declared.

    """
    for at, column in enumerate(dataset.columns):
        if column.name == name:
            return at
    raise LookupError("a planned column is not declared")


def grid_bounds(column: Column) -> tuple[int, int] | None:
    """Return the bounds on the grid; None where values cannot be summed exactly."""
    if column.type not in {ColumnType.INTEGER, ColumnType.DECIMAL} or column.bounds is None:
        return None
    low, high = (grid_of(bound, decimals_of(column)) for bound in column.bounds)
    return (low, high) if low <= high and max(abs(low), abs(high)) < INTEGER_LIMIT else None


def decimals_of(column: Column) -> int:
    """Return the digits after the point of a number's grid."""
    return column.decimals if column.type is ColumnType.DECIMAL else 0


def preparation_statement(scan: Scan) -> Statement:
    """Return the statement whose rows are the snapshot."""
    parameters = Parameters()
    dataset = scan.dataset
    numbered = tuple(enumerate(dataset.columns))
    cells = "".join(f", {scan.expression(column)} AS c{at}" for at, column in numbered)
    relation, position = scan.relation(parameters), scan.position(parameters)
    steps, counts, joins = _counting(dataset, parameters)
    grids = "".join(_grid(at, column, parameters) for at, column in numbered)
    spellings = "".join(_composed(at) for at, column in numbered if column.type is ColumnType.TEXT)
    listed = [at for at, column in numbered if column.values]
    places = "".join(f", k{at}.place AS k{at}" for at in listed)
    lists = "".join(_list(at, dataset.columns[at], parameters) for at in listed)
    sql = (
        f"WITH typed AS NOT MATERIALIZED (SELECT {position} AS position{cells} FROM {relation})"  # noqa: S608
        f"{steps} SELECT typed.*, {counts}{grids}{spellings}{places} FROM typed{joins}{lists}"
    )
    return Statement(sql, parameters.values)


def _counting(dataset: Dataset, parameters: Parameters) -> tuple[str, str, str]:
    """Return the steps that find the rows left out, the columns that say so, and the joins these need.

    Of each person the rows with the smallest hash of their content count. Persons with few rows
    need no ranking: hashing and sorting is for the others. The source is scanned three times
    instead of kept, so that memory goes with persons and not with rows. Where each row is declared
    to be one person there is nothing to bound; where nobody says whom a row is about, none counts.
    """
    unit = dataset.unit
    if unit is None or unit.column is None:
        return "", f"{str(unit is not None).lower()} AS counts", ""
    person = f"c{place_of(dataset, unit.column)}"
    content = [_netstring(name) for name in (person, *(f"c{at}" for at in range(len(dataset.columns))))]
    rank = f"row_number() OVER (PARTITION BY {person} ORDER BY sha256(concat({', '.join(content)})))"
    most = parameters.bind(unit.rows_max)
    steps = (
        f", several AS MATERIALIZED (SELECT {person} AS person, min(position) AS number, count(*) AS rows "  # noqa: S608
        f"FROM typed WHERE {person} IS NOT NULL GROUP BY {person} HAVING count(*) > 1), "
        f"left_out AS MATERIALIZED (SELECT position FROM (SELECT position, {rank} AS rank FROM typed "
        f"SEMI JOIN (SELECT person FROM several WHERE rows > {most}) AS heavy ON {person} = heavy.person) "
        f"WHERE rank > {most})"
    )
    columns = f"typed.{person} IS NOT NULL AND left_out.position IS NULL AS counts"
    joins = " LEFT JOIN left_out ON typed.position = left_out.position"
    if unit.rows_max > 1:
        columns += ", several.number AS person"
        joins += f" LEFT JOIN several ON typed.{person} = several.person"
    return steps, columns, joins


def _netstring(alias: str) -> str:
    """Return a value's text with its length in front: no two rows of values run into one text."""
    text = f"CAST({alias} AS VARCHAR)"
    return f"coalesce(strlen({text}) || ':' || {text}, '-')"  # NULL passes through ||, not concat


def _grid(at: int, column: Column, parameters: Parameters) -> str:
    bounds = grid_bounds(column)
    if bounds is None:
        return ""
    least, most = (number(bound, column, parameters) for bound in bounds)
    # NULL falls through both comparisons and stays NULL; DuckDB's least and greatest would skip it.
    clamped = f"CASE WHEN c{at} < {least} THEN {least} WHEN c{at} > {most} THEN {most} ELSE c{at} END"
    return f", CAST(({clamped}) * CAST({10 ** decimals_of(column)} AS DECIMAL(38, 0)) AS BIGINT) AS g{at}"


def _composed(at: int) -> str:
    """Return the column of a text's NFC where that is not the text itself: done once, and mostly NULL."""
    composed = f"CASE WHEN length(c{at}) <= {COMPARED_CHARS_MAX} THEN nfc_normalize(c{at}) END"
    return f", nullif({composed}, c{at}) AS n{at}"


def _list(at: int, column: Column, parameters: Parameters) -> str:
    """Return the join that gives each row its place in a public list, NULL where it is not listed."""
    places: dict[object, int] = {}
    for place, value in enumerate(constants(column.values, column)):
        if value is not None:
            places.setdefault(value, place)  # a value listed twice counts once, at its first place
    values, numbers = parameters.bind(list(places)), parameters.bind(list(places.values()))
    return (
        f" LEFT JOIN (SELECT unnest(CAST({values} AS {type_of(column)}[])) as value, "
        f"unnest(CAST({numbers} AS INTEGER[])) AS place) AS k{at} ON typed.c{at} = k{at}.value"
    )
