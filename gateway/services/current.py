"""The registry, the rules and the keys as they are at this moment, in one process."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gateway.errors import Fault
from gateway.keyring.keyring import Keyring
from gateway.policy.rules import Rules
from gateway.registry.registry import Registry
from gateway.services.stewardship import KEPT
from gateway.terms.entry import FORGOTTEN, LOG_KEYS, Change
from gateway.terms.identifiers import DatasetId


@dataclass(slots=True)
class Current:
    """What changes while the gateway runs. Owned by the event loop; replaced as a whole, never edited."""

    registry: Registry
    rules: Mapping[DatasetId, Rules]
    followers: list[Callable[[tuple[Change, ...]], None]] = field(default_factory=list)
    """Told of the same changes, in the same order."""
    rules_followers: list[Callable[[], None]] = field(default_factory=list)
    """Told that the rules are others now."""
    watchers: list[Callable[[Mapping[DatasetId, Rules], tuple[Fault, ...]], None]] = field(
        default_factory=list
    )
    """Told what decides after a renewal, and what does not; there are none where nobody is served."""
    renewing: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while the rules are renewed."""

    @classmethod
    def of(cls, known: tuple[Change, ...], rules: Mapping[DatasetId, Rules]) -> "Current":
        """Return what the ledger's registry holds, and the rules that decide."""
        return cls(Registry.of(change for change in known if change.kind not in KEPT), rules)

    def keep_keys(self, keyring: Keyring) -> None:
        """Have the keys reloaded whenever the registry tells of one; the revoked ones count no more."""

        def reload(changes: tuple[Change, ...]) -> None:
            if any(change.kind == "installationkey" for change in changes):
                keyring.reload(self.registry.revoked_keys)
            for change in changes:
                if change.kind == LOG_KEYS:
                    keyring.rename_log_keys(change.document.decode("ascii"))

        keyring.reload(self.registry.revoked_keys)
        self.followers.append(reload)

    def apply(self, changes: tuple[Change, ...]) -> None:
        """Take over durable changes of the registry, and other news that every process must have."""
        for change in changes:
            if change.kind == FORGOTTEN:
                self.registry = self.registry.without(change.id)
            elif change.kind not in {*KEPT, LOG_KEYS}:
                self.registry = self.registry.with_change(change)
        failures: list[Exception] = []
        for follower in self.followers:
            try:
                follower(changes)
            except Exception as error:  # noqa: BLE001 -- one that fails must not keep the news from the others
                failures.append(error)
        if failures:
            raise failures[0]

    def renewed(self, rules: Mapping[DatasetId, Rules], faults: tuple[Fault, ...]) -> None:
        """Tell operators of a renewal."""
        for watcher in self.watchers:
            watcher(rules, faults)

    def take_over(self, rules: Mapping[DatasetId, Rules]) -> None:
        """Have other rules decide from now on; their documents are in the registry."""
        self.rules = rules
        for follower in self.rules_followers:
            follower()
