"""SIGKILL at every change of the disk, and at any instant under load: nothing that left is lost."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.faults.nursery import Child, Nursery, Order, a_nursery
from tests.faults.observer import Observed, faults
from tests.faults.scenes import Scene, grown_scene, new_scene, operations_of
from tests.faults.script import Charged, Finished, Receipted, asked_on
from tests.faults.share import chance_of, say, share_of
from tests.faults.world import a_world

POINTS = 2_000
KILLS = 500
CLIENTS = 64
LIVES = 10
"""Of one log, each ended by a kill; then the observer looks."""


@dataclass(frozen=True, slots=True)
class Point:
    """One place to be killed at."""

    scene: Scene
    kill_at: int

    @property
    def torn(self) -> bool:
        """Every second write is killed half done, the others before they are begun."""
        return self.kill_at % 2 == 1


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with a_nursery() as made:
        yield made


@pytest.fixture(scope="module")
def points(nursery: Nursery) -> Iterator[list[Point]]:
    """Every place of both scenes."""
    found = []
    with a_world() as grown:
        for scene in (new_scene(1, 40), grown_scene(nursery, grown, 2, 50)):
            with a_world() as world:
                operations = operations_of(scene, nursery, world)
            found += [Point(scene, at) for at in range(1, operations + 1)]
        yield found


def killed_at(point: Point, nursery: Nursery) -> tuple[bool, list[str]]:
    """Return whether a child was killed at a point, and what the observer finds after it."""
    with a_world() as world:
        observed = point.scene.put(world)
        order = Order(
            folder=str(world.folder), script=point.scene.script, kill_at=point.kill_at, torn=point.torn
        )
        words = nursery.order(order).last_words()
        observed.answers += words
        found = [
            f"{point.scene.name}, operation {point.kill_at}: {fault}" for fault in faults(world, observed)
        ]
    return not any(isinstance(word, Finished) for word in words), found


def swept(points: list[Point], nursery: Nursery) -> None:
    outcomes = [killed_at(point, nursery) for point in points]
    kills = sum(killed for killed, _ in outcomes)
    found = [fault for _, faults_ in outcomes for fault in faults_]
    say(f"{kills} kill points: {len(found)} faults")
    assert found == []
    assert kills > 0.99 * len(points)  # how a crowd falls into batches varies by an operation or two


def test_what_left_survives_a_kill_at_any_change_of_the_disk(points: list[Point], nursery: Nursery) -> None:
    """Promises P1, P2 and P7."""
    swept(share_of(points, 120, chance_of("kill points")), nursery)


@pytest.mark.long
def test_what_left_survives_a_kill_at_every_change_of_the_disk(points: list[Point], nursery: Nursery) -> None:
    """Promises P1, P2 and P7."""
    assert len(points) >= POINTS

    swept(points, nursery)


def killed_under_load(nursery: Nursery, kills: int) -> None:
    """Let one log after the other live through ten kills each, and look."""
    cap = 10**6
    chance = chance_of("kills under load")
    charges = receipts = 0
    found: list[str] = []
    for log in range(kills // LIVES):
        with a_world() as world:
            observed = Observed()
            for life in range(LIVES):
                order = Order(folder=str(world.folder), clients=CLIENTS, name=f"life-{life}", cap=cap)
                child = nursery.order(order)
                observed.answers += killed_after(child, chance.randrange(1, 200), chance.random() / 100)
            names = [answer.id.rpartition("-") for answer in observed.of(Charged)]
            observed.ask(tuple(asked_on(int(number), name, cap) for name, _, number in names))
            found += [f"log {log}: {fault}" for fault in faults(world, observed)]
        charges += sum(1 for _ in observed.of(Charged))
        receipts += sum(1 for _ in observed.of(Receipted))
    say(
        f"{kills} kills under {CLIENTS} clients, {charges} charges and {receipts} receipts observed: "
        f"{len(found)} faults"
    )
    assert receipts > kills
    assert found == []


def killed_after(child: Child, answers: int, seconds: float) -> list[object]:
    """Kill a child some instants after so many answers; return all that it told."""
    told = [child.next() for _ in range(answers)]
    time.sleep(seconds)
    child.kill()
    return told + child.last_words()


def test_what_left_survives_a_kill_at_any_instant_under_load(nursery: Nursery) -> None:
    """Promises P1 and P2."""
    killed_under_load(nursery, 20)


@pytest.mark.long
def test_what_left_survives_hundreds_of_kills_under_load(nursery: Nursery) -> None:
    """Promises P1 and P2."""
    killed_under_load(nursery, KILLS)
