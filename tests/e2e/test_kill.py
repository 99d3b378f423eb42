"""The served gateway is killed under load, over and over: what a client received stands in the log."""

import asyncio
import contextlib
import json
import sqlite3
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from firm_scene import DATASET, RULES, people
from house import House, a_firm, make_house

from gateway.cli.demo.cast import Firm
from gateway.client import Gateway, GatewayProblem, StoredReceipt
from gateway.client.failures import ClientFailure
from gateway.client.receipt import receipt_of
from gateway.client.wire import Response
from gateway.ledger.audit import verify_store
from gateway.transparency.canonical import parsed
from tests.faults.share import chance_of, say

QUERY = f"/v1/datasets/{DATASET}/query"
QUESTION = json.dumps({"sql": "SELECT COUNT(*) AS n FROM data", "rho": "0.0001"}).encode()
CLIENTS = 16


@dataclass(slots=True)
class Observer:
    """What clients received, over all lives of one gateway."""

    house: House
    firm: Firm
    receipts: list[StoredReceipt] = field(default_factory=list)
    answers: dict[str, bytes] = field(default_factory=dict)
    """Idempotency key -> body."""

    async def ask(self, session: Gateway, key: str) -> None:
        """Ask a question, which waits for its slot, and something that is answered at once."""
        self.keep(await session._signed("GET", "/v1/budgets", "", b"", {}))
        response = await session._signed("POST", QUERY, "", QUESTION, {"Idempotency-Key": key})
        self.keep(response)
        if response.status == 200:
            assert self.answers.setdefault(key, response.body) == response.body

    def keep(self, response: Response) -> None:
        receipt = receipt_of(response.headers, response.body)
        assert receipt is not None or response.status == 503, response
        if receipt is not None:
            self.receipts.append(receipt)

    async def ask_on(self, session: Gateway, name: str) -> None:
        number = 0
        with contextlib.suppress(ClientFailure, GatewayProblem, OSError, aiohttp.ClientError):
            while True:
                number += 1
                await self.ask(session, f"{name}-{number}")

    async def live(self, life: int, seconds: float) -> None:
        """Serve for a while under load, be killed, and leave the clients with what they got."""
        with self.house.serving() as process:
            async with self.house.session(self.firm) as session:
                for key in list(self.answers)[-CLIENTS:]:  # answered before the kill: the same bytes again
                    await self.ask(session, key)
                names = [f"life-{life}-{client}" for client in range(CLIENTS)]
                crowd = [asyncio.create_task(self.ask_on(session, name)) for name in names]
                await asyncio.sleep(seconds)
                process.kill()
                await asyncio.gather(*crowd)


@pytest.fixture
def observer(tmp_path: Path) -> Observer:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "people.csv").write_text(people(), encoding="utf-8")
    house = make_house(tmp_path / "home", data=tmp_path / "data", rules={DATASET: RULES})
    firm = a_firm()
    house.register(firm)
    return Observer(house, firm)


async def killed(observer: Observer, kills: int) -> None:
    chance = chance_of("gateway kills")
    for life in range(kills):
        await observer.live(life, chance.uniform(1, 3))
    with observer.house.serving():  # closes what the last one left open
        pass

    house = observer.house
    head = (house.home / "ledger" / "head").read_bytes()
    report = verify_store(house.store, house.vkey, checkpoints=[head])
    with contextlib.closing(sqlite3.connect(house.store)) as store:
        leaves = [leaf for (leaf,) in store.execute("SELECT leaf FROM entry ORDER BY idx")]
    wrong = [r for r in observer.receipts if leaves[r.verify(house.vkey).index] != r.entry]
    kinds = Counter(parsed(leaf)["kind"] for leaf in leaves)
    say(
        f"{kills} kills of the served gateway, {len(observer.receipts)} receipts received, "
        f"{kinds['recover']} charges recovered: {len(wrong) + len(report.faults)} faults"
    )
    assert (wrong, report.faults, report.open_charges) == ([], (), 0)
    assert kinds["charge"] == kinds["release"] + kinds["recover"]
    assert len(observer.receipts) > kills


async def test_what_clients_received_stands_in_the_log_whenever_the_gateway_is_killed(
    observer: Observer,
) -> None:
    """Promises P1 and P2."""
    await killed(observer, 2)


@pytest.mark.long
async def test_what_clients_received_stands_in_the_log_after_dozens_of_kills(observer: Observer) -> None:
    """Promises P1 and P2."""
    await killed(observer, 25)
