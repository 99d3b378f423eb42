"""A figure with its floor, and what every family of measures is."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TypeVar

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One line of var/bench.json."""

    name: str
    value: float
    unit: str
    floor: float
    """The bare thing in the same unit and run; of a ratio, the first target."""

    def document(self) -> dict[str, str | float]:
        return {
            key: float(f"{value:.4g}") if isinstance(value, float) else value
            for key, value in asdict(self).items()
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much to run, and where files may lie (removed afterwards)."""

    folder: Path
    quick: bool

    def rounds(self, usual: int) -> int:
        return min(usual, 2) if self.quick else usual

    def size(self, usual: int) -> int:
        return max(1, usual // 10) if self.quick else usual


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Measures that are taken together."""

    names: tuple[str, ...]
    run: Callable[[Plan], list[Measure]]


def seconds_of(work: Callable[[], object]) -> float:
    """Return how long one call takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def in_turns(
    rounds: int, measured: Callable[[], Answer], floor: Callable[[], Answer]
) -> list[tuple[Answer, Answer]]:
    """Return (measured, floor) of each round; who goes first changes from round to round."""
    pairs = []
    for number in range(rounds):
        if number % 2:
            below = floor()
            pairs.append((measured(), below))
        else:
            value = measured()
            pairs.append((value, floor()))
    return pairs


def middle(values: list[float]) -> float:
    return float(median(values))
