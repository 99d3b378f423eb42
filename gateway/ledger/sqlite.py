"""The ledger on one machine: SQLite, one writer thread, group commit.

``commands.py`` turns requests into commands and outcomes into what the port returns; ``sequencer.py``
runs them, ``batch.py`` judges them, ``store.py`` writes them. A full disk is answered LedgerUnavailable and
heals by itself. A disk that cannot sync, a commit whose outcome nobody knows, a head that does not fit:
the ledger is dead from then on, ``on_fatal`` is called, and the process is expected to end. A disk that is
found full while COMMIT makes the WAL's index larger counts as one whose outcome nobody knows.
"""

import asyncio
import contextlib
import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar, cast

from gateway.clock import Clock
from gateway.errors import HomeInvalid, LedgerUnavailable
from gateway.ledger.batch import Charged, EndCommand, EraseCommand, Logged
from gateway.ledger.commands import (
    Seal,
    charge_command,
    charge_of,
    charged,
    once_command,
    receipt_of,
    release_command,
    stored_answer,
)
from gateway.ledger.entry import RandomBytes, draft_of_release
from gateway.ledger.head_file import HeadFile, check_head
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
_PROBE_BYTES: Final = 16


class SqliteLedger:
    """See ``port.Ledger``. Made by ``open``, serves from ``start`` on.

    State: the sequencer's thread owns the store.
    """

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
        wrap: Seal,
        unwrap: Seal,
        random_bytes: RandomBytes = os.urandom,
        head_file: Path | None = None,
        former: tuple[NoteSigner, ...] = (),
        retired: tuple[str, ...] = (),
        on_fatal: Callable[[], None] = lambda: None,
        vfs: str | None = None,
        elapsed_s: Callable[[], float] = time.monotonic,
        key_path: Path | None = None,
        next_origin: str | None = None,
    ) -> "SqliteLedger":
        """Return the ledger at a path (None: in memory), made if new; nothing is appended or signed yet.

        ``seal`` and ``unseal`` keep stored answers from who reads the file, ``wrap`` and ``unwrap`` the
        opening keys. ``head_file`` should lie on another disk. ``former`` keys sign beside the signer while
        it replaces them; heads that only ``retired`` ones (vkeys) signed are believed too. ``on_fatal`` is
        called in the sequencer's thread, once, and should end the process. ``vfs`` names an ``apsw`` VFS
        that stands for the disk. ``elapsed_s`` is time that no step of the clock moves. ``key_path`` and
        ``next_origin`` are as for ``Store.open``.

        Raises:
            HomeInvalid: The store is in use, another log's, newer than this program, does not fit
                together, or is older than what the head file says was signed.

        """
        signers = (signer, *former)
        vkeys = (*(key.vkey for key in signers), *retired)
        with contextlib.ExitStack() as stack:
            lock = None if path is None else _locked(path)
            if lock is not None:
                stack.callback(os.close, lock)
            store = Store.open(
                path,
                origin=origin,
                vkeys=vkeys,
                wrap=wrap,
                unwrap=unwrap,
                vfs=vfs,
                elapsed_s=elapsed_s,
                key_path=key_path,
                next_origin=next_origin,
            )
            stack.callback(store.close, force=True)
            if head_file is not None:
                check_head(head_file, vkey="\n".join(vkeys), size=store.tiles.size, root_at=store.root_at)
            stack.pop_all()
        kept = None if head_file is None else HeadFile(head_file)
        sequencer = Sequencer(store, signers=signers, clock=clock, head_file=kept, on_fatal=on_fatal)
        return cls(store, sequencer, seal=seal, unseal=unseal, random_bytes=random_bytes, lock=lock)

    def start(self) -> None:
        """Close what a crash left open, sign the head, and begin to serve.

        Raises:
            HomeInvalid: Store or head file cannot be written, or signer and key do not belong together;
                the ledger is closed then.

        """
        try:
            self._sequencer.start()
        except BaseException:
            self._let_go(force=True)
            raise

    async def charge(self, request: ChargeRequest) -> Charge | StoredAnswer:
        outcome = await charged(self.submit(charge_command(request, self._random_bytes)), self.abandon)
        if isinstance(outcome, Charged):
            return charge_of(request, outcome)
        return stored_answer(outcome, self._unseal)

    async def release(self, request: ReleaseRequest) -> Receipt:
        command = await release_command(request, self._random_bytes, self._seal)
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
            LedgerUnavailable: It is not known to be recorded; or it is, and keys could not be destroyed
                yet, which the words say.

        """
        command = EraseCommand(erasure=erasure, request_id=request_id, random_bytes=self._random_bytes)
        receipt = receipt_of(cast("Logged", await self.submit(command)))
        try:
            await self._look_up(lambda store: store.finish_erasing())
        except LedgerUnavailable as error:
            raise LedgerUnavailable(
                f"the erasure is recorded as entry {receipt.index}, but its keys cannot be destroyed at the "
                "moment; they are before anything else is recorded, or at the next start"
            ) from error
        return receipt

    async def end(self, request: ReleaseRequest, next_origin: str) -> Receipt:
        """Log that the log ends and which one follows, and return the receipt of that last entry.

        Raises:
            EntryRefused: A charge is open.
            LedgerUnavailable: It is not known to be recorded.

        """
        draft = draft_of_release(request, self._random_bytes)
        command = EndCommand(draft=draft, next_origin=next_origin)
        return receipt_of(cast("Logged", await self.submit(command)))

    async def sign_with(self, signers: tuple[NoteSigner, ...]) -> None:
        """Sign the head anew with these keys, and every head from now on.

        Raises:
            LedgerUnavailable: It does not record at the moment; nothing changed.

        """
        await self._look_up(lambda _: self._sequencer.sign_with(signers))

    async def is_closed(self) -> bool:
        """Return whether the log has ended."""
        return await self._look_up(lambda store: store.is_closed)

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
            # It heals by itself, so find out by writing: an id that nobody has used.
            await self.use_once(f"ready {self._random_bytes(_PROBE_BYTES).hex()}", 0)
        _ = self._sequencer.note

    async def close(self) -> None:
        await self._sequencer.stop()
        self._let_go()

    def _let_go(self, *, force: bool = False) -> None:
        """Close the store; with ``force``, whatever the disk says to that."""
        self._store.close(force=force)
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
