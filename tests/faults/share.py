"""Which of many faults a run tries: all of them with ``-m long``, in CI a share that changes from run to run.

The seed is printed when a test fails; ``GATEWAY_FAULT_SEED=1234 make check`` repeats its share.
"""

import os
import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")
SEED = int(os.environ.get("GATEWAY_FAULT_SEED") or int.from_bytes(os.urandom(4), "big"))


def chance_of(name: str) -> random.Random:
    """Return the dice of one test."""
    print(f"GATEWAY_FAULT_SEED={SEED}")  # noqa: T201  pytest shows it when the test fails
    return random.Random(f"{SEED} {name}")  # noqa: S311 -- where to break, not what to hide


def share_of(things: Sequence[T], count: int, chance: random.Random) -> list[T]:
    """Return so many of them, or all."""
    return chance.sample(things, min(count, len(things)))


def say(sentence: str) -> None:
    """Print a count for docs/evidence.md."""
    print(f"\n{sentence}")  # noqa: T201  `make test-long` shows it
