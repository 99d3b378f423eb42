"""What a ledger is opened with here: a folder, a key, and a clock that scripts move."""

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.ledger.sqlite import SqliteLedger
from gateway.transparency.note import format_vkey

ORIGIN = "gateway.example/log/2026"
MEMORY_DISK = Path("/dev/shm")  # noqa: S108 -- made by mkdtemp below; a kill or a simulated loss needs no disk


class Signer:
    """The log's key, from a seed."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"log").digest())
        self.name = ORIGIN
        self.vkey = format_vkey(ORIGIN, self._key.public_key())

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)


@dataclass(slots=True)
class ScriptedClock:
    """Stands still until it is moved."""

    moment: datetime = datetime(2026, 10, 1, 8, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment

    async def sleep(self, seconds: float) -> None:
        raise AssertionError(f"the ledger waits for no clock, not for {seconds}")


@dataclass(slots=True)
class World:
    """One log's folder."""

    folder: Path
    signer: Signer = field(default_factory=Signer)
    clock: ScriptedClock = field(default_factory=ScriptedClock)
    home: bytes = b"home"

    @property
    def path(self) -> Path:
        return self.folder / "log.sqlite"

    @property
    def head(self) -> Path:
        return self.folder / "head"

    @property
    def lock(self) -> Path:
        return self.folder / "log.sqlite.lock"

    def seal(self, data: bytes) -> bytes:
        """Stand for the home's sealing; what that hides and how is tests/keyring's matter."""
        return self.home + bytes(255 - byte for byte in data)

    def unseal(self, data: bytes) -> bytes:
        if not data.startswith(self.home):
            raise ValueError("not sealed here")
        return bytes(255 - byte for byte in data.removeprefix(self.home))

    def open(self, *, vfs: str | None = None, on_fatal: Callable[[], None] = lambda: None) -> SqliteLedger:
        ledger = SqliteLedger.open(
            self.path,
            signer=self.signer,
            origin=ORIGIN,
            clock=self.clock,
            seal=self.seal,
            unseal=self.unseal,
            wrap=self.seal,
            unwrap=self.unseal,
            head_file=self.head,
            on_fatal=on_fatal,
            vfs=vfs,
        )
        ledger.start()
        return ledger


@contextmanager
def a_world() -> Iterator[World]:
    """Give a folder of its own, on a disk of memory where there is one."""
    place = MEMORY_DISK if MEMORY_DISK.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="faults-", dir=place) as folder:
        yield World(Path(folder))
