"""A plan as one SQL statement: bound constants, positional aliases, a fixed order of steps.

Statistic: type -> drop NULL persons -> bound each person -> filter -> group -> integers.
INVARIANT: bounding comes first and looks at one person's rows only, through the SHA-256 of person
and typed row, never at position, rank over the table or filter. So removing one person changes no
other row that counts, and no question can make one person's rows count more than ``rows_max``
times (promise P4). Rows: type -> filter -> order by ``sha256(order key || row number)``, both as
text (64 hex digits, then decimal digits; numbering starts at 0 in file order).
"""

from dataclasses import dataclass

from gateway.engines.condition import Aliases, condition
from gateway.engines.source import StoredColumn
from gateway.engines.typed import Parameters, constants, grid_of, number, type_of, typed
from gateway.terms.dataset import Column, ColumnType, Dataset, SourceFormat
from gateway.terms.identifiers import ColumnName
from gateway.terms.plan import GroupKey, Measure, MeasureKind, RowsPlan, StatisticPlan
from gateway.terms.predicate import columns_of

NO_NULL_SPELLING = "\x1fno spelling of null\x1f"
"""DuckDB wants at least one; this one is no text that a file of ours holds."""
INTEGER_LIMIT = 2**62


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL text made of our own words and quoted column names, and the constants beside it."""

    sql: str
    parameters: dict[str, object]


@dataclass(frozen=True, slots=True)
class Scan:
    """An open source: its path and the columns it has."""

    path: str
    dataset: Dataset
    stored: tuple[StoredColumn, ...]

    def expression(self, column: Column) -> str:
        """Return a column's typed value in terms of the scan.

        Raises:
            LookupError: The source has no such column.

        """
        for at, stored in enumerate(self.stored):
            if stored.name == column.name:
                is_csv = self.dataset.source.format is SourceFormat.CSV
                return typed(column, f"f{at}" if is_csv else quoted(stored.name), stored.type)
        raise LookupError("a declared column is not in the source")

    def relation(self, parameters: Parameters) -> str:
        """Return the table function that reads the source."""
        path = parameters.bind(self.path)
        source = self.dataset.source
        if source.format is SourceFormat.PARQUET:
            return parquet_relation(path)
        # A CSV's columns get names of ours, by position: what its header says is never SQL.
        # Lines that are no CSV are left out, as NULL is for a cell: an error would tell of one line.
        # One thread cuts the file, so that lines cannot depend on where threads start.
        names = ", ".join(f"'f{at}': 'VARCHAR'" for at in range(len(self.stored)))
        nulls = parameters.bind(list(source.nulls) or [NO_NULL_SPELLING])
        return (
            f"read_csv({path}, auto_detect = false, columns = {{{names}}}, header = true, "
            f"delim = {parameters.bind(source.delimiter)}, quote = '\"', escape = '\"', nullstr = {nulls}, "
            "allow_quoted_nulls = true, compression = 'none', hive_partitioning = false, "
            "ignore_errors = true, strict_mode = true, parallel = false)"
        )

    def row_number(self) -> str:
        """Return the expression of a row's position in the file, from 0."""
        is_csv = self.dataset.source.format is SourceFormat.CSV
        return "row_number() OVER () - 1" if is_csv else "file_row_number"


def parquet_relation(path: str) -> str:
    """Return the table function that reads a Parquet file with the position of each row."""
    return (
        f"read_parquet({path}, file_row_number = true, hive_partitioning = false, binary_as_string = false)"
    )


def quoted(identifier: str) -> str:
    """Return a quoted identifier, whatever characters it has."""
    return '"' + identifier.replace('"', '""') + '"'


def rows_statement(plan: RowsPlan, scan: Scan) -> Statement:
    """Return the statement of a rows plan; its last column is the order key, one row more than a page."""
    parameters = Parameters()
    leaving = [name for name, _ in plan.columns]
    aliases = _aliases(plan.dataset, frozenset(leaving) | columns_of(plan.predicate))
    columns = "".join(f", {scan.expression(column)} AS {alias}" for alias, column in aliases.values())
    relation = scan.relation(parameters)
    order_key = f"sha256(concat({parameters.bind(plan.order_key.hex())}, position))"
    where = condition(plan.predicate, aliases, parameters)
    after = "" if plan.after is None else f" AND order_key > {parameters.bind(plan.after)}"
    sql = (
        f"WITH typed AS (SELECT {scan.row_number()} AS position{columns} FROM {relation}), "  # noqa: S608
        f"chosen AS (SELECT *, {order_key} AS order_key FROM typed WHERE {where}) "
        f"SELECT {', '.join(aliases[name][0] for name in leaving)}, order_key "
        f"FROM chosen WHERE true{after} ORDER BY order_key LIMIT {parameters.bind(plan.rows_max + 1)}"
    )
    return Statement(sql, parameters.values)


def statistic_statement(plan: StatisticPlan, scan: Scan) -> Statement:
    """Return the statement of a statistic: a row a group with rows, key positions first, then measures.

    Raises:
        ValueError: The plan asks for what has no exact integer (no unit, no bounds).

    """
    unit = plan.dataset.unit
    if unit is None:
        raise ValueError("statistics need a privacy unit")
    parameters = Parameters()
    aliases = _aliases(plan.dataset, frozenset(column.name for column in plan.dataset.columns))
    person = None if unit.column is None else aliases[unit.column][0]
    columns = ", ".join(f"{scan.expression(column)} AS {alias}" for alias, column in aliases.values())
    relation = scan.relation(parameters)
    bounded = _bounded(person, aliases, unit.rows_max, parameters)
    where = condition(plan.predicate, aliases, parameters)
    positions = [f"k{at}.position" for at in range(len(plan.keys))]
    joins = "".join(_join(at, key, aliases, parameters) for at, key in enumerate(plan.keys))
    measures = [_measure(measure, person, aliases, parameters) for measure in plan.measures]
    sql = (
        f"WITH typed AS NOT MATERIALIZED (SELECT {columns} FROM {relation}), "  # noqa: S608
        f"{bounded}, "
        f"chosen AS NOT MATERIALIZED (SELECT * FROM bounded WHERE {where}) "
        f"SELECT {', '.join([*positions, *measures])} FROM chosen{joins}"
        + (f" GROUP BY {', '.join(positions)}" if positions else "")
    )
    return Statement(sql, parameters.values)


def _aliases(dataset: Dataset, names: frozenset[ColumnName]) -> Aliases:
    missing = names - {column.name for column in dataset.columns}
    if missing:
        raise LookupError("a planned column is not declared")
    return {
        column.name: (f"c{at}", column) for at, column in enumerate(dataset.columns) if column.name in names
    }


def _bounded(person: str | None, aliases: Aliases, rows_max: int, parameters: Parameters) -> str:
    """Return the steps that keep, of each person, the rows with the smallest hash of their content.

    Persons with few rows need no ranking: hashing and sorting is for the others. The source is
    scanned three times instead of kept, so that memory goes with persons and not with rows. Where
    each row is declared to be one person there is nothing to bound.
    """
    if person is None:
        return "bounded AS NOT MATERIALIZED (SELECT * FROM typed)"
    content = [_netstring(alias) for alias in (person, *(alias for alias, _ in aliases.values()))]
    rank = f"row_number() OVER (PARTITION BY {person} ORDER BY sha256(concat({', '.join(content)})))"
    most = parameters.bind(rows_max)
    return (
        f"heavy AS MATERIALIZED (SELECT {person} AS person FROM typed WHERE {person} IS NOT NULL "  # noqa: S608
        f"GROUP BY {person} HAVING count(*) > {most}), "
        f"bounded AS NOT MATERIALIZED (SELECT * FROM typed ANTI JOIN heavy ON {person} = heavy.person "
        f"WHERE {person} IS NOT NULL UNION ALL "
        f"SELECT * FROM typed SEMI JOIN heavy ON {person} = heavy.person QUALIFY {rank} <= {most})"
    )


def _netstring(alias: str) -> str:
    """Return a value's text with its length in front: no two rows of values run into one text."""
    text = f"CAST({alias} AS VARCHAR)"
    return f"coalesce(strlen({text}) || ':' || {text}, '-')"  # NULL passes through ||, not concat


def _join(at: int, key: GroupKey, aliases: Aliases, parameters: Parameters) -> str:
    """Return the join that gives each row its place in a public list; other rows fall out."""
    alias, column = aliases[key.column.name]
    places: dict[object, int] = {}
    for place, value in enumerate(constants(key.values, column)):
        if value is not None:
            places.setdefault(value, place)  # a value listed twice counts once, at its first place
    values, positions = parameters.bind(list(places)), parameters.bind(list(places.values()))
    listed = (
        f"SELECT unnest(CAST({values} AS {type_of(column)}[])) AS value, "
        f"unnest(CAST({positions} AS BIGINT[])) AS position"
    )
    return f" JOIN ({listed}) AS k{at} ON {alias} = k{at}.value"


def _measure(measure: Measure, person: str | None, aliases: Aliases, parameters: Parameters) -> str:
    match measure.kind:
        case MeasureKind.ROWS:
            return "count(*)"
        case MeasureKind.UNITS:
            if person is None:
                raise ValueError("only persons that a column tells apart are counted distinctly")
            return f"count(DISTINCT {person})"
        case MeasureKind.VALUES:
            return f"count({_named(measure, aliases)[0]})"
        case MeasureKind.SUM:
            return _sum(measure, aliases, parameters)


def _named(measure: Measure, aliases: Aliases) -> tuple[str, Column]:
    if measure.column is None:
        raise ValueError("this measure needs a column")
    return aliases[measure.column]


def _sum(measure: Measure, aliases: Aliases, parameters: Parameters) -> str:
    alias, column = _named(measure, aliases)
    if column.type not in {ColumnType.INTEGER, ColumnType.DECIMAL} or column.bounds is None:
        raise ValueError("a sum needs a number with public bounds")
    decimals = column.decimals if column.type is ColumnType.DECIMAL else 0
    low, high = (grid_of(bound, decimals) for bound in column.bounds)
    if not max(abs(low), abs(high)) + abs(measure.centre) < INTEGER_LIMIT or low > high:
        raise ValueError("the bounds do not fit the grid")
    least, most = number(low, column, parameters), number(high, column, parameters)
    # NULL falls through both comparisons and stays NULL; DuckDB's least and greatest would skip it.
    clamped = f"CASE WHEN {alias} < {least} THEN {least} WHEN {alias} > {most} THEN {most} ELSE {alias} END"
    grid = f"CAST(({clamped}) * CAST({10**decimals} AS DECIMAL(38, 0)) AS BIGINT)"
    return f"coalesce(sum({grid} - CAST({parameters.bind(measure.centre)} AS BIGINT)), 0)"
