"""What the gateway selects of an upstream's rows is what an engine's SQL selects of the same values."""

from datetime import date
from decimal import Decimal

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.engines.cells import arrow_type, table_of, typed_columns
from gateway.engines.condition import condition
from gateway.engines.selection import selected
from gateway.engines.typed import Parameters, typed
from gateway.terms.dataset import (
    Column,
    ColumnType,
    Dataset,
    Personal,
    Source,
    SourceFormat,
    Title,
)
from gateway.terms.identifiers import ColumnName, DatasetId, LineageId, OrgId
from gateway.terms.predicate import AllOf, AnyOf, Comparator, Comparison, Not, Predicate


def a_column(name: str, kind: ColumnType, decimals: int = 0) -> Column:
    return Column(name=ColumnName(name), type=kind, meaning="", personal=Personal.NONE, decimals=decimals)


COLUMNS = (
    a_column("t", ColumnType.TEXT),
    a_column("i", ColumnType.INTEGER),
    a_column("d", ColumnType.DECIMAL, 2),
    a_column("day", ColumnType.DATE),
    a_column("b", ColumnType.BOOLEAN),
)
DATASET = Dataset(
    id=DatasetId("d"),
    revision=1,
    digest="",
    title=Title(vi="", en=""),
    publisher=OrgId("o"),
    sharing="shared",
    importance="none",
    personal=Personal.NONE,
    source=Source(path="http://127.0.0.1", format=SourceFormat.HTTP, lineage=LineageId("l")),
    unit=None,
    columns=COLUMNS,
)
TEXTS = st.sampled_from(["", "a", "A", "b", "é", "e\u0301", "\U0001f600", "zz"])
INTEGERS = st.one_of(st.integers(-3, 3), st.sampled_from([2**63 - 1, -(2**63), 2**62]))
DECIMALS = st.decimals(-3, 3, places=3) | st.sampled_from(
    [Decimal(10**18), Decimal(-(10**18)), Decimal(10) ** 30]
)
DAYS = st.dates(date(2020, 1, 1), date(2020, 1, 4)) | st.sampled_from([date.min, date.max])
VALUES = {"t": TEXTS, "i": INTEGERS, "d": DECIMALS, "day": DAYS, "b": st.booleans()}
JSON_VALUES = {
    "t": TEXTS,
    "i": INTEGERS,
    "d": st.decimals(-3, 3, places=2).map(str) | st.integers(-3, 3),
    "day": DAYS.map(date.isoformat),
    "b": st.booleans(),
}
ROWS = st.lists(
    st.fixed_dictionaries({name: st.none() | values for name, values in JSON_VALUES.items()}), max_size=6
)
ORDERS = [Comparator.LESS, Comparator.AT_MOST, Comparator.MORE, Comparator.AT_LEAST]


@st.composite
def comparisons(draw: st.DrawFn) -> Comparison:
    name = draw(st.sampled_from(sorted(VALUES)))
    kinds = [*Comparator] if name != "b" else [each for each in Comparator if each not in ORDERS]
    comparator = draw(st.sampled_from(kinds))
    count = {Comparator.IS_NULL: (0, 0), Comparator.ONE_OF: (1, 3)}.get(comparator, (1, 1))
    constants = draw(st.lists(VALUES[name], min_size=count[0], max_size=count[1]))
    return Comparison(ColumnName(name), comparator, tuple(constants))


PREDICATES: st.SearchStrategy[Predicate] = st.recursive(
    comparisons(),
    lambda inner: st.one_of(
        inner.map(Not),
        st.lists(inner, max_size=3).map(lambda parts: AllOf(tuple(parts))),
        st.lists(inner, max_size=3).map(lambda parts: AnyOf(tuple(parts))),
    ),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def database() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(":memory:", config={"threads": 1})


@settings(max_examples=300, deadline=None)
@given(ROWS, PREDICATES)
def test_a_table_and_sql_select_the_same_rows(
    database: duckdb.DuckDBPyConnection, rows: list[dict[str, object]], predicate: Predicate
) -> None:
    table = table_of(typed_columns(rows, COLUMNS), COLUMNS)
    parameters = Parameters()
    where = condition(predicate, {column.name: (column.name, column) for column in COLUMNS}, parameters)
    database.register("given", table.append_column("place", pa.array(range(len(rows)), pa.int64())))
    statement = f"SELECT place FROM given WHERE {where} ORDER BY place"  # noqa: S608

    by_sql = [row[0] for row in database.execute(statement, parameters.values).fetchall()]
    by_table = [at for at, truth in enumerate(selected(table, predicate, DATASET).to_pylist()) if truth]

    assert by_table == by_sql


TEXT_CELLS = st.one_of(
    st.text(alphabet="0123456789.+-eE xt", max_size=8),
    st.sampled_from(
        ["true", "F", " 1 ", "0x1f", "1_000", "NaN", "inf", "2020-02-30", "2020-02-29", "0000-01-01"]
    ),
    st.sampled_from(
        ["2020-01-01T00:00:00", "2020-01-01 00:00:00.0", "2020-01-01 01:00:00", "9" * 19, "9" * 40]
    ),
    st.sampled_from(
        ["1e400", "1e-400", "0.005", "-0.005", "999999999999999999.994", "999999999999999999.995"]
    ),
    st.sampled_from(
        ["1" * 18 + ".5", "00000000000000000000012", "12.000", "12.5", "\u0661", "9223372036854775808"]
    ),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(TEXT_CELLS, min_size=1, max_size=20), st.sampled_from(COLUMNS))
def test_a_text_of_an_upstream_is_the_value_it_would_be_in_a_file(
    database: duckdb.DuckDBPyConnection, texts: list[str], column: Column
) -> None:
    database.register("given", pa.table({"c": pa.array(texts, pa.string())}))
    statement = f"SELECT {typed(column, 'c', 'VARCHAR')} AS c FROM given"  # noqa: S608
    in_a_file = database.sql(statement).to_arrow_table().column("c").cast(arrow_type(column))

    rows = [{column.name: text} for text in texts]

    assert typed_columns(rows, (column,)) == {column.name: in_a_file.to_pylist()}
