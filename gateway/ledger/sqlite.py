"""The ledger on one machine: SQLite, one writer thread, group commit.

This file turns requests into commands and outcomes into what the port returns; ``sequencer.py`` runs
them, ``batch.py`` judges them, ``store.py`` writes them. A full disk is answered LedgerUnavailable and
heals by itself. A disk that cannot sync, a commit whose outcome nobody knows, a head that does not fit:
the ledger is dead from then on, ``on_fatal`` is called, and the process is expected to end.
"""

import asyncio
import fcntl
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar, cast

from gateway import budget
from gateway.clock import Clock
from gateway.errors import HomeInvalid, LedgerUnavailable
from gateway.ledger.batch import Answered, ChargeCommand, Charged, OnceCommand, ReleaseCommand
from gateway.ledger.entry import RandomBytes, Seal, draft_of_charge, draft_of_release, opened
from gateway.ledger.head_file import check_head
from gateway.ledger.port import ENTRIES_MAX
from gateway.ledger.sequencer import Read, Sequencer
from gateway.ledger.store import Store
from gateway.terms.charge import Charge, Receipt, StoredAnswer
from gateway.terms.entry import Change, ChargeRequest, IdempotencyClaim, ReleaseRequest
from gateway.terms.loss import BudgetNode, Debit, Loss
from gateway.transparency.canonical import INTEGER_MAX, parsed
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
        on_fatal: Callable[[], None] = lambda: None,
        vfs: str | None = None,
    ) -> "SqliteLedger":
        """Return the ledger at a path (None: in memory), made if new, recovered if it was left open.

        ``seal`` and ``unseal`` keep what is private from who reads the file. ``head_file`` should lie
        on another disk. ``on_fatal`` is called in the sequencer's thread, once, and should end the
        process. ``vfs`` names an ``apsw`` VFS that stands for the disk.

        Raises:
            HomeInvalid: The store is in use, another log's, newer than this program, does not fit
                together, or is older than what the head file says was signed.

        """
        lock = None if path is None else _locked(path)
        try:
            store = Store.open(path, origin=origin, vkey=signer.vkey, vfs=vfs)
            if head_file is not None:
                check_head(head_file, vkey=signer.vkey, size=store.tiles.size, root_at=store.root_at)
            sequencer = Sequencer(store, signer=signer, clock=clock, head_file=head_file, on_fatal=on_fatal)
            sequencer.start()
        except BaseException:
            if lock is not None:
                os.close(lock)
            raise
        return cls(store, sequencer, seal=seal, unseal=unseal, random_bytes=random_bytes, lock=lock)

    async def charge(self, request: ChargeRequest) -> Charge | StoredAnswer:
        command = ChargeCommand(
            draft=draft_of_charge(request, self._random_bytes, self._seal),
            debits=request.debits,
            claim=request.claim,
            claim_name=None if request.claim is None else _claim_name(request.claim),
        )
        match await self._sequencer.submit(command):
            case Charged() as charged:
                return Charge(
                    request_id=request.request_id,
                    index=charged.index,
                    charged_at_ms=charged.charged_at_ms,
                    loss=_loss_of(request.debits),
                    left=charged.left,
                    claim=request.claim,
                )
            case answered:
                return self._stored(cast("Answered", answered))

    async def release(self, request: ReleaseRequest) -> Receipt:
        if len(request.body) > _INLINE_BYTES_MAX:
            command = await asyncio.to_thread(self._release_command, request)
        else:
            command = self._release_command(request)
        return cast("Receipt", await self._sequencer.submit(command))

    async def use_once(self, id: str, expires_at_ms: int) -> bool:  # noqa: A002 -- as in the port
        name = hashlib.sha256(id.encode("utf-8", "surrogatepass")).digest()
        expiry = min(max(expires_at_ms, 0), INTEGER_MAX)
        return cast("bool", await self._sequencer.submit(OnceCommand(name=name, expires_at_ms=expiry)))

    async def spent(self, nodes: tuple[BudgetNode, ...]) -> tuple[Loss, ...]:
        return await self._look_up(lambda store: tuple(store.spent(node.path) for node in nodes))

    async def registry(self) -> tuple[Change, ...]:
        rows = await self._look_up(lambda store: tuple(store.records()))
        try:
            return tuple(
                Change(
                    kind=kind,
                    id=record_id,
                    document=opened(sealed, name, _committed(leaf, name), self._unseal),
                )
                for kind, record_id, name, sealed, leaf in rows
            )
        except ValueError as error:
            raise LedgerUnavailable("a registry record is not the one that was logged") from error

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

    def _release_command(self, request: ReleaseRequest) -> ReleaseCommand:
        draft = draft_of_release(request, self._random_bytes, self._seal)
        answer = None
        if request.answer is not None:
            answer = self._seal(_bound(request.charge_index) + request.answer)
        return ReleaseCommand(
            draft=draft, charge_index=request.charge_index, answer=answer, at_ms=request.at_ms
        )

    def _stored(self, answered: Answered) -> StoredAnswer:
        prefix = _bound(answered.charge_index)
        try:
            plain = self._unseal(answered.sealed)
        except ValueError as error:
            raise LedgerUnavailable("the stored answer can no longer be read") from error
        if not plain.startswith(prefix):
            raise LedgerUnavailable("the stored answer can no longer be read")
        return StoredAnswer(
            answer=plain[len(prefix) :],
            charge_index=answered.charge_index,
            release_index=answered.release_index,
        )

    async def _look_up(self, look_up: Callable[[Store], T]) -> T:
        return cast("T", await self._sequencer.submit(Read(look_up)))


def _locked(path: Path) -> int:
    """Return a lock on the store: two gateways on one file would close each other's charges."""
    descriptor = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise HomeInvalid("the ledger is in use by another gateway; stop that one first") from None
    return descriptor


def _claim_name(claim: IdempotencyClaim) -> bytes:
    """Return a claim's name in the store, which does not show the client's key."""
    return hashlib.sha256(f"{len(claim.scope)}:{claim.scope}{claim.key}".encode()).digest()


def _bound(charge_index: int | None) -> bytes:
    """Return what ties a stored answer to its charge, so that rows cannot be exchanged."""
    return f"{charge_index}:".encode()


def _loss_of(debits: tuple[Debit, ...]) -> Loss:
    """Return the price: what all lineages together are charged."""
    return budget.total(tuple(debit.loss for debit in debits if debit.node.org is None))


def _committed(leaf: bytes, name: str) -> object:
    commitments = parsed(leaf).get("commitments")
    return commitments.get(name) if isinstance(commitments, dict) else None
