"""A column that a source gains is dropped, and its name is told once: to whoever runs the gateway."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from builders import a_dataset, a_rows_plan
from structlog.testing import capture_logs

from gateway.engines.duckdb import DuckDbEngine
from gateway.engines.unnamed import NAMES_MAX, UNSHOWN, Unnamed
from gateway.telemetry import REGISTRY
from gateway.terms.dataset import Dataset, SourceFormat
from gateway.terms.frame import UnprotectedRows
from gateway.terms.identifiers import DatasetId

TOLD = "columns_unnamed"


def gauge(name: str = "people") -> float | None:
    return REGISTRY.get_sample_value("gateway_source_columns_unnamed", {"dataset": name})


def told(logs: Any) -> list[str]:
    return [line["names"] for line in logs if line["event"] == TOLD]


def write(path: Path, **columns: list[Any]) -> None:
    if path.suffix == ".parquet":
        pq.write_table(pa.table(columns), path)
    else:
        lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@asynccontextmanager
async def an_engine(folder: Path) -> AsyncIterator[DuckDbEngine]:
    engine = DuckDbEngine(folder, snapshots=folder / "s", deadline_s=20.0, memory_mb=512, threads=1)
    try:
        yield engine
    finally:
        await engine.close()


def a_source(kind: SourceFormat) -> Dataset:
    dataset = a_dataset()
    return replace(dataset, source=replace(dataset.source, path=f"people.{kind}", format=kind))


@pytest.mark.parametrize("kind", [SourceFormat.CSV, SourceFormat.PARQUET])
async def test_p3_a_column_that_a_served_file_gains_is_dropped_and_told_once(
    tmp_path: Path, kind: SourceFormat
) -> None:
    """Promise P3."""
    dataset = a_source(kind)
    path = tmp_path / dataset.source.path
    write(path, id=["a"], age=[7])
    plan = a_rows_plan(dataset=dataset)
    async with an_engine(tmp_path) as engine:
        with capture_logs() as logs:
            assert await engine.check(dataset) == ()
            assert (gauge(), told(logs)) == (0, [])

            write(path, id=["a"], so_cccd=["001099000001"], age=[8])
            frames = [await engine.execute(plan) for _ in range(3)]

    assert [frame.columns for frame in frames if isinstance(frame, UnprotectedRows)] == [{"age": [8]}] * 3
    assert (gauge(), told(logs)) == (1, ["so_cccd"]), "three questions, one preparation, one line"
    assert "001099000001" not in str(logs)


async def test_it_is_told_again_at_each_start_until_the_document_names_it(tmp_path: Path) -> None:
    dataset = a_source(SourceFormat.CSV)
    write(tmp_path / dataset.source.path, id=["a"], age=[7], phone=["x"], note=["y"])
    named = replace(
        dataset, columns=(*dataset.columns, replace(dataset.columns[0], name="p", stored_as="phone"))
    )
    lines = []
    for each in (dataset, dataset, named):
        with capture_logs() as logs:
            async with an_engine(tmp_path) as engine:
                assert await engine.check(each) == ()
        lines.append((told(logs), gauge()))

    assert lines == [(["note, phone"], 2), (["note, phone"], 2), (["note"], 1)]


@pytest.mark.parametrize("name", ["001099000001", "minh@example.vn", "0912345678", "12.5"])
def test_a_name_that_looks_like_data_is_not_quoted(name: str) -> None:
    """An interface that keys its members by person would put people into the operator's log."""
    with capture_logs() as logs:
        Unnamed().replied(DatasetId("d"), [name])

    assert told(logs) == [UNSHOWN]


def test_an_upstream_that_invents_names_fills_no_log_and_no_memory() -> None:
    unnamed = Unnamed()
    with capture_logs() as logs:
        for number in range(NAMES_MAX * 3):
            unnamed.replied(DatasetId("d"), [f"x{'y' * 1000}_{number:04}_"])

    assert len(told(logs)) == NAMES_MAX
    assert max(map(len, told(logs))) == 64
    assert gauge("d") == NAMES_MAX
