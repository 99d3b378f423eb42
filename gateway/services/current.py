"""The registry, the rules and the keys as they are at this moment, in one process."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gateway.keyring.keyring import Keyring
from gateway.policy.rules import Rules
from gateway.registry.registry import Registry
from gateway.services.stewardship import RULES
from gateway.terms.entry import Change
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

    def keep_keys(self, keyring: Keyring) -> None:
        """Have the keys reloaded whenever the registry tells of one; the revoked ones count no more."""

        def reload(changes: tuple[Change, ...]) -> None:
            if any(change.kind == "installationkey" for change in changes):
                keyring.reload(self.registry.revoked_keys)

        keyring.reload(self.registry.revoked_keys)
        self.followers.append(reload)

    def apply(self, changes: tuple[Change, ...]) -> None:
        """Take over durable changes of the registry."""
        for change in changes:
            if change.kind != RULES:
                self.registry = self.registry.with_change(change)
        for follower in self.followers:
            follower(changes)

    def take_over(self, rules: Mapping[DatasetId, Rules]) -> None:
        """Have other rules decide from now on; their documents are in the registry."""
        self.rules = rules
        for follower in self.rules_followers:
            follower()
