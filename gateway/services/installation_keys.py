"""The installation's own keys that replace one another by the clock: made, told of, and destroyed.

The folder says what there is, the registry what was told and what is revoked. Order: a key is in the folder
before anybody is told of it, and a revoked one counts nowhere before its file is destroyed.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from gateway.clock import Clock
from gateway.errors import ActRefused
from gateway.keyring.dated import DatedFiles, KeyState
from gateway.keyring.handles import Sealer, TokenSigner
from gateway.keyring.keyring import Keyring
from gateway.keyring.sealing_keys import new_master
from gateway.keyring.token_keys import new_token_key
from gateway.registry.records import InstallationKey, State
from gateway.registry.registry import Registry
from gateway.services.acts import KeyKind

NOTICE_S: Final = 24 * 3600
"""How long a key is announced before it works, for those who keep copies of the key set."""
AT_ONCE_S: Final = 3
"""Every worker is told within a second; so long a key is known before it works, even in a hurry."""


@dataclass(frozen=True, slots=True)
class InstallationKeys:
    """Makes and destroys keys in the home's folder."""

    keyring: Keyring
    registry: Callable[[], Registry]
    clock: Clock

    def make(self, kind: KeyKind, *, now: bool) -> InstallationKey:
        """Put a new key into the folder, and return what to tell of it.

        Raises:
            ActRefused: One is announced already, and this is not urgent.
            HomeInvalid: The disk refuses.

        """
        files: DatedFiles[TokenSigner] | DatedFiles[Sealer]
        files = self.keyring.tokens.files if kind is KeyKind.TOKENS else self.keyring.sealer.files
        waiting = [dated for dated, state, _ in files.states() if state is KeyState.ANNOUNCED]
        if waiting and not now:
            raise ActRefused("the next key is announced already; `gateway keys list` says when it works")
        self.keyring.tokens.drop_expired()
        works_from = int(self.clock.now().timestamp()) + (AT_ONCE_S if now else NOTICE_S)
        if kind is KeyKind.TOKENS:
            name = self.keyring.tokens.files.add(new_token_key(), works_from).kid
        else:
            name = self.keyring.sealer.files.add(new_master(), works_from).name
        return InstallationKey(
            id=name, kind=kind, works_from=datetime.fromtimestamp(works_from, UTC), state=State.ACTIVE
        )

    def revoked(self, name: str) -> InstallationKey:
        """Return what to tell of a key for tokens that counts no more.

        Raises:
            ActRefused: There is none of that name, or no other works.

        """
        files = self.keyring.tokens.files
        found = next((dated for dated in files.keys if dated.key.kid == name), None)
        if found is None:
            raise ActRefused("no key for tokens has this name; `gateway keys list` shows them")
        if files.active is found and found is files.keys[-1]:
            raise ActRefused("no other key works yet; first `gateway keys rotate --kind tokens --now`")
        told = self.registry().installation_keys.get(name) or InstallationKey(
            id=name,
            kind=KeyKind.TOKENS,
            works_from=datetime.fromtimestamp(found.works_from, UTC),
            state=State.ACTIVE,
        )
        return replace(told, state=State.ENDED)

    def revoke(self, name: str) -> None:
        """Destroy the file of a key for tokens; its public name stays."""
        self.keyring.tokens.files.revoke(name)

    def destroy(self, name: str) -> None:
        """Destroy the file of a key that nobody was told of, if there is one."""
        self.keyring.tokens.files.remove(name)
        if name not in {dated.key.kid for dated in self.keyring.tokens.files.keys}:
            self.keyring.sealer.files.remove(name)
