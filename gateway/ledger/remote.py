"""The ledger as a worker has it: everything but the store, which another process owns (``server.py``).

Entries, commitments and what clients' keys are called in the store are made here; the one writer judges,
seals and signs. A worker whose connection is lost knows nothing of the log any more: ``on_lost`` is
called, and the process is expected to end at once, for what it has not been told of must not be sent.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from typing import Final, cast

from gateway.errors import LedgerUnavailable
from gateway.ledger.batch import Charged, Logged
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
from gateway.ledger.entry import RandomBytes
from gateway.ledger.wire import (
    ANSWERS,
    UNAVAILABLE,
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
    DoneRegistry,
    InForce,
    Question,
    Refused,
    RegistryPart,
    Wire,
    error_of,
)
from gateway.terms.charge import Charge, Receipt, StoredAnswer
from gateway.terms.entry import LOG_KEYS, Change, ChargeRequest, ReleaseRequest
from gateway.terms.loss import BudgetNode, Loss

WAITING_MAX: Final = 8192
"""Questions of one worker; more means that the ledger does not keep up."""
_PLACE_MAX: Final = 2**63 - 1
"""Msgpack's largest number."""


class RemoteLedger:
    """See ``port.Ledger``. Made by ``join``. State: owned by the event loop that joined."""

    def __init__(
        self, *, seal: Seal, unseal: Seal, random_bytes: RandomBytes, on_lost: Callable[[], None]
    ) -> None:
        self._seal = seal
        self._unseal = unseal
        self._random_bytes = random_bytes
        self._on_lost = on_lost
        self._wire = Wire[Answer](ANSWERS, take=self._taken, lost=self._lost)
        self._waiting: dict[int, asyncio.Future[object]] = {}
        self._asked = 0
        self._closing = False
        self._records: list[Change] = []
        """Of the registry's answer, while it comes in parts."""
        self._unfollowed: list[Changed | InForce] = []
        self._follow: Callable[[Changed | InForce], None] = self._unfollowed.append

    @classmethod
    async def join(
        cls,
        connection: socket.socket,
        *,
        seal: Seal,
        unseal: Seal,
        random_bytes: RandomBytes = os.urandom,
        on_lost: Callable[[], None] = lambda: None,
    ) -> "RemoteLedger":
        """Return the ledger at the other end of a connection, of which this takes possession."""
        ledger = cls(seal=seal, unseal=unseal, random_bytes=random_bytes, on_lost=on_lost)
        await asyncio.get_running_loop().create_unix_connection(lambda: ledger._wire, sock=connection)
        return ledger

    def follow(
        self,
        *,
        on_changes: Callable[[tuple[Change, ...]], None],
        in_force: Callable[[tuple[tuple[str, str], ...]], None],
    ) -> None:
        """Be told of every change that is durable since ``registry`` was last answered, and from here on.

        Changes come in the order of the log, before the answer to whoever made them; which datasets are
        ``in_force`` comes once after the registry, and after the changes that brought their documents.
        """

        def tell(news: Changed | InForce) -> None:
            if isinstance(news, Changed):
                on_changes(news.changes)
            else:
                in_force(news.datasets)

        self._follow = tell
        while self._unfollowed:
            tell(self._unfollowed.pop(0))

    async def charge(self, request: ChargeRequest) -> Charge | StoredAnswer:
        command = charge_command(request, self._random_bytes)
        outcome = await charged(self._asking(lambda number: AskCharge(number, command)), self.abandon)
        if isinstance(outcome, Charged):
            return charge_of(request, outcome)
        return stored_answer(outcome, self._unseal)

    async def release(self, request: ReleaseRequest) -> Receipt:
        command = await release_command(request, self._random_bytes, self._seal)
        return receipt_of(cast("Logged", await self._ask(lambda number: AskRelease(number, command))))

    def abandon(self, charge_index: int) -> None:
        with contextlib.suppress(LedgerUnavailable):  # with the connection, everything is abandoned
            self._wire.post(Abandon(0, charge_index))

    async def use_once(self, id: str, expires_at_ms: int) -> bool:  # noqa: A002 -- as in the port
        command = once_command(id, expires_at_ms)
        return cast("bool", await self._ask(lambda number: AskOnce(number, command)))

    async def spent(self, nodes: tuple[BudgetNode, ...]) -> tuple[Loss, ...]:
        return cast("tuple[Loss, ...]", await self._ask(lambda number: AskSpent(number, nodes)))

    async def registry(self) -> tuple[Change, ...]:
        return cast("tuple[Change, ...]", await self._ask(AskRegistry))

    async def entries(self, start: int, stop: int) -> tuple[bytes, ...]:
        first, last = (min(max(place, -_PLACE_MAX), _PLACE_MAX) for place in (start, stop))
        return cast("tuple[bytes, ...]", await self._ask(lambda number: AskEntries(number, first, last)))

    async def checkpoint(self) -> bytes:
        return cast("bytes", await self._ask(AskCheckpoint))

    async def published(self) -> bytes:
        """Return the signed head to show: the one that witnesses cosigned, where there are any."""
        return cast("bytes", await self._ask(AskPublished))

    async def ready(self) -> None:
        await self._ask(AskReady)

    async def close(self) -> None:
        """Wait for what was asked, then hang up; the other process keeps the store."""
        self._closing = True
        if self._waiting:
            await asyncio.wait(self._waiting.values())
        self._wire.end()

    async def _ask(self, question: Callable[[int], Question]) -> object:
        return await self._asking(question)

    def _asking(self, question: Callable[[int], Question]) -> "asyncio.Future[object]":
        if self._closing or len(self._waiting) >= WAITING_MAX:
            raise LedgerUnavailable(UNAVAILABLE)
        self._asked += 1
        number = self._asked
        self._wire.post(question(number))
        answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        return answer

    def _taken(self, message: Answer) -> None:
        match message:
            case Changed() | InForce():
                self._follow(message)
            case RegistryPart():
                self._records += message.records
            case Refused():
                self._settle(message.number, error=error_of(message))
            case DoneRegistry():
                records, self._records = tuple(self._records), []
                # What was durable before the registry was read is in it; which keys sign the log is not.
                self._unfollowed[:] = [kept for news in self._unfollowed if (kept := _of_log_keys(news))]
                self._settle(message.number, records)
            case _:
                self._settle(message.number, message.outcome)

    def _settle(self, number: int, outcome: object = None, error: Exception | None = None) -> None:
        """Hand an outcome to who asked; of a caller who has gone away, a charge is abandoned."""
        waiting = self._waiting.pop(number)
        if waiting.done():
            if isinstance(outcome, Charged):
                self.abandon(outcome.index)
        elif error is None:
            waiting.set_result(outcome)
        else:
            waiting.set_exception(error)

    def _lost(self) -> None:
        if not self._closing:
            self._on_lost()
        self._closing = True
        for number in list(self._waiting):
            self._settle(number, error=LedgerUnavailable(UNAVAILABLE))


def _of_log_keys(news: Changed | InForce) -> Changed | None:
    """Return what news says of the log's keys, which no registry holds."""
    changes = news.changes if isinstance(news, Changed) else ()
    kept = tuple(change for change in changes if change.kind == LOG_KEYS)
    return Changed(kept) if kept else None
