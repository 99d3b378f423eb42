"""A home whose log has something of everything that goes over to the next, and processes that die on the way.

Run as a program it is a warm parent: each line it reads is a home and a number, and a child that it forks
closes that home's log and dies at that moment: before a file of the ledger or of the settings is opened for
writing, renamed, linked or removed, before a transaction commits, or after it. 0: at none of them.
"""

import gc
import os
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from gateway import wiring
from gateway.ledger.sqlite import SqliteLedger
from gateway.registry.codec import change_of
from gateway.registry.records import Operator, Organisation, Record, State
from gateway.settings import Settings
from gateway.terms.charge import Charge
from gateway.terms.dataset import Title
from gateway.terms.entry import ChargeRequest, EntryKind, IdempotencyClaim, ReleaseRequest
from gateway.terms.identifiers import ClientId, LineageId, OperatorId, OrgId, RequestId
from gateway.terms.loss import BudgetNode, Debit, Loss, PicoDelta, PicoRho

ROOT = Path(__file__).parents[2]
OLD, NEXT, LATER = (f"gateway.test/log/{year}" for year in (2026, 2027, 2028))
NODES = (BudgetNode(LineageId("vn.nso")), BudgetNode(LineageId("vn.nso"), OrgId("bank-a"), ClientId("etl")))
CAP = 100
FAR_MS = 4_000_000_000_000
PERSON = "bank-a.minh"
RECORDS: tuple[Record, ...] = (
    Organisation(
        id=OrgId("bank-a"),
        name=Title(en="Bank A", vi="Ngan hang A"),
        org_class="bank",
        country="VN",
        state=State.ACTIVE,
    ),
    Operator(
        id=OperatorId(PERSON),
        org=OrgId("bank-a"),
        name="Minh",
        password_hash="hash",
        totp_sealed=b"sealed",
        state=State.ACTIVE,
    ),
)
_MOMENTS = {"os.rename", "os.link", "os.remove", "os.rmdir", "os.mkdir"}


def a_charge(key: str, rho: int = 10, *, request: str = "") -> ChargeRequest:
    cap = Loss(PicoRho(CAP), PicoDelta(0))
    return ChargeRequest(
        request_id=RequestId(request or f"r-{key}"),
        facts={},
        private={"question": b"how many?"},
        debits=tuple(Debit(node, Loss(PicoRho(rho), PicoDelta(0)), cap) for node in NODES),
        claim=IdempotencyClaim(scope="bank-a/etl", key=key, digest=f"d-{key}"),
    )


def a_reply(request_id: str = "", **changes: Any) -> ReleaseRequest:
    settings: dict[str, Any] = {"kind": EntryKind.SINGLE, "facts": {}, "private": {}, "body": b"body"}
    return ReleaseRequest(request_id=RequestId(request_id or str(uuid.uuid4())), **(settings | changes))


async def live_in(ledger: SqliteLedger) -> None:
    """Leave an answer, a failure, records, a person's values, a used id, and a charge that is open."""
    for key, kind, answer in (("answered", EntryKind.RELEASE, b"43"), ("failed", EntryKind.ERROR, None)):
        charge = await ledger.charge(a_charge(key))
        assert isinstance(charge, Charge)
        await ledger.release(a_reply(f"r-{key}", kind=kind, charge_index=charge.index, answer=answer))
    await ledger.release(a_reply(kind=EntryKind.CONFIG, changes=tuple(map(change_of, RECORDS))))
    await ledger.release(a_reply(subject=PERSON, private={"question": b"planted"}))
    assert await ledger.use_once("used", FAR_MS)
    await ledger.charge(a_charge("open"))  # nobody answers it any more


def made_home(home: Path) -> Path:
    """Return a home whose log was lived in."""

    async def live() -> None:
        async with wiring.opened(home) as opened:
            await live_in(opened.ledger)

    wiring.create_home(home, Settings(origin="http://127.0.0.1:8080", log_origin=OLD))
    wiring.run(live())
    return home


class Deathbed:
    """The warm parent, seen from outside."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def closed(self, home: Path, moment: int) -> bool:
        """Have a child close the log of a home; return whether it lived to the end."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{home} {moment}\n")
        self._process.stdin.flush()
        status = int(self._process.stdout.readline())
        assert status in {0, -signal.SIGKILL}, f"the child ended with {status}"
        return status == 0


@contextmanager
def a_deathbed() -> Iterator[Deathbed]:
    command = [sys.executable, __file__]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Deathbed(process)


def copied(home: Path, to: Path) -> Path:
    """Return a copy of a home."""
    return shutil.copytree(home, to)


def main() -> None:
    from gateway.cli.log import close  # noqa: PLC0415 -- it loads all that a child needs

    gc.freeze()
    for line in sys.stdin:
        home, moment = line.split()
        child = os.fork()
        if child == 0:
            _watch(Path(home), _countdown(int(moment)))
            close.main(["--origin", NEXT], obj=Path(home), standalone_mode=False)
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(status, file=sys.__stdout__, flush=True)


def _countdown(moment: int) -> Callable[[], None]:
    left = [moment]

    def tick() -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return tick


def _watch(home: Path, tick: Callable[[], None]) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what the command says is nobody's answer
    places = (str(home / "ledger"), str(home / "gateway.toml"), str(home / ".gateway.toml"))

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & os.O_CREAT
        if (event in _MOMENTS or writes) and str(arguments[0]).startswith(places):
            tick()

    def connected(connection: apsw.Connection) -> None:
        def before() -> bool:
            tick()
            return False

        def after(*_: object) -> int:
            tick()
            return 0

        if connection.filename.startswith(places):
            connection.set_commit_hook(before)
            connection.set_wal_hook(after)

    sys.addaudithook(watch)
    apsw.connection_hooks.append(connected)


if __name__ == "__main__":
    main()
