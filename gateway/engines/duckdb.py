"""The embedded engine: DuckDB over CSV and Parquet files of one folder, by way of snapshots.

A question reads a snapshot (``snapshot.py``) and nothing else. A source is read only to prepare one:
at the start, and when it has changed; then a question waits for it as long as its deadline allows.
Each question has a connection of its own in a thread of a bounded pool, and a deadline; what is
late or abandoned is interrupted until it is gone. Preparations have a thread of their own, one at a
time, and go on when the question that asked for one has gone.
"""

import asyncio
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from gateway.engines.cells import arrow_type, values_of
from gateway.engines.database import FAILED, Answer, Running, Work
from gateway.engines.lookup import found_in
from gateway.engines.pages import page_of
from gateway.engines.snapshot import Snapshots, Subject, problems_of, subject_of
from gateway.engines.source import files_of, resolve
from gateway.engines.statement import statistic_statement
from gateway.errors import EngineFailed
from gateway.terms.dataset import Dataset
from gateway.terms.frame import UnprotectedFrame, UnprotectedIntegers, UnprotectedRows, Values
from gateway.terms.identifiers import ColumnName, DatasetId
from gateway.terms.plan import LookupPlan, Plan, ProxyPlan, RowsPlan, StatisticPlan

INTERRUPT_EVERY_S: Final = 0.02
PREPARATION_S_MAX: Final = 3600.0
REST_FACTOR: Final = 10
"""A preparation that failed is not tried again for so many times what it took."""


class DuckDbEngine:
    """The port over one data folder; ``memory_mb`` is the most that all work together may take."""

    def __init__(
        self,
        data_folder: Path,
        *,
        snapshots: Path,
        deadline_s: float,
        memory_mb: int,
        threads: int,
        queries_max: int = 4,
    ) -> None:
        self._data_folder = data_folder
        self._deadline_s = deadline_s
        self._memory_mb = max(1, memory_mb // (queries_max + 1))
        """A question's share, and a preparation's: at most ``queries_max`` and one are at work."""
        self._snapshots = Snapshots(
            snapshots,
            data_folder,
            memory_mb=self._memory_mb,
            questions_mb=self._memory_mb * queries_max,
            threads=threads,
        )
        self._pool = ThreadPoolExecutor(max_workers=queries_max, thread_name_prefix="duckdb")
        self._preparer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="snapshot")
        # Owner of all three: the event loop.
        self._running: set[Running[Any]] = set()
        self._preparing: dict[Subject, asyncio.Task[EngineFailed | None]] = {}
        self._resting: dict[Subject, float] = {}

    async def execute(self, plan: Plan) -> UnprotectedFrame:
        match plan:
            case RowsPlan():
                return await self._answer(plan.dataset, lambda work: self._rows(plan, work))
            case LookupPlan():
                return await self._answer(plan.dataset, lambda work: self._found(plan, work))
            case StatisticPlan():
                return await self._answer(plan.dataset, lambda work: self._statistic(plan, work))
            case ProxyPlan():
                raise EngineFailed(FAILED)  # an upstream's, not ours

    async def check(self, dataset: Dataset) -> tuple[str, ...]:
        """Look at the source's columns, then prepare its snapshot, however long that takes."""
        try:
            found = await self._in_time(self._deadline_s, self._pool, lambda _: self._problems(dataset))
        except EngineFailed as error:
            return (error.detail,)
        if found:
            return found
        failed = await asyncio.shield(self._preparation(dataset))
        return () if failed is None else (failed.detail,)

    async def reads(self, dataset: Dataset) -> frozenset[tuple[int, int]]:
        return await asyncio.to_thread(files_of, self._data_folder, dataset.source)

    async def retain(self, datasets: Collection[DatasetId]) -> None:
        await asyncio.wrap_future(self._preparer.submit(self._snapshots.keep_only, frozenset(datasets)))

    async def close(self) -> None:
        for running in list(self._running):
            self._interrupt(running)
        for pool in (self._pool, self._preparer):
            await asyncio.to_thread(pool.shutdown, wait=True, cancel_futures=True)
        await asyncio.gather(*self._preparing.values())
        self._snapshots.close()

    async def _answer(self, dataset: Dataset, do: Callable[[Work], Answer | None]) -> Answer:
        """Return what ``do`` finds; where there is no snapshot for it yet, wait for one and try once more."""
        now = asyncio.get_running_loop().time
        ends = now() + self._deadline_s
        answer = await self._in_time(self._deadline_s, self._pool, do)
        if answer is None and now() >= self._resting.get(subject_of(dataset), 0.0):
            await asyncio.wait({self._preparation(dataset)}, timeout=ends - now())
            answer = await self._in_time(ends - now(), self._pool, do)
        if answer is None:
            failed = EngineFailed(FAILED)
            failed.add_note("the source is not prepared")
            raise failed
        return answer

    def _preparation(self, dataset: Dataset) -> "asyncio.Task[EngineFailed | None]":
        """Return the one preparation of this dataset that is under way, or begin it."""
        subject = subject_of(dataset)
        if subject not in self._preparing:
            self._preparing[subject] = asyncio.create_task(self._prepared(dataset, subject))
        return self._preparing[subject]

    async def _prepared(self, dataset: Dataset, subject: Subject) -> EngineFailed | None:
        now = asyncio.get_running_loop().time
        began = now()
        self._resting.pop(subject, None)
        try:
            await self._in_time(
                PREPARATION_S_MAX, self._preparer, lambda work: self._snapshots.prepare(dataset, work)
            )
        except EngineFailed as error:
            self._resting[subject] = now() + REST_FACTOR * (now() - began)
            return error
        finally:
            del self._preparing[subject]
        return None

    async def _in_time(
        self, seconds: float, pool: ThreadPoolExecutor, do: Callable[[Work], Answer]
    ) -> Answer:
        """Return what is done in a thread before the deadline; else interrupt it."""
        running = Running(pool, do)
        self._running.add(running)
        waiting: asyncio.Future[Answer | EngineFailed] = asyncio.wrap_future(running.future)
        try:
            await asyncio.wait({waiting}, timeout=max(0.0, seconds))
        finally:  # done, late, or the caller went away
            self._interrupt(running)
        if not waiting.done() or waiting.cancelled():
            raise EngineFailed(FAILED)
        answer = waiting.result()
        if isinstance(answer, EngineFailed):
            raise answer
        return answer

    def _interrupt(self, running: Running[Any]) -> None:
        """Interrupt work until it has ended: what is just starting misses the first call."""
        if running.future.cancel() or running.future.done():
            self._running.discard(running)
            return
        running.work.stop()
        asyncio.get_running_loop().call_later(INTERRUPT_EVERY_S, self._interrupt, running)

    # Below: threads of the pool.

    def _rows(self, plan: RowsPlan, work: Work) -> UnprotectedRows | None:
        found = self._snapshots.connect(plan.dataset)
        if found is None:
            return None
        shown, ended_at = page_of(plan, found[1], work.start(found[0]))
        return UnprotectedRows(columns=self._columns(plan, shown), ended_at=ended_at)

    def _found(self, plan: LookupPlan, work: Work) -> UnprotectedRows | None:
        found = self._snapshots.connect(plan.dataset)
        if found is None:
            return None
        shown = found_in(plan, found[1], work.start(found[0]))
        found_by = tuple(shown.column(shown.num_columns - 1).to_pylist())
        return UnprotectedRows(columns=self._columns(plan, shown), ended_at=None, found_by=found_by)

    def _columns(self, plan: RowsPlan | LookupPlan, shown: pa.Table) -> dict[ColumnName, Values]:
        """Return the planned columns, which stand first in the table."""
        if shown.nbytes > self._memory_mb << 20:
            raise EngineFailed(FAILED)
        declared = {column.name: column for column in plan.dataset.columns}
        return {
            name: values_of(shown.column(place).cast(arrow_type(declared[name])))
            for place, (name, _) in enumerate(plan.columns)
        }

    def _statistic(self, plan: StatisticPlan, work: Work) -> UnprotectedIntegers | None:
        found = self._snapshots.connect(plan.dataset)
        if found is None:
            return None
        connection = work.start(found[0])
        statement = statistic_statement(plan, found[1].table)
        values = [(0,) * len(plan.measures)] * plan.groups
        for row in connection.execute(statement.sql, statement.parameters).fetchall():
            group = 0
            for key, place in zip(plan.keys, row, strict=False):
                group = group * len(key.values) + place
            values[group] = tuple(int(value) for value in row[len(plan.keys) :])
        return UnprotectedIntegers(values=tuple(values))

    def _problems(self, dataset: Dataset) -> tuple[str, ...]:
        return problems_of(resolve(self._data_folder, dataset.source), dataset)
