"""Where a fault strikes: a folder as it is before, a script, and what was already seen."""

import copy
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from gateway.terms.entry import EntryKind
from tests.faults.nursery import Nursery, Order
from tests.faults.observer import Observed
from tests.faults.script import Finished, Release, Script, scripted
from tests.faults.world import World


@dataclass(frozen=True, slots=True)
class Scene:
    """State: none; each fault gets a copy of the folder and of what was observed."""

    name: str
    folder: Path | None
    script: Script
    before: Observed = field(default_factory=Observed)

    def put(self, world: World) -> Observed:
        """Lay the scene's files in a world, and return what is known before the fault."""
        if self.folder is not None:
            shutil.copytree(self.folder, world.folder, dirs_exist_ok=True)
        observed = copy.deepcopy(self.before)
        observed.ask(self.script)
        return observed


def new_scene(seed: int, steps: int) -> Scene:
    """Return the birth of a log and its first steps."""
    return Scene("new", None, scripted(seed, steps=steps, clock=True))


def grown_scene(nursery: Nursery, world: World, seed: int, steps: int) -> Scene:
    """Return a log that a crash left: open charges, a long journal, a tile that is nearly full.

    Its script begins with the recovery and leads over the tile's edge and a checkpoint of the journal.
    """
    crowd: Script = (tuple(Release(f"crowd-{number}", EntryKind.SINGLE) for number in range(150)),)
    known = scripted(seed + 1, steps=60, name="known")
    nursery.order(Order(folder=str(world.folder), script=crowd)).last_words()
    before = Observed()
    before.ask(known)
    before.answers += nursery.order(Order(folder=str(world.folder), script=known, closes=False)).last_words()
    return Scene("grown", world.folder, scripted(seed, steps=steps, clock=True), before)


def operations_of(scene: Scene, nursery: Nursery, world: World) -> int:
    """Return how many operations of the disk the scene's script takes when nothing happens."""
    scene.put(world)
    last = nursery.order(Order(folder=str(world.folder), script=scene.script)).last_words()[-1]
    assert isinstance(last, Finished), last
    return last.operations
