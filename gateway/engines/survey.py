"""Survey a source for its steward: least and most, misfits, unlisted values, persons; no copy.

Two passes, and one for each lookup: how many values its columns have, how many rows one key finds.

SECURITY: what comes back are facts of the data. Nothing of it may reach a firm, a log or a document; the
one caller is ``gateway policy check --data``.
"""

from collections.abc import Collection
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Final

import duckdb

from gateway.engines.database import locked_database
from gateway.engines.preparation import Scan, quoted
from gateway.engines.snapshot import no_messages, open_scan, problems_of
from gateway.engines.source import resolve
from gateway.engines.typed import Parameters, constants, is_readable, type_of
from gateway.errors import EngineFailed
from gateway.terms.dataset import Column, ColumnType, Dataset, SourceFormat
from gateway.terms.extent import ColumnExtent, LookupExtent, SourceExtent
from gateway.terms.permit import Lookup

MEMORY_MB: Final = 2048
THREADS: Final = 2
_NUMBERS: Final = frozenset({ColumnType.INTEGER, ColumnType.DECIMAL})
_BOUND: Final = "DECIMAL(38, 9)"
_FACTS: Final = 6
"""Numbers of one column."""


def surveyed(data_folder: Path, dataset: Dataset, lookups: Collection[Lookup] = ()) -> SourceExtent:
    """Return what the source holds, beside what the document and its permits to look up say.

    Raises:
        EngineFailed: It is no file, or cannot be read; the sentence quotes nothing of it.

    """
    if dataset.source.format is SourceFormat.HTTP:
        raise EngineFailed("an upstream is not surveyed: only the rows that firms ask for come from it")
    path = resolve(data_folder, dataset.source)
    problems_of(path, dataset)  # reads a CSV strictly; what is missing is told by name below
    with no_messages(dataset.source):
        scan = open_scan(path, dataset)
        types = {stored.name: stored.type for stored in scan.stored}
        absent = [column for column in dataset.columns if column.source_name not in types]
        unread = [
            column
            for column in dataset.columns
            if column not in absent and not is_readable(types[column.source_name])
        ]
        read = [column for column in dataset.columns if column not in (*absent, *unread)]
        with closing(locked_database(scan.files, memory_mb=MEMORY_MB, threads=THREADS)) as database:
            parameters = Parameters()
            facts = ", ".join(_facts(column, scan, parameters) for column in read) or "0"
            sql = f"SELECT {facts} FROM {scan.relation(parameters)}"  # noqa: S608  our words, quoted names
            found = database.execute(sql, parameters.values).fetchall()[0]
            parameters = Parameters()
            counting = _persons(scan, read, parameters)
            persons = database.execute(counting, parameters.values).fetchall()[0] if counting else (None, 0)
            names = {column.name for column in read}
            found_by = {
                lookup: _lookup_extent(lookup, scan, database)
                for lookup in lookups
                if lookup.columns <= names
            }
    return SourceExtent(
        unnamed=scan.unnamed,
        absent=tuple(column.name for column in absent),
        unread=tuple(column.name for column in unread),
        persons=persons[0],
        left_out=int(persons[1] or 0),
        columns={
            column.name: _extent(found[_FACTS * at : _FACTS * (at + 1)]) for at, column in enumerate(read)
        },
        lookups=found_by,
    )


def _lookup_extent(lookup: Lookup, scan: Scan, database: duckdb.DuckDBPyConnection) -> LookupExtent:
    by = [column for column in scan.dataset.columns if column.name in lookup.columns]
    names = [f"k{place}" for place in range(len(by))]
    stored = ", ".join(f"{scan.expression(column)} AS {name}" for column, name in zip(by, names, strict=True))
    counts = ", ".join(f"count(DISTINCT {name})" for name in names)
    whole = " AND ".join(f"{name} IS NOT NULL" for name in names)
    parameters = Parameters()
    (found,) = database.execute(
        f"WITH every AS MATERIALIZED (SELECT {stored} FROM {scan.relation(parameters)}) "  # noqa: S608
        f"SELECT {counts}, (SELECT max(rows) FROM (SELECT count(*) AS rows FROM every WHERE {whole} "
        f"GROUP BY {', '.join(names)})) FROM every",
        parameters.values,
    ).fetchall()
    *values, rows_most = (int(each or 0) for each in found)
    return LookupExtent(
        values={column.name: count for column, count in zip(by, values, strict=True)}, rows_most=rows_most
    )


def _extent(facts: tuple[object, ...]) -> ColumnExtent:
    cells, typed, beyond, unlisted = (int(str(facts[at])) for at in (0, 1, 4, 5))
    least, most = (None if facts[at] is None else Decimal(str(facts[at])) for at in (2, 3))
    return ColumnExtent(
        cells=cells, misfits=cells - typed, least=least, most=most, beyond=beyond, unlisted=unlisted
    )


def _facts(column: Column, scan: Scan, parameters: Parameters) -> str:
    """Return the six aggregates of a column."""
    place = next(at for at, stored in enumerate(scan.stored) if stored.name == column.source_name)
    is_csv = scan.dataset.source.format is SourceFormat.CSV
    stored, value = f"f{place}" if is_csv else quoted(column.source_name), scan.expression(column)
    is_number = column.type in _NUMBERS
    beyond, unlisted = "false", "false"
    if is_number and column.bounds is not None:
        low, high = (f"TRY_CAST({parameters.bind(str(bound))} AS {_BOUND})" for bound in column.bounds)
        beyond = f"{value} < {low} OR {value} > {high}"
    if column.values:
        listed = [each for each in constants(column.values, column) if each is not None]
        unlisted = f"NOT list_contains(CAST({parameters.bind(listed)} AS {type_of(column)}[]), {value})"
    ends = f"min({value}), max({value})" if is_number else "NULL, NULL"
    counts = (f"count(*) FILTER ({value} IS NOT NULL AND ({which}))" for which in (beyond, unlisted))
    return f"count({stored}), count({value}), {ends}, {', '.join(counts)}"


def _persons(scan: Scan, read: list[Column], parameters: Parameters) -> str:
    """Return the statement that counts persons and rows left out; empty where no column names persons."""
    unit = scan.dataset.unit
    column = next((each for each in read if unit and each.name == unit.column), None)
    if unit is None or column is None:
        return ""
    person, most = scan.expression(column), parameters.bind(unit.rows_max)
    return (
        f"SELECT count(*), sum(greatest(rows - {most}, 0)) FROM (SELECT count(*) AS rows "  # noqa: S608
        f"FROM {scan.relation(parameters)} WHERE {person} IS NOT NULL GROUP BY {person})"
    )
