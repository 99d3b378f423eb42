"""The ledger on one machine: SQLite, one writer thread, group commit.

``commands.py`` turns requests into commands and outcomes into what the port returns; ``sequencer.py``
runs them, ``batch.py`` judges them, ``store.py`` writes them. A full disk is answered LedgerUnavailable and
heals by itself. A disk that cannot sync, a commit whose outcome nobody knows, a head that does not fit:
the ledger is dead from then on, ``on_fatal`` is called, and the process is expected to end.
"""

import asyncio
import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar, cast

from gateway.clock import Clock
from gateway.errors import HomeInvalid, LedgerUnavailable
from gateway.ledger.batch import Answered, Charged, EraseCommand, Logged
from gateway.ledger.commands import (
    Seal,
    charge_command,
    charge_of,
    once_command,
    receipt_of,
    release_command,
    stored_answer,
)
from gateway.ledger.entry import RandomBytes
from gateway.ledger.head_file import check_head
from gateway.ledger.openings import unpacked
from gateway.ledger.port import ENTRIES_MAX
from gateway.ledger.sequencer import Command, Read, Sequencer
from gateway.ledger.store import Store
from gateway.terms.charge import Charge, Receipt, StoredAnswer
from gateway.terms.entry import Change, ChargeRequest, Erasure, ReleaseRequest
from gateway.terms.identifiers import RequestId
from gateway.terms.loss import BudgetNode, Loss
from gateway.transparency.note import NoteSigner

T = TypeVar("T")
_INLINE_BYTES_MAX: Final = 256 * 1024
"""Bodies above that are hashed and sealed in a thread."""


class SqliteLedger:
    """See ``port.Ledger``. Made by ``open``; State: the sequencer's thread owns the store."""

    def __init__(
        self,
        store: Store,
        sequencer: Sequencer,
        *,
        seal: Seal,
        unseal: Seal,
        random_bytes: RandomBytes,
        lock: int | None,
    ) -> None:
        self._store = store
        self._sequencer = sequencer
        self._seal = seal
        self._unseal = unseal
        self._random_bytes = random_bytes
        self._lock = lock

    @classmethod
    def open(
        cls,
        path: Path | None,
        *,
        signer: NoteSigner,
        origin: str,
        clock: Clock,
        seal: Seal,
        unseal: Seal,
        random_bytes: RandomBytes = os.urandom,
        head_file: Path | None = None,
        former: tuple[NoteSigner, ...] = (),
        retired: tuple[str, ...] = (),
        on_fatal: Callable[[], None] = lambda: None,
        vfs: str | None = None,
        elapsed_s: Callable[[], float] = time.monotonic,
    ) -> "SqliteLedger":
        """Return the ledger at a path (None: in memory), made if new, recovered if it was left open.

        ``seal`` and ``unseal`` keep what is private from who reads the file. ``head_file`` should lie
        on another disk. ``former`` keys sign beside the signer while it replaces them; heads that only
        ``retired`` ones (vkeys) signed are believed too. ``on_fatal`` is called in the sequencer's thread,
        once, and should end the process. ``vfs`` names an ``apsw`` VFS that stands for the disk.
        ``elapsed_s`` is time that no step of the clock moves.

        Raises:
            HomeInvalid: The store is in use, another log's, newer than this program, does not fit
                together, or is older than what the head file says was signed.

        """
        signers = (signer, *former)
        vkeys = (*(key.vkey for key in signers), *retired)
        lock = None if path is None else _locked(path)
        try:
            store = Store.open(
                path,
                origin=origin,
                vkeys=vkeys,
                seal=seal,
                unseal=unseal,
                vfs=vfs,
                elapsed_s=elapsed_s,
            )
            if head_file is not None:
                check_head(head_file, vkey="\n".join(vkeys), size=store.tiles.size, root_at=store.root_at)
            sequencer = Sequencer(store, signers=signers, clock=clock, head_file=head_file, on_fatal=on_fatal)
            sequencer.start()
        except BaseException:
            if lock is not None:
                os.close(lock)
            raise
        return cls(store, sequencer, seal=seal, unseal=unseal, random_bytes=random_bytes, lock=lock)

    async def charge(self, request: ChargeRequest) -> Charge | StoredAnswer:
        match await self.submit(charge_command(request, self._random_bytes)):
            case Charged() as charged:
                return charge_of(request, charged)
            case answered:
                return stored_answer(cast("Answered", answered), self._unseal)

    async def release(self, request: ReleaseRequest) -> Receipt:
        if len(request.body) > _INLINE_BYTES_MAX:
            command = await asyncio.to_thread(release_command, request, self._random_bytes, self._seal)
        else:
            command = release_command(request, self._random_bytes, self._seal)
        return receipt_of(cast("Logged", await self.submit(command)))

    async def use_once(self, id: str, expires_at_ms: int) -> bool:  # noqa: A002 -- as in the port
        return cast("bool", await self.submit(once_command(id, expires_at_ms)))

    def abandon(self, charge_index: int) -> None:
        self._sequencer.abandon((charge_index,))

    def submit(self, command: Command) -> "asyncio.Future[object]":
        """Return what waits for the outcome of a command, wherever that was made.

        Raises:
            LedgerUnavailable: It is not known to be durable.
            GatewayError: It was refused; nothing of it was written.

        """
        return self._sequencer.submit(command)

    async def erase(self, erasure: Erasure, request_id: RequestId) -> Receipt:
        """Destroy openings for good, log it, and return the receipt of the entry that tells of it.

        Raises:
            EntryRefused: There is nothing of that to erase.
            LedgerUnavailable: It is not known to be recorded; nothing is destroyed.

        """
        command = EraseCommand(erasure=erasure, request_id=request_id, random_bytes=self._random_bytes)
        return receipt_of(cast("Logged", await self.submit(command)))

    async def spent(self, nodes: tuple[BudgetNode, ...]) -> tuple[Loss, ...]:
        return await self._look_up(lambda store: tuple(store.spent(node.path) for node in nodes))

    async def registry(self) -> tuple[Change, ...]:
        try:
            return await self._look_up(lambda store: store.vault.records())
        except ValueError as error:
            raise LedgerUnavailable("a registry record is not the one that was logged") from error

    async def opening(self, index: int) -> tuple[bytes, dict[str, bytes]] | None:
        """Return seed and private values of an entry; None where they were erased, or there are none.

        Raises:
            LedgerUnavailable: What lies there is not the entry's.

        """
        try:
            found = await self._look_up(lambda store: store.vault.opening(index))
            return None if found is None else unpacked(found[1])
        except ValueError as error:
            raise LedgerUnavailable("an opening is not the one of its entry") from error

    async def entries(self, start: int, stop: int) -> tuple[bytes, ...]:
        return await self._look_up(lambda store: store.entries(start, min(stop, start + ENTRIES_MAX)))

    async def checkpoint(self) -> bytes:
        return self._sequencer.note

    async def ready(self) -> None:
        if not self._sequencer.recording:
            await self.use_once("ready", 0)  # heals by itself, so find out by writing
        _ = self._sequencer.note

    async def close(self) -> None:
        await self._sequencer.stop()
        self._store.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    async def _look_up(self, look_up: Callable[[Store], T]) -> T:
        return cast("T", await self.submit(Read(look_up)))


def _locked(path: Path) -> int:
    """Return a lock on the store: two gateways on one file would close each other's charges."""
    descriptor = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise HomeInvalid("the ledger is in use by another gateway; stop that one first") from None
    return descriptor
