"""The ledger's end of the workers' connections: commands in, outcomes out, changes to everybody.

Every worker has a connection of its own. What it charged and has not released is known here, and when
the connection ends, whatever the reason, those charges are abandoned at once: RECOVER entries close
them, they stay charged, and nobody waits for a worker that is gone. A worker closes no charge but its own.

Owner of the state: the event loop that opened the ledger.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, Final

from gateway import telemetry
from gateway.errors import LedgerUnavailable
from gateway.ledger.batch import Answered, Charged, Logged, ReleaseCommand
from gateway.ledger.openings import unpacked
from gateway.ledger.port import EntryRefused
from gateway.ledger.sequencer import Command
from gateway.ledger.sqlite import SqliteLedger
from gateway.ledger.wire import (
    QUESTIONS,
    Abandon,
    Answer,
    AskCharge,
    AskCheckpoint,
    AskEntries,
    AskOnce,
    AskPublished,
    AskReady,
    AskRegistry,
    AskRelease,
    AskSpent,
    Changed,
    DoneAnswered,
    DoneCharged,
    DoneCheckpoint,
    DoneEntries,
    DoneLogged,
    DoneOnce,
    DoneReady,
    DoneRegistry,
    DoneSpent,
    InForce,
    LookUp,
    Question,
    RegistryPart,
    Wire,
    refused,
)
from gateway.terms.entry import Change

PART_BYTES_MAX: Final = 2**20


class LedgerServer:
    """Serves one ledger to many workers."""

    def __init__(
        self,
        ledger: SqliteLedger,
        *,
        published: Callable[[], Awaitable[bytes]],
        in_force: Callable[[], tuple[tuple[str, str], ...]],
        on_changes: Callable[[tuple[Change, ...]], None],
    ) -> None:
        self._ledger = ledger
        self._published = published
        self._in_force = in_force
        self._on_changes = on_changes
        self._connections: set[Connection] = set()

    async def serve(self, connection: socket.socket) -> "Connection":
        """Serve a worker at the other end of a connection, of which this takes possession."""
        served = Connection(
            self._ledger, published=self._published, in_force=self._in_force, on_changes=self._on_changes
        )
        self._connections.add(served)
        served.ended.add_done_callback(lambda _: self._connections.discard(served))
        await asyncio.get_running_loop().create_unix_connection(lambda: served.wire, sock=connection)
        return served

    def tell(self, changes: tuple[Change, ...]) -> None:
        """Tell every worker of durable changes; ``on_changes`` ends here too."""
        for connection in self._connections:
            connection.post(Changed(changes))

    def tell_in_force(self) -> None:
        """Tell every worker which datasets are served from now on."""
        for connection in self._connections:
            connection.post(InForce(self._in_force()))

    async def close(self) -> None:
        """Hang up everywhere, and return once all commands of the workers are settled."""
        waiting = [connection.ended for connection in self._connections]
        for connection in list(self._connections):
            connection.wire.end()
        await asyncio.gather(*waiting)


class Connection:
    """One worker's end. ``ended`` is done once the worker is gone and what it left open is closed."""

    def __init__(
        self,
        ledger: SqliteLedger,
        *,
        published: Callable[[], Awaitable[bytes]],
        in_force: Callable[[], tuple[tuple[str, str], ...]],
        on_changes: Callable[[tuple[Change, ...]], None],
    ) -> None:
        self._ledger = ledger
        self._published = published
        self._in_force = in_force
        self._on_changes = on_changes
        self._open: set[int] = set()
        """Charges of this worker without a release."""
        self._pending = 0
        self._lost = False
        self._tasks: set[asyncio.Task[None]] = set()
        self.wire = Wire[Question](QUESTIONS, take=self._taken, lost=self._hung_up)
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def post(self, message: Answer) -> None:
        """Send a message, if there is still somebody to read it."""
        if not self._lost:
            self.wire.post(message)

    def _taken(self, question: Question) -> None:
        number = question.number
        match question:
            case AskCharge():
                self._submit(number, question.command, self._charged)
            case AskRelease():
                charge = question.command.charge_index
                if charge is not None and charge not in self._open:
                    self.post(refused(number, EntryRefused("no charge of that index is open")))
                    return
                self._submit(number, question.command, partial(self._released, question))
            case Abandon():
                if question.charge in self._open:
                    self._open.discard(question.charge)
                    self._ledger.abandon(question.charge)
            case AskOnce():
                self._submit(number, question.command, lambda _, outcome: DoneOnce(number, outcome))
            case _:
                self._begin(self._looked_up(question))

    def _submit(self, number: int, command: Command, answer: Callable[[int, Any], Answer]) -> None:
        """Run a command; the outcomes of one batch are posted in its order."""
        try:
            outcome = self._ledger.submit(command)
        except LedgerUnavailable as error:
            self.post(refused(number, error))
            return
        self._pending += 1
        outcome.add_done_callback(partial(self._settled, number, answer))

    def _settled(
        self, number: int, answer: Callable[[int, Any], Answer], outcome: "asyncio.Future[object]"
    ) -> None:
        try:
            self.post(answer(number, outcome.result()))
        except Exception as error:  # noqa: BLE001 -- whatever it was, the worker has no leave to send
            self.post(refused(number, error))
        finally:
            self._pending -= 1
            self._end_if_over()

    def _charged(self, number: int, outcome: Charged | Answered) -> Answer:
        if isinstance(outcome, Answered):
            return DoneAnswered(number, outcome)
        self._open.add(outcome.index)
        return DoneCharged(number, outcome)

    def _released(self, question: AskRelease, number: int, logged: Logged) -> Answer:
        if question.command.charge_index is not None:
            self._open.discard(question.command.charge_index)
        if changes := _changes_of(question.command):
            self._on_changes(changes)  # before the answer, so that the worker has them when it goes on
        return DoneLogged(number, logged)

    async def _looked_up(self, question: LookUp) -> None:
        """Answer a question that changes nothing."""
        number, ledger = question.number, self._ledger
        try:
            match question:
                case AskSpent():
                    self.post(DoneSpent(number, await ledger.spent(question.nodes)))
                case AskEntries():
                    self.post(DoneEntries(number, await ledger.entries(question.start, question.stop)))
                case AskCheckpoint():
                    self.post(DoneCheckpoint(number, await ledger.checkpoint()))
                case AskPublished():
                    self.post(DoneCheckpoint(number, await self._published()))
                case AskReady():
                    await ledger.ready()
                    self.post(DoneReady(number))
                case AskRegistry():
                    for part in _parts(await ledger.registry()):
                        self.post(RegistryPart(number, part))
                    self.post(DoneRegistry(number))
                    self.post(InForce(self._in_force()))
        except Exception as error:  # noqa: BLE001 -- whatever it was, the worker is told that there is no answer
            self.post(refused(number, error))

    def _hung_up(self) -> None:
        self._lost = True
        self._end_if_over()

    def _end_if_over(self) -> None:
        """Once the worker is gone and all its commands are settled, have closed what it left open."""
        if not self._lost or self._pending:
            return
        for charge_index in self._open:
            self._ledger.abandon(charge_index)
        if self._open:
            telemetry.log("worker_left_charges", count=len(self._open))
        self.ended.set_result(None)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _changes_of(command: ReleaseCommand) -> tuple[Change, ...]:
    """Return the registry's changes that a release puts, from what it logs of them."""
    return tuple(
        Change(
            kind=record.kind,
            id=record.id,
            document=unpacked(record.opening)[1]["document"],
            subject=record.subject,
        )
        for record in command.draft.records
    )


def _parts(records: tuple[Change, ...]) -> list[tuple[Change, ...]]:
    """Return the records in parts of which each fits a message."""
    parts: list[tuple[Change, ...]] = []
    part: list[Change] = []
    size = 0
    for record in records:
        part.append(record)
        size += len(record.document)
        if size >= PART_BYTES_MAX:
            parts.append(tuple(part))
            part, size = [], 0
    return [*parts, tuple(part)]
