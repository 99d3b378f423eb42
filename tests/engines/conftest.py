"""Builders of the engine tests: datasets, files, plans and a shared engine."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gateway.engines.duckdb import DuckDbEngine
from gateway.terms.dataset import (
    Column,
    ColumnType,
    Dataset,
    Personal,
    PrivacyUnit,
    Source,
    SourceFormat,
    Title,
)
from gateway.terms.identifiers import ColumnName, DatasetId, LineageId, OrgId
from gateway.terms.loss import Loss, PicoDelta, PicoRho
from gateway.terms.plan import GroupKey, Measure, MeasureKind, RowsPlan, StatisticPlan
from gateway.terms.predicate import EVERY_ROW
from gateway.terms.treatment import Keep

NULL_TEXT = "\\N"
ORDER_KEY = bytes(range(32))


def a_column(name: str, kind: ColumnType, **more: Any) -> Column:
    return Column(name=ColumnName(name), type=kind, meaning="", personal=Personal.NONE, **more)


COLUMNS = (
    a_column("person", ColumnType.TEXT),
    a_column("region", ColumnType.TEXT),
    a_column("age", ColumnType.INTEGER, bounds=(Decimal(0), Decimal(100))),
    a_column("income", ColumnType.DECIMAL, decimals=2, bounds=(Decimal("-10.005"), Decimal("1000.50"))),
    a_column("day", ColumnType.DATE),
    a_column("flag", ColumnType.BOOLEAN),
)


def a_dataset(path: str, columns: tuple[Column, ...] = COLUMNS, **more: Any) -> Dataset:
    """The source's format is told by the path; the first column is the person."""
    kind = SourceFormat.PARQUET if path.endswith(".parquet") else SourceFormat.CSV
    source = {"delimiter": ";", "nulls": (NULL_TEXT,)} | more.pop("source", {})
    rows_max = more.pop("rows_max", 2)
    unit = PrivacyUnit(column=columns[0].name, rows_max=rows_max, units_max=1000)
    return Dataset(
        id=DatasetId("d"),
        revision=1,
        digest="",
        title=Title(vi="", en=""),
        publisher=OrgId("o"),
        sharing="shared",
        importance="none",
        personal=Personal.BASIC,
        source=Source(path=path, format=kind, lineage=LineageId("l"), **source),
        unit=unit,
        columns=columns,
    )


def a_measure(kind: MeasureKind, column: str | None = None, centre: int = 0) -> Measure:
    name = None if column is None else ColumnName(column)
    return Measure(kind=kind, column=name, centre=centre, sensitivity=1, scale=1.0, rho=PicoRho(1))


def a_key(dataset: Dataset, name: str) -> GroupKey:
    """The column's public list, as the planner takes it."""
    column = dataset.column(name)
    assert column is not None
    return GroupKey(column=column, name=name, values=column.values)


def listing(columns: tuple[Column, ...], **values: tuple[Any, ...]) -> tuple[Column, ...]:
    """Return the columns with public lists."""
    return tuple(replace(column, values=values.get(column.name, ())) for column in columns)


def a_statistic(dataset: Dataset, *measures: Measure, **more: Any) -> StatisticPlan:
    settings = {
        "dataset": dataset,
        "predicate": EVERY_ROW,
        "keys": (),
        "measures": measures or (a_measure(MeasureKind.ROWS),),
        "outputs": (),
        "loss": Loss(PicoRho(1), PicoDelta(0)),
        "release_after_s": 0.0,
        "digest": "",
    }
    return StatisticPlan(**(settings | more))


def a_rows_plan(dataset: Dataset, **more: Any) -> RowsPlan:
    names = more.pop("names", tuple(column.name for column in dataset.columns))
    settings = {
        "dataset": dataset,
        "columns": tuple((ColumnName(name), Keep()) for name in names),
        "predicate": EVERY_ROW,
        "rows_max": 1000,
        "after": None,
        "order_key": ORDER_KEY,
        "digest": "",
    }
    return RowsPlan(**(settings | more))


def write_csv(path: Path, header: list[str], rows: list[list[str | None]]) -> None:
    """Everything but NULL is quoted, as RFC 4180 allows."""

    def cell(text: str | None) -> str:
        return NULL_TEXT if text is None else '"' + text.replace('"', '""') + '"'

    lines = [";".join(cell(text) for text in row) for row in [header, *rows]]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="")


def write_parquet(path: Path, header: list[str], rows: list[list[str | None]]) -> None:
    """Every column is stored as text."""
    arrays = [pa.array([row[at] for row in rows], type=pa.string()) for at in range(len(header))]
    pq.write_table(pa.table(arrays, names=header), path)


class Bench:
    """A data folder, an engine over it, and the builders."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.engine = DuckDbEngine(
            folder, snapshots=folder / "snapshots", deadline_s=30, memory_mb=800, threads=2
        )

    a_column = staticmethod(a_column)
    a_dataset = staticmethod(a_dataset)
    a_key = staticmethod(a_key)
    a_measure = staticmethod(a_measure)
    a_rows_plan = staticmethod(a_rows_plan)
    listing = staticmethod(listing)
    a_statistic = staticmethod(a_statistic)
    columns = COLUMNS

    def put(self, path: str, header: list[str], rows: list[list[str | None]]) -> None:
        """Write a table in the format that its path tells."""
        write = write_parquet if path.endswith(".parquet") else write_csv
        write(self.folder / path, header, rows)

    def ask(self, plan: Any) -> Any:
        return asyncio.run(self.engine.execute(plan))

    def rows(self, plan: RowsPlan) -> list[tuple[Any, ...]]:
        return list(zip(*self.ask(plan).columns.values(), strict=True))


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    built = Bench(tmp_path_factory.mktemp("data"))
    yield built
    asyncio.run(built.engine.close())


@pytest.fixture
def an_engine(tmp_path: Path) -> Iterator[Callable[..., DuckDbEngine]]:
    """Make engines over the test's own folder."""
    made = []

    def make(**more: Any) -> DuckDbEngine:
        settings = {"snapshots": tmp_path / "snapshots", "deadline_s": 30.0, "memory_mb": 800, "threads": 2}
        made.append(DuckDbEngine(tmp_path, **(settings | more)))
        return made[-1]

    yield make
    for engine in made:
        asyncio.run(engine.close())
