"""Snapshots: made once for a state of the source, never mixed, never half, and private."""

import asyncio
import contextlib
import fcntl
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gateway.engines.database import Work
from gateway.engines.duckdb import DuckDbEngine
from gateway.errors import EngineFailed
from gateway.terms.dataset import ColumnType
from gateway.terms.identifiers import ColumnName, DatasetId
from gateway.terms.plan import MeasureKind
from gateway.terms.predicate import Comparator, Comparison

HEADER = "person;region;age;income;day;flag\n"
Engines = Callable[..., DuckDbEngine]


def put(folder: Path, ages: list[int], path: str = "a.csv") -> None:
    (folder / "next").write_text(HEADER + "".join(f"{at};n;{age};;;\n" for at, age in enumerate(ages)))
    (folder / "next").replace(folder / path)


def snapshots(folder: Path) -> list[Path]:
    return sorted((folder / "snapshots").iterdir())


def sum_of_ages(bench: Any, dataset: Any) -> Any:
    return bench.a_statistic(dataset, bench.a_measure(MeasureKind.SUM, "age"))


async def test_other_bounds_make_another_snapshot_and_the_one_before_is_removed(
    tmp_path: Path, bench: Any, an_engine: Engines
) -> None:
    put(tmp_path, [10, 60, 90])
    first = bench.a_dataset("a.csv")
    tighter = (*first.columns[:2], replace(first.columns[2], bounds=(Decimal(0), Decimal(50))))
    second = replace(first, revision=2, columns=(*tighter, *first.columns[3:]))
    engine, sums, files = an_engine(), [], []
    for dataset in (first, second, first):
        answer: Any = await engine.execute(sum_of_ages(bench, dataset))
        sums.append(answer.values)
        files.append(snapshots(tmp_path))

    assert sums == [((160,),), ((110,),), ((160,),)]
    assert [len(some) for some in files] == [1, 1, 1]
    assert files[0] == files[2] != files[1]


async def test_another_public_list_or_bound_of_rows_is_another_snapshot(
    tmp_path: Path, bench: Any, an_engine: Engines
) -> None:
    put(tmp_path, [1])
    listed = bench.a_dataset("a.csv", bench.listing(bench.columns, region=("n",)))
    datasets = [
        listed,
        replace(listed, columns=bench.listing(bench.columns, region=("s",))),
        replace(listed, unit=replace(listed.unit, rows_max=7)),
        replace(listed, unit=replace(listed.unit, column=None)),
        replace(listed, unit=None),
        replace(listed, source=replace(listed.source, nulls=("",))),
    ]
    engine = an_engine()
    names = []
    for dataset in datasets:
        assert await engine.check(dataset) == ()
        names += snapshots(tmp_path)

    assert len(set(names)) == len(names) == len(datasets)


async def test_a_title_makes_no_new_snapshot_and_a_restart_finds_the_old_one(
    tmp_path: Path, bench: Any, an_engine: Engines
) -> None:
    put(tmp_path, [1, 2])
    dataset = bench.a_dataset("a.csv")
    before = an_engine()
    await before.check(dataset)
    (made,) = snapshots(tmp_path)
    state = made.stat()
    await before.close()
    engine = an_engine()
    answer: Any = await engine.execute(sum_of_ages(bench, replace(dataset, revision=2, digest="other")))

    assert answer.values == ((3,),)
    assert (made.stat().st_ino, made.stat().st_mtime_ns) == (state.st_ino, state.st_mtime_ns)


async def test_a_source_that_became_unreadable_gives_no_old_answer_and_comes_back(
    tmp_path: Path, bench: Any, an_engine: Engines
) -> None:
    put(tmp_path, [1, 2])
    engine, dataset = an_engine(), bench.a_dataset("a.csv")
    await engine.execute(sum_of_ages(bench, dataset))
    (tmp_path / "a.csv").write_text("no;such;columns\n")
    for _ in range(2):
        with pytest.raises(EngineFailed, match="the engine could not answer"):
            await engine.execute(sum_of_ages(bench, dataset))
    problems = await engine.check(dataset)
    put(tmp_path, [1, 2, 3])

    assert problems[0] == "the source has no column `person`"
    assert await engine.check(dataset) == ()
    answer: Any = await engine.execute(sum_of_ages(bench, dataset))
    assert answer.values == ((6,),)


async def test_a_question_that_cannot_wait_gets_no_old_answer_and_the_preparation_goes_on(
    tmp_path: Path, bench: Any, an_engine: Engines
) -> None:
    dataset = bench.a_dataset("a.csv")
    put(tmp_path, [1])
    engine = an_engine()
    await engine.check(dataset)
    put(tmp_path, [1, 2])
    may_go_on = threading.Event()
    engine._preparer.submit(may_go_on.wait)  # the preparation stands behind this
    engine._deadline_s = 0.2
    with pytest.raises(EngineFailed, match="the engine could not answer"):
        await engine.execute(sum_of_ages(bench, dataset))
    (preparation,) = engine._preparing.values()
    may_go_on.set()

    assert await preparation is None
    engine._deadline_s = 30.0
    answer: Any = await engine.execute(sum_of_ages(bench, dataset))
    assert answer.values == ((3,),)


def test_a_source_that_changes_while_it_is_prepared_leaves_no_snapshot(
    tmp_path: Path, bench: Any, an_engine: Engines
) -> None:
    class Changing(Work):
        def start(self, connection: Any) -> Any:
            os.utime(tmp_path / "a.csv", ns=(1, 1))
            return super().start(connection)

    put(tmp_path, [1])
    with pytest.raises(EngineFailed, match=r"the source `a.csv` changed while it was read"):
        an_engine()._snapshots.prepare(bench.a_dataset("a.csv"), Changing())

    assert snapshots(tmp_path) == []


async def test_many_first_questions_prepare_once(tmp_path: Path, bench: Any, an_engine: Engines) -> None:
    put(tmp_path, list(range(50)))
    engine, dataset = an_engine(), bench.a_dataset("a.csv")
    asked = [asyncio.create_task(engine.execute(sum_of_ages(bench, dataset))) for _ in range(8)]
    seen = set()
    while not all(task.done() for task in asked):
        seen |= set(engine._preparing.values())
        await asyncio.sleep(0)
    answers: Any = await asyncio.gather(*asked)

    assert {answer.values for answer in answers} == {((sum(range(50)),),)}
    assert len(seen) == 1


async def test_of_two_processes_one_prepares_and_the_other_waits_and_finds_it(
    tmp_path: Path, bench: Any, an_engine: Engines
) -> None:
    put(tmp_path, list(range(1, 100)))
    dataset, engines = bench.a_dataset("a.csv"), (an_engine(), an_engine())
    folder = os.open(tmp_path / "snapshots", os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)  # a third one is at work
    asked = [asyncio.create_task(engine.execute(sum_of_ages(bench, dataset))) for engine in engines]
    await asyncio.sleep(0.3)
    waited = snapshots(tmp_path)
    os.close(folder)

    answers = await asyncio.gather(*asked)

    assert (waited, len(snapshots(tmp_path))) == ([], 1)
    assert len({answer.values for answer in answers}) == 1


async def test_a_workshop_of_another_process_that_is_at_work_stays(
    tmp_path: Path, an_engine: Engines
) -> None:
    an_engine()
    workshop = tmp_path / "snapshots" / "preparing-elsewhere"
    workshop.mkdir()
    folder = os.open(tmp_path / "snapshots", os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)

    an_engine()
    stayed = workshop.exists()
    os.close(folder)
    an_engine()

    assert (stayed, workshop.exists()) == (True, False)


async def test_a_preparation_that_fails_rests_before_the_next(
    tmp_path: Path, bench: Any, an_engine: Engines
) -> None:
    put(tmp_path, [1])
    engine = an_engine()
    dataset = bench.a_dataset("a.csv", (*bench.columns, bench.a_column("nowhere", ColumnType.TEXT)))
    began = asyncio.get_running_loop().time()
    with pytest.raises(EngineFailed):
        await engine.execute(bench.a_statistic(dataset))
    (rests_until,) = engine._resting.values()

    assert rests_until > began
    engine._resting = dict.fromkeys(engine._resting, began + 1000)
    with pytest.raises(EngineFailed):
        await engine.execute(bench.a_statistic(dataset))
    assert not engine._preparing


async def test_folder_and_files_are_for_the_owner_only(
    tmp_path: Path, bench: Any, an_engine: Engines
) -> None:
    put(tmp_path, [1])
    (tmp_path / "snapshots").mkdir(mode=0o755)  # as a careless restore leaves it
    mask = os.umask(0)
    try:
        await an_engine().check(bench.a_dataset("a.csv"))
    finally:
        os.umask(mask)
    (made,) = snapshots(tmp_path)

    assert stat.S_IMODE((tmp_path / "snapshots").stat().st_mode) == 0o700
    assert stat.S_IMODE(made.stat().st_mode) == 0o600


def test_a_question_goes_on_with_the_snapshot_that_it_began_with(
    tmp_path: Path, bench: Any, an_engine: Engines
) -> None:
    put(tmp_path, list(range(1000)))
    snapshots, dataset = an_engine()._snapshots, bench.a_dataset("a.csv")
    snapshots.prepare(dataset, Work())
    connection, snapshot = snapshots.connect(dataset) or (None, None)
    assert connection is not None
    assert snapshot is not None
    connection.execute(f"SELECT c2 FROM {snapshot.table} ORDER BY position")  # noqa: S608
    put(tmp_path, [7])
    snapshots.prepare(dataset, Work())
    rest = connection.fetchall()
    counted = connection.execute(f"SELECT count(*) FROM {snapshot.table}").fetchall()  # noqa: S608
    present, (_, newer) = snapshots.connect(dataset), snapshots.connect(dataset) or (None, None)

    assert rest == [(n,) for n in range(1000)]
    assert counted == [(1000,)]  # of a later statement too, as a page has several
    assert (snapshot.rows, newer and newer.rows) == (1000, 1)
    assert present is not None
    attached = present[0].execute("SELECT count(*) FROM duckdb_databases() WHERE NOT internal").fetchall()
    assert attached == [(2,)]  # the snapshot, and the database in memory


async def test_a_snapshot_is_one_file_that_nothing_writes_any_more(
    tmp_path: Path, bench: Any, an_engine: Engines
) -> None:
    put(tmp_path, [1, 2])
    engine, dataset = an_engine(), bench.a_dataset("a.csv")
    await engine.check(dataset)
    (made,) = snapshots(tmp_path)
    before = made.read_bytes()
    connection, snapshot = engine._snapshots.connect(dataset) or (None, None)
    assert connection is not None
    assert snapshot is not None
    for sql in ("DELETE FROM {}", "DROP TABLE {}", "CREATE INDEX i ON {} (position)"):
        with pytest.raises(duckdb.Error):
            connection.execute(sql.format(snapshot.table))
    await engine.close()

    assert (snapshots(tmp_path), made.read_bytes()) == ([made], before)


async def test_what_belongs_to_no_served_dataset_is_removed(
    tmp_path: Path, bench: Any, an_engine: Engines
) -> None:
    put(tmp_path, [1])
    one, other = bench.a_dataset("a.csv"), replace(bench.a_dataset("a.csv"), id=DatasetId("other"))
    before = an_engine()
    for dataset in (one, other):
        await before.check(dataset)
    assert len(snapshots(tmp_path)) == 2
    await before.close()
    engine = an_engine()
    await engine.check(one)
    await engine.retain({one.id})

    assert len(snapshots(tmp_path)) == 1
    answer: Any = await engine.execute(sum_of_ages(bench, one))
    assert answer.values == ((1,),)


PREPARE = """
import asyncio, sys
sys.path.insert(0, {here!r})
from conftest import a_dataset
from gateway.engines.duckdb import DuckDbEngine
from pathlib import Path
folder = Path({folder!r})
engine = DuckDbEngine(folder, snapshots=folder / "snapshots", deadline_s=30, memory_mb=800, threads=1)
asyncio.run(engine.check(a_dataset("a.csv")))
"""


def test_a_crash_while_preparing_leaves_nothing_that_is_read(
    tmp_path: Path, bench: Any, an_engine: Engines
) -> None:
    put(tmp_path, [1] * 300_000)
    code = PREPARE.format(here=str(Path(__file__).parent), folder=str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        while not list(tmp_path.glob("snapshots/preparing-*/*.duckdb")) and process.poll() is None:
            time.sleep(0.005)
        process.kill()
    left = snapshots(tmp_path)
    engine = an_engine()
    swept = snapshots(tmp_path)
    answer: Any = asyncio.run(engine.execute(sum_of_ages(bench, bench.a_dataset("a.csv"))))

    assert [path.name.startswith("preparing-") for path in left] == [True]
    assert swept == []
    assert answer.values == ((300_000,),)


async def test_half_a_file_under_a_whole_name_is_made_again(
    tmp_path: Path, bench: Any, an_engine: Engines
) -> None:
    put(tmp_path, [1, 2])
    dataset = bench.a_dataset("a.csv")
    before = an_engine()
    await before.check(dataset)
    await before.close()
    (made,) = snapshots(tmp_path)
    made.write_bytes(made.read_bytes()[:100])

    answer: Any = await an_engine().execute(sum_of_ages(bench, dataset))
    assert answer.values == ((3,),)


def test_a_source_too_large_for_the_disk_is_refused_before_a_byte_is_written(
    tmp_path: Path, bench: Any, an_engine: Engines
) -> None:
    put(tmp_path, [1])
    with contextlib.suppress(OSError):  # a file system without such large files
        os.truncate(tmp_path / "a.csv", 1 << 42)
    if (tmp_path / "a.csv").stat().st_size < 1 << 42:
        pytest.skip("no sparse files of this size here")
    with pytest.raises(EngineFailed, match=r"preparing the source `a.csv` lacks "):
        an_engine()._snapshots.prepare(bench.a_dataset("a.csv"), Work())
    assert snapshots(tmp_path) == []


async def test_text_that_is_not_utf8_is_told_to_the_owner(
    tmp_path: Path, bench: Any, an_engine: Engines
) -> None:
    offsets = pa.py_buffer(np.array([0, 2, 4], dtype=np.int32).tobytes())
    broken = pa.Array.from_buffers(pa.string(), 2, [None, offsets, pa.py_buffer(b"\xff\xfeok")])
    pq.write_table(pa.table({"person": broken}), tmp_path / "a.parquet")
    dataset = bench.a_dataset("a.parquet", bench.columns[:1])

    assert await an_engine().check(dataset) == ("the source `a.parquet` holds text that is not UTF-8",)


async def test_a_folders_files_are_one_table_in_the_order_of_their_names(
    tmp_path: Path, bench: Any, an_engine: Engines
) -> None:
    table = pa.table({"person": [f"p{n % 40}" for n in range(100)], "age": list(range(100))})
    (tmp_path / "parts").mkdir()
    for name, start, count in (("b", 30, 50), ("a", 0, 30), ("c", 80, 20)):
        pq.write_table(table.slice(start, count), tmp_path / "parts" / f"{name}.parquet")
    pq.write_table(table, tmp_path / "whole.parquet")
    columns = (bench.columns[0], bench.columns[2])
    whole = bench.a_dataset("whole.parquet", columns)
    parts = replace(whole, source=replace(whole.source, path="parts"))
    engine = an_engine()
    assert await engine.check(parts) == ()
    few = Comparison(ColumnName("age"), Comparator.LESS, (55,))
    answers: Any = []
    for dataset in (whole, parts):
        rows: Any = await engine.execute(bench.a_rows_plan(dataset))
        connection, snapshot = engine._snapshots.connect(dataset) or (None, None)
        assert connection is not None
        assert snapshot is not None
        stored = connection.execute(f"SELECT c1 FROM {snapshot.table} ORDER BY position").fetchall()  # noqa: S608
        units: Any = await engine.execute(
            bench.a_statistic(dataset, bench.a_measure(MeasureKind.UNITS), predicate=few)
        )
        answers.append((stored, sorted(rows.columns["age"]), units.values))

    assert answers[0] == answers[1]


async def test_rows_of_a_changed_folder_are_read_anew(tmp_path: Path, bench: Any, an_engine: Engines) -> None:
    columns = (bench.columns[0],)
    dataset = bench.a_dataset("x.parquet", columns)
    dataset = replace(dataset, source=replace(dataset.source, path="parts"))
    (tmp_path / "parts").mkdir()
    engine, counts = an_engine(), []
    for name in ("a", "b"):
        pq.write_table(pa.table({"person": [name]}), tmp_path / "parts" / f"{name}.parquet")
        answer: Any = await engine.execute(bench.a_statistic(dataset))
        counts.append(answer.values)

    assert counts == [((1,),), ((2,),)]
