"""``python -m tests.bench.profile``: where the time of one request goes, step by step, one at a time.

The steps are the served ones, in process, behind a real upstream; each is timed from its call to its
result, so that ``record`` holds the wait for the disk. Medians over many requests.
"""

import inspect
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import uvloop
from rich.console import Console
from rich.table import Table

from gateway import flow
from gateway.identity.nonce import nonce_at
from gateway.terms.query import Action
from gateway.terms.reply import Released
from tests.bench.decision import signed_query, steps_of
from tests.bench.processes import serving
from tests.bench.scene import LARGE_ROWS, SMALL_ROWS, Scene, in_force, make_scene, rows_json

STEPS = ("authenticate", "decide", "plan", "execute", "protect", "record")
TABLES = {"small": (SMALL_ROWS, 400), "large": (LARGE_ROWS, 40)}
"""Name -> rows of one pull, and how many pulls."""

Times = dict[str, list[float]]


def timed(step: Callable[..., Any], times: list[float]) -> Callable[..., Any]:
    """Return the step, noting how long each call takes."""
    if inspect.iscoroutinefunction(step) or inspect.iscoroutinefunction(getattr(step, "__call__", None)):  # noqa: B004

        async def awaited(*arguments: object) -> object:
            started = time.perf_counter()
            try:
                return await step(*arguments)
            finally:
                times.append(time.perf_counter() - started)

        return awaited

    def called(*arguments: object) -> object:
        started = time.perf_counter()
        try:
            return step(*arguments)
        finally:
            times.append(time.perf_counter() - started)

    return called


async def profiled(scene: Scene, table: str, requests: int) -> Times:
    """Return the seconds of each step, and of the whole, for each request."""
    times: Times = defaultdict(list)
    async with in_force(scene) as gateway:
        served = steps_of(gateway)
        steps = replace(served, **{name: timed(getattr(served, name), times[name]) for name in STEPS})
        token, nonce = scene.token(), nonce_at(gateway.nonce_secret, datetime.now(UTC))
        for _ in range(requests):
            query = signed_query(
                scene, token=token, nonce=nonce, table=table, what=f"proxy/{table}", method="GET"
            )
            query = replace(query, action=Action.PROXY, upstream_path=f"/{table}")
            started = time.perf_counter()
            released = await flow.serve(query, steps)
            times["all of them"].append(time.perf_counter() - started)
            assert isinstance(released, Released)
            assert released.reply.status == 200, json.loads(released.reply.body)
    return times


def main() -> None:
    shown = Table("step", title="ms of one proxied request (median), one at a time")
    columns: dict[str, Times] = {}
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as name:
        folder = Path(name)
        (folder / "bodies").mkdir()
        for table, (rows, _) in TABLES.items():
            (folder / "bodies" / f"{table}.json").write_bytes(rows_json(rows))
        with serving("tests.bench.floor_upstream", str(folder / "bodies")) as upstream:
            scene = make_scene(folder, {}, dict.fromkeys(TABLES, upstream.origin))
            for table, (rows, requests) in TABLES.items():
                columns[table] = uvloop.run(profiled(scene, table, requests))
                shown.add_column(f"{rows} rows", justify="right")
    for step in (*STEPS, "all of them"):
        shown.add_row(step, *(f"{median(times[step]) * 1000:.3f}" for times in columns.values()))
    Console().print(shown)


if __name__ == "__main__":
    main()
