"""Offline checks: re-hashing a log, the whole audit, and one receipt; CPU time of one process.

A quarter of the entries are charges with three debits each, a quarter the replies that close them, the
rest plain replies. ``verify_entries_per_s`` reads every entry, hashes it, and holds every stored tile and
the root against it; ``audit_entries_per_s`` is ``gateway audit verify``: also the form of every entry,
budgets, pairs, registry, claims, the file's own pages. Their floor is the first target.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from gateway.client.receipt import StoredReceipt, verify_file
from gateway.clock import SystemClock
from gateway.keyring.keyring import Keyring
from gateway.ledger.audit import verify_store
from gateway.ledger.audit_store import rehashed, snapshot
from gateway.ledger.audit_tree import GrowingTree
from gateway.ledger.sqlite import SqliteLedger
from gateway.terms.charge import Charge
from gateway.terms.entry import ChargeRequest, EntryKind, ReleaseRequest
from gateway.terms.identifiers import ClientId, LineageId, OrgId, RequestId
from gateway.terms.loss import BudgetNode, Debit, Loss, PicoDelta, PicoRho
from tests.bench.ledger import BODY, FACTS, NAME, PRIVATE
from tests.bench.measure import Family, Measure, Plan, middle

ENTRIES = 60_000
ROUNDS = 5
RECEIPTS = 200
AT_ONCE = 512
VERIFY_TARGET, AUDIT_TARGET, RECEIPT_TARGET_MS = 150_000.0, 80_000.0, 5.0
_CAP = Loss(PicoRho(10**15), PicoDelta(10**15))


def run(plan: Plan) -> list[Measure]:
    folder = plan.folder / "audit"
    folder.mkdir()
    vkey, receipt = asyncio.run(_filled(folder, plan.size(ENTRIES)))
    store, head = folder / "log.sqlite", (folder / "head").read_bytes()
    hashing, auditing, receipts = list[float](), list[float](), list[float]()
    for _ in range(plan.rounds(ROUNDS)):
        hashing.append(plan.size(ENTRIES) / _cpu_s(lambda: _rehash(store)))
        auditing.append(plan.size(ENTRIES) / _cpu_s(lambda: _audit(store, vkey, head)))
        receipts.append(1000 * _cpu_s(lambda: _verify(receipt, vkey)) / RECEIPTS)
    return [
        Measure(name="verify_entries_per_s", value=middle(hashing), unit="1/s", floor=VERIFY_TARGET),
        Measure(name="audit_entries_per_s", value=middle(auditing), unit="1/s", floor=AUDIT_TARGET),
        Measure(name="receipt_verify_ms", value=middle(receipts), unit="ms", floor=RECEIPT_TARGET_MS),
    ]


def _cpu_s(work: Callable[[], None]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def _rehash(store: Path) -> None:
    faults: list[str] = []
    with snapshot(store) as connection:
        tree = GrowingTree()
        for _ in rehashed(connection, tree, faults.append):
            pass
        head = connection.execute("SELECT size, root FROM head").get
    assert (faults, head) == ([], (tree.size, tree.root_at(tree.size)))


def _audit(store: Path, vkey: str, head: bytes) -> None:
    report = verify_store(store, vkey, checkpoints=[head])
    assert (report.verified, report.checkpoints) == (True, 1)


def _verify(receipt: Path, vkey: str) -> None:
    for _ in range(RECEIPTS):
        verify_file(receipt, vkey)


async def _filled(folder: Path, entries: int) -> tuple[str, Path]:
    """Make a log; return its key and the file of its last receipt."""
    keyring = Keyring.create(folder / "keys", log_name=NAME)
    ledger = SqliteLedger.open(
        folder / "log.sqlite",
        signer=keyring.log,
        origin=NAME,
        clock=SystemClock(),
        head_file=folder / "head",
        seal=lambda data: keyring.sealer.seal("ledger", data),
        unseal=lambda sealed: keyring.sealer.unseal("ledger", sealed),
        wrap=lambda data: keyring.sealer.seal("ledger", data),
        unwrap=lambda sealed: keyring.sealer.unseal("ledger", sealed),
    )
    ledger.start()
    try:
        numbers = iter(range(entries // 4))
        await asyncio.gather(*(_ask(ledger, numbers) for _ in range(AT_ONCE)))
        written = 4 * (entries // 4)
        for number in range(written, entries - 1):
            await ledger.release(_reply(number, None))
        last = await ledger.release(_reply(entries, None))
    finally:
        await ledger.close()
    receipt = folder / "answer.receipt"
    StoredReceipt(proof=last.proof, entry=last.entry, body=BODY).save(receipt)
    return keyring.log.vkey, receipt


async def _ask(ledger: SqliteLedger, numbers: Iterator[int]) -> None:
    for number in numbers:
        charge = await ledger.charge(
            ChargeRequest(
                request_id=RequestId(f"c-{number:09}"),
                facts=FACTS,
                private=PRIVATE,
                debits=_debits(number),
                claim=None,
            )
        )
        assert isinstance(charge, Charge)
        await ledger.release(_reply(number, charge.index))
        await ledger.release(_reply(number, None))
        await ledger.release(_reply(number, None))


def _debits(number: int) -> tuple[Debit, ...]:
    lineage, org, client = LineageId(f"vn.{number % 5}"), OrgId("bank-a"), ClientId(f"etl-{number % 40}")
    nodes = BudgetNode(lineage), BudgetNode(lineage, org), BudgetNode(lineage, org, client)
    return tuple(Debit(node, Loss(PicoRho(1), PicoDelta(0)), _CAP) for node in nodes)


def _reply(number: int, charge: int | None) -> ReleaseRequest:
    return ReleaseRequest(
        request_id=RequestId(f"c-{number:09}"),
        kind=EntryKind.SINGLE if charge is None else EntryKind.RELEASE,
        facts=FACTS,
        private=PRIVATE,
        body=BODY,
        charge_index=charge,
    )


FAMILY = Family(names=("verify_entries_per_s", "audit_entries_per_s", "receipt_verify_ms"), run=run)
