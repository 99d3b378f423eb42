"""Builders of this room: a signer, a seal, a clock that stands still, and ledgers over a file."""

import hashlib
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.ledger.port import Ledger
from gateway.ledger.remote import RemoteLedger
from gateway.ledger.server import Connection, LedgerServer
from gateway.ledger.sqlite import SqliteLedger
from gateway.terms.entry import (
    Change,
    ChargeRequest,
    EntryKind,
    IdempotencyClaim,
    ReleaseRequest,
)
from gateway.terms.identifiers import ClientId, LineageId, OrgId, RequestId
from gateway.terms.loss import BudgetNode, Debit, Loss, PicoDelta, PicoRho
from gateway.transparency.note import format_vkey

NOTHING: Mapping[str, Any] = MappingProxyType({})
ORIGIN = "gateway.example/log/2026"


class Signer:
    """An Ed25519 key from a seed."""

    def __init__(self, seed: str = "log", name: str = ORIGIN) -> None:
        self.key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(seed.encode()).digest())
        self.name = name
        self.vkey = format_vkey(name, self.key.public_key())

    def sign(self, message: bytes) -> bytes:
        return self.key.sign(message)


@dataclass
class StandingClock:
    """A clock that a test moves."""

    moment: datetime = datetime(2026, 10, 1, 8, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment

    async def sleep(self, seconds: float) -> None:
        raise AssertionError(f"the ledger waits for no clock, not for {seconds}")


def sealed(data: bytes) -> bytes:
    """Hide bytes well enough for a byte search."""
    return b"sealed" + bytes(255 - byte for byte in data)


def unsealed(data: bytes) -> bytes:
    if not data.startswith(b"sealed"):
        raise ValueError("not sealed here")
    return bytes(255 - byte for byte in data.removeprefix(b"sealed"))


@dataclass
class LedgerFiles:
    """One log's files; opens ledgers on them and remembers them, so that all are closed in the end."""

    folder: Path
    signer: Signer = field(default_factory=Signer)
    clock: StandingClock = field(default_factory=StandingClock)
    opened: list[SqliteLedger] = field(default_factory=list)

    @property
    def path(self) -> Path:
        return self.folder / "ledger.sqlite"

    @property
    def head(self) -> Path:
        return self.folder / "head"

    def open(self, **changes: Any) -> SqliteLedger:
        """Open and start."""
        ledger = self.open_only(**changes)
        ledger.start()
        return ledger

    def open_only(self, **changes: Any) -> SqliteLedger:
        settings: dict[str, Any] = {
            "path": self.path,
            "signer": self.signer,
            "origin": ORIGIN,
            "clock": self.clock,
            "seal": sealed,
            "unseal": unsealed,
            "wrap": sealed,
            "unwrap": unsealed,
            "head_file": self.head,
        }
        ledger = SqliteLedger.open(**(settings | changes))
        self.opened.append(ledger)
        return ledger


class Build:
    """Requests with everything filled in that a test does not care about."""

    @staticmethod
    def loss(rho: int, delta: int = 0) -> Loss:
        return Loss(PicoRho(rho), PicoDelta(delta))

    @staticmethod
    def nodes(client: str = "etl-1", org: str = "bank-a", lineage: str = "vn.nso") -> tuple[BudgetNode, ...]:
        ids = LineageId(lineage), OrgId(org), ClientId(client)
        return BudgetNode(ids[0]), BudgetNode(ids[0], ids[1]), BudgetNode(*ids)

    @classmethod
    def debits(
        cls, rho: int, *, caps: tuple[int, int, int] = (100, 100, 100), delta: int = 0, **place: str
    ) -> tuple[Debit, ...]:
        limits = (cls.loss(cap, 100) for cap in caps)
        loss = cls.loss(rho, delta)
        return tuple(Debit(node, loss, cap) for node, cap in zip(cls.nodes(**place), limits, strict=True))

    @classmethod
    def charge(
        cls,
        request_id: str = "r-1",
        *,
        rho: int = 10,
        debits: tuple[Debit, ...] | None = None,
        key: str | None = None,
        digest: str = "d-1",
        facts: Mapping[str, Any] = NOTHING,
        private: Mapping[str, bytes] = NOTHING,
    ) -> ChargeRequest:
        return ChargeRequest(
            request_id=RequestId(request_id),
            facts=facts,
            private=private,
            debits=cls.debits(rho) if debits is None else debits,
            claim=None if key is None else IdempotencyClaim(scope="bank-a/etl-1", key=key, digest=digest),
        )

    @staticmethod
    def release(
        request_id: str = "r-1", *, charge: int | None = None, body: bytes = b"body", **changes: Any
    ) -> ReleaseRequest:
        settings: dict[str, Any] = {
            "kind": EntryKind.SINGLE if charge is None else EntryKind.RELEASE,
            "facts": NOTHING,
            "private": NOTHING,
            "charge_index": charge,
        }
        return ReleaseRequest(request_id=RequestId(request_id), body=body, **(settings | changes))


@pytest.fixture
def build() -> type[Build]:
    return Build


@pytest.fixture
async def files(tmp_path: Path) -> AsyncIterator[LedgerFiles]:
    made = LedgerFiles(tmp_path)
    yield made
    for ledger in made.opened:
        await ledger.close()


@dataclass
class Crew:
    """A served ledger, and the remote ones of as many workers as a test asks for."""

    store: SqliteLedger
    told: list[tuple[Change, ...]] = field(default_factory=list)
    remotes: list[RemoteLedger] = field(default_factory=list)
    lost: list[RemoteLedger] = field(default_factory=list)
    datasets: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        self.server = LedgerServer(
            self.store,
            published=self.store.checkpoint,
            in_force=lambda: self.datasets,
            on_changes=self.tell,
        )

    def tell(self, changes: tuple[Change, ...]) -> None:
        self.told.append(changes)
        self.server.tell(changes)

    async def connect(self) -> tuple[Connection, socket.socket]:
        """The ledger's end of a connection, and a worker's."""
        ours, theirs = socket.socketpair()
        return await self.server.serve(ours), theirs

    async def join(self) -> tuple[RemoteLedger, Connection]:
        connection, theirs = await self.connect()
        remote = await RemoteLedger.join(
            theirs, seal=sealed, unseal=unsealed, on_lost=lambda: self.lost.append(remote)
        )
        self.remotes.append(remote)
        return remote, connection

    async def close(self) -> None:
        for remote in self.remotes:
            await remote.close()
        await self.server.close()


@pytest.fixture
async def crew(files: LedgerFiles) -> AsyncIterator[Crew]:
    made = Crew(files.open())
    yield made
    await made.close()


@pytest.fixture(params=["file", "memory", "remote"])
async def ledger(request: pytest.FixtureRequest, files: LedgerFiles) -> AsyncIterator[Ledger]:
    """Every implementation that the contract suite runs on."""
    if request.param == "remote":
        made = Crew(files.open())
        yield (await made.join())[0]
        await made.close()
    else:
        yield files.open() if request.param == "file" else files.open(path=None, head_file=None)


@pytest.fixture
def reopened(files: LedgerFiles) -> Callable[..., Any]:
    """Close everything and open the same files again, as after a restart."""

    async def reopen(**changes: Any) -> SqliteLedger:
        while files.opened:
            await files.opened.pop().close()
        return files.open(**changes)

    return reopen
