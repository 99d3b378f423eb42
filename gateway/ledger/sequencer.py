"""The one writer: a thread that takes what waits, commits once, signs once, and answers everybody.

    wait -> take what waits (some hundreds) -> judge and write in one transaction -> COMMIT
         -> sign one checkpoint for the new head -> build the proofs -> answer everybody

There is no timer: a batch forms while the last commit runs. Signing comes only after the commit: a
signed head that a crash then loses would be a fork. What cannot be written is answered
LedgerUnavailable; after a failure that leaves the store's state unknown, or one that nobody foresaw, the
sequencer is dead for good, and says so. Charges that nobody will release any more are closed with the
next batch, or as soon as one can be written.
"""

import asyncio
import contextlib
import queue
import threading
from binascii import b2a_base64
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, assert_never

import apsw

from gateway import telemetry
from gateway.clock import Clock, unix_ms
from gateway.errors import GatewayError, HomeInvalid, LedgerUnavailable
from gateway.ledger.batch import (
    Batch,
    ChargeCommand,
    Charged,
    EndCommand,
    EraseCommand,
    Logged,
    OnceCommand,
    RecoverCommand,
    ReleaseCommand,
)
from gateway.ledger.head_file import HeadFile
from gateway.ledger.port import EntryRefused
from gateway.ledger.store import OutcomeUnknown, Store
from gateway.transparency.note import NoteSigner
from gateway.transparency.proof import Checkpoint, sign_checkpoint, verify_checkpoint
from gateway.transparency.tree import ProofInvalid

BATCH_MAX: Final = 512
"""A batch takes what waits until it holds as many; the last group's commands may bring it to 639."""
GROUP_MAX: Final = 128
"""A crowd of one turn of the loop is handed over in groups of as many, so that they are being written while
the next ones are drafted."""
RETRY_S: Final = 0.5
"""How long after a failed try to close abandoned charges the next one comes, if nobody writes before."""
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


Command = ChargeCommand | ReleaseCommand | OnceCommand | RecoverCommand | EraseCommand | EndCommand | Read


@dataclass(frozen=True, slots=True)
class _Group:
    """Commands of one turn of an event loop; they are judged in one batch and answered together."""

    commands: list[Command]
    futures: "list[asyncio.Future[object]]" = field(default_factory=list, repr=False)
    loop: asyncio.AbstractEventLoop | None = None


class Sequencer:
    """State: its thread owns the store; others may call ``submit`` and ``abandon``, from one event loop."""

    def __init__(
        self,
        store: Store,
        *,
        signers: tuple[NoteSigner, ...],
        clock: Clock,
        head_file: HeadFile | None,
        on_fatal: Callable[[], None],
    ) -> None:
        self._store = store
        self._signers = signers
        self._clock = clock
        self._head_file = head_file
        self._on_fatal = on_fatal
        self._queue: queue.SimpleQueue[_Group | None] = queue.SimpleQueue()
        self._gathered = _Group([])
        self._asked = 0
        self._answered = 0
        self._abandoned: set[int] = set()
        """Charges to close; owned by the sequencer's thread."""
        self._closed = False
        self._dead = False
        self.recording = True
        """Whether the last transaction was written."""
        self._note = b""
        self._signed = -1
        """Size of the last signed tree."""
        self._thread = threading.Thread(target=self._run, name="ledger-sequencer", daemon=True)

    @property
    def note(self) -> bytes:
        """The signed head of the newest durable tree.

        Raises:
            LedgerUnavailable: The sequencer is dead, or has not started.

        """
        if self._dead or not self._note:
            raise LedgerUnavailable(UNAVAILABLE)
        return self._note

    def start(self) -> None:
        """Close what a crash left open, sign the head, and begin to serve.

        Raises:
            HomeInvalid: The store cannot be written, or signer and key do not belong together.

        """
        self._abandoned = set(self._store.open_charges)
        try:
            while self._abandoned:
                self._committed([])
            self._sign()
            for signer in self._signers:
                verify_checkpoint(self._note, signer.vkey)
            if self._head_file is not None:
                self._head_file.start(self._note)
        except (apsw.Error, OutcomeUnknown, OSError, ProofInvalid) as error:
            raise HomeInvalid(f"the ledger cannot be recovered: {type(error).__name__}") from error
        self._thread.start()

    def submit(self, command: Command) -> "asyncio.Future[object]":
        """Queue a command; its outcome comes. A caller that goes away leaves it queued.

        Raises:
            LedgerUnavailable: It is not known to be durable.
            GatewayError: The command was refused; nothing of it was written.

        """
        if self._dead or self._closed or self._asked - self._answered >= WAITING_MAX:
            raise LedgerUnavailable(UNAVAILABLE)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[object] = loop.create_future()
        gathered = self._gathered
        if not gathered.commands:
            gathered = self._gathered = _Group([], [], loop)
            loop.call_soon(self._flush)
        gathered.commands.append(command)
        gathered.futures.append(future)
        self._asked += 1
        if len(gathered.commands) >= GROUP_MAX:
            self._flush()
        return future

    def abandon(self, charges: tuple[int, ...]) -> None:
        """Have charges closed that nobody will release; those that are closed by then stay as they are."""
        if not self._closed:
            self._queue.put(_Group([RecoverCommand(indices=charges)]))

    async def stop(self) -> None:
        """Answer all that waits, then end the thread."""
        if not self._closed:
            self._flush()
            self._closed = True
            self._queue.put(None)
            if self._thread.ident is not None:
                await asyncio.to_thread(self._thread.join)
            if self._head_file is not None:
                await asyncio.to_thread(self._head_file.close)

    def _settle(self, futures: "list[asyncio.Future[object]]", outcomes: list[object]) -> None:
        for future, outcome in zip(futures, outcomes, strict=True):
            if future.done():  # the caller has gone; an entry stays an entry
                if isinstance(outcome, Charged):
                    self.abandon((outcome.index,))
            elif isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)

    def _flush(self) -> None:
        """Queue what this turn of the loop gathered."""
        if self._gathered.commands:
            gathered, self._gathered = self._gathered, _Group([])
            self._queue.put(gathered)

    # From here on: the sequencer's thread.

    def _run(self) -> None:
        groups: list[_Group] | None = []
        try:
            while (groups := self._wait()) is not None:
                self._settle_all(groups)
        except BaseException as error:  # noqa: BLE001 -- whatever it is, nobody may wait for a thread that is gone
            telemetry.log("ledger_broke", cause=type(error).__name__)
            self._die()
            while groups is not None:
                self._settle_all(groups)
                groups = self._wait()

    def _wait(self) -> list[_Group] | None:
        """Return what waits; None once the ledger is closed and all is answered.

        Nothing waits where the time has come to try again to close abandoned charges.
        """
        groups: list[_Group] = []
        size = 0
        while size < BATCH_MAX:
            try:
                group = self._queue.get(block=not groups, timeout=RETRY_S if self._abandoned else None)
            except queue.Empty:
                break
            if group is None:
                if not groups:
                    return None
                self._queue.put(None)
                break
            groups.append(group)
            size += len(group.commands)
        return groups

    def _settle_all(self, groups: list[_Group]) -> None:
        commands = [command for group in groups for command in group.commands]
        for command in commands:
            if isinstance(command, RecoverCommand):
                self._abandoned.update(command.indices)
        outcomes = self._outcomes(commands)
        at = 0
        for group in groups:
            size = len(group.commands)
            self._answer(group, outcomes[at : at + size])
            at += size

    def _outcomes(self, commands: list[Command]) -> list[object]:
        """Return an outcome for each command; an exception is one."""
        if self._dead:
            return [_unavailable(None) for _ in commands]
        try:
            outcomes = self._committed(commands)
        except Exception as error:  # noqa: BLE001 -- whatever it is, nothing may be sent
            self.recording = False
            if _is_fatal(error):
                self._die()
                return [_unavailable(error) for _ in commands]
            return [self._found(c) if isinstance(c, Read) else _unavailable(error) for c in commands]
        try:
            return self._finished(outcomes)
        except Exception as error:  # noqa: BLE001 -- durable, but not provable
            self._die()
            return [_unavailable(error) for _ in commands]

    def _committed(self, commands: list[Command]) -> list[object]:
        """Return what was judged, durable."""
        if not self._abandoned and all(isinstance(command, Read) for command in commands):
            return list(commands)
        abandoned = RecoverCommand(indices=tuple(sorted(self._abandoned)[:BATCH_MAX]))

        def judge(batch: Batch) -> list[object]:
            batch.recover(abandoned)
            return [_judged(batch, command) for command in commands]

        outcomes, written = self._store.commit(self._now_ms(), judge)
        self._abandoned.difference_update(abandoned.indices)
        self.recording = self.recording or written  # that a read works says nothing
        return outcomes

    def _finished(self, outcomes: list[object]) -> list[object]:
        """Sign the new head, put proofs to the entries, and look up what is only read.

        SECURITY: after a transaction that failed the tree in memory is no durable one, so it is not signed.
        """
        if self.recording and self._store.tiles.size != self._signed:
            self._sign()
            if self._head_file is not None:
                self._head_file.put(self._note)
        start = min((outcome.index for outcome in outcomes if isinstance(outcome, Logged)), default=None)
        paths = [] if start is None else self._path_lines(start)
        finished: list[object] = []
        for outcome in outcomes:
            if isinstance(outcome, Logged):
                assert start is not None, "it is one of those that were looked for"  # noqa: S101
                outcome.path = paths[outcome.index - start]
                outcome.note = self._note
            finished.append(self._found(outcome) if isinstance(outcome, Read) else outcome)
        return finished

    def _path_lines(self, start: int) -> list[bytes]:
        """Return the lines of the inclusion paths of all entries from one on, in the newest tree.

        Paths of neighbours share all but their beginnings, so each line is looked up and spelt once: from
        the root downwards, the lines of a node are its sibling's hash and the lines of its parent.
        """
        tiles = self._store.tiles
        edge, node = tiles.edge(), tiles.node
        above, above_start = [b""], 0
        for height in reversed(range((tiles.size - 1).bit_length())):
            first, last = start >> height, (tiles.size - 1) >> height
            lines = []
            for place in range(first, last + 1):
                sibling = place ^ 1
                parent = above[(place >> 1) - above_start]
                if sibling < last:
                    lines.append(b2a_base64(node(height, sibling)) + parent)
                else:  # the right edge, or nothing there yet
                    lines.append(b2a_base64(edge[height]) + parent if sibling == last else parent)
            above, above_start = lines, first
        return above

    def _found(self, read: Read) -> object:
        """Return what was looked up; a question that cannot be answered harms no other."""
        try:
            return read.look_up(self._store)
        except Exception as error:  # noqa: BLE001 -- it is the outcome
            if _is_fatal(error):
                self._die()
            return _unavailable(error) if isinstance(error, apsw.Error | HomeInvalid) else error

    def _sign(self) -> None:
        """Sign the head. INVARIANT: only after the commit that made it."""
        self._signed = self._store.tiles.size
        head = Checkpoint(origin=self._signers[0].name, size=self._store.tiles.size, root=self._store.root)
        self._note = sign_checkpoint(head, *self._signers)

    def sign_with(self, signers: tuple[NoteSigner, ...]) -> None:
        """Have others sign, from this durable head on; looked up like a ``Read``, so between two batches."""
        if not self.recording:
            raise LedgerUnavailable(UNAVAILABLE)
        self._signers = signers
        self._sign()
        if self._head_file is not None:
            self._head_file.put(self._note)

    def _answer(self, group: _Group, outcomes: list[object]) -> None:
        """Hand each outcome to its caller, in the caller's own event loop, one call for all of them."""
        if group.loop is None:
            return
        self._answered += len(outcomes)
        with contextlib.suppress(RuntimeError):  # that loop is closed: nobody waits there any more
            group.loop.call_soon_threadsafe(self._settle, group.futures, outcomes)

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
            case EraseCommand() | EndCommand():
                return batch.erase(command) if isinstance(command, EraseCommand) else batch.end(command)
            case Read() | RecoverCommand():
                return command  # the one comes after the batch, the other came before it
            case _:
                assert_never(command)
    except (GatewayError, EntryRefused) as refusal:
        return refusal


def _unavailable(cause: Exception | None) -> LedgerUnavailable:
    outcome = LedgerUnavailable(UNAVAILABLE)
    outcome.__cause__ = cause
    return outcome


def _is_fatal(error: Exception) -> bool:
    if getattr(error, "extendedresult", None) in _NO_ROOM_FOR_INDEX:
        return False
    return isinstance(error, _FATAL)
