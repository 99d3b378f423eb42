"""A worker's registry and rules, kept as the main process has them.

Changes of the registry come in the order of the log. Which documents are in force comes after the changes
that brought them; those that are new are read and opened, then all rules are replaced by one assignment. A
document that this worker cannot use is not served, nor is a dataset whose document it does not have: who
starts between a revision's record and its taking effect has that one only, and is told of it right after
(promise P3).
"""

import asyncio
from collections.abc import Mapping

from gateway import telemetry
from gateway.engines.port import Engine
from gateway.errors import RulesInvalid
from gateway.policy.load import load_rules
from gateway.policy.rules import Rules
from gateway.policy.signature import digest_of
from gateway.services.current import Current
from gateway.services.stewardship import RULES
from gateway.terms.entry import Change


class Following:
    """Owner of ``current`` in a worker. ``known`` is what the ledger's registry held when it was read."""

    def __init__(self, known: tuple[Change, ...], engine: Engine) -> None:
        self.current = Current.of(known, {})
        self._newest: dict[str, str] = {}
        self._documents: dict[str, bytes] = {}
        """By digest: the newest of each dataset, and those in force."""
        self._engine = engine
        self._waiting: asyncio.Queue[Mapping[str, bytes | None]] = asyncio.Queue()
        self._read: dict[bytes, Rules | None] = {}
        """By document: the ones in force."""
        self._keep(known)

    def changed(self, changes: tuple[Change, ...]) -> None:
        """Take over durable changes."""
        self.current.apply(changes)
        self._keep(changes)

    def in_force(self, datasets: tuple[tuple[str, str], ...]) -> None:
        """Take over, soon, what is served: each dataset's id, and its document's digest."""
        wanted = dict(datasets)
        kept = {*wanted.values(), *self._newest.values()}
        self._documents = {digest: text for digest, text in self._documents.items() if digest in kept}
        self._waiting.put_nowait({name: self._documents.get(digest) for name, digest in wanted.items()})

    def _keep(self, changes: tuple[Change, ...]) -> None:
        for change in changes:
            if change.kind == RULES:
                self._newest[change.id] = digest = digest_of(change.document)
                self._documents[digest] = change.document

    async def renew(self) -> None:
        """Wait until documents come into force, and serve them."""
        documents = await self._waiting.get()
        while not self._waiting.empty():  # what has come since is what counts
            documents = self._waiting.get_nowait()
        for name, text in documents.items():
            if text is None:
                telemetry.log("worker_not_serving", dataset=name, problem="its document is not known here")
        here = [text for text in documents.values() if text is not None]
        self._read = {text: self._read.get(text) or await self._usable(text) for text in here}
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
