"""A ledger at the other end of a connection: what crosses, what does not, and what a lost end leaves.

That it keeps the port's promises is in test_contract.py, which runs on it too.
"""

import asyncio
import itertools
import json
import os
import socket
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Self

import msgspec
import pytest
from msgspec.msgpack import encode

from gateway.errors import ChargedFailure, LedgerUnavailable
from gateway.ledger.port import EntryRefused
from gateway.ledger.volatile import Volatile
from gateway.ledger.wire import (
    ANSWERS,
    MESSAGE_BYTES_MAX,
    QUESTIONS,
    AskReady,
    AskSpent,
    RefusalCode,
    Refused,
    Wire,
    error_of,
    refused,
)
from gateway.terms.charge import Charge
from gateway.terms.entry import LOG_KEYS, Change
from gateway.transparency.canonical import parsed
from tests.faults.share import say

WORKERS = 4


def framed(message: bytes, length: int | None = None) -> bytes:
    return (len(message) if length is None else length).to_bytes(4, "big") + message


async def kinds(crew: Any) -> Counter[object]:
    return Counter(parsed(entry)["kind"] for entry in await crew.store.entries(0, 256))


async def charged(ledger: Any, request: Any) -> Charge:
    charge = await ledger.charge(request)
    assert isinstance(charge, Charge)
    return charge


async def test_what_a_worker_left_open_is_closed_when_it_goes_and_stays_charged(
    crew: Any, build: Any
) -> None:
    """Promise P2."""
    (gone, connection), (other, _) = await crew.join(), await crew.join()
    left = await charged(gone, build.charge("r-1", key="k"))
    released = await charged(gone, build.charge("r-2"))
    await gone.release(build.release("r-2", charge=released.index))
    kept = await charged(other, build.charge("r-3"))

    await gone.close()
    await connection.ended

    with pytest.raises(ChargedFailure):
        await other.charge(build.charge("r-4", key="k"))
    assert await crew.store.spent(build.nodes()) == (build.loss(30),) * 3
    last = parsed((await crew.store.entries(4, 5))[0])
    assert (last["kind"], last["id"], last["charge"]) == ("recover", "r-1", left.index)
    await other.release(build.release("r-3", charge=kept.index))
    assert await kinds(crew) == {"charge": 3, "release": 2, "recover": 1}


async def test_a_charge_that_was_under_way_when_its_worker_died_is_closed_too(crew: Any, build: Any) -> None:
    """Promise P2."""
    remote, connection = await crew.join()
    asked = [asyncio.create_task(remote.charge(build.charge(f"r-{number}", rho=1))) for number in range(20)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)  # asked and sent, not answered

    remote._wire._transport.write_eof()
    remote._wire.end()
    await connection.ended
    await crew.store.ready()

    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {LedgerUnavailable}
    found = await kinds(crew)
    assert found["charge"] == found["recover"]
    assert (await crew.store.spent(build.nodes()))[0] == build.loss(found["charge"])


async def test_a_caller_who_goes_away_at_a_worker_leaves_no_charge_open(crew: Any, build: Any) -> None:
    """Promise P2."""
    remote, _ = await crew.join()
    gone = asyncio.create_task(remote.charge(build.charge("r-1")))
    await asyncio.sleep(0)
    gone.cancel()

    await remote.release(build.release("r-2"))
    await remote.ready()
    await crew.store.release(build.release("r-3"))

    assert (await kinds(crew))["recover"] == 1


async def test_a_worker_closes_no_charge_but_its_own(crew: Any, build: Any) -> None:
    (one, _), (other, _) = await crew.join(), await crew.join()
    charge = await charged(one, build.charge("r-1"))

    with pytest.raises(EntryRefused):
        await other.release(build.release("r-1", charge=charge.index))
    other.abandon(charge.index)
    await other.ready()

    await one.release(build.release("r-1", charge=charge.index))
    assert await kinds(crew) == {"charge": 1, "release": 1}


async def test_changes_reach_every_worker_in_the_order_of_the_log_and_first(crew: Any, build: Any) -> None:
    """Who made a change has it when it goes on; all others have the same ones in the same order."""
    told: dict[int, list[tuple[Change, ...]]] = {0: [], 1: [], 2: []}
    remotes = [(await crew.join())[0] for _ in told]
    for number, remote in enumerate(remotes):
        await remote.registry()
        remote.follow(on_changes=told[number].append, in_force=lambda _: None)

    async def change(remote: Any, number: int) -> None:
        one = Change(kind="client", id="etl-1", document=b"%d" % number)
        await remote.release(build.release(f"r-{number}", changes=(one,)))
        assert (one,) in told[remotes.index(remote)]

    await asyncio.gather(*(change(remotes[number % 3], number) for number in range(30)))
    for remote in remotes:
        await remote.ready()

    assert told[0] == told[1] == told[2] == crew.told
    assert sorted(int(one.document) for (one,) in crew.told) == list(range(30))
    assert await crew.store.registry() == crew.told[-1]


async def test_a_worker_that_starts_misses_no_change_and_takes_none_back(crew: Any, build: Any) -> None:
    """The registry and the changes that come after it, while others go on changing it."""
    writer, _ = await crew.join()

    async def write() -> None:
        for number in range(40):
            one = Change(kind="client", id="etl-1", document=b"%03d" % number)
            await writer.release(build.release(f"r-{number}", changes=(one,)))

    writing = asyncio.create_task(write())
    for turn in range(8):
        remote, _ = await crew.join()
        known = await remote.registry()
        seen = [record.document for record in known]
        await asyncio.sleep(0.002)
        remote.follow(on_changes=lambda changes, seen=seen: seen.append(changes[0].document),
                      in_force=lambda _: None)  # fmt: skip
        await writing if turn == 7 else await asyncio.sleep(0)
        told = len(crew.told)  # more may be told while `ready` is on its way
        await remote.ready()
        numbers = [-1, *map(int, seen)] if not known else list(map(int, seen))
        assert {after - before for before, after in itertools.pairwise(numbers)} <= {0, 1}
        assert told - 1 <= (int(seen[-1]) if seen else -1) <= len(crew.told) - 1
    assert seen[-1] == b"039"


async def test_the_datasets_in_force_follow_the_registry_and_every_renewal(crew: Any, build: Any) -> None:
    crew.datasets = (("one", "1f"),)
    remote, _ = await crew.join()
    news: list[object] = []
    await remote.registry()
    remote.follow(on_changes=news.append, in_force=news.append)
    await remote.ready()

    change = Change(kind="rules", id="two", document=b"text")
    await crew.store.release(build.release(changes=(change,)))
    crew.tell((change,))
    crew.datasets = (("one", "1f"), ("two", "2f"))
    crew.server.tell_in_force()
    await remote.ready()

    assert news == [(("one", "1f"),), (change,), (("one", "1f"), ("two", "2f"))]


async def test_a_registry_larger_than_a_message_arrives_whole(crew: Any, build: Any) -> None:
    size = MESSAGE_BYTES_MAX // 8
    changes = [
        Change(kind="rules", id=f"d-{number:02}", document=b"%d" % number * size) for number in range(10)
    ]
    for change in changes * 2:
        await crew.store.release(build.release(changes=(change,)))
    remote, _ = await crew.join()

    assert list(await remote.registry()) == changes


async def test_what_is_too_long_for_a_message_is_refused_and_harms_nobody(crew: Any, build: Any) -> None:
    remote, _ = await crew.join()

    with pytest.raises(LedgerUnavailable):
        await remote.release(build.release(private={"question": bytes(MESSAGE_BYTES_MAX)}))

    await remote.ready()
    assert await kinds(crew) == {}


BAD = {
    "longer than any message": framed(b"", MESSAGE_BYTES_MAX + 1),
    "empty": framed(b""),
    "not msgpack": framed(b"\xc1"),
    "half a message": framed(encode(AskReady(1))[:-1]),
    "two in one": framed(encode(AskReady(1)) * 2),
    "of no known type": framed(encode(["AskEverything", 1])),
    "an answer": framed(encode(Refused(1, RefusalCode.UNAVAILABLE, ""))),
    "of a wrong type": framed(encode(["AskSpent", "one", []])),
    "a member too few": framed(encode(["AskSpent", 1])),
    "a pickle": framed(b"\x80\x04\x8c\x05posix\x8c\x06system\x93."),
    "deep": framed(encode(["AskSpent", 1]) + b"\x91" * 100_000),
    "a number of 65 bits": framed(b"\x92\xa8AskReady\xcf" + b"\xff" * 9),
    "a charge with nothing in it": framed(encode(["AskCharge", 1, {}])),
}


@pytest.mark.parametrize("bytes_sent", BAD.values(), ids=BAD)
async def test_what_is_no_message_ends_that_worker_and_no_other(
    bytes_sent: bytes, crew: Any, build: Any
) -> None:
    other, _ = await crew.join()
    connection, theirs = await crew.connect()
    theirs.setblocking(False)

    await asyncio.get_running_loop().sock_sendall(theirs, bytes_sent)
    async with asyncio.timeout(5):
        await connection.ended
        assert await asyncio.get_running_loop().sock_recv(theirs, 1) == b""

    await other.release(build.release())
    theirs.close()


async def test_a_worker_without_a_ledger_is_told_once_and_answers_nothing_more(crew: Any, build: Any) -> None:
    """Promise P1."""
    remote, connection = await crew.join()
    waiting = asyncio.create_task(remote.release(build.release()))
    await asyncio.sleep(0)

    connection.wire.end()

    with pytest.raises(LedgerUnavailable):
        await waiting
    with pytest.raises(LedgerUnavailable):
        await remote.ready()
    assert crew.lost == [remote]


async def test_all_that_is_asked_in_one_turn_of_the_loop_is_one_write() -> None:
    ours, theirs = socket.socketpair()
    loop = asyncio.get_running_loop()
    writes: list[bytes] = []
    wire = Wire(ANSWERS, take=lambda _: None, lost=lambda: None)
    await loop.create_unix_connection(lambda: wire, sock=ours)
    assert wire._transport is not None
    wire._transport.write = writes.append  # type: ignore[method-assign,assignment]

    for number in range(50):
        wire.post(AskReady(number))
    await asyncio.sleep(0)

    assert len(writes) == 1
    assert writes[0].count(b"AskReady") == 50
    wire.end()
    await asyncio.sleep(0)
    theirs.close()


@pytest.mark.parametrize("step", [1, 3, 1000])
async def test_messages_are_the_same_however_the_bytes_are_cut(step: int) -> None:
    taken: list[object] = []
    wire = Wire(QUESTIONS, take=taken.append, lost=lambda: None)
    wire.connection_made(asyncio.Transport())
    sent = [AskSpent(number, ()) for number in range(5)] + [AskReady(7)]
    data = b"".join(framed(encode(message)) for message in sent)

    for start in range(0, len(data), step):
        wire.data_received(data[start : start + step])

    assert taken == sent


@pytest.mark.parametrize("error", [ValueError("of the row 42"), KeyError("x"), asyncio.CancelledError()])
def test_an_error_of_no_known_kind_says_nothing_of_itself(error: BaseException) -> None:
    crossed = msgspec.msgpack.decode(encode(refused(1, error)), type=Refused)

    assert str(error_of(crossed)) == "the ledger does not answer; try again later"


CHILD = """
import asyncio, json, os, socket, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from conftest import Build, sealed, unsealed
from gateway.ledger.remote import RemoteLedger
from gateway.ledger.volatile import Volatile
from gateway.terms.charge import Charge

def kind(outcome):
    return "charge" if isinstance(outcome, Charge) else type(outcome).__name__

async def main():
    remote = await RemoteLedger.join(socket.socket(fileno=int(sys.argv[2])), seal=sealed, unseal=unsealed)
    volatile = Volatile.join(Path(sys.argv[3]))
    for line in sys.stdin:
        job = json.loads(line)
        if job["do"] == "spend":
            debits = Build.debits(3, lineage=job["name"])
            asked = [remote.charge(Build.charge(f"{os.getpid()}-{number}", debits=debits))
                     for number in range(job["count"])]
            said = [kind(one) for one in await asyncio.gather(*asked, return_exceptions=True)]
        elif job["do"] == "same key":
            debits = Build.debits(1, lineage=job["name"])
            asked = [remote.charge(Build.charge(f"{os.getpid()}-{number}", debits=debits, key=job["name"]))
                     for number in range(job["count"])]
            said = [kind(one) for one in await asyncio.gather(*asked, return_exceptions=True)]
        else:
            said = [volatile.use_once(f"{job['name']}-{number}", 2_000, now_ms=1_000)
                    for number in range(job["count"])]
        print(json.dumps(said), flush=True)

asyncio.run(main())
"""


class Children:
    """Four real processes that share one ledger and one volatile store."""

    def __init__(self, crew: Any, folder: Path) -> None:
        self._crew = crew
        self._path = folder / "volatile.sqlite"
        self._volatile = Volatile.create(self._path)
        self._processes: list[asyncio.subprocess.Process] = []

    async def __aenter__(self) -> Self:
        for _ in range(WORKERS):
            _, theirs = await self._crew.connect()
            with theirs:
                self._processes.append(
                    await asyncio.create_subprocess_exec(
                        *(sys.executable, "-c", CHILD, str(Path(__file__).parent)),
                        *(str(theirs.fileno()), str(self._path)),
                        stdin=asyncio.subprocess.PIPE,
                        stdout=asyncio.subprocess.PIPE,
                        pass_fds=[theirs.fileno()],
                        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
                        limit=2**20,  # bytes of one answer: ten thousand outcomes in a line
                    )
                )
        return self

    async def __aexit__(self, *_: object) -> None:
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.close()
            await process.wait()
        self._volatile.close()

    async def all_do(self, do: str, name: str, count: int) -> Counter[object]:
        """Have all do the same at once; return what came of it."""
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(json.dumps({"do": do, "name": name, "count": count}).encode() + b"\n")
        said: Counter[object] = Counter()
        for process in self._processes:
            assert process.stdout is not None
            said += Counter(json.loads(await asyncio.wait_for(process.stdout.readline(), 60)))
        return said


@pytest.mark.parametrize("rounds", [10, pytest.param(200, marks=pytest.mark.long)])
async def test_64_clients_over_four_workers_never_overspend(
    rounds: int, crew: Any, build: Any, tmp_path: Path
) -> None:
    """Promise P2."""
    async with Children(crew, tmp_path) as children:
        for number in range(rounds):
            said = await children.all_do("spend", f"l-{number}", 64 // WORKERS)

            assert said == {"charge": 33, "BudgetExhausted": 31}
            assert await crew.store.spent(build.nodes(lineage=f"l-{number}")) == (build.loss(99),) * 3
    say(f"{rounds} rounds of 64 clients over {WORKERS} workers on the last units: never overspent")


@pytest.mark.parametrize("rounds", [10, pytest.param(200, marks=pytest.mark.long)])
async def test_one_key_at_four_workers_at_once_charges_once(
    rounds: int, crew: Any, build: Any, tmp_path: Path
) -> None:
    """Promise P2."""
    async with Children(crew, tmp_path) as children:
        for number in range(rounds):
            said = await children.all_do("same key", f"k-{number}", 13)

            assert said == {"charge": 1, "IdempotencyInProgress": 51}
            assert await crew.store.spent(build.nodes(lineage=f"k-{number}")) == (build.loss(1),) * 3
    say(f"{rounds} rounds of 52 clients over {WORKERS} workers under one key: one charge each")


@pytest.mark.parametrize("count", [500, pytest.param(10_000, marks=pytest.mark.long)])
async def test_a_proof_at_four_workers_at_once_serves_once(count: int, crew: Any, tmp_path: Path) -> None:
    """Promise P7."""
    async with Children(crew, tmp_path) as children:
        said = await children.all_do("use", "proof", count)

    assert said == {True: count, False: count * (WORKERS - 1)}
    say(f"{count} used ids, each at {WORKERS} workers at once: each served once")


async def test_news_of_the_logs_keys_is_not_lost_while_a_worker_starts(crew: Any) -> None:
    """The registry does not hold them; everything else that was told before it was read is in it."""
    ledger, _ = await crew.join()
    keys = Change(kind=LOG_KEYS, id="log", document=b"new+vkey")
    crew.server.tell((keys, Change(kind="client", id="etl-1", document=b"{}")))
    await ledger.registry()
    told: list[tuple[Change, ...]] = []

    ledger.follow(on_changes=told.append, in_force=lambda _: None)

    assert told == [(keys,)]
