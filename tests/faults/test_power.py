"""The power fails: what was acknowledged is there, and the check that says so can fail.

One run is recorded; each loss is a moment of it and a fate of what was not synced (``power.py``).
"""

import asyncio
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import apsw
import pytest

from tests.faults.disk import Disk, Operation
from tests.faults.nursery import a_nursery
from tests.faults.observer import faults
from tests.faults.power import Event, HeadWritten, Loss, Recorder, remaining
from tests.faults.run import Client
from tests.faults.scenes import Scene, grown_scene, new_scene
from tests.faults.share import chance_of, say
from tests.faults.world import World, a_world

LOSSES = 2_000


@dataclass(frozen=True, slots=True)
class Run:
    """What happened to the disk from a scene's beginning to its end."""

    scene: Scene
    before: dict[str, bytes]
    trace: list[Event]


def recorded(scene: Scene) -> Run:
    with a_world() as world:
        scene.put(world)
        before = {path.name: path.read_bytes() for path in world.folder.iterdir()}
        recorder = Recorder(world.head)
        asyncio.run(lived(scene, world, recorder))
    return Run(scene, before, recorder.trace)


async def lived(scene: Scene, world: World, recorder: Recorder) -> None:
    disk = Disk(recorder.meddle)
    ledger = world.open(vfs=disk.name)
    await Client(ledger, world.clock, recorder.tell).run(scene.script)
    await ledger.close()


@contextmanager
def sync_only_at_checkpoints() -> Iterator[None]:
    """Run each store with synchronous=NORMAL, whatever it asks for: set when its first BEGIN comes."""

    def hook(connection: apsw.Connection) -> None:
        def trace(_: object, statement: str, __: object) -> bool:
            if statement.startswith("BEGIN"):
                connection.exec_trace = None
                connection.pragma("synchronous", 1)
            return True

        connection.exec_trace = trace

    apsw.connection_hooks.append(hook)
    try:
        yield
    finally:
        apsw.connection_hooks.remove(hook)


def lost(run: Run, cut: int, loss: Loss, chance: random.Random) -> list[str]:
    """Cut the power after an event and return what the observer finds."""
    with a_world() as world:
        observed = run.scene.put(world)
        for path in world.folder.iterdir():
            path.unlink()
        for name, content in remaining(run.before, run.trace[:cut], loss, chance).items():
            (world.folder / name).write_bytes(content)
        observed.answers += [
            event for event in run.trace[:cut] if not isinstance(event, Operation | HeadWritten)
        ]
        found = faults(world, observed)
    return [f"{run.scene.name}, event {cut}, {loss}: {fault}" for fault in found]


def losses(count: int, name: str) -> tuple[int, list[str]]:
    """Return in how many power losses something was lost, and what."""
    chance = chance_of(name)
    with a_nursery() as nursery, a_world() as grown:
        runs = [recorded(new_scene(3, 40)), recorded(grown_scene(nursery, grown, 4, 60))]
        found = []
        for number in range(count):
            run = chance.choice(runs)
            found.append(lost(run, chance.randrange(len(run.trace) + 1), list(Loss)[number % 5], chance))
    return sum(map(bool, found)), [fault for faults_ in found for fault in faults_]


def no_loss(count: int) -> None:
    number, found = losses(count, "power losses")
    say(f"{count} power losses: {number} with faults")
    assert found == []


def test_a_power_loss_takes_nothing_that_was_acknowledged() -> None:
    """Promises P1, P2 and P7."""
    no_loss(150)


@pytest.mark.long
def test_thousands_of_power_losses_take_nothing_that_was_acknowledged() -> None:
    """Promises P1, P2 and P7."""
    no_loss(LOSSES)


def much_lost(count: int) -> None:
    with sync_only_at_checkpoints():
        number, found = losses(count, "power losses without sync")
    say(f"{count} power losses with synchronous=NORMAL: {number} with faults, as they must")
    assert number >= count // 3
    assert any("the charge of" in fault for fault in found)
    assert any("its entry does not stand" in fault for fault in found)


def test_the_same_power_losses_take_much_from_a_store_that_does_not_sync_each_commit() -> None:
    """The check can fail: with synchronous=NORMAL acknowledged commits are gone."""
    much_lost(60)


@pytest.mark.long
def test_hundreds_of_power_losses_take_much_from_a_store_that_does_not_sync_each_commit() -> None:
    """The check can fail."""
    much_lost(200)
