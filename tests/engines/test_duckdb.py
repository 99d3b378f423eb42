"""What the embedded engine may touch, and how it fails: in time, in constant words, and alone."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gateway.engines.database import FAILED, locked_database
from gateway.engines.duckdb import DuckDbEngine
from gateway.errors import EngineFailed
from gateway.terms.dataset import ColumnType
from gateway.terms.identifiers import ColumnName
from gateway.terms.predicate import AllOf, AnyOf, Comparator, Comparison

ROWS_OF_A_LONG_QUERY = 4_000_000


def put_rows(folder: Path, path: str = "a.csv") -> None:
    lines = ["person;region;age;income;day;flag", *(f"{n};n;{n};1;2020-01-01;t" for n in range(20))]
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text("\n".join(lines) + "\n")


@pytest.fixture
def a_long_plan(tmp_path: Path, bench: Any) -> Any:
    """A condition that takes many seconds to find that it chooses no row: all numbers are even."""
    column = pa.array(np.arange(ROWS_OF_A_LONG_QUERY, dtype=np.int32) * 2)
    pq.write_table(pa.table({"person": column}), tmp_path / "long.parquet")
    dataset = bench.a_dataset("long.parquet", (bench.a_column("person", ColumnType.INTEGER),))
    name = ColumnName("person")
    odd = AnyOf(
        tuple(
            AllOf((Comparison(name, Comparator.AT_LEAST, (n,)), Comparison(name, Comparator.AT_MOST, (n,))))
            for n in range(1, ROWS_OF_A_LONG_QUERY, ROWS_OF_A_LONG_QUERY // 1000)
        )
    )
    return bench.a_rows_plan(replace(dataset, unit=None), predicate=odd)  # no unit: prepared in a moment


@pytest.mark.parametrize(
    "path",
    [
        "../a.csv",
        "/etc/hosts",
        "in/../../a.csv",
        "in/../in/a.csv",
        "*.csv",
        "a?.csv",
        "linked.csv",
        "linked/a.csv",
        "in",
        "",
    ],
)
async def test_a_source_outside_the_data_folder_is_no_source(tmp_path: Path, bench: Any, path: str) -> None:
    folder, outside = tmp_path / "data", tmp_path / "outside"
    put_rows(outside)
    put_rows(tmp_path)
    put_rows(folder, "in/a.csv")
    (folder / "linked.csv").symlink_to(outside / "a.csv")
    (folder / "linked").symlink_to(outside)
    engine = DuckDbEngine(folder, snapshots=tmp_path / "snapshots", deadline_s=30, memory_mb=400, threads=1)
    dataset = bench.a_dataset(path)

    with pytest.raises(EngineFailed) as caught:
        await engine.execute(bench.a_rows_plan(dataset))
    problems = await engine.check(dataset)
    await engine.close()

    assert f"`{path}`" in caught.value.detail
    assert problems == (caught.value.detail,)


async def test_a_link_inside_the_data_folder_is_followed(
    tmp_path: Path, bench: Any, an_engine: Callable[..., DuckDbEngine]
) -> None:
    put_rows(tmp_path)
    (tmp_path / "linked.csv").symlink_to(tmp_path / "a.csv")

    assert await an_engine().check(bench.a_dataset("linked.csv")) == ()


async def test_p2_a_source_is_known_by_its_files_and_not_by_their_names(
    tmp_path: Path, bench: Any, an_engine: Callable[..., DuckDbEngine]
) -> None:
    """Promise P2: links, soft and hard, and a folder beside a file in it."""
    (tmp_path / "reg").mkdir()
    for name in ("a.csv", "b.csv", "reg/p0.parquet", "reg/p1.parquet"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "soft.csv").symlink_to("a.csv")
    (tmp_path / "hard.csv").hardlink_to(tmp_path / "a.csv")
    (tmp_path / "again").symlink_to("reg")
    (tmp_path / "hard.parquet").hardlink_to(tmp_path / "reg" / "p1.parquet")
    engine = an_engine()

    async def reads(path: str) -> frozenset[tuple[int, int]]:
        dataset = bench.a_dataset(path if "." in path else f"{path}.parquet")
        return await engine.reads(replace(dataset, source=replace(dataset.source, path=path)))

    assert await reads("soft.csv") == await reads("hard.csv") == await reads("a.csv") != await reads("b.csv")
    assert await reads("again") == await reads("reg/p0.parquet") | await reads("hard.parquet")
    assert [len(await reads(path)) for path in ("a.csv", "b.csv", "reg", "nothing.csv")] == [1, 1, 2, 0]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('{folder}/b.csv')",
        "SELECT * FROM read_csv('{folder}/../a.csv')",
        "SELECT * FROM read_csv('{folder}/*.csv')",
        "SELECT * FROM read_text('/etc/hosts')",
        "SELECT * FROM read_csv('https://localhost/a.csv')",
        "SELECT * FROM glob('{folder}/*')",
        "COPY (SELECT 1) TO '{folder}/a.csv'",
        "COPY (SELECT 1) TO '{folder}/c.csv'",
        "ATTACH '{folder}/d.db'",
        "EXPORT DATABASE '{folder}/e'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET allowed_paths = ['/etc/hosts']",
        "SET memory_limit = '1TB'",
        "SET temp_directory = '{folder}'",
        "RESET lock_configuration",
    ],
)
def test_a_database_reads_its_file_and_does_nothing_else(tmp_path: Path, sql: str) -> None:
    put_rows(tmp_path)
    put_rows(tmp_path, "b.csv")
    before = sorted(tmp_path.iterdir())
    database = locked_database((tmp_path / "a.csv",), memory_mb=400, threads=1)

    read = database.execute(
        "SELECT count(*) FROM read_csv($path)", {"path": str(tmp_path / "a.csv")}
    ).fetchall()
    with pytest.raises(duckdb.Error):
        database.execute(sql.format(folder=tmp_path))
    database.close()

    assert read == [(20,)]
    assert sorted(tmp_path.iterdir()) == before


async def test_what_is_late_is_interrupted_and_the_pool_is_free_again(
    tmp_path: Path, bench: Any, a_long_plan: Any, an_engine: Callable[..., DuckDbEngine]
) -> None:
    put_rows(tmp_path)
    engine = an_engine(deadline_s=1.0, queries_max=1, threads=1)
    for dataset in (a_long_plan.dataset, bench.a_dataset("a.csv")):
        assert await engine.check(dataset) == ()

    with pytest.raises(EngineFailed, match=FAILED):
        await engine.execute(a_long_plan)

    answer: Any = await engine.execute(bench.a_rows_plan(bench.a_dataset("a.csv")))
    assert answer.count == 20


async def test_what_is_abandoned_is_interrupted_and_the_pool_is_free_again(
    tmp_path: Path, bench: Any, a_long_plan: Any, an_engine: Callable[..., DuckDbEngine]
) -> None:
    put_rows(tmp_path)
    engine = an_engine(deadline_s=1.5, queries_max=1, threads=1)
    assert await engine.check(a_long_plan.dataset) == ()
    abandoned = [asyncio.create_task(engine.execute(a_long_plan)) for _ in range(3)]  # one runs, two wait
    while not any(running.future.running() for running in engine._running):  # noqa: ASYNC110 (no event tells)
        await asyncio.sleep(0)
    for task in abandoned:
        task.cancel()
    outcomes = await asyncio.gather(*abandoned, return_exceptions=True)

    answer: Any = await engine.execute(bench.a_rows_plan(bench.a_dataset("a.csv")))
    assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError] * 3
    assert answer.count == 20


async def test_a_file_that_changes_while_it_is_read_gives_no_answer(
    tmp_path: Path, bench: Any, an_engine: Callable[..., DuckDbEngine]
) -> None:
    put_rows(tmp_path)
    for plan in (
        bench.a_rows_plan(bench.a_dataset("a.csv")),
        bench.a_statistic(bench.a_dataset("a.csv")),
    ):
        reading = asyncio.create_task(an_engine().execute(plan))
        moment = 0
        while not reading.done():
            moment += 1
            os.utime(tmp_path / "a.csv", ns=(moment, moment))
            await asyncio.sleep(0)

        with pytest.raises(EngineFailed, match=FAILED):
            await reading


async def test_a_file_that_was_replaced_is_read_anew(
    tmp_path: Path, bench: Any, an_engine: Callable[..., DuckDbEngine]
) -> None:
    engine, plan = an_engine(), bench.a_statistic(bench.a_dataset("a.csv"))
    counts = []
    for rows in (2, 3):
        lines = ["person;region;age;income;day;flag", *(f"{n};;;;;" for n in range(rows))]
        (tmp_path / "next.csv").write_text("\n".join(lines) + "\n")
        (tmp_path / "next.csv").replace(tmp_path / "a.csv")
        answer: Any = await engine.execute(plan)
        counts.append(answer.values)

    assert counts == [((2,),), ((3,),)]


async def test_a_failure_says_nothing_of_the_data(
    tmp_path: Path, bench: Any, an_engine: Callable[..., DuckDbEngine]
) -> None:
    """Promise P5."""
    (tmp_path / "a.parquet").write_bytes(b"PAR1 secret-name PAR1")
    (tmp_path / "a.csv").write_text("secret-name;region\nb;c\n")
    for path in ("a.parquet", "a.csv"):
        with pytest.raises(EngineFailed) as caught:
            await an_engine().execute(bench.a_statistic(bench.a_dataset(path)))

        assert caught.value.args == ("the engine could not answer",)
        assert (caught.value.__cause__, caught.value.__context__) == (None, None)
        assert "secret" not in "".join(caught.value.__notes__)


async def test_too_little_memory_is_a_failure_like_any_other(
    tmp_path: Path, bench: Any, an_engine: Callable[..., DuckDbEngine]
) -> None:
    pq.write_table(pa.table({"person": pa.array(np.arange(2_000_000))}), tmp_path / "a.parquet")
    dataset = bench.a_dataset("a.parquet", (bench.a_column("person", ColumnType.TEXT),))

    with pytest.raises(EngineFailed, match=FAILED):
        await an_engine(memory_mb=20, queries_max=1).execute(bench.a_statistic(dataset))


async def test_check_tells_the_owner_what_is_wrong(
    tmp_path: Path, bench: Any, an_engine: Callable[..., DuckDbEngine]
) -> None:
    (tmp_path / "few.csv").write_text("person;Region;age;income;day\n")
    (tmp_path / "twice.csv").write_text("person;region;age;income;day;flag;age\n")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "text.parquet").write_text("person;region\n")
    pq.write_table(
        pa.table(
            {"person": ["a"], "region": [["n"]], "age": [1], "income": [1], "day": [None], "flag": [True]}
        ),
        tmp_path / "list.parquet",
    )
    put_rows(tmp_path)
    engine = an_engine()
    paths = [
        "a.csv",
        "none.csv",
        "few.csv",
        "twice.csv",
        "empty.csv",
        "bytes.csv",
        "text.parquet",
        "list.parquet",
    ]

    assert {path: await engine.check(bench.a_dataset(path)) for path in paths} == {
        "a.csv": (),
        "none.csv": ("the source `none.csv` does not exist",),
        "few.csv": ("the source has no column `region`", "the source has no column `flag`"),
        "twice.csv": ("the source has the column `age` twice",),
        "empty.csv": ("the source has no header",),
        "bytes.csv": ("the first line of the source is not a header in the declared format",),
        "text.parquet": ("the source `text.parquet` cannot be read as parquet",),
        "list.parquet": ("the column `region` is stored as a type that is never read",),
    }
