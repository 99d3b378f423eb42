"""From nothing to ready (``/readyz`` answers 200), against the start of a bare aiohttp proxy."""

import time
from contextlib import AbstractContextManager

from tests.bench.measure import Family, Measure, Plan, in_turns, middle
from tests.bench.processes import serving
from tests.bench.scene import make_scene

ROUNDS = 5
NOWHERE = "http://127.0.0.1:9"


def _ready_after_s(server: AbstractContextManager[object]) -> float:
    """Return how long a server takes to begin; its end does not count."""
    started = time.perf_counter()
    with server:
        return time.perf_counter() - started


def run(plan: Plan) -> list[Measure]:
    scene = make_scene(plan.folder / "startup", {"tiny": 1})
    pairs = in_turns(
        plan.rounds(ROUNDS),
        lambda: _ready_after_s(scene.house.serving()),
        lambda: _ready_after_s(serving("tests.bench.floor_proxy", NOWHERE)),
    )
    return [
        Measure(
            name="cold_start_s",
            value=middle([gateway for gateway, _ in pairs]),
            unit="s",
            floor=middle([bare for _, bare in pairs]),
        )
    ]


FAMILY = Family(names=("cold_start_s",), run=run)
