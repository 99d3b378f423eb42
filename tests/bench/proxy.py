"""One pull of rows through the reverse proxy: guarded, masked, logged, against a bare proxy of the bytes.

The same upstream, client and number of connections for both, one process each.
"""

import contextlib
import json
import subprocess
import sys
from dataclasses import asdict, dataclass

from tests.bench.load import Job
from tests.bench.measure import Family, Measure, Plan, in_turns, middle
from tests.bench.processes import Server, serving
from tests.bench.scene import LARGE_ROWS, SMALL_ROWS, Scene, make_scene, rows_json

CONNECTIONS = 16
WARM_UP = 200
ROUNDS = 5
SECONDS_MAX = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one part of a round came to."""

    per_second: float
    cpu_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull:
    """One size of pull and how many of it make a round."""

    table: str
    rows: int
    guarded: int
    bare: int


SMALL = Pull(table="small", rows=SMALL_ROWS, guarded=600, bare=3000)
LARGE = Pull(table="large", rows=LARGE_ROWS, guarded=40, bare=200)


def loaded(job: Job, server: Server) -> Run:
    """Return requests a second and the server's CPU time a request.

    Raises:
        RuntimeError: Something was not answered 200: such a figure would be of refusals.

    """
    before = server.cpu_s()
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.load"],
        input=json.dumps(asdict(job)),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=120,
    )
    result = json.loads(done.stdout)
    if set(result["statuses"]) != {"200"}:
        raise RuntimeError(f"not all was answered 200: {result['statuses']}")
    count = sum(result["statuses"].values())
    return Run(
        per_second=count / result["elapsed_s"],
        cpu_ms=(server.cpu_s() - before) / count * 1000,
    )


def guarded_job(scene: Scene, pull: Pull, requests: int) -> Job:
    return Job(
        origin=scene.house.origin,
        method="GET",
        path=f"/v1/datasets/bench.{pull.table}/proxy/{pull.table}",
        connections=CONNECTIONS,
        requests=requests,
        seconds_max=SECONDS_MAX,
        key_file=str(scene.key_file),
        token=scene.token(),
    )


def bare_job(origin: str, pull: Pull, requests: int) -> Job:
    return Job(
        origin=origin,
        method="GET",
        path=f"/{pull.table}",
        connections=CONNECTIONS,
        requests=requests,
        seconds_max=SECONDS_MAX,
    )


def _compared(plan: Plan, scene: Scene, pull: Pull, *, gate: Server, bare: Server) -> list[tuple[Run, Run]]:
    loaded(guarded_job(scene, pull, plan.size(min(WARM_UP, pull.guarded))), gate)
    loaded(bare_job(bare.origin, pull, plan.size(WARM_UP)), bare)
    return in_turns(
        plan.rounds(ROUNDS),
        lambda: loaded(guarded_job(scene, pull, plan.size(pull.guarded)), gate),
        lambda: loaded(bare_job(bare.origin, pull, plan.size(pull.bare)), bare),
    )


def _ratio(pairs: list[tuple[Run, Run]]) -> float:
    return middle([gate.per_second / bare.per_second for gate, bare in pairs])


def run(plan: Plan) -> list[Measure]:
    folder = plan.folder / "proxy"
    bodies = folder / "bodies"
    bodies.mkdir(parents=True)
    for pull in (SMALL, LARGE):
        (bodies / f"{pull.table}.json").write_bytes(rows_json(pull.rows))
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(serving("tests.bench.floor_upstream", str(bodies)))
        bare = stack.enter_context(serving("tests.bench.floor_proxy", upstream.origin))
        scene = make_scene(folder, {}, {"small": upstream.origin, "large": upstream.origin})
        process = stack.enter_context(scene.house.serving())
        gate = Server(process.pid, scene.house.origin)
        small = _compared(plan, scene, SMALL, gate=gate, bare=bare)
        large = _compared(plan, scene, LARGE, gate=gate, bare=bare)
        memory = gate.memory_mb(), bare.memory_mb()
    return [
        Measure(name="proxy_throughput_ratio", value=_ratio(small), unit="of the floor", floor=0.25),
        Measure(name="proxy_throughput_ratio_1mb", value=_ratio(large), unit="of the floor", floor=0.5),
        Measure(
            name="requests_per_s",
            value=middle([gated.per_second for gated, _ in small]),
            unit="1/s",
            floor=middle([floor.per_second for _, floor in small]),
        ),
        Measure(
            name="cpu_ms_per_request",
            value=middle([gated.cpu_ms for gated, _ in small]),
            unit="ms",
            floor=middle([floor.cpu_ms for _, floor in small]),
        ),
        Measure(
            name="cpu_ms_per_request_1mb",
            value=middle([gated.cpu_ms for gated, _ in large]),
            unit="ms",
            floor=middle([floor.cpu_ms for _, floor in large]),
        ),
        Measure(name="rss_mb", value=memory[0], unit="MB", floor=memory[1]),
    ]


FAMILY = Family(
    names=(
        "proxy_throughput_ratio",
        "proxy_throughput_ratio_1mb",
        "requests_per_s",
        "cpu_ms_per_request",
        "cpu_ms_per_request_1mb",
        "rss_mb",
    ),
    run=run,
)
