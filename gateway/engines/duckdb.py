"""The embedded engine: DuckDB over CSV and Parquet files of one folder.

Each source file has a database in memory of its own, which may read that one file and nothing
else: no network, no extension, no other path, no spill to disk, configuration locked. Each query
has a connection of its own in a thread of a bounded pool, and a deadline; what is late or
abandoned is interrupted until it is gone. A file that changed while it was read gives no answer.

SECURITY: DuckDB's messages quote cells, so no message of it leaves this file, not even chained.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import duckdb
import pyarrow as pa

from gateway.engines.source import StoredColumn, csv_header, resolve, stamp
from gateway.engines.statement import Scan, parquet_relation, rows_statement, statistic_statement
from gateway.engines.typed import is_readable
from gateway.errors import EngineFailed
from gateway.terms.dataset import Column, ColumnType, Dataset, SourceFormat
from gateway.terms.frame import UnprotectedFrame, UnprotectedIntegers, UnprotectedRows
from gateway.terms.plan import Plan, RowsPlan, StatisticPlan

FAILED: Final = "the engine could not answer"
"""The only words for whatever goes wrong with data: they depend on nothing (promise P5)."""
INTERRUPT_EVERY_S: Final = 0.02
POSITION_COLUMN: Final = "file_row_number"

ARROW_TYPES: Final = {
    ColumnType.TEXT: pa.string(),
    ColumnType.INTEGER: pa.int64(),
    ColumnType.DATE: pa.date32(),
    ColumnType.BOOLEAN: pa.bool_(),
}

Answer = TypeVar("Answer")


class DuckDbEngine:
    """The port over one data folder; ``memory_mb`` is the most that all queries together may take."""

    def __init__(
        self, data_folder: Path, *, deadline_s: float, memory_mb: int, threads: int, queries_max: int = 4
    ) -> None:
        self._data_folder = data_folder
        self._deadline_s = deadline_s
        self._memory_mb = max(1, memory_mb // queries_max)
        """Of one database; at most ``queries_max`` are at work."""
        self._threads = threads
        self._pool = ThreadPoolExecutor(max_workers=queries_max, thread_name_prefix="duckdb")
        self._lock = threading.Lock()
        self._databases: dict[Path, duckdb.DuckDBPyConnection] = {}  # owner: _connect, under the lock
        self._running: set[_Running[Any]] = set()  # owner: the event loop

    async def execute(self, plan: Plan) -> UnprotectedFrame:
        match plan:
            case RowsPlan():
                return await self._in_time(lambda query: self._rows(plan, query))
            case StatisticPlan():
                return await self._in_time(lambda query: self._statistic(plan, query))

    async def check(self, dataset: Dataset) -> tuple[str, ...]:
        try:
            return await self._in_time(lambda query: self._problems(dataset, query))
        except EngineFailed as error:
            return (error.detail,)

    async def close(self) -> None:
        for running in list(self._running):
            self._interrupt(running)
        await asyncio.to_thread(self._pool.shutdown, wait=True, cancel_futures=True)
        with self._lock:
            for database in self._databases.values():
                database.close()
            self._databases.clear()

    async def _in_time(self, work: "Callable[[_Query], Answer]") -> Answer:
        """Return the work's answer, done in a thread, before the deadline; else interrupt it."""
        running = _Running(_Query(), self._pool, work)
        self._running.add(running)
        waiting: asyncio.Future[Answer | EngineFailed] = asyncio.wrap_future(running.future)
        try:
            await asyncio.wait({waiting}, timeout=self._deadline_s)
        finally:  # done, late, or the caller went away
            self._interrupt(running)
        if not waiting.done():
            raise EngineFailed(FAILED)
        answer = waiting.result()
        if isinstance(answer, EngineFailed):
            raise answer
        return answer

    def _interrupt(self, running: "_Running[Any]") -> None:
        """Interrupt a query until it has ended: one that is just starting misses the first call."""
        if running.future.cancel() or running.future.done():
            self._running.discard(running)
            return
        running.query.stop()
        asyncio.get_running_loop().call_later(INTERRUPT_EVERY_S, self._interrupt, running)

    # Below: threads of the pool.

    def _rows(self, plan: RowsPlan, query: "_Query") -> UnprotectedRows:
        path = resolve(self._data_folder, plan.dataset.source)
        before = stamp(path)
        connection = query.start(self._connect(path))
        statement = rows_statement(plan, _scan(connection, path, plan.dataset))
        table = connection.sql(statement.sql, params=statement.parameters).to_arrow_table()
        if stamp(path) != before or table.nbytes > self._memory_mb << 20:
            raise EngineFailed(FAILED)

        follows = table.num_rows > plan.rows_max
        keys = table.column(table.num_columns - 1)
        declared = {column.name: column for column in plan.dataset.columns}
        schema = pa.schema([(name, _arrow_type(declared[name])) for name, _ in plan.columns])
        shown = table.select(range(len(plan.columns))).slice(0, plan.rows_max)
        return UnprotectedRows(
            table=shown.rename_columns(schema.names).cast(schema),
            last_order_key=keys[plan.rows_max - 1].as_py() if follows else None,
        )

    def _statistic(self, plan: StatisticPlan, query: "_Query") -> UnprotectedIntegers:
        path = resolve(self._data_folder, plan.dataset.source)
        before = stamp(path)
        connection = query.start(self._connect(path))
        statement = statistic_statement(plan, _scan(connection, path, plan.dataset))
        found = connection.execute(statement.sql, statement.parameters).fetchall()
        if stamp(path) != before:
            raise EngineFailed(FAILED)

        values = [(0,) * len(plan.measures)] * plan.groups
        for row in found:
            group = 0
            for key, position in zip(plan.keys, row, strict=False):
                group = group * len(key.values) + position
            values[group] = tuple(int(value) for value in row[len(plan.keys) :])
        return UnprotectedIntegers(values=tuple(values))

    def _problems(self, dataset: Dataset, query: "_Query") -> tuple[str, ...]:
        path = resolve(self._data_folder, dataset.source)
        try:
            connection = query.start(self._connect(path))
            scan = _scan(connection, path, dataset)
        except duckdb.Error:
            return (f"the source `{dataset.source.path}` cannot be read as {dataset.source.format.value}",)
        types = {stored.name: stored.type for stored in scan.stored}
        unit = () if dataset.unit is None or dataset.unit.column is None else (dataset.unit.column,)
        declared = tuple(dict.fromkeys((*(column.name for column in dataset.columns), *unit)))
        missing = [f"the source has no column `{name}`" for name in declared if name not in types]
        unread = [
            f"the column `{name}` is stored as a type that is never read"
            for name in declared
            if name in types and not is_readable(types[name])
        ]
        return (*missing, *unread)

    def _connect(self, path: Path) -> duckdb.DuckDBPyConnection:
        with self._lock:
            if path not in self._databases:
                self._databases[path] = _locked_database(path, self._memory_mb, self._threads)
            return self._databases[path].cursor()


class _Query:
    """One query's connection, and the way to stop it from another thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._is_stopped = False

    def start(self, connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
        with self._lock:
            self._connection = connection
            if self._is_stopped:
                raise EngineFailed(FAILED)
            return connection

    def stop(self) -> None:
        with self._lock:
            self._is_stopped = True
            if self._connection is not None:
                self._connection.interrupt()

    def end(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None


class _Running(Generic[Answer]):
    """A query and the thread's promise of its answer; a failure is a value, so that none is forgotten."""

    def __init__(self, query: _Query, pool: ThreadPoolExecutor, work: Callable[[_Query], Answer]) -> None:
        self.query = query
        self.future: Future[Answer | EngineFailed] = pool.submit(self._run, work)

    def _run(self, work: Callable[[_Query], Answer]) -> Answer | EngineFailed:
        try:
            return work(self.query)
        except EngineFailed as error:
            return error
        except Exception as error:  # noqa: BLE001 (a port raises its own family only)
            failed = EngineFailed(FAILED)
            failed.add_note(type(error).__name__)  # for the operator; the message itself may quote a cell
            return failed
        finally:
            self.query.end()


def _locked_database(path: Path, memory_mb: int, threads: int) -> duckdb.DuckDBPyConnection:
    """Return a database that reads one file. Order matters: the last setting locks all others."""
    database = duckdb.connect(
        ":memory:",
        config={
            "allow_community_extensions": False,
            "allow_unsigned_extensions": False,
            "allow_persistent_secrets": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "enable_external_file_cache": False,
            "python_enable_replacements": False,
            "memory_limit": f"{memory_mb}MB",
            "threads": threads,
            "temp_directory": "",  # private data is never spilled
            "max_temp_directory_size": "0KB",
            "preserve_insertion_order": True,
            "default_collation": "",
        },
    )
    text = "'" + str(path).replace("'", "''") + "'"  # SET takes no parameters; a path of our own disk
    database.execute(f"SET allowed_paths = [{text}]")
    database.execute("SET enable_external_access = false")
    database.execute("SET lock_configuration = true")
    return database


def _scan(connection: duckdb.DuckDBPyConnection, path: Path, dataset: Dataset) -> Scan:
    source = dataset.source
    if source.format is SourceFormat.CSV:
        header = csv_header(path, source.delimiter)
        return Scan(str(path), dataset, tuple(StoredColumn(name=name, type="VARCHAR") for name in header))
    described = connection.execute(
        f"DESCRIBE SELECT * FROM {parquet_relation('$path')}",  # noqa: S608 (no value in it)
        {"path": str(path)},
    ).fetchall()
    stored = (StoredColumn(name=name, type=type_name) for name, type_name, *_ in described)
    return Scan(str(path), dataset, tuple(column for column in stored if column.name != POSITION_COLUMN))


def _arrow_type(column: Column) -> pa.DataType:
    if column.type is ColumnType.DECIMAL:
        return pa.decimal128(38, column.decimals)
    return ARROW_TYPES[column.type]
