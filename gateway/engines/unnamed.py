"""Columns of a source that its document does not name: dropped, and told to the operator by name.

Of files they are told at each preparation, so at the start and whenever the source has changed; of an
upstream's rows, when a reply first has them. SECURITY: some interfaces put values where names belong. A
name that looks like data is told as such, not quoted; and of each dataset at most ``NAMES_MAX`` are.
"""

import threading
from collections.abc import Iterable
from typing import Final

from gateway import telemetry
from gateway.engines.inspect import are_data
from gateway.engines.source import shown
from gateway.terms.identifiers import DatasetId

NAMES_MAX: Final = 100
NAME_CHARACTERS_MAX: Final = 64
UNSHOWN: Final = "(a name that looks like data)"


class Unnamed:
    """Owner of what was told. Threads of the pool call it, so a lock guards it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told: dict[DatasetId, frozenset[str]] = {}

    def prepared(self, dataset: DatasetId, names: Iterable[str]) -> None:
        """Tell all that a source has beyond its document, and forget what it had before."""
        self._tell(dataset, frozenset(), frozenset(names))

    def replied(self, dataset: DatasetId, names: Iterable[str]) -> None:
        """Tell what a reply has that no reply before it had."""
        self._tell(dataset, self._told.get(dataset, frozenset()), frozenset(names))

    def _tell(self, dataset: DatasetId, before: frozenset[str], names: frozenset[str]) -> None:
        with self._lock:
            new = sorted(names - before)[: NAMES_MAX - len(before)]
            self._told[dataset] = before | frozenset(new)
            telemetry.columns_unnamed(dataset, len(self._told[dataset]))
        if new:
            telemetry.log("columns_unnamed", dataset=dataset, names=", ".join(dict.fromkeys(map(_word, new))))


def _word(name: str) -> str:
    return UNSHOWN if are_data((name,)) else shown(name)[:NAME_CHARACTERS_MAX]
