"""A disk that is full, cannot write, cannot sync, or stalls, at each of its operations in turn.

A full disk answers LedgerUnavailable and heals by itself. A sync that failed ends the ledger: a
later sync may succeed without the data. Whatever happened, the next start finds all that was acknowledged.
"""

import asyncio
import gc
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import apsw
import pytest

from gateway.errors import HomeInvalid
from tests.faults.disk import Disk, Do, Operation
from tests.faults.nursery import a_nursery
from tests.faults.observer import faults
from tests.faults.run import Client
from tests.faults.scenes import Scene, grown_scene, new_scene
from tests.faults.script import Answer, Charge, Charged, Died, Refused, Script, Used, UseOnce
from tests.faults.share import chance_of, say, share_of
from tests.faults.world import World, a_world

FOREVER = 10**9
WRITES, SYNCS = frozenset({"write"}), frozenset({"sync"})
HEALED: Script = ((Charge("healed-1", client="c-healed", key="healed"),), (UseOnce("healed-1"),))
AVAILABLE = [Charged, Used]
UNAVAILABLE = [Refused("healed-1", "LedgerUnavailable")] * 2


@dataclass(frozen=True, slots=True)
class Failure:
    """What the disk does wrong."""

    kinds: frozenset[str]
    error: type[apsw.Error]
    then: str
    """What the ledger does after it: ``heals``, ``ends``, or either (SQLite takes a failed write back)."""
    lengths: tuple[int, ...] = (1,)
    """For how many operations, in turn."""
    done_first: bool = False
    """Whether the operation is done although it says that it failed."""


FAILURES = {
    "full": Failure(WRITES, apsw.FullError, "heals", lengths=(1, 3, 40)),
    "no write": Failure(WRITES, apsw.IOError, "either"),
    "no sync": Failure(SYNCS, apsw.IOError, "ends"),
    "synced, but says not": Failure(SYNCS, apsw.IOError, "ends", done_first=True),
    "read-only": Failure(WRITES | {"truncate", "delete"}, apsw.IOError, "either", lengths=(FOREVER,)),
}


@dataclass(slots=True)
class Strike:
    """A failure that begins at the n-th operation of its kinds. State: the one run it strikes."""

    failure: Failure
    at: int
    over: bool = False
    count: int = 0
    struck: bool = False
    opened: bool = False
    heard: list[Answer] = field(default_factory=list)

    def meddle(self, operation: Operation, do: Do) -> None:
        if self.over or operation.kind not in self.failure.kinds:
            do(operation)
            return
        self.count += 1
        length = self.failure.lengths[self.at % len(self.failure.lengths)]
        if not self.at <= self.count < self.at + length:
            do(operation)
            return
        self.struck = True
        if self.failure.done_first:
            do(operation)
        raise self.failure.error("as ordered")

    def misbehaved(self) -> Iterator[str]:
        """Yield what the ledger did on that disk that it must not."""
        if not self.opened:
            return
        deaths = sum(isinstance(answer, Died) for answer in self.heard)
        last = self.heard[-len(AVAILABLE) :]
        if self.failure.then == "heals" and (deaths or [type(answer) for answer in last] != AVAILABLE):
            yield f"it does not heal: {deaths} deaths, then {last}"
        if self.struck and self.failure.then == "ends" and (deaths != 1 or last != UNAVAILABLE):
            yield f"it does not end: {deaths} deaths, then {last}"


async def lived(scene: Scene, world: World, strike: Strike) -> None:
    """Run the script on the failing disk, then ask once more on the disk that works again."""
    disk = Disk(strike.meddle)
    tell = strike.heard.append
    try:
        ledger = world.open(vfs=disk.name, on_fatal=lambda: tell(Died()))
        strike.opened = True
    except HomeInvalid:
        strike.over = True
        return
    client = Client(ledger, world.clock, tell)
    await client.run(scene.script)
    strike.over = True  # before closing, too: apsw raises what SQLite ignores of a checkpoint on closing
    await client.run(HEALED)
    await ledger.close()


def stricken(scene: Scene, strike: Strike) -> list[str]:
    """Return what was not as it must be, on the failing disk and at the next start."""
    with a_world() as world:
        observed = scene.put(world)
        observed.ask(HEALED)
        asyncio.run(lived(scene, world, strike))
        gc.collect()  # a store that did not open is closed when nobody holds it
        observed.answers += strike.heard
        found = [*strike.misbehaved(), *faults(world, observed)]
    return [f"{scene.name}, operation {strike.at}: {fault}" for fault in found]


@pytest.fixture(scope="module")
def scenes() -> Iterator[list[Scene]]:
    with a_nursery() as nursery, a_world() as grown:
        yield [new_scene(5, 30), grown_scene(nursery, grown, 6, 40)]


@pytest.fixture(params=FAILURES)
def places(request: pytest.FixtureRequest, scenes: list[Scene]) -> list[tuple[Scene, Strike]]:
    """Return every place of every scene for one failure to begin at."""
    found = []
    for scene in scenes:
        quiet = Strike(FAILURES[request.param], at=0)
        quiet.failure = Failure(quiet.failure.kinds, apsw.Error, "heals", lengths=(0,))
        assert stricken(scene, quiet) == []
        found += [(scene, Strike(FAILURES[request.param], at)) for at in range(1, quiet.count + 1)]
    return found


def struck(places: list[tuple[Scene, Strike]]) -> None:
    found = [fault for scene, strike in places for fault in stricken(scene, strike)]
    names = [name for name, failure in FAILURES.items() if failure is places[0][1].failure]
    say(f"disk {names[0]}: {len(places)} places, {len(found)} faults")
    assert found == []


def test_a_disk_that_fails_anywhere_takes_nothing_that_was_acknowledged(
    places: list[tuple[Scene, Strike]],
) -> None:
    """Promises P1 and P2."""
    struck(share_of(places, 20, chance_of("disk")))


@pytest.mark.long
def test_a_disk_that_fails_everywhere_takes_nothing_that_was_acknowledged(
    places: list[tuple[Scene, Strike]],
) -> None:
    """Promises P1 and P2."""
    struck(places)


async def test_a_disk_that_stalls_holds_up_answers_and_nothing_else() -> None:
    """Promise P1: nobody is answered before the sync is through, and the callers' loop goes on."""
    stalled, go_on = threading.Event(), threading.Event()

    def meddle(operation: Operation, do: Do) -> None:
        if operation.kind == "sync" and stalled.is_set():
            assert go_on.wait(10)
        do(operation)

    with a_world() as world:
        disk = Disk(meddle)
        heard: list[Answer] = []
        ledger = world.open(vfs=disk.name)
        stalled.set()
        crowd = asyncio.create_task(
            Client(ledger, world.clock, heard.append).run((tuple(UseOnce(f"id-{n}") for n in range(20)),))
        )
        for _ in range(50):
            await asyncio.sleep(0.001)
        assert heard == []
        go_on.set()
        await crowd
        await ledger.close()

    assert sorted(answer.id for answer in heard if isinstance(answer, Used) and answer.fresh) == sorted(
        f"id-{n}" for n in range(20)
    )
