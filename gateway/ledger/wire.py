"""What crosses between a worker and the process that owns the ledger: messages, data only.

A message is four bytes of length and one msgpack array of a closed list of types, at most 16 MiB; what
is anything else ends the connection. All messages of one turn of the event loop are one write, so that
a crowd costs one system call and there is no timer. Errors cross as codes of a closed list.

Nothing here is ever unpickled, and nothing of it names code.
"""

import asyncio
from collections.abc import Callable
from enum import StrEnum
from typing import Final, Generic, TypeVar, cast

import msgspec

from gateway.errors import (
    BudgetExhausted,
    ChargedFailure,
    IdempotencyInProgress,
    IdempotencyMismatch,
    KeysExhausted,
    LedgerUnavailable,
)
from gateway.ledger.batch import Answered, ChargeCommand, Charged, Logged, OnceCommand, ReleaseCommand
from gateway.ledger.port import EntryRefused
from gateway.terms.entry import Change
from gateway.terms.loss import BudgetNode, Loss

MESSAGE_BYTES_MAX: Final = 16 * 2**20
UNSENT_BYTES_MAX: Final = 64 * 2**20
"""What the other end may leave unread before the connection is ended."""
_LENGTH_BYTES: Final = 4


class _Message(msgspec.Struct, frozen=True, array_like=True, tag=True):
    number: int
    """A question's; its answer has the same."""


class AskCharge(_Message, frozen=True):
    """Debit and log."""

    command: ChargeCommand


class AskRelease(_Message, frozen=True):
    """Log a reply."""

    command: ReleaseCommand


class AskOnce(_Message, frozen=True):
    """Use up an id."""

    command: OnceCommand


class Abandon(_Message, frozen=True):
    """Have a charge closed whose request is over; nothing is answered."""

    charge: int


class AskSpent(_Message, frozen=True):
    """What was ever debited."""

    nodes: tuple[BudgetNode, ...]


class AskEntries(_Message, frozen=True):
    """A part of the log."""

    start: int
    stop: int


class AskRegistry(_Message, frozen=True):
    """Every record as it was last put."""


class AskCheckpoint(_Message, frozen=True):
    """The newest signed head."""


class AskPublished(_Message, frozen=True):
    """The signed head to show."""


class AskReady(_Message, frozen=True):
    """Whether the ledger can record."""


class DoneReady(_Message, frozen=True):
    """The ledger can record."""

    outcome: None = None


class DoneRegistry(_Message, frozen=True):
    """All records have been told."""


class DoneCharged(_Message, frozen=True):
    """The outcome of a question."""

    outcome: Charged


class DoneAnswered(_Message, frozen=True):
    """The outcome of a question."""

    outcome: Answered


class DoneLogged(_Message, frozen=True):
    """The outcome of a question."""

    outcome: Logged


class DoneOnce(_Message, frozen=True):
    """The outcome of a question."""

    outcome: bool


class DoneSpent(_Message, frozen=True):
    """The outcome of a question."""

    outcome: tuple[Loss, ...]


class DoneEntries(_Message, frozen=True):
    """The outcome of a question."""

    outcome: tuple[bytes, ...]


class DoneCheckpoint(_Message, frozen=True):
    """The outcome of a question."""

    outcome: bytes


class RegistryPart(_Message, frozen=True):
    """Some of the records."""

    records: tuple[Change, ...]


class Changed(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Durable changes of the registry, told to every worker in the order of the log."""

    changes: tuple[Change, ...]


class InForce(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """What is served from now on: each dataset's id, and its document's digest.

    The digest, because the registry's newest document may be one that is recorded and not in force yet.
    """

    datasets: tuple[tuple[str, str], ...]


class RefusalCode(StrEnum):
    """The closed list of errors that cross."""

    BUDGET_EXHAUSTED = "budget-exhausted"
    KEYS_EXHAUSTED = "keys-exhausted"
    IDEMPOTENCY_MISMATCH = "idempotency-mismatch"
    IDEMPOTENCY_IN_PROGRESS = "idempotency-in-progress"
    CHARGED_FAILURE = "charged-failure"
    ENTRY_REFUSED = "entry-refused"
    UNAVAILABLE = "unavailable"


class Refused(_Message, frozen=True):
    """A question that was refused, and why."""

    code: RefusalCode
    detail: str
    cost: Loss | None = None
    left: Loss | None = None


LookUp = AskSpent | AskEntries | AskRegistry | AskCheckpoint | AskPublished | AskReady
"""What changes nothing."""
Question = AskCharge | AskRelease | Abandon | AskOnce | LookUp
Outcome = (
    DoneCharged | DoneAnswered | DoneLogged | DoneOnce | DoneSpent | DoneEntries | DoneCheckpoint | DoneReady
)
Answer = Outcome | RegistryPart | DoneRegistry | Changed | InForce | Refused

_CODES: Final[dict[type[Exception], RefusalCode]] = {
    BudgetExhausted: RefusalCode.BUDGET_EXHAUSTED,
    KeysExhausted: RefusalCode.KEYS_EXHAUSTED,
    IdempotencyMismatch: RefusalCode.IDEMPOTENCY_MISMATCH,
    IdempotencyInProgress: RefusalCode.IDEMPOTENCY_IN_PROGRESS,
    ChargedFailure: RefusalCode.CHARGED_FAILURE,
    EntryRefused: RefusalCode.ENTRY_REFUSED,
    LedgerUnavailable: RefusalCode.UNAVAILABLE,
}
UNAVAILABLE: Final = "the ledger does not answer; try again later"


def refused(number: int, error: BaseException) -> Refused:
    """Return an error as it crosses; what is not of the port's family says nothing of itself."""
    code = _CODES.get(type(error)) if isinstance(error, Exception) else None
    if code is None:
        return Refused(number, RefusalCode.UNAVAILABLE, UNAVAILABLE)
    if isinstance(error, BudgetExhausted | KeysExhausted):
        return Refused(number, code, error.detail, error.cost, error.left)
    return Refused(number, code, str(error))


def error_of(refusal: Refused) -> Exception:
    """Return the error that crossed."""
    match refusal.code:
        case RefusalCode.BUDGET_EXHAUSTED | RefusalCode.KEYS_EXHAUSTED as code:
            assert refusal.cost is not None, "an exhausted budget has a cost"  # noqa: S101
            kind = BudgetExhausted if code is RefusalCode.BUDGET_EXHAUSTED else KeysExhausted
            return kind(refusal.detail, cost=refusal.cost, left=refusal.left)
        case RefusalCode.IDEMPOTENCY_MISMATCH:
            return IdempotencyMismatch(refusal.detail)
        case RefusalCode.IDEMPOTENCY_IN_PROGRESS:
            return IdempotencyInProgress(refusal.detail)
        case RefusalCode.CHARGED_FAILURE:
            return ChargedFailure(None)  # the only one a ledger raises: that charge is closed already
        case RefusalCode.ENTRY_REFUSED:
            return EntryRefused(refusal.detail)
        case RefusalCode.UNAVAILABLE:
            return LedgerUnavailable(refusal.detail)


Taken = TypeVar("Taken")
QUESTIONS: Final = msgspec.msgpack.Decoder[Question](Question)
ANSWERS: Final = msgspec.msgpack.Decoder[Answer](Answer)
_ENCODER: Final = msgspec.msgpack.Encoder()


class Wire(asyncio.Protocol, Generic[Taken]):
    """One end of a connection. State: owned by its event loop.

    ``take`` is called with each message, in order; ``lost`` once, when nothing more comes.
    """

    def __init__(
        self,
        decoder: "msgspec.msgpack.Decoder[Taken]",
        *,
        take: Callable[[Taken], None],
        lost: Callable[[], None],
    ) -> None:
        self._decoder = decoder
        self._take = take
        self._lost = lost
        self._transport: asyncio.Transport | None = None
        self._unread = bytearray()
        self._unsent: list[bytes] = []

    def post(self, message: Question | Answer) -> None:
        """Send a message with all others of this turn of the loop.

        Raises:
            LedgerUnavailable: It is too long, or the connection has ended.

        """
        encoded = _ENCODER.encode(message)
        if len(encoded) > MESSAGE_BYTES_MAX or self._transport is None:
            raise LedgerUnavailable(UNAVAILABLE)
        if not self._unsent:
            asyncio.get_running_loop().call_soon(self._send)
        self._unsent.append(len(encoded).to_bytes(_LENGTH_BYTES, "big"))
        self._unsent.append(encoded)

    def end(self) -> None:
        """Hang up at once."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- the protocol's signature
        if self._transport is not None:
            self._transport = None
            self._lost()

    def data_received(self, data: bytes) -> None:
        """Take every whole message; one that is none ends the connection."""
        self._unread += data
        at = 0
        while self._transport is not None and len(self._unread) >= (start := at + _LENGTH_BYTES):
            stop = start + int.from_bytes(self._unread[at:start], "big")
            if stop - start > MESSAGE_BYTES_MAX:
                return self.end()
            if len(self._unread) < stop:
                break
            try:
                message = self._decoder.decode(bytes(self._unread[start:stop]))
            except (msgspec.DecodeError, RecursionError):
                return self.end()
            self._take(message)
            at = stop
        del self._unread[:at]
        return None

    def _send(self) -> None:
        unsent, self._unsent = self._unsent, []
        if self._transport is None:
            return
        self._transport.write(b"".join(unsent))
        if self._transport.get_write_buffer_size() > UNSENT_BYTES_MAX:
            self.end()  # nobody reads there
