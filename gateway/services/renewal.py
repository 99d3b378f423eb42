"""Take over the home's sharing rules while requests are answered.

Order: read all documents, look at the sources of those that are new, make the changes durable, replace
the rules by one assignment. So no request sees a mixture: each is decided by the mapping that it finds,
and carries its document's revision and digest with it. What fails anywhere leaves the last good revision
active and is told (promise P3); a renewal that cannot be recorded changes nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gateway import telemetry
from gateway.errors import Fault
from gateway.policy.rules import Rules
from gateway.services.stewardship import activated
from gateway.terms.dataset import Dataset
from gateway.terms.entry import Change
from gateway.terms.identifiers import DatasetId


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    """Renews the rules of one installation, one renewal at a time."""

    folder: Path
    known: Callable[[], Awaitable[tuple[Change, ...]]]
    """What the ledger's registry holds."""
    check: Callable[[Dataset], Awaitable[tuple[str, ...]]]
    """What is wrong with a source, in sentences."""
    register: Callable[[tuple[Change, ...]], Awaitable[None]]
    """Makes changes durable."""
    active: Callable[[], Mapping[DatasetId, Rules]]
    take_over: Callable[[Mapping[DatasetId, Rules]], None]
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def __call__(self) -> tuple[Fault, ...]:
        """Renew, and return what is not active and why."""
        async with self._turn:
            before = self.active()
            found = await asyncio.to_thread(activated, self.folder, await self.known(), loaded=before)
            faults = list(found.faults)
            rules: dict[DatasetId, Rules] = {}
            for name, candidate in found.rules.items():
                if kept := await self._checked(name, candidate, before.get(name), faults):
                    rules[name] = kept
            served = {str(name) for name, each in rules.items() if each is found.rules[name]}
            changes = tuple(change for change in found.changes if change.id in served)
            if changes:
                await self.register(changes)
            self.take_over(rules)
        tell(rules, tuple(faults))
        return tuple(faults)

    async def _checked(
        self, name: DatasetId, candidate: Rules, before: Rules | None, faults: list[Fault]
    ) -> Rules | None:
        """Return the rules to serve: the candidate if its source is as it declares, else what served."""
        if candidate is before:
            return candidate
        wrong = await self.check(candidate.dataset)
        faults += [Fault(f"{name}.yaml", 1, 1, said) for said in wrong]
        return before if wrong else candidate


def tell(rules: Mapping[DatasetId, Rules], faults: tuple[Fault, ...]) -> None:
    """Show operators what decides from now on, and raise an alarm for what does not."""
    for fault in faults:
        telemetry.log(
            "rules_refused", file=fault.file, line=fault.line, column=fault.column, message=fault.message
        )
    revisions = {str(name): each.dataset.revision for name, each in rules.items()}
    telemetry.rules_taken_over(revisions, len({fault.file for fault in faults}))
    telemetry.log("rules_active", datasets=len(rules), refused=len({fault.file for fault in faults}))
