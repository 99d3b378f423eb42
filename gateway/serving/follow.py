"""A worker's registry and rules, kept as the main process has them.

Changes of the registry come in the order of the log. Which datasets are in force comes after the changes
that brought their documents; those that are new are read and opened, then all rules are replaced by one
assignment. A document that this worker cannot use is not served (promise P3).
"""

import asyncio

from gateway import telemetry
from gateway.engines.port import Engine
from gateway.errors import RulesInvalid
from gateway.policy.load import load_rules
from gateway.policy.rules import Rules
from gateway.services.current import Current
from gateway.services.stewardship import RULES
from gateway.terms.entry import Change


class Following:
    """Owner of ``current`` in a worker. ``known`` is what the ledger's registry held when it was read."""

    def __init__(self, known: tuple[Change, ...], engine: Engine) -> None:
        self.current = Current.of(known, {})
        self._documents = {change.id: change.document for change in known if change.kind == RULES}
        self._engine = engine
        self._waiting: asyncio.Queue[tuple[str, ...]] = asyncio.Queue()
        self._read: dict[bytes, Rules | None] = {}
        """By document: the ones in force."""

    def changed(self, changes: tuple[Change, ...]) -> None:
        """Take over durable changes."""
        self.current.apply(changes)
        self._documents |= {change.id: change.document for change in changes if change.kind == RULES}

    def in_force(self, datasets: tuple[str, ...]) -> None:
        """Take over, soon, which datasets are served."""
        self._waiting.put_nowait(datasets)

    async def renew(self) -> None:
        """Wait until datasets come into force, and serve them.

        Raises:
            KeyError: One of them has no document that came before.

        """
        datasets = await self._waiting.get()
        documents = [self._documents[name] for name in datasets]
        self._read = {text: self._read.get(text) or await self._usable(text) for text in documents}
        self.current.rules = {rules.dataset.id: rules for rules in self._read.values() if rules is not None}

    async def _usable(self, document: bytes) -> Rules | None:
        try:
            rules = await asyncio.to_thread(load_rules, document, file="a document in force")
        except RulesInvalid:
            return None
        problems = await self._engine.check(rules.dataset)  # opens what the main process has prepared
        for problem in problems:
            telemetry.log("worker_not_serving", dataset=rules.dataset.id, problem=problem)
        return None if problems else rules
