"""A second writer that believes itself the only one, and copies that somebody brought back."""

import asyncio
import random
import shutil
from collections.abc import Iterator
from datetime import timedelta

import apsw
import pytest

from gateway.errors import HomeInvalid
from gateway.ledger.key_file import FILE_NAME
from tests.faults.nursery import Child, Nursery, Order, a_nursery
from tests.faults.observer import Observed, faults
from tests.faults.run import Client
from tests.faults.script import Answer, Broken, Charged, Receipted, Script, asked_on, scripted
from tests.faults.share import chance_of, say
from tests.faults.world import World, a_world

CAP = 150
"""Of each of three clients: both writers together reach it."""


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with a_nursery() as made:
        yield made


def let_in(nursery: Nursery, order: Order) -> tuple[Child, Answer]:
    """Return a child that serves, with its first answer.

    One that sees the other's head move while it opens the store is refused, rightly, and comes again.
    """
    for _ in range(50):
        child = nursery.order(order)
        answer = child.next()
        if not isinstance(answer, Broken):
            return child, answer
        child.last_words()
        assert "HomeInvalid: the ledger" in answer.trace, answer.trace
    raise AssertionError("it was never let in")


def rivalled(nursery: Nursery, chance: random.Random) -> tuple[int, list[str]]:
    """Let two processes write one log, neither knowing of the other; kill both and look."""
    with a_world() as world:
        observed = Observed(rivals=True)
        first, answer = let_in(nursery, Order(folder=str(world.folder), clients=8, name="first", cap=CAP))
        observed.answers.append(answer)
        world.lock.unlink()  # as if there were no lock
        second, answer = let_in(nursery, Order(folder=str(world.folder), clients=8, name="second", cap=CAP))
        observed.answers.append(answer)
        for _ in range(chance.randrange(50, 400)):
            observed.answers += [first.next(), second.next()]
        for child in chance.sample((first, second), 2):
            child.kill()
            observed.answers += child.last_words()
        observed.ask(
            tuple(asked_on(number, name, CAP) for name in ("first", "second") for number in range(2_000))
        )
        found = faults(world, observed)
    return sum(1 for _ in observed.of(Charged)), found


def test_two_writers_never_fork_the_log_and_never_overspend(nursery: Nursery) -> None:
    """Promises P2 and P9."""
    outcomes = [rivalled(nursery, chance_of(f"rivals {number}")) for number in range(5)]

    assert [found for _, found in outcomes] == [[]] * 5
    assert max(charges for charges, _ in outcomes) > CAP


@pytest.mark.long
def test_two_writers_never_fork_the_log_and_never_overspend_in_many_rounds(nursery: Nursery) -> None:
    """Promises P2 and P9."""
    outcomes = [rivalled(nursery, chance_of(f"rivals {number}")) for number in range(100)]

    found = [fault for _, faults_ in outcomes for fault in faults_]
    say(f"100 rounds of two writers, {sum(n for n, _ in outcomes)} charges observed: {len(found)} faults")
    assert found == []


def lived(world: World, script: Script) -> Observed:
    """Run a script against a world and close it."""
    observed = Observed()

    async def life() -> None:
        ledger = world.open()
        await Client(ledger, world.clock, observed.answers.append).run(script)
        await ledger.close()

    observed.ask(script)
    asyncio.run(life())
    return observed


@pytest.mark.parametrize("seed", range(5))
def test_an_old_backup_under_a_newer_head_is_refused(seed: int) -> None:
    """Promise P9."""
    with a_world() as world, a_world() as backup:
        lived(world, scripted(seed, steps=10, name="before"))
        shutil.copytree(world.folder, backup.folder, dirs_exist_ok=True)
        observed = lived(world, scripted(seed + 1, steps=10, name="after"))
        assert any(observed.of(Receipted))
        head = world.head.read_bytes()
        shutil.copytree(backup.folder, world.folder, dirs_exist_ok=True)
        world.head.write_bytes(head)

        with pytest.raises(HomeInvalid, match="restored from an old backup or its end was cut off"):
            world.open()


def test_a_cut_tail_is_refused_even_if_it_fits_itself() -> None:
    """Promise P9: the head file remembers what the store was made to forget."""
    with a_world() as world, a_world() as shorter:
        script = scripted(1, steps=20)
        lived(world, script)
        lived(shorter, script[:10])
        shutil.copy(shorter.path, world.path)

        with pytest.raises(HomeInvalid, match=r"end was cut off|not the ones that were signed"):
            world.open()


@pytest.mark.parametrize(
    ("brought", "says"),
    [
        ("older", "older than the ledger"),
        ("of another home", "belong to another home"),
        ("none", "older than the ledger|missing"),
    ],
)
def test_a_key_file_that_is_not_the_newest_is_named(brought: str, says: str) -> None:
    """Promise P9: with an older one, openings would be lost or destroyed keys be back."""
    with a_world() as world, a_world() as other:
        keys = world.folder / FILE_NAME
        lived(world, scripted(1, steps=10, name="before"))
        before = keys.read_bytes()
        world.clock.moment += timedelta(days=40)
        lived(world, scripted(2, steps=10, name="after"))
        match brought:
            case "older":
                keys.write_bytes(before)
            case "none":
                keys.unlink()
            case _:
                other.home = b"other home"
                lived(other, scripted(1, steps=10))
                keys.write_bytes((other.folder / FILE_NAME).read_bytes())

        with pytest.raises(HomeInvalid, match=says):
            world.open()


def test_entries_taken_from_the_end_are_missed() -> None:
    """Promise P9."""
    with a_world() as world:
        lived(world, scripted(1, steps=20))
        with apsw.Connection(str(world.path)) as outside:
            outside.execute("DROP TRIGGER entry_is_never_deleted")
            outside.execute("DELETE FROM entry WHERE idx >= (SELECT max(idx) - 2 FROM entry)")

        with pytest.raises(HomeInvalid, match="same number"):
            world.open()
