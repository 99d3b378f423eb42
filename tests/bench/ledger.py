"""Entries made durable, from 64 to 512 callers at once, against bare inserts of the same bytes.

One entry is what a pull of rows writes: facts, five commitments, the sealed opening, a receipt with its
proof. The callers are tasks of the ledger's own process, and then of two processes beside it, as under
``serve --workers 2``. The floor inserts rows of those sizes, 256 a transaction, with the same sync to disk,
and proves nothing.
"""

import asyncio
import contextlib
import itertools
import os
import socket
import sys
import time
from pathlib import Path

import apsw
import uvloop

from gateway.clock import SystemClock
from gateway.keyring.keyring import Keyring
from gateway.ledger.port import Ledger
from gateway.ledger.server import LedgerServer
from gateway.ledger.sqlite import SqliteLedger
from gateway.terms.entry import EntryKind, ReleaseRequest
from gateway.terms.identifiers import RequestId
from tests.bench.measure import Family, Measure, Plan, middle, seconds_of

NAME = "gateway.test/log/2026"
CALLERS = (64, 512)
ENTRIES = 6000
ROUNDS = 5
PULLS_PER_S = 1000
"""More than the reverse proxy answers."""
RECORD_P50_MS, RECORD_P99_MS = 3.0, 15.0
"""First targets."""
BATCH = 256
WORKERS = 2
OPENING_BYTES = 220
LEAF_BYTES = 843
FACTS = {
    "org": "bank-a", "client": "bank-a.etl", "agreement": "AGR-2026-001", "purpose": "research",
    "acr": "aal2", "key": "k" * 43, "dataset": "bench.small", "revision": 1, "rules_sha256": "0" * 64,
    "action": "extract", "dry_run": False,
    "treatments": {"generalise": 2, "keep": 3, "partial": 1, "tokenise": 1},
    "rows": 100, "status": 200, "bytes": 13_000,
}  # fmt: skip
PRIVATE = {
    "by": b"research-rows",
    "operator": b"op-1.bank-a",
    "peer": b"127.0.0.1",
    "question": b'POST /v1/datasets/bench.small/records?\n{"limit": 100}',
    "token": b"t" * 22,
}
BODY = b"b" * 13_000


def _reply(number: int) -> ReleaseRequest:
    return ReleaseRequest(
        request_id=RequestId(f"00000000-0000-4000-8000-{number:012}"),
        kind=EntryKind.SINGLE,
        facts=FACTS,
        private=PRIVATE,
        body=BODY,
    )


async def recording_ms(ledger: Ledger, entries: int) -> list[float]:
    """Return how long each recording takes where ``PULLS_PER_S`` come evenly."""
    loop, times = asyncio.get_running_loop(), list[float]()

    async def record(number: int) -> None:
        began = time.perf_counter()  # the loop's own time has whole milliseconds
        await ledger.release(_reply(number))
        times.append((time.perf_counter() - began) * 1000)

    started, asked = loop.time(), list[asyncio.Task[None]]()
    for number in range(entries):
        asked.append(loop.create_task(record(number)))
        await asyncio.sleep(started + (number + 1) / PULLS_PER_S - loop.time())
    await asyncio.gather(*asked)
    return sorted(times)


async def entries_per_s(ledger: Ledger, entries: int, callers: int) -> float:
    numbers = iter(range(entries))

    async def caller() -> None:
        for number in numbers:
            await ledger.release(_reply(number))

    loop = asyncio.get_running_loop()
    started = loop.time()
    await asyncio.gather(*(caller() for _ in range(callers)))
    return entries / (loop.time() - started)


class _Floor:
    """A bare SQLite file with the same durability."""

    def __init__(self, path: Path) -> None:
        self._connection = apsw.Connection(str(path))
        self._connection.pragma("journal_mode", "wal")
        self._connection.pragma("synchronous", 2)
        self._connection.execute(
            "CREATE TABLE entry (idx INTEGER PRIMARY KEY, leaf BLOB) STRICT;"
            "CREATE TABLE opening (idx INTEGER PRIMARY KEY, key INTEGER, sealed BLOB) STRICT"
        )
        self._index = itertools.count()

    def entries_per_s(self, entries: int) -> float:
        def insert() -> None:
            for start in range(0, entries, BATCH):
                with self._connection:
                    for _ in range(min(BATCH, entries - start)):
                        index = next(self._index)
                        self._connection.execute(
                            "INSERT INTO entry VALUES (?, ?)", (index, os.urandom(LEAF_BYTES))
                        )
                        self._connection.execute(
                            "INSERT INTO opening VALUES (?, 1, ?)", (index, os.urandom(OPENING_BYTES))
                        )

        return entries / seconds_of(insert)

    def close(self) -> None:
        self._connection.close()


async def _through_workers(ledger: SqliteLedger, keys: Path, entries: int) -> float:
    """Return the rate at which workers together have entries recorded."""
    server = LedgerServer(ledger, published=ledger.checkpoint, in_force=lambda: (), on_changes=lambda _: None)
    workers = []
    for _ in range(WORKERS):
        ours, theirs = socket.socketpair()
        await server.serve(ours)
        arguments = [theirs.fileno(), keys, entries // WORKERS, CALLERS[-1] // WORKERS]
        worker = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.bench.ledger_worker", *map(str, arguments),
            pass_fds=[theirs.fileno()], stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        theirs.close()
        workers.append(worker)
    async with asyncio.timeout(120):
        said = [(await worker.communicate())[0] for worker in workers]
    await server.close()
    moments = [[float(moment) for moment in line.split()] for line in said]
    return entries / (max(end for _, end in moments) - min(began for began, _ in moments))


async def _rates(plan: Plan, folder: Path) -> list[tuple[float, ...]]:
    keyring = Keyring.create(folder / "keys", log_name=NAME)
    ledger = SqliteLedger.open(
        folder / "log.sqlite",
        signer=keyring.log,
        origin=NAME,
        clock=SystemClock(),
        head_file=folder / "head",
        seal=lambda data: keyring.sealer.seal("ledger", data),
        unseal=lambda sealed: keyring.sealer.unseal("ledger", sealed),
        wrap=lambda data: keyring.sealer.seal("ledger", data),
        unwrap=lambda sealed: keyring.sealer.unseal("ledger", sealed),
    )
    ledger.start()
    try:
        with contextlib.closing(_Floor(folder / "floor.sqlite")) as floor:
            return [
                (
                    *_percentiles(await recording_ms(ledger, plan.size(ENTRIES // 2))),
                    *[await entries_per_s(ledger, plan.size(ENTRIES), callers) for callers in CALLERS],
                    await _through_workers(ledger, folder / "keys", plan.size(ENTRIES)),
                    floor.entries_per_s(plan.size(ENTRIES)),
                )
                for _ in range(plan.rounds(ROUNDS))
            ]
    finally:
        await ledger.close()


def _percentiles(times: list[float]) -> tuple[float, float]:
    return times[len(times) // 2], times[len(times) * 99 // 100]


def run(plan: Plan) -> list[Measure]:
    folder = plan.folder / "ledger"
    folder.mkdir()
    rates = uvloop.run(_rates(plan, folder))  # as the gateway runs
    p50, p99, few, many, workers, floor = (middle([rate[place] for rate in rates]) for place in range(6))
    return [
        Measure(name="ledger_entries_per_s", value=many, unit="1/s", floor=floor),
        Measure(name="ledger_entries_per_s_64", value=few, unit="1/s", floor=floor),
        Measure(name="ledger_entries_per_s_workers", value=workers, unit="1/s", floor=floor),
        Measure(name="record_ms_p50", value=p50, unit="ms", floor=RECORD_P50_MS),
        Measure(name="record_ms_p99", value=p99, unit="ms", floor=RECORD_P99_MS),
    ]


FAMILY = Family(
    names=(
        "ledger_entries_per_s",
        "ledger_entries_per_s_64",
        "ledger_entries_per_s_workers",
        "record_ms_p50",
        "record_ms_p99",
    ),
    run=run,
)
