"""A GROUP BY over 10 million rows, against the plain SQL on the same Parquet file.

The engine alone, and the whole request before the release clock: every step but the wait for the
slot, which is public time and no work (promise P5). The ledger is on disk and syncs.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import duckdb

from gateway import flow, wiring
from gateway.identity.nonce import nonce_at
from gateway.terms.charge import Charge, StoredAnswer
from gateway.terms.plan import Plan as GatewayPlan
from gateway.terms.query import Query
from gateway.terms.reply import Released
from tests.bench.decision import signed_query, steps_of
from tests.bench.measure import Family, Measure, Plan, middle, seconds_of
from tests.bench.scene import WIDE_ROWS, Scene, in_force, make_scene

ROUNDS = 5
THREADS = 2
QUESTION = {
    "sql": "SELECT area, COUNT(*) AS n, SUM(income) AS total FROM data GROUP BY area",
    "rho": "0.001",
}
PLAIN = "SELECT area, count(*) AS n, sum(income) AS total FROM read_parquet($path) GROUP BY area"


@asynccontextmanager
async def _no_wait(_plan: GatewayPlan, _charge: Charge | StoredAnswer | None) -> AsyncIterator[None]:
    yield


@dataclass(slots=True)
class _Bench:
    """One open gateway and the plain SQL beside it."""

    scene: Scene
    gateway: wiring.Gateway
    steps: flow.Steps
    plain: duckdb.DuckDBPyConnection
    path: str

    def plain_s(self) -> float:
        return seconds_of(lambda: self.plain.execute(PLAIN, {"path": self.path}).fetchall())

    def _query(self) -> Query:
        nonce = nonce_at(self.gateway.nonce_secret, datetime.now(UTC))
        body = json.dumps(QUESTION).encode()
        return signed_query(
            self.scene, token=self.scene.token(), nonce=nonce, table="wide", what="query", body=body
        )

    async def engine_s(self) -> float:
        query = self._query()
        caller = await self.steps.authenticate(query)
        plan = await self.steps.plan(query, caller, self.steps.decide(query, caller))
        return await _elapsed(self.steps.execute(plan))

    async def whole_s(self) -> float:
        async def served() -> None:
            released = await flow.serve(query, self.steps)
            if not isinstance(released, Released) or released.reply.status != 200:
                raise RuntimeError(f"not answered: {released.reply.status}")

        query = self._query()
        return await _elapsed(served())


async def _elapsed(work: Awaitable[object]) -> float:
    loop = asyncio.get_running_loop()
    started = loop.time()
    await work
    return loop.time() - started


async def _ratios(plan: Plan, scene: Scene) -> tuple[list[float], list[float], list[float]]:
    path = str(plan.folder / "statistic" / "data" / "wide.parquet")
    async with in_force(scene) as gateway:
        with contextlib.closing(duckdb.connect(config={"threads": THREADS})) as plain:
            steps = replace(steps_of(gateway), slot=_no_wait)
            bench = _Bench(scene, gateway, steps, plain, path)
            await bench.engine_s()  # whatever is prepared once is prepared here
            bench.plain_s()
            rounds = [
                (bench.plain_s(), await bench.engine_s(), await bench.whole_s(), bench.plain_s())
                for _ in range(plan.rounds(ROUNDS))
            ]
    floors = [(before + after) / 2 for before, _, _, after in rounds]
    engines = [engine / floor for (_, engine, _, _), floor in zip(rounds, floors, strict=True)]
    wholes = [whole / floor for (_, _, whole, _), floor in zip(rounds, floors, strict=True)]
    return engines, wholes, floors


def run(plan: Plan) -> list[Measure]:
    scene = make_scene(
        plan.folder / "statistic",
        {"wide": plan.size(WIDE_ROWS)},
        engine_threads=THREADS,
        engine_memory_mb=8192,
        engine_deadline_s=120.0,
    )
    engines, wholes, floors = asyncio.run(_ratios(plan, scene))
    return [
        Measure(name="statistic_engine_ratio", value=middle(engines), unit="x the floor", floor=1.5),
        Measure(name="statistic_overhead_ratio", value=middle(wholes), unit="x the floor", floor=2.0),
        Measure(
            name="statistic_ms",
            value=middle([w * f * 1000 for w, f in zip(wholes, floors, strict=True)]),
            unit="ms",
            floor=middle(floors) * 1000,
        ),
    ]


FAMILY = Family(names=("statistic_engine_ratio", "statistic_overhead_ratio", "statistic_ms"), run=run)
