"""CPU time of a request through four workers, against one worker: all processes of each gateway together.

Both gateways run at once and are loaded in turns, so that what else the machine does meets both.
"""

import contextlib
from dataclasses import replace

from tests.bench.measure import Family, Measure, Plan, in_turns, middle
from tests.bench.processes import Server, serving
from tests.bench.proxy import SMALL, guarded_job, loaded
from tests.bench.scene import Scene, make_scene, rows_json

WORKERS = 4
ROUNDS = 7
WARM_UP_REQUESTS = 1200
ALLOWED = 1.15
"""Times the CPU time of one worker."""


def run(plan: Plan) -> list[Measure]:
    folder = plan.folder / "workers"
    (folder / "bodies").mkdir(parents=True)
    (folder / "bodies" / f"{SMALL.table}.json").write_bytes(rows_json(SMALL.rows))
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(serving("tests.bench.floor_upstream", str(folder / "bodies")))

        def gate(count: int) -> tuple[Scene, Server]:
            scene = make_scene(
                folder / str(count), {}, {SMALL.table: upstream.origin}, places=1024, places_each=1024
            )  # a worker has its share only, and connections do not come to them evenly
            process = stack.enter_context(scene.house.serving("--workers", str(count)))
            return scene, Server(process.pid, scene.house.origin)

        def cpu_ms(scene: Scene, server: Server, requests: int) -> float:
            return loaded(guarded_job(scene, SMALL, requests), server).cpu_ms

        many, one = gate(WORKERS), gate(1)
        for scene, server in (many, one, many, one):  # connections come unevenly: many, so that all warm up
            job = guarded_job(scene, SMALL, plan.size(WARM_UP_REQUESTS))
            loaded(replace(job, connections=16 * WORKERS, seconds_max=20.0), server)
        pairs = in_turns(
            plan.rounds(ROUNDS),
            lambda: cpu_ms(*many, plan.size(SMALL.guarded)),
            lambda: cpu_ms(*one, plan.size(SMALL.guarded)),
        )
    return [
        Measure(
            name="cpu_workers_ratio",
            value=middle([four / single for four, single in pairs]),
            unit="of one worker",
            floor=ALLOWED,
        ),
        Measure(
            name="cpu_ms_per_request_4",
            value=middle([four for four, _ in pairs]),
            unit="ms",
            floor=middle([single for _, single in pairs]),
        ),
    ]


FAMILY = Family(names=("cpu_workers_ratio", "cpu_ms_per_request_4"), run=run)
