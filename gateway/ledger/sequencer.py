"""The one writer: a thread that takes what waits, commits once, signs once, and answers everybody.

    wait -> take what waits (at most 256) -> judge and write in one transaction -> COMMIT
         -> sign one checkpoint for the new head -> build the proofs -> answer everybody

There is no timer: a batch forms while the last commit runs. Signing comes only after the commit: a
signed head that a crash then loses would be a fork. What cannot be written is answered
LedgerUnavailable; after a failure that leaves the store's state unknown the sequencer is dead for good.
"""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final, assert_never

import apsw

from gateway.clock import Clock, unix_ms
from gateway.errors import GatewayError, HomeInvalid, LedgerUnavailable
from gateway.ledger.batch import Batch, ChargeCommand, Charged, Logged, OnceCommand, ReleaseCommand
from gateway.ledger.head_file import write_head
from gateway.ledger.port import EntryRefused
from gateway.ledger.store import OutcomeUnknown, Store
from gateway.terms.charge import Receipt
from gateway.transparency.note import NoteSigner
from gateway.transparency.proof import (
    Checkpoint,
    InclusionProof,
    format_proof,
    sign_checkpoint,
    verify_checkpoint,
)
from gateway.transparency.tree import ProofInvalid, inclusion_path

BATCH_MAX: Final = 256
WAITING_MAX: Final = 8192
"""More than that waiting means the disk does not keep up; further callers are told so at once."""
UNAVAILABLE: Final = "the answer cannot be recorded at the moment; try again later"
_FATAL: Final = (OutcomeUnknown, apsw.IOError, apsw.CorruptError, apsw.NotADBError, HomeInvalid)
_NO_ROOM_FOR_INDEX: Final = {
    apsw.SQLITE_IOERR_SHMSIZE,
    apsw.SQLITE_IOERR_SHMOPEN,
    apsw.SQLITE_IOERR_SHMMAP,
}
"""A full disk, met before anything is written."""


@dataclass(frozen=True, slots=True)
class Read:
    """Something to look up in the sequencer's thread, after the batch it came with."""

    look_up: Callable[[Store], object]


Command = ChargeCommand | ReleaseCommand | OnceCommand | Read


@dataclass(frozen=True, slots=True)
class _Job:
    command: Command
    loop: asyncio.AbstractEventLoop
    future: "asyncio.Future[object]" = field(repr=False)


class Sequencer:
    """State: its thread owns the store; ``submit`` is all that others may call while it runs."""

    def __init__(
        self,
        store: Store,
        *,
        signer: NoteSigner,
        clock: Clock,
        head_file: Path | None,
        on_fatal: Callable[[], None],
    ) -> None:
        self._store = store
        self._signer = signer
        self._clock = clock
        self._head_file = head_file
        self._on_fatal = on_fatal
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closed = False
        self._dead = False
        self.recording = True
        """Whether the last transaction was written."""
        self._note = b""
        self._thread = threading.Thread(target=self._run, name="ledger-sequencer", daemon=True)

    @property
    def note(self) -> bytes:
        """The signed head of the newest durable tree.

        Raises:
            LedgerUnavailable: The sequencer is dead.

        """
        if self._dead:
            raise LedgerUnavailable(UNAVAILABLE)
        return self._note

    def start(self) -> None:
        """Close what a crash left open, sign the head, and begin to serve.

        Raises:
            HomeInvalid: The store cannot be written, or signer and key do not belong together.

        """
        left_open = sorted(self._store.open_charges)
        try:
            for start in range(0, len(left_open), BATCH_MAX):
                chunk = left_open[start : start + BATCH_MAX]
                self._store.commit(self._now_ms(), _Recovery(chunk))
            self._sign()
            verify_checkpoint(self._note, self._signer.vkey)
        except (apsw.Error, OutcomeUnknown, OSError, ProofInvalid) as error:
            raise HomeInvalid(f"the ledger cannot be recovered: {type(error).__name__}") from error
        self._thread.start()

    async def submit(self, command: Command) -> object:
        """Queue a command and wait for its outcome; a caller that goes away leaves it queued.

        Raises:
            LedgerUnavailable: It is not known to be durable.
            GatewayError: The command was refused; nothing of it was written.

        """
        if self._dead or self._closed or self._queue.qsize() >= WAITING_MAX:
            raise LedgerUnavailable(UNAVAILABLE)
        loop = asyncio.get_running_loop()
        job = _Job(command, loop, loop.create_future())
        self._queue.put(job)
        return await job.future

    async def stop(self) -> None:
        """Answer all that waits, then end the thread."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
            await asyncio.to_thread(self._thread.join)

    # From here on: the sequencer's thread.

    def _run(self) -> None:
        while jobs := self._wait():
            self._answer(jobs, self._outcomes(jobs))

    def _wait(self) -> list[_Job]:
        """Return what waits, at least one; nothing once the ledger is closed and all is answered."""
        jobs: list[_Job] = []
        while len(jobs) < BATCH_MAX:
            try:
                job = self._queue.get(block=not jobs)
            except queue.Empty:
                break
            if job is None:
                if jobs:
                    self._queue.put(None)
                break
            jobs.append(job)
        return jobs

    def _outcomes(self, jobs: list[_Job]) -> list[object]:
        """Return an outcome for each job; an exception is one."""
        if self._dead:
            return _unavailable(jobs, None)
        commands = [job.command for job in jobs]
        try:
            outcomes = self._committed(commands)
        except Exception as error:  # noqa: BLE001 -- whatever it is, nothing may be sent
            if _is_fatal(error):
                self._die()
            self.recording = False
            return _unavailable(jobs, error)
        if not all(isinstance(command, Read) for command in commands):
            self.recording = True  # something was written; that a read works says nothing
        try:
            return self._finished(outcomes)
        except Exception as error:  # noqa: BLE001 -- durable, but not provable
            self._die()
            return _unavailable(jobs, error)

    def _committed(self, commands: list[Command]) -> list[object]:
        """Return what was judged, durable."""
        if all(isinstance(command, Read) for command in commands):
            return list(commands)
        return self._store.commit(
            self._now_ms(), lambda batch: [_judged(batch, command) for command in commands]
        )

    def _finished(self, outcomes: list[object]) -> list[object]:
        """Sign the new head, put proofs to the entries, and look up what is only read."""
        if any(isinstance(outcome, Logged | Charged) for outcome in outcomes):
            self._sign()
        path_to = self._paths() if any(isinstance(outcome, Logged) for outcome in outcomes) else None
        finished: list[object] = []
        for outcome in outcomes:
            match outcome:
                case Logged():
                    assert path_to is not None, "an entry makes the tree grow"  # noqa: S101
                    finished.append(self._receipt(outcome, path_to(outcome.index)))
                case Read():
                    finished.append(self._found(outcome))
                case _:
                    finished.append(outcome)
        return finished

    def _paths(self) -> Callable[[int], list[bytes]]:
        """Return the function from an index to its inclusion path in the newest tree.

        The proofs of one batch share the right edge and most of their nodes, so each is looked up once.
        """
        tiles = self._store.tiles
        node, size, edge = cache(tiles.node), tiles.size, tiles.edge()
        return lambda index: inclusion_path(index, size, node, edge)

    def _receipt(self, logged: Logged, path: list[bytes]) -> Receipt:
        proof = InclusionProof(index=logged.index, path=tuple(path), checkpoint=self._note, extra=logged.salt)
        return Receipt(index=logged.index, entry=logged.leaf, proof=format_proof(proof), salt=logged.salt)

    def _found(self, read: Read) -> object:
        """Return what was looked up; a question that cannot be asked harms no other."""
        try:
            return read.look_up(self._store)
        except (ValueError, OverflowError) as error:
            return error

    def _sign(self) -> None:
        """Sign the head. INVARIANT: only after the commit that made it."""
        head = Checkpoint(origin=self._signer.name, size=self._store.tiles.size, root=self._store.root)
        self._note = sign_checkpoint(head, self._signer)
        if self._head_file is not None:
            # A head file that cannot be written stays older than the database, which is harmless: what
            # is durable is answered, and the next commit writes the file anew.
            with contextlib.suppress(OSError):
                write_head(self._head_file, self._note)

    def _answer(self, jobs: list[_Job], outcomes: list[object]) -> None:
        """Hand each outcome to its caller, in the caller's own event loop, one call a loop."""
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[object], object]]] = {}
        for job, outcome in zip(jobs, outcomes, strict=True):
            by_loop.setdefault(job.loop, []).append((job.future, outcome))
        for loop, settled in by_loop.items():
            try:
                loop.call_soon_threadsafe(_settle, settled)
            except RuntimeError:  # that loop is closed: nobody waits there any more
                continue

    def _die(self) -> None:
        if not self._dead:
            self._dead = True
            self._on_fatal()

    def _now_ms(self) -> int:
        return unix_ms(self._clock.now())


def _judged(batch: Batch, command: Command) -> object:
    """Return what a command comes to; a refusal is its own outcome and harms no other."""
    try:
        match command:
            case ChargeCommand():
                return batch.charge(command)
            case ReleaseCommand():
                return batch.release(command)
            case OnceCommand():
                return batch.use_once(command)
            case Read():
                return command
            case _:
                assert_never(command)
    except (GatewayError, EntryRefused) as refusal:
        return refusal


@dataclass(frozen=True, slots=True)
class _Recovery:
    """Closes charges that a crash left open."""

    charges: list[int]

    def __call__(self, batch: Batch) -> None:
        for index in self.charges:
            batch.recover(index)


def _settle(settled: list[tuple["asyncio.Future[object]", object]]) -> None:
    for future, outcome in settled:
        if future.done():  # the caller has gone: a charge stays charged, an entry stays an entry
            continue
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)


def _unavailable(jobs: list[_Job], cause: Exception | None) -> list[object]:
    outcomes: list[object] = []
    for _ in jobs:
        outcome = LedgerUnavailable(UNAVAILABLE)
        outcome.__cause__ = cause
        outcomes.append(outcome)
    return outcomes


def _is_fatal(error: Exception) -> bool:
    if getattr(error, "extendedresult", None) in _NO_ROOM_FOR_INDEX:
        return False
    return isinstance(error, _FATAL)
