"""Run a script against a ledger and tell each answer the moment it is there."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

from gateway.clock import unix_ms
from gateway.errors import GatewayError
from gateway.ledger.port import EntryRefused
from gateway.ledger.sqlite import SqliteLedger
from gateway.terms import charge as terms
from gateway.terms.entry import Basis, Change, ChargeRequest, Erasure, IdempotencyClaim, ReleaseRequest
from gateway.terms.identifiers import ClientId, LineageId, OrgId, RequestId
from gateway.terms.loss import BudgetNode, Debit, Loss, PicoDelta, PicoRho
from tests.faults.script import (
    Answer,
    AskHead,
    Charge,
    Charged,
    Command,
    Erase,
    Headed,
    MoveClock,
    Receipted,
    Refused,
    Release,
    Script,
    Stored,
    Used,
    UseOnce,
    private_of,
    subject_of,
)
from tests.faults.world import ScriptedClock

Tell = Callable[[Answer], None]
SERVES_MS = 300_000
"""How long an id would serve if it were not used up."""
_PLENTY = 10**9


def nodes(client: str) -> tuple[BudgetNode, ...]:
    lineage, org = LineageId("vn.nso"), OrgId("bank-a")
    return BudgetNode(lineage), BudgetNode(lineage, org), BudgetNode(lineage, org, ClientId(client))


def charge_request(command: Charge) -> ChargeRequest:
    caps = (_PLENTY, _PLENTY, command.cap)
    loss = Loss(PicoRho(command.rho), PicoDelta(0))
    claim = command.key and IdempotencyClaim(scope=command.client, key=command.key, digest=command.client)
    return ChargeRequest(
        request_id=RequestId(command.id),
        facts={"dataset": "household"},
        private=private_of(command.id),
        debits=tuple(
            Debit(node, loss, Loss(PicoRho(cap), PicoDelta(_PLENTY)))
            for node, cap in zip(nodes(command.client), caps, strict=True)
        ),
        claim=claim or None,
        subject=subject_of(command.id),
    )


def release_request(command: Release, charge_index: int | None) -> ReleaseRequest:
    changes = ()
    if command.record is not None:
        changes = (Change(kind="organisation", id=command.record, document=command.document),)
    return ReleaseRequest(
        request_id=RequestId(command.id),
        kind=command.kind,
        facts={"status": 200},
        private=private_of(command.id),
        body=command.body,
        charge_index=charge_index,
        answer=command.answer,
        changes=changes,
        subject=subject_of(command.id),
    )


class Client:
    """One caller of a ledger. State: the charges it holds, by request id; owner: its event loop."""

    def __init__(self, ledger: SqliteLedger, clock: ScriptedClock, tell: Tell) -> None:
        self._ledger = ledger
        self._clock = clock
        self._tell = tell
        self._charges: dict[str, int] = {}

    async def run(self, script: Script) -> None:
        for step in script:
            await asyncio.gather(*map(self.ask, step))

    async def ask(self, command: Command) -> None:
        """Ask one thing and tell what came of it; nothing where the charge to close was refused."""
        match command:
            case MoveClock(seconds):
                self._clock.moment += timedelta(seconds=seconds)
                return
            case Release(charged=True) if command.id not in self._charges:
                return
        try:
            answer = await self._asked(command)
        except (GatewayError, EntryRefused) as error:
            answer = Refused("" if isinstance(command, AskHead) else command.id, type(error).__name__)
        self._tell(answer)

    async def _asked(self, command: Command) -> Answer:
        match command:
            case Charge():
                return self._charged(command, await self._ledger.charge(charge_request(command)))
            case Release():
                index = self._charges.get(command.id) if command.charged else None
                receipt = await self._ledger.release(release_request(command, index))
                return Receipted(
                    command.id, receipt.index, receipt.entry, receipt.proof, receipt.salt, command.body
                )
            case Erase():
                erasure = Erasure(basis=Basis.REQUEST, subject=command.subject)
                receipt = await self._ledger.erase(erasure, RequestId(command.id))
                return Receipted(command.id, receipt.index, receipt.entry, receipt.proof, receipt.salt, b"")
            case UseOnce():
                expires_at_ms = unix_ms(self._clock.now()) + SERVES_MS
                return Used(command.id, await self._ledger.use_once(command.id, expires_at_ms))
            case _:
                return Headed(await self._ledger.checkpoint())

    def _charged(self, command: Charge, outcome: terms.Charge | terms.StoredAnswer) -> Answer:
        if isinstance(outcome, terms.StoredAnswer):
            return Stored(command.id, outcome.answer, outcome.charge_index, outcome.release_index)
        self._charges[command.id] = outcome.index
        return Charged(command.id, outcome.index)
