"""Four workers over one ledger: real processes, real clients, real kills, and an observer outside."""

import asyncio
import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.request import urlopen

import aiohttp
import pytest
from firm_scene import DATASET, RULES, people
from house import House, a_firm, make_house, put_rules

from gateway.cli.demo.cast import Firm
from gateway.client import Gateway, GatewayProblem, StoredReceipt
from gateway.client.failures import ClientFailure
from gateway.client.receipt import receipt_of
from gateway.client.wire import Response
from gateway.ledger.audit import verify_store
from gateway.transparency.canonical import parsed

WORKERS = 4
QUERY = f"/v1/datasets/{DATASET}/query"
QUESTION = json.dumps({"sql": "SELECT COUNT(*) AS n FROM data", "rho": "0.001"}).encode()


@dataclass(slots=True)
class Scene:
    """A house whose gateway a test starts by itself."""

    house: House
    firm: Firm
    receipts: list[StoredReceipt] = field(default_factory=list)

    def saw(self, response: Response) -> Response:
        """Keep the receipt of a complete reply; only one that the ledger could not record has none."""
        receipt = receipt_of(response.headers, response.body)
        if receipt is None:
            assert response.status == 503, response
        else:
            self.receipts.append(receipt)
        return response

    def entries(self) -> list[dict[str, object]]:
        """The stopped gateway's log, verified, with every reply that was seen."""
        head = (self.house.home / "ledger" / "head").read_bytes()
        report = verify_store(self.house.store, self.house.vkey, checkpoints=[head])
        assert report.faults == ()
        with contextlib.closing(sqlite3.connect(self.house.store)) as store:
            leaves = [leaf for (leaf,) in store.execute("SELECT leaf FROM entry ORDER BY idx")]
        for receipt in self.receipts:
            assert leaves[receipt.verify(self.house.vkey).index] == receipt.entry
        return [parsed(leaf) for leaf in leaves]

    def charges(self) -> int:
        """Return how many charges the running gateway's log holds."""
        with contextlib.closing(sqlite3.connect(self.house.store)) as store:
            leaves = [leaf for (leaf,) in store.execute("SELECT leaf FROM entry")]
        return sum(parsed(leaf)["kind"] == "charge" for leaf in leaves)

    def logged_since(self, place: int) -> str:
        """Return what the gateway wrote to standard error after that many characters."""
        return (self.house.home / "serve.err").read_text(encoding="utf-8")[place:]

    @staticmethod
    def metric(address: str, name: str) -> float:
        """Return a metric summed over its labels, as Prometheus reads it."""
        with urlopen(address, timeout=5) as answer:  # noqa: S310  our own address
            text = answer.read().decode()
        lines = re.findall(rf"^{name}(?:\{{.*\}})? (\S+)$", text, flags=re.MULTILINE)
        return sum(map(float, lines))


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "people.csv").write_text(people(), encoding="utf-8")
    house = make_house(tmp_path / "home", data=tmp_path / "data", rules={DATASET: RULES})
    settings = house.home / "gateway.toml"
    text = settings.read_text(encoding="utf-8")
    text = text.replace("places = 64", "places = 400").replace("places_each = 32", "places_each = 400")
    settings.write_text(text, encoding="utf-8")
    firm = a_firm()
    house.register(firm)
    return Scene(house, firm)


def workers_of(process: subprocess.Popen[str]) -> list[int]:
    """Return the process ids of the workers that live."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii").split()
    return [int(child) for child in children if b"serving.worker" in _command(int(child))]


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


async def until(true: object, seconds: float) -> None:
    assert callable(true)
    give_up_at = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < give_up_at
        await asyncio.sleep(0.05)


async def asked(session: Gateway, body: bytes = QUESTION, key: str | None = None) -> Response:
    return await session._signed("POST", QUERY, "", body, {} if key is None else {"Idempotency-Key": key})


async def test_one_key_from_fifty_clients_is_charged_once_and_answered_alike(scene: Scene) -> None:
    """Promise P2: each worker finds the claim and the answer of any other."""
    with scene.house.serving("--workers", str(WORKERS)):
        async with scene.house.session(scene.firm) as session:
            first = await asyncio.gather(*(asked(session, key="the-key") for _ in range(50)))
            again = await asyncio.gather(*(asked(session, key="the-key") for _ in range(50)))

    assert Counter(scene.saw(response).status for response in first) == {200: 1, 409: 49}
    bodies = {scene.saw(response).body for response in [*again, *first] if response.status == 200}
    assert ({response.status for response in again}, len(bodies)) == ({200}, 1)
    kinds = Counter(entry["kind"] for entry in scene.entries())
    assert (kinds["charge"], kinds["release"]) == (1, 1)


async def test_a_proof_shown_to_four_workers_at_once_is_accepted_once(scene: Scene) -> None:
    """Promise P7, and the nonce that one worker hands out is good at all."""
    rounds, at_once = 25, 8
    with scene.house.serving("--workers", str(WORKERS)) as process:
        async with scene.house.session(scene.firm) as session, aiohttp.ClientSession() as wires:
            await session.datasets()  # so that the session has a nonce
            token = (await session._fresh_token()).text
            url = f"{scene.house.origin}/v1/datasets"

            async def show(proof: str) -> int:
                headers = {"Authorization": f"DPoP {token}", "DPoP": proof, "Connection": "close"}
                async with wires.get(url, headers=headers) as answer:
                    return answer.status

            for _ in range(rounds):
                proof = session._proof_key.proof(
                    method="GET", url=url, now=datetime.now(UTC), nonce=session._nonce, access_token=token
                )
                said = await asyncio.gather(*(show(proof) for _ in range(at_once)))
                assert Counter(said) == {200: 1, 401: at_once - 1}
            assert len(workers_of(process)) == WORKERS


async def test_killed_workers_are_replaced_and_no_reply_is_without_its_entry(scene: Scene) -> None:
    """Promises P1 and P2: kill -9 under load, three times."""
    stop, kills = asyncio.Event(), 3
    with scene.house.serving("--workers", str(WORKERS)) as process:
        async with scene.house.session(scene.firm) as session:

            async def ask() -> None:
                while not stop.is_set():
                    try:
                        scene.saw(await asked(session))
                    except (ClientFailure, GatewayProblem, OSError, aiohttp.ClientError):
                        await asyncio.sleep(0.05)  # its worker died

            clients = [asyncio.create_task(ask()) for _ in range(24)]
            dead: set[int] = set()
            for _ in range(kills):
                await asyncio.sleep(1.5)
                victim = workers_of(process)[0]
                os.kill(victim, signal.SIGKILL)
                dead.add(victim)
                await until(lambda: len(set(workers_of(process)) - dead) == WORKERS, 30)
            stop.set()
            await asyncio.gather(*clients)
            assert (await asked(session)).status == 200

    kinds = Counter(entry["kind"] for entry in scene.entries())
    assert kinds["recover"] > 0
    assert kinds["charge"] == kinds["release"] + kinds["recover"]
    assert len(scene.receipts) > kills


async def test_workers_end_when_the_main_process_dies_and_answer_nothing_more(scene: Scene) -> None:
    """Promise P1."""
    with scene.house.serving("--workers", "2") as process:
        async with scene.house.session(scene.firm) as session:
            waiting = [asyncio.create_task(asked(session)) for _ in range(16)]
            await asyncio.sleep(0.3)
            workers = workers_of(process)
            process.kill()
            died_at = time.monotonic()
            await until(lambda: not any(b"serving.worker" in _command(pid) for pid in workers), 2)
            said = await asyncio.gather(*waiting, return_exceptions=True)

    assert len(workers) == 2
    assert time.monotonic() - died_at < 10
    for response in said:
        if isinstance(response, Response):
            scene.saw(response)
    with scene.house.serving():  # closes what the dead one left open
        pass
    kinds = Counter(entry["kind"] for entry in scene.entries())
    assert kinds["charge"] == kinds["release"] + kinds["recover"]


async def test_told_to_stop_workers_finish_what_is_in_flight_and_the_log_ends_with_that(scene: Scene) -> None:
    with scene.house.serving("--workers", "2") as process:
        async with scene.house.session(scene.firm) as session:
            waiting = [asyncio.create_task(asked(session)) for _ in range(12)]
            await until(lambda: scene.charges() == len(waiting), 10)
            process.send_signal(signal.SIGTERM)
            said = await asyncio.gather(*waiting)
        assert await asyncio.to_thread(process.wait, 20) == 0

    assert {scene.saw(response).status for response in said} == {200}
    last = scene.entries()[-1]
    assert (last["kind"], last["facts"]) == ("mark", {"event": "stop"})


async def test_metrics_are_the_sum_of_all_workers_the_dead_ones_too(scene: Scene) -> None:
    count = 40
    with scene.house.serving("--workers", "2") as process:
        assert process.stdout is not None
        said = await asyncio.to_thread(process.stdout.readline)
        address = said.split("metrics ")[1].split()[0]

        async def missing(wires: aiohttp.ClientSession) -> int:
            async with wires.get(f"{scene.house.origin}/nothing", headers={"Connection": "close"}) as answer:
                return answer.status

        async with aiohttp.ClientSession() as wires:
            await asyncio.gather(*(missing(wires) for _ in range(count)))
            victim = workers_of(process)[0]
            os.kill(victim, signal.SIGKILL)
            await until(lambda: len(set(workers_of(process)) - {victim}) == 2, 30)
            await asyncio.gather(*(missing(wires) for _ in range(count)))

        assert scene.metric(address, "gateway_http_requests_total") == 2 * count
        assert scene.metric(address, "gateway_http_request_duration_seconds_count") == 2 * count
        assert scene.metric(address, "gateway_workers_replaced_total") == 1


async def test_renewed_rules_count_at_every_worker(scene: Scene) -> None:
    """Promise P3: within a second, whichever worker is asked."""
    document = scene.house.home / "policies" / f"{DATASET}.yaml"
    with scene.house.serving("--workers", "2") as process:
        async with scene.house.session(scene.firm) as session:
            before = await asyncio.gather(*(asked(session) for _ in range(16)))
            text = document.read_text(encoding="utf-8").replace("revision: 1", "revision: 2")
            put_rules(scene.house.home, DATASET, text.replace("org_class: [bank]", "org_class: [research]"))
            told_at = len(scene.logged_since(0))
            process.send_signal(signal.SIGHUP)
            await until(lambda: "rules_active" in scene.logged_since(told_at), 20)
            await asyncio.sleep(1.0)
            after = await asyncio.gather(*(asked(session) for _ in range(32)))

    assert {response.status for response in before} == {200}
    assert {response.status for response in after} == {403}
