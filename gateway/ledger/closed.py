"""A closed log, as evidence is taken from it: its store and its end, and the keys that all logs share.

What is taken from it is recorded in the log that grows.
"""

from contextlib import closing
from pathlib import Path

from gateway.errors import HomeInvalid, LedgerUnavailable
from gateway.ledger.audit_store import snapshot
from gateway.ledger.key_file import KeyFile, Wrap
from gateway.ledger.openings import unpacked
from gateway.ledger.sqlite import SqliteLedger
from gateway.ledger.succession import HEAD, STORE, VKEYS
from gateway.ledger.vault import Vault
from gateway.terms.charge import Receipt
from gateway.terms.entry import Change, ReleaseRequest


class ClosedLog:
    """The closed log in a folder; ``newest`` is the ledger of the log that grows."""

    def __init__(self, folder: Path, newest: SqliteLedger, *, keys: Path, wrap: Wrap, unwrap: Wrap) -> None:
        if not (folder / STORE).exists():
            raise HomeInvalid("there is no closed log of that origin here")
        self.store = folder / STORE
        self._folder = folder
        self._newest = newest
        self._keys = keys
        self._wrap = wrap
        self._unwrap = unwrap

    @property
    def vkeys(self) -> str:
        """All keys that it ever signed with, the newest first, one a line."""
        return (self._folder / VKEYS).read_text(encoding="ascii").strip()

    async def checkpoint(self) -> bytes:
        """Return its signed end."""
        return (self._folder / HEAD).read_bytes()

    async def opening(self, index: int) -> tuple[bytes, dict[str, bytes]] | None:
        """Return seed and private values of an entry; None where they were erased, or there are none.

        Raises:
            LedgerUnavailable: What lies there is not the entry's.

        """
        keys = KeyFile.open(self._keys, wrap=self._wrap, unwrap=self._unwrap, vfs=None)
        with closing(keys), snapshot(self.store) as connection:
            number = connection.execute("SELECT key FROM opening WHERE idx = ?", (index,)).get
            if number is None or keys.cipher(number) is None:  # an erasure reaches every log
                return None
            try:
                found = Vault(connection, keys).opening(index)
                return None if found is None else unpacked(found[1])
            except ValueError as error:
                raise LedgerUnavailable("an opening is not the one of its entry") from error

    async def registry(self) -> tuple[Change, ...]:
        """Return the registry as it stands today."""
        return await self._newest.registry()

    async def release(self, request: ReleaseRequest) -> Receipt:
        """Record in the log that grows."""
        return await self._newest.release(request)
